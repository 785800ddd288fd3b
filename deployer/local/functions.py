"""Running functions: the pushed image's code in a process of its own, per published version, behind
a Runtime API.

As on Lambda, a process starts with the first invocation, stays warm, answers one request at a time,
is killed when it takes too long, and is replaced after that. Unlike on Lambda, a version has one
process only, and requests queue up.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import queue
import secrets
import select
import socket
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from deployer.local.door import is_for
from deployer.local.peer import KNOWN_HERE, is_process
from deployer.local.process import Credentials
from deployer.local.runtime import RUNTIME_KEY, RUNTIME_KEY_HEADER

# Lambda-28: request and response, each.
PAYLOAD_LIMIT = 6 * 1024 * 1024
# Lambda allows an init 10 s outside the function's timeout.
INIT_TIMEOUT_S = 10.0
# A process that the handler started can hold the output open after its parent was killed; nobody
# waits longer for it.
PUMP_TIMEOUT_S = 2.0
_RUNTIME = "/2018-06-01/runtime"


@dataclass(frozen=True)
class Version:
    """A published version (or $LATEST) of a function, as far as running it goes. `code`: its
    image's /var/task.
    """

    arn: str
    name: str
    version: str
    code: Path
    command: str
    environment: Mapping[str, str]
    timeout_s: float
    memory_mb: int

    @property
    def identity(self) -> str:
        """Changes with anything that a process could not take over: $LATEST can change under one
        ARN.
        """
        parts = [
            self.arn,
            str(self.code),
            self.command,
            sorted(self.environment.items()),
            self.timeout_s,
            self.memory_mb,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Response:
    """What an invocation gave: `payload` is JSON; `is_error` makes it Lambda's FunctionError."""

    payload: bytes
    is_error: bool = False


@dataclass
class _Invocation:
    payload: bytes
    deadline: float
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    done: threading.Event = field(default_factory=threading.Event)
    response: Response | None = None
    fetched: bool = False

    def finish(self, response: Response) -> None:
        if self.response is None:
            self.response = response
            self.done.set()


WriteLog = Callable[[str, str, list[str]], None]


