"""Lambda's Runtime API for one environment, on a port of its own."""

from __future__ import annotations

import http.server
import select
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deployer.local.guard import is_own_host
from deployer.local.invocation import PAYLOAD_LIMIT
from deployer.local.peer import PEERS_ARE_KNOWN
from deployer.local.runtime import RUNTIME, RUNTIME_KEY_HEADER

if TYPE_CHECKING:
    from deployer.local.environment import Environment


class RuntimeApi(http.server.ThreadingHTTPServer):
    """The server that the function's process asks for requests."""

    daemon_threads = True

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        super().__init__(("127.0.0.1", 0), _Request)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Refuse every process but the function's own, before a thread is spent on it.

        AWS's runtime client sends no secret, so the system's table of connections has to do.
        """
        return not PEERS_ARE_KNOWN or self.environment.is_at(request)


class _Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: otherwise Nagle and delayed ACKs cost 40 ms a call.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: RuntimeApi

    def do_GET(self) -> None:
        if not self._is_allowed():
            return
        if self.path != f"{RUNTIME}/invocation/next":
            self._answer(404)
            return
        environment = self.server.environment
        invocation = environment.next_invocation(self._is_connected)
        if invocation is None:
            self.close_connection = True
            return
        trace = f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0"
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(1000 * invocation.deadline)),
            "Lambda-Runtime-Invoked-Function-Arn": environment.version.arn,
            "Lambda-Runtime-Trace-Id": trace,
        }
        self._answer(200, invocation.payload, headers)

    def _is_connected(self) -> bool:
        """Tell whether the client still waits: a closed connection is readable."""
        return not select.select([self.connection], [], [], 0)[0]

    def do_POST(self) -> None:
        if not self._is_allowed():
            return
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > 2 * PAYLOAD_LIMIT:
            self.close_connection = True
            self._answer(413 if length.isdecimal() else 400)
            return
        payload = self.rfile.read(int(length))
        environment = self.server.environment
        parts = self.path.removeprefix(f"{RUNTIME}/").split("/")
        if parts == ["init", "error"]:
            environment.fail_init(payload)
            self._answer(202, b'{"status":"OK"}')
        elif len(parts) == 3 and parts[0] == "invocation" and parts[2] in ("response", "error"):
            if environment.respond(parts[1], payload, parts[2] == "error"):
                self._answer(202, b'{"status":"OK"}')
            else:
                self._answer(400, b'{"errorType":"InvalidRequestID"}')
        else:
            self._answer(404)

    def _is_allowed(self) -> bool:
        """Tell whether a request is from the function's own process, and refuse any other.

        On Linux the server has let in nobody else; elsewhere the client is `runtime.py`, which
        sends the key.
        """
        port = self.server.server_address[1]
        if not is_own_host(port, self.headers.get("Host")):
            status = 421
        elif self.headers.get("Origin") is not None:
            status = 403
        elif (
            PEERS_ARE_KNOWN
            or self.headers.get(RUNTIME_KEY_HEADER) == self.server.environment.api_key
        ):
            return True
        else:
            status = 403
        self.close_connection = True
        self._answer(status)
        return False

    def _answer(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: these requests are the handler's own polling."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (TimeoutError, ConnectionError):  # the process was killed
            self.close_connection = True
