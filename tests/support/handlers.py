"""An S3 on loopback that serves the handler, and the sample request."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

from tests.support.projects import ROOT

DATA = ROOT / "data" / "boston_housing.csv"


FEATURES = DATA.read_text(encoding="utf-8").splitlines()[0].split(",")[:-1]


SAMPLE = json.loads((ROOT / "samples" / "boston_housing.json").read_text(encoding="utf-8"))


NAMES = ["linear_regression", "random_forest", "support_vector"]


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
        self.url = f"http://127.0.0.1:{self.server_port}"


class StorageRequest(http.server.BaseHTTPRequestHandler):
    server: Storage

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