class Environment:
    """One process of one version, and the Runtime API that it polls."""

    def __init__(
        self, version: Version, client: list[str], access: Mapping[str, str], write_log: WriteLog
    ) -> None:
        """Make an environment without a process.

        Args:
            client: the command that runs a handler against a Runtime API.
            access: the variables by which the function's code reaches AWS.
            write_log: takes group, stream and lines.
        """
        self.version = version
        self._client = client
        self._access = access
        self._write_log = write_log
        self._turn = threading.Lock()
        self._pending: queue.Queue[_Invocation | None] = queue.Queue()
        self._current: _Invocation | None = None
        self._ready = threading.Event()
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._api: _RuntimeApi | None = None
        self._init_error: bytes | None = None
        self._stream = ""
        self.api_key = secrets.token_urlsafe(30)
        self._pumping = threading.Thread()

    def invoke(self, payload: bytes) -> Response:
        """Answer one request, in turn."""
        with self._turn:
            return (
                self._attempt(payload)
                or self._attempt(payload)
                or _error("Runtime.ExitError", "the process ended twice")
            )

    def _attempt(self, payload: bytes) -> Response | None:
        """Run one request; None when the process turned out to have ended while it was idle, so
        that another may try.
        """
        failed = self._start()
        if failed:
            return failed
        invocation = _Invocation(payload, time.time() + self.version.timeout_s)
        self._current = invocation
        self._pending.put(invocation)
        if self._ended.is_set():
            invocation.finish(_error("Runtime.ExitError", "the process ended"))
        began = time.monotonic()
        response = self._await(invocation)
        self._current = None
        if self._ended.is_set() and not invocation.fetched:
            return None
        milliseconds = 1000 * (time.monotonic() - began)
        self._log(
            f"END RequestId: {invocation.request_id}",
            f"REPORT RequestId: {invocation.request_id}\tDuration: {milliseconds:.2f} ms\t"
            f"Memory Size: {self.version.memory_mb} MB",
        )
        return response

    def _await(self, invocation: _Invocation) -> Response:
        if not invocation.done.wait(self.version.timeout_s):
            text = (
                f"RequestId: {invocation.request_id} Error: Task timed out after "
                f"{self.version.timeout_s:.2f} seconds"
            )
            self.close()
            self._log(text)
            return _error("Sandbox.Timedout", text)
        assert invocation.response is not None
        return invocation.response

    def _start(self) -> Response | None:
        """Make sure that a process waits for requests; return the error if it cannot."""
        alive = (
            self._process is not None and self._process.poll() is None and not self._ended.is_set()
        )
        if alive and self._ready.is_set():
            return None
        self.close()
        self._ready.clear()
        self._init_error = None
        self._pending = queue.Queue()
        self._ended = threading.Event()
        self._stream = (
            f"{datetime.now(timezone.utc):%Y/%m/%d}/[{self.version.version}]{uuid.uuid4().hex}"
        )
        self._api = _RuntimeApi(self)
        threading.Thread(target=self._api.serve_forever, args=(0.05,), daemon=True).start()
        self._process = process = subprocess.Popen(
            [*self._client, self.version.command],
            cwd=self.version.code,
            env=self._variables(self._api.server_address[1]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._pumping = threading.Thread(target=self._pump, args=(process,), daemon=True)
        self._pumping.start()
        if self._ready.wait(INIT_TIMEOUT_S + self.version.timeout_s) and self._init_error is None:
            return None
        timed_out = not self._ready.is_set()
        self.close()
        if timed_out:
            return _error("Sandbox.Timedout", "the init did not end in time")
        return Response(self._init_error or b"{}", is_error=True)

    def _variables(self, port: int) -> dict[str, str]:
        """Lambda's variables, the function's, and of this machine only where programs are."""
        version = self.version
        kept = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")
            if name in os.environ
        }
        return {
            **kept,
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LAMBDA_TASK_ROOT": str(version.code),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": version.name,
            "AWS_LAMBDA_FUNCTION_VERSION": version.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_mb),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{version.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": self._stream,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "_HANDLER": version.command,
            **self._access,
            RUNTIME_KEY: self.api_key,
            **version.environment,
        }

    def _pump(self, process: subprocess.Popen[bytes]) -> None:
        """Carry the process's output into the log group; when it ends, whoever waits for it must
        hear of it.
        """
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                self._log(line.decode(errors="replace").rstrip("\n"))
        code = process.wait()
        if process is not self._process:
            return
        self._ended.set()
        self._pending.put(
            None
        )  # whoever waits there for a request on the process's behalf waits in vain
        current = self._current
        exited = f"Runtime exited with error: exit status {code}"
        if current is not None:
            current.finish(
                _error("Runtime.ExitError", f"RequestId: {current.request_id} Error: {exited}")
            )
        elif not self._ready.is_set():
            self._init_error = self._init_error or _error("Runtime.ExitError", exited).payload
            self._ready.set()

    def _log(self, *lines: str) -> None:
        self._write_log(f"/aws/lambda/{self.version.name}", self._stream, list(lines))

    def close(self) -> None:
        """End the process, if one runs."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            self._pumping.join(PUMP_TIMEOUT_S)
        if self._api is not None:
            self._pending.put(None)
            self._api.shutdown()
            self._api.server_close()
            self._api = None
        current = self._current
        if current is not None:  # whoever waits for an answer of the ended process must hear of it
            exited = "Runtime exited with error: the environment was ended"
            current.finish(
                _error("Runtime.ExitError", f"RequestId: {current.request_id} Error: {exited}")
            )

    # What the Runtime API asks of its environment.

    def next(self) -> _Invocation | None:
        self._ready.set()
        invocation = self._pending.get()
        if invocation is not None:
            invocation.fetched = True
            self._log(f"START RequestId: {invocation.request_id} Version: {self.version.version}")
        return invocation

    def respond(self, request_id: str, payload: bytes, is_error: bool) -> bool:
        current = self._current
        if current is None or current.request_id != request_id:
            return False
        if len(payload) > PAYLOAD_LIMIT:
            text = (
                f"Response payload size exceeded maximum allowed payload size "
                f"({PAYLOAD_LIMIT} bytes)."
            )
            current.finish(_error("Function.ResponseSizeTooLarge", text))
        else:
            current.finish(Response(payload, is_error))
        return True

    def is_at(self, connection: socket.socket) -> bool:
        """Tell whether this environment's process is at the other end of a connection."""
        process = self._process
        return process is not None and is_process(connection, process.pid)

    def fail_init(self, payload: bytes) -> None:
        self._init_error = payload
        self._ready.set()


def _error(kind: str, message: str) -> Response:
    return Response(
        json.dumps({"errorType": kind, "errorMessage": message}).encode(), is_error=True
    )


class _RuntimeApi(http.server.ThreadingHTTPServer):
    """Lambda's Runtime API for one environment, on a port of its own."""

    daemon_threads = True

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        super().__init__(("127.0.0.1", 0), _RuntimeRequest)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Let in the function's own process, before a thread is spent on anybody else.

        AWS's runtime client sends no secret, so what the system knows of the other end has to do.
        """
        return not KNOWN_HERE or self.environment.is_at(request)


class _RuntimeRequest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = (
        -1
    )  # headers and body in one packet: otherwise Nagle and delayed ACKs cost 40 ms a call
    disable_nagle_algorithm = True
    server: _RuntimeApi

    def do_GET(self) -> None:
        if not self._is_meant():
            return
        if self.path != f"{_RUNTIME}/invocation/next":
            self._answer(404)
            return
        invocation = self.server.environment.next()
        if invocation is None:
            self.close_connection = True
            return
        if select.select([self.connection], [], [], 0)[
            0
        ]:  # readable without a request: the process is gone
            invocation.fetched = False
            self.close_connection = True
            return
        version = self.server.environment.version
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(1000 * invocation.deadline)),
            "Lambda-Runtime-Invoked-Function-Arn": version.arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
        }
        self._answer(200, invocation.payload, headers)

    def do_POST(self) -> None:
        if not self._is_meant():
            return
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > 2 * PAYLOAD_LIMIT:
            self.close_connection = True
            self._answer(413 if length.isdecimal() else 400)
            return
        payload = self.rfile.read(int(length))
        environment = self.server.environment
        parts = self.path.removeprefix(f"{_RUNTIME}/").split("/")
        if parts == ["init", "error"]:
            environment.fail_init(payload)
            self._answer(202, b'{"status":"OK"}')
        elif len(parts) == 3 and parts[0] == "invocation" and parts[2] in ("response", "error"):
            known = environment.respond(parts[1], payload, parts[2] == "error")
            self._answer(
                202 if known else 400,
                b'{"status":"OK"}' if known else b'{"errorType":"InvalidRequestID"}',
            )
        else:
            self._answer(404)

    def _is_meant(self) -> bool:
        """Answer a request that is not from the function's own process, and tell whether it is from
        it.

        On Linux the server has let in nobody else; elsewhere the client is ours, which sends the
        key.
        """
        port = self.server.server_address[1]
        if not is_for(port, self.headers.get("Host")):
            status = 421
        elif self.headers.get("Origin") is not None:
            status = 403
        elif KNOWN_HERE or self.headers.get(RUNTIME_KEY_HEADER) == self.server.environment.api_key:
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
        """Say nothing: requests here are the handler's own polling."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (TimeoutError, ConnectionError):  # the process was killed
            self.close_connection = True


class Functions:
    """All environments of the server, by version.

    Args:
        code: the folder to unpack images into.
        credentials: what the functions' own calls are signed with.
        client: see Environment; by default what this machine has.
    """

    def __init__(
        self,
        code: Path,
        endpoint: str,
        region: str,
        write_log: WriteLog,
        credentials: Credentials,
        client: list[str] | None = None,
    ) -> None:
        self.region = region
        self._code = code
        self._access = {
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_ENDPOINT_URL": endpoint,
        }
        self._write_log = write_log
        self._client = client or runtime_client()
        self._environments: dict[str, Environment] = {}
        self._lock = threading.Lock()

    def invoke(self, version: Version, payload: bytes) -> Response:
        with self._lock:
            environment = self._environments.get(version.identity)
            if environment is None:
                environment = Environment(version, self._client, self._access, self._write_log)
                self._environments[version.identity] = environment
        return environment.invoke(payload)

    def keep(self, wanted: Callable[[Version], bool]) -> None:
        """End the processes of versions that are not wanted any more."""
        with self._lock:
            gone = [
                key
                for key, environment in self._environments.items()
                if not wanted(environment.version)
            ]
            closing = [self._environments.pop(key) for key in gone]
        for environment in closing:
            environment.close()

    def close(self) -> None:
        self.keep(lambda version: False)

    def unpack(self, digest: str, layers: list[bytes]) -> Path:
        """Return the folder with an image's /var/task, unpacked once; `layers` are gzipped tars,
        lowest first.
        """
        target = self._code / digest.replace(":", "-")
        with self._lock:
            if not target.is_dir():
                aside = target.with_name(f"{target.name}-{uuid.uuid4().hex}")
                for layer in layers:
                    _extract(layer, aside)
                task = aside / "var" / "task"
                task.mkdir(parents=True, exist_ok=True)
                os.rename(aside, target)
        return target / "var" / "task"


def _extract(layer: bytes, target: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:gz") as archive:
        if hasattr(
            tarfile, "data_filter"
        ):  # Python 3.10 and 3.11 have it since their 2023 releases only
            archive.extractall(target, filter="data")
        else:
            archive.extractall(target)


def runtime_client() -> list[str]:
    """Return AWS's own runtime client where it runs (its wheels are for Linux only), else ours of
    the same protocol.
    """
    if sys.platform == "linux":
        try:
            import runtime_client  # noqa: F401  (the native part of awslambdaric)

            return [sys.executable, "-m", "awslambdaric"]
        except ImportError:
            pass
    return standard_library_client()


def standard_library_client() -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("runtime.py"))]
