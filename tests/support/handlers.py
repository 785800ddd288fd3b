"""An S3 on loopback that serves the handler, and the sample request."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import sklearn

from tests.support.projects import ROOT

DATA = ROOT / "data" / "boston_housing.csv"


FEATURES = DATA.read_text(encoding="utf-8").splitlines()[0].split(",")[:-1]


SAMPLE = json.loads((ROOT / "samples" / "boston_housing.json").read_text(encoding="utf-8"))


NAMES = ["linear_regression", "random_forest", "support_vector"]


def described(names: Sequence[str] = FEATURES, **members: Any) -> bytes:
    """Return the signature's file of a model of numbers."""
    features = [{"name": name} for name in names]
    document = {"features": features, "scikit-learn": sklearn.__version__, **members}
    return json.dumps(document).encode()


def environment(name: str, content: bytes, signature: bytes) -> dict[str, str]:
    """Return the variables by which a function finds its model."""
    return {
        "MODEL": name,
        "BUCKET": "a-bucket",
        "KEY": "key",
        "SHA256": hashlib.sha256(content).hexdigest(),
        "SIGNATURE_KEY": "signature",
        "SIGNATURE_SHA256": hashlib.sha256(signature).hexdigest(),
    }


class Storage(http.server.ThreadingHTTPServer):
    """An S3 that gives prepared answers in turn, and the last one again and again.

    Records the paths of all requests.
    """

    ERRORS = {403: "AccessDenied", 404: "NoSuchKey", 500: "InternalError"}
    daemon_threads = True

    def __init__(self, *answers: bytes | int, cut: int = 0) -> None:
        """An answer is an object's bytes or an HTTP status.

        `cut`: the Content-Length of an object is this many bytes more than are sent.
        """
        super().__init__(("127.0.0.1", 0), StorageRequest)
        self.answers = list(answers)
        self.cut = cut
        self.paths: list[str] = []
        self.connections = 0
        self.url = f"http://127.0.0.1:{self.server_port}"


class StorageRequest(http.server.BaseHTTPRequestHandler):
    server: Storage
    protocol_version = "HTTP/1.1"  # as S3's: the connection stays open

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_GET(self) -> None:
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.server.paths.append(self.path)
        status, body, cut = 200, answer, self.server.cut
        if isinstance(answer, int):
            status, cut = answer, 0
            body = (
                f"<Error><Code>{Storage.ERRORS[answer]}</Code><Message>of the "
                f"test</Message></Error>"
            ).encode()
        assert isinstance(body, bytes)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + cut))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.close_connection or cut > 0

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def serving(storage: Storage) -> Iterator[Storage]:
    """Serve in a thread within this context."""
    thread = threading.Thread(target=storage.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield storage
    finally:
        storage.shutdown()
        thread.join()
        storage.server_close()
