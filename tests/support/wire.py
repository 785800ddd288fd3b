"""Calls from botocore to the local AWS inside this process, and troubles that meet them.

A call of the deployer meets the troubles in force in their order. A trouble answers in place of
AWS, breaks the connection, or passes the call on; in the end the local AWS answers. There is no
socket in between, so that a whole deploy takes half a second.
"""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError

from deployer.aws.access import WORKERS, Aws, Recorder
from deployer.aws.clients import READ_TIMEOUT_S, Clients
from deployer.local.process import RESET, Credentials
from tests.support.clock import Clock
from tests.support.snapshots import Snapshot

CREDENTIALS = Credentials("local", "local")
REGION = "us-east-1"
READING = ("Get", "List", "Describe", "Head", "BatchGet", "BatchCheck", "Validate")


class Killed(BaseException):
    """The process has ended; nothing of it reaches AWS any more."""


@dataclass(frozen=True)
class Call:
    """One request: botocore's names of service and operation, and the HTTP request."""

    service: str
    operation: str
    method: str
    url: str
    body: bytes
    headers: Any = field(repr=False, compare=False)

    @property
    def writes(self) -> bool:
        return not self.operation.startswith(READING)

    @property
    def key(self) -> tuple[str, str, bytes]:
        """The call as one value: equal calls have equal keys."""
        return self.operation, self.url, self.body

    def says(self, text: str) -> bool:
        """Tell whether the address or the body contains a text, such as a resource's name."""
        return text in unquote(self.url) or text.encode() in self.body

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"{}")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    def with_json(self, value: Any) -> Answer:
        return Answer(self.status, self.headers, json.dumps(value).encode())

    @property
    def succeeded(self) -> bool:
        return self.status < 400


Forward = Callable[[Call], Answer]
Trouble = Callable[[Call, Forward], "Answer | None"]


def refusal(service: str, code: str, message: str, status: int = 400) -> Answer:
    """Return an error in the shape in which this service sends it."""
    if service == "s3":
        xml = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        return Answer(status, {"Content-Type": "application/xml"}, xml.encode())
    if service in ("iam", "sts", "sns"):
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        xml = f"<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>"
        return Answer(status, {"Content-Type": "text/xml"}, xml.encode())
    headers = {"Content-Type": "application/json", "X-Amzn-ErrorType": code}
    return Answer(
        status,
        headers,
        json.dumps({"__type": code, "message": message, "Message": message}).encode(),
    )


def broken(call: Call) -> Exception:
    return ConnectionClosedError(endpoint_url=call.url)


class Hooked(Clients):
    """Clients whose requests `send` answers."""

    def __init__(self, endpoint: str, send: Callable[..., AWSResponse]) -> None:
        super().__init__(REGION, None, endpoint, CREDENTIALS, WORKERS)
        self._send = send

    def new_client(self, service: str, read_timeout_s: float = READ_TIMEOUT_S) -> Any:
        client = super().new_client(service, read_timeout_s)
        client.meta.events.register_first("before-send", partial(self._send, service))
        # A signature is a tenth of a call, and the local AWS reads nothing of it but this.
        signer = client._request_signer
        scope = f"{CREDENTIALS.access_key}/20260101/{REGION}/{signer.signing_name}/aws4_request"
        header = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        signer.sign = lambda operation, request, **_: request.headers.add_header(
            "Authorization", header
        )
        return client


class OneByOne(Aws):
    """Access whose calls are made one after another, in the same order in every run."""

    def together(self, *calls: Callable[[], Any]) -> list[Any]:
        return [call() for call in calls]


