"""HTTP servers in place of AWS, or in front of the local AWS: they refuse or delay calls."""

from __future__ import annotations

import http.client
import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

READING = ("Get", "List", "Describe", "Head", "BatchGet", "BatchCheck")


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else content)

    def handle_any(self) -> None:
        raise NotImplementedError

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = lambda self: self.handle_any()


@contextmanager
def serve(handler: type[Quiet]) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def refusing_everything(code: str, message: str, status: int = 403) -> type[Quiet]:
    """Answer every request with an error in the shape of STS."""
    xml = (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )

    class Refusing(Quiet):
        def handle_any(self) -> None:
            self.body()
            self.answer(status, xml.encode(), {"Content-Type": "text/xml"})

    return Refusing


class Passing(Quiet):
    """A proxy in front of an account."""

    target: str

    def operation(self, content: bytes) -> str:
        """Return the operation's name, or "" for services whose requests do not name it."""
        name = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        return name or parse_qs(content.decode(errors="replace")).get("Action", [""])[0]

    def pass_on(self, content: bytes) -> None:
        kept = {
            name: value for name, value in self.headers.items() if name.lower() != "host"
        }  # it names this proxy
        with closing(http.client.HTTPConnection(urlsplit(self.target).netloc)) as connection:
            connection.request(self.command, self.path, content, kept)
            response = connection.getresponse()
            answer = response.status, response.read()
        passed = ("content-length", "connection", "transfer-encoding")
        self.answer(
            *answer,
            {name: value for name, value in response.getheaders() if name.lower() not in passed},
        )


def slowing(account: str, slow: str, seconds: float) -> type[Quiet]:
    """Pass all calls on to an account, one operation with a delay."""

    class Slowing(Passing):
        target = account

        def handle_any(self) -> None:
            content = self.body()
            if self.operation(content) == slow:
                time.sleep(seconds)
            self.pass_on(content)

    return Slowing


def refusing(account: str, refused: str, code: str, message: str) -> type[Quiet]:
    """Pass all calls on to an account, but refuse one operation of a JSON service."""

    class Refusing(Passing):
        target = account

        def handle_any(self) -> None:
            content = self.body()
            if self.operation(content) == refused:
                document = json.dumps({"__type": code, "message": message}).encode()
                self.answer(400, document, {"Content-Type": "application/x-amz-json-1.0"})
            else:
                self.pass_on(content)

    return Refusing


def reading_only(account: str) -> type[Quiet]:
    """Pass reading calls on to an account, and deny writing ones in the service's own shape."""

    class ReadOnly(Passing):
        target = account

        def handle_any(self) -> None:
            content = self.body()
            if self.writes(content):
                self.deny()
            else:
                self.pass_on(content)

        def writes(self, content: bytes) -> bool:
            name = self.operation(content)
            return not name.startswith(READING) if name else self.command not in ("GET", "HEAD")

        def deny(self) -> None:
            text = "User: arn:aws:iam::123456789012:user/reader is not authorized to perform this"
            service = (
                self.headers.get("Authorization", "").split("/")[3]
                if self.headers.get("Authorization")
                else ""
            )
            if service in ("s3", "iam", "sts"):
                xml = f"<Error><Code>AccessDenied</Code><Message>{text}</Message></Error>"
                if service != "s3":
                    xml = f"<ErrorResponse>{xml}</ErrorResponse>"
                self.answer(403, xml.encode(), {"Content-Type": "text/xml"})
            else:
                document = {"__type": "AccessDeniedException", "message": text, "Message": text}
                self.answer(
                    403 if service in ("lambda", "apigateway") else 400,
                    json.dumps(document).encode(),
                    {
                        "Content-Type": "application/json",
                        "X-Amzn-ErrorType": "AccessDeniedException",
                    },
                )

    return ReadOnly