class Account:
    """An account of the local AWS in this process, and the way of calls into it."""

    def __init__(self, folder: Path) -> None:
        from werkzeug.serving import make_server

        from deployer.local.gateway import Gateway
        from deployer.local.moto_backend import application

        self._server = make_server(
            "127.0.0.1", 0, self._serve, threaded=True
        )  # for the layers, which are read by plain HTTP
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        port = self._server.server_port
        self._gateway = Gateway(application.load(port), folder, 0, port, CREDENTIALS)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()
        self._clients = Hooked(self.endpoint, self._send)
        self.troubles: Sequence[Trouble] = ()
        # Answers Invoke in place of the functions' processes, each of which takes a second.
        self.functions: Callable[[Call], Answer] | None = None
        self.calls: list[Call] = []
        # The runs since it was emptied, if nothing else was asked: see tests/support/beginnings.py.
        self.runs: tuple[str, ...] | None = None
        self.beginnings: dict[tuple[str, ...], Any] = {}
        self._snapshots: list[Snapshot] = []
        self._lock = threading.Lock()

    def _serve(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        self.runs = None
        return self._gateway(environ, start_response)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._gateway.close()
        self.reset()
        for snapshot in self._snapshots:
            snapshot.close()

    def reset(self) -> None:
        """Empty the account and forget every trouble."""
        self.troubles, self.calls = (), []
        self._ask(
            "POST",
            f"{self.endpoint}{RESET}",
            b"",
            {"Authorization": "AWS4-HMAC-SHA256 Credential=local/"},
        )
        self.runs = ()

    def snapshot(self) -> Snapshot:
        """Return a copy of all that the account holds, for `restore`; it is kept to the end."""
        self._snapshots.append(Snapshot())
        return self._snapshots[-1]

    def restore(self, snapshot: Snapshot) -> None:
        """Reset the account, and fill it as it was when the snapshot was taken."""
        self.reset()
        snapshot.restore()
        self.runs = None

    def aws(
        self,
        clock: Clock | None = None,
        record: Recorder = lambda service, operation: None,
        later: timedelta = timedelta(),
    ) -> Aws:
        """Return access for a run with a clock of its own; all runs share botocore's clients.

        Args:
            later: how much later than the account's own time the run takes place.
        """
        clock = clock or Clock()
        return OneByOne(
            clients=self._clients,
            clock=clock,
            sleep=clock.sleep,
            record=record,
            now=lambda: datetime.now(timezone.utc) + later,
        )

    def _send(
        self, service: str, event_name: str, request: AWSPreparedRequest, **_: Any
    ) -> AWSResponse:
        operation = event_name.rpartition(".")[2]
        body = request.body or b""
        body = (
            body
            if isinstance(body, bytes)
            else body.encode()
            if isinstance(body, str)
            else body.read()
        )
        answer = self._pass(
            Call(service, operation, request.method, request.url, body, request.headers),
            self.troubles,
        )
        # A trouble may have written another body than the one that the local AWS measured.
        headers = {
            name: value
            for name, value in answer.headers.items()
            if name.lower() != "content-length"
        }
        return AWSResponse(request.url, answer.status, headers, _Raw(answer.body))

    def _pass(self, call: Call, troubles: Sequence[Trouble]) -> Answer:
        if call.operation == "Invoke" and not troubles and self.functions is not None:
            with self._lock:
                self.calls.append(call)
            return self.functions(call)
        if troubles:
            answer = troubles[0](call, lambda passed: self._pass(passed, troubles[1:]))
            return answer if answer is not None else self._pass(call, troubles[1:])
        with self._lock:
            self.calls.append(call)
        return self._ask(call.method, call.url, call.body, call.headers)

    def _ask(self, method: str, url: str, body: bytes, headers: Any) -> Answer:
        self.runs = None
        parts = urlsplit(url)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(parts.path).encode().decode("latin1"),
            "QUERY_STRING": parts.query,
            "RAW_URI": url,
            "REQUEST_URI": url,
            "SERVER_NAME": parts.hostname,
            "SERVER_PORT": str(parts.port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": parts.netloc,
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in dict(headers).items():
            text = value.decode() if isinstance(value, bytes) else str(value)
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = text
        answered: list[Any] = []
        content = b"".join(
            self._gateway(environ, lambda status, headers, *_: answered.extend((status, headers)))
        )
        status, answer_headers = answered
        return Answer(int(status.split()[0]), dict(answer_headers), content)


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterable[bytes]:
        while content := self.read():
            yield content
