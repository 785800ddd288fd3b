"""Lambda's execution environment: one process of a function's version, from its start to its end.

The process takes requests from a Runtime API of its own. The environment passes through the states
of `State`; `_enter` makes every transition. An environment that has ended is replaced, not
restarted.
"""

from __future__ import annotations

import enum
import os
import secrets
import select
import socket
import subprocess
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import IO

from deployer.local import log_lines
from deployer.local.invocation import (
    PAYLOAD_LIMIT,
    Invocation,
    Response,
    Version,
    error_response,
)
from deployer.local.peer import is_process
from deployer.local.residence import Gauge
from deployer.local.runtime import RUNTIME_KEY
from deployer.local.runtime_api import RuntimeApi

# Lambda allows an init 10 s outside the function's timeout.
INIT_TIMEOUT_S = 10.0
# Between two looks at the memory of a process that works.
_LOOK_S = 0.02
# A process that the handler started can hold the output open after its parent was killed. Closing
# an environment waits no longer for the end of the output.
OUTPUT_TIMEOUT_S = 2.0
_HOST_VARIABLES = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")  # they say where programs are

# More than the 4 KB of a log that an answer may hold.
_LATEST_LINES = 500

WriteLog = Callable[[str, str, str, list[str]], None]  # takes region, group, stream and lines


class State(enum.Enum):
    """The states of an environment."""

    STARTING = "the process runs its init"
    READY = "the process waits for a request"
    BUSY = "a request is under way"
    ENDED = "the process takes no requests any more"


_NEXT_STATES = {
    State.STARTING: {State.READY, State.ENDED},
    State.READY: {State.BUSY, State.ENDED},
    State.BUSY: {State.READY, State.ENDED},
    State.ENDED: set[State](),
}


class Environment:
    """A process and its Runtime API. It answers one request at a time."""

    def __init__(
        self, version: Version, client: list[str], access: Mapping[str, str], write_log: WriteLog
    ) -> None:
        """Start the process.

        Args:
            client: the command that runs a handler against a Runtime API.
            access: the variables by which the function's code reaches AWS.
        """
        self.version = version
        self.api_key = secrets.token_urlsafe(30)
        self._write_log = write_log
        self._changed = threading.Condition()  # guards all below
        self._state = State.STARTING
        self._offered: Invocation | None = None  # not fetched yet
        self._current: Invocation | None = None  # not answered yet
        self._init_error: bytes | None = None
        self._latest: deque[str] = deque(maxlen=_LATEST_LINES)  # lines since the last START
        self._init_ms: float | None = None  # until the first request's REPORT has told it
        self._copying = threading.Lock()  # held while output is on its way into the log
        self._stream = (
            f"{datetime.now(timezone.utc):%Y/%m/%d}/[{version.version}]{uuid.uuid4().hex}"
        )
        self._api = RuntimeApi(self)
        self._began = time.monotonic()
        try:
            self._process = subprocess.Popen(
                [*client, version.command],
                cwd=version.code,
                env=self._variables(access),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except OSError:
            self._api.server_close()
            raise
        self._gauge = Gauge(self._process.pid, version.memory_mb)
        threading.Thread(target=self._api.serve_forever, args=(0.05,), daemon=True).start()
        self._output = threading.Thread(target=self._copy_output, daemon=True)
        self._output.start()

    @property
    def state(self) -> State:
        return self._state

    def _enter(self, state: State) -> None:
        """Make a transition; the caller holds `_changed`."""
        assert state in _NEXT_STATES[self._state], f"{self._state.name} to {state.name}"
        self._state = state
        self._changed.notify_all()

    def _has_ended(self) -> bool:
        return self._state is State.ENDED

    # For the functions of the server.

    def is_alive(self) -> bool:
        return not self._has_ended() and self._process.poll() is None

    def wait_until_ready(self, request_id: str = "") -> Response | None:
        """Wait for the init to end; return its error, or None if the process takes requests.

        Args:
            request_id: of the request that waits; it fails if the init does.
        """
        with self._changed:
            self._wait_for(
                lambda: self._state is not State.STARTING, INIT_TIMEOUT_S + self.version.timeout_s
            )
            if self._state not in (State.STARTING, State.ENDED) and not self._gauge.is_exceeded:
                return None
            timed_out = self._state is State.STARTING
        milliseconds = 1000 * (time.monotonic() - self._began)
        self.close()
        failure = Response(self._init_error or b"{}", is_error=True)
        if self._gauge.is_exceeded:
            failure = log_lines.out_of_memory(request_id)
        elif timed_out:
            failure = error_response(log_lines.TIMEOUT, "the init did not end in time")
        self._log(log_lines.init_report(milliseconds, failure))
        self._log(log_lines.start(request_id, self.version.version))
        self._log_end(request_id, 0.0, failure)
        return replace(failure, log=tuple(self._latest))

    def invoke(self, payload: bytes, request_id: str = "") -> Response | None:
        """Answer a request; None if the process had ended before it fetched the request."""
        invocation = Invocation(payload, time.time() + self.version.timeout_s)
        invocation.request_id = request_id or invocation.request_id
        began = time.monotonic()
        with self._changed:
            if self._state is not State.READY:
                return None
            self._offered = self._current = invocation
            self._enter(State.BUSY)
            self._wait_for(
                lambda: invocation.response is not None or self._has_ended(),
                self.version.timeout_s,
            )
            if invocation.response is None and self._has_ended():
                return None
        if self._gauge.is_exceeded:
            self.close()
            invocation.response = log_lines.out_of_memory(invocation.request_id)
        response = invocation.response or self._time_out(invocation)
        milliseconds = 1000 * (time.monotonic() - began)
        self._drain()
        self._log_end(invocation.request_id, milliseconds, response)
        return replace(response, log=tuple(self._latest))

    def _wait_for(self, is_done: Callable[[], bool], timeout_s: float) -> None:
        """Wait, at most until the process holds more memory than it may."""
        end = time.monotonic() + timeout_s
        while not is_done():
            self._changed.wait_for(is_done, min(_LOOK_S, end - time.monotonic()))
            if self._gauge.look() or time.monotonic() >= end:
                return

    def _log_end(self, request_id: str, milliseconds: float, response: Response) -> None:
        init_ms, self._init_ms = self._init_ms, None
        lines = log_lines.last(
            request_id,
            milliseconds,
            response,
            memory_mb=self.version.memory_mb,
            peak_mb=self._gauge.peak_mb,
            init_ms=init_ms,
        )
        self._log(*lines)

    def _time_out(self, invocation: Invocation) -> Response:
        text = (
            f"RequestId: {invocation.request_id} Error: Task timed out after "
            f"{self.version.timeout_s:.2f} seconds"
        )
        self.close()
        self._log(text)
        return error_response(log_lines.TIMEOUT, text)

    def close(self) -> None:
        """End the process, and answer a request that is under way with an error."""
        with self._changed:
            self._end("the environment was ended", retry_unfetched=False)
        self._process.kill()
        self._process.wait()
        self._output.join(OUTPUT_TIMEOUT_S)
        self._api.shutdown()
        self._api.server_close()

    # For the Runtime API.

    def next_invocation(self, is_connected: Callable[[], bool]) -> Invocation | None:
        """Wait for a request and hand it to the process; None if the process takes no requests.

        `is_connected` tells whether the process still waits for the answer: if it has gone, the
        request stays for the next process.
        """
        with self._changed:
            if self._state is State.STARTING:
                self._init_ms = 1000 * (time.monotonic() - self._began)
                self._enter(State.READY)
            self._changed.wait_for(lambda: self._offered is not None or self._has_ended())
            invocation = self._offered
            if self._has_ended() or invocation is None or not is_connected():
                return None
            self._offered = None
            invocation.fetched = True
        self._latest.clear()
        self._log(log_lines.start(invocation.request_id, self.version.version))
        return invocation

    def respond(self, request_id: str, payload: bytes, is_error: bool) -> bool:
        """Answer the request that is under way; tell whether it has this id."""
        response = Response(payload, is_error)
        if len(payload) > PAYLOAD_LIMIT:
            text = (
                f"Response payload size exceeded maximum allowed payload size "
                f"({PAYLOAD_LIMIT} bytes)."
            )
            response = error_response("Function.ResponseSizeTooLarge", text)
        with self._changed:
            current = self._current
            if current is None or current.request_id != request_id:
                return False
            current.response, self._current = response, None
            self._enter(State.READY)
        return True

    def fail_init(self, payload: bytes) -> None:
        """Take the error with which the init ended."""
        with self._changed:
            if self._state is State.STARTING:
                self._init_error = payload
                self._enter(State.ENDED)

    def is_at(self, connection: socket.socket) -> bool:
        """Tell whether this environment's process is at the other end of a connection."""
        return not self._has_ended() and is_process(connection, self._process.pid)

    # The process.

    def _copy_output(self) -> None:
        """Copy the process's output into the log group; at its end, end the environment."""
        output = self._process.stdout
        assert output is not None
        unfinished, chunk = b"", b"first"
        while chunk and _has_output(output, None):
            with self._copying:
                chunk = os.read(output.fileno(), 65536)
                *lines, unfinished = (unfinished + chunk).split(b"\n")
                if not chunk:
                    lines += [unfinished] if unfinished else []
                    output.close()
                if lines:
                    self._log(*(line.decode(errors="replace") for line in lines))
        code = self._process.wait()
        with self._changed:
            self._end(log_lines.ending(code), retry_unfetched=True)

    def _drain(self) -> None:
        """Wait until everything that the process has written is in the log."""
        end = time.monotonic() + OUTPUT_TIMEOUT_S
        while self._output.is_alive() and time.monotonic() < end:
            with self._copying:
                output = self._process.stdout
                if output is None or output.closed or not _has_output(output, 0):
                    return
            time.sleep(0.001)

    def _end(self, cause: str, retry_unfetched: bool) -> None:
        """Enter ENDED, if it is not entered yet, and tell a waiting caller the cause."""
        if self._has_ended():
            return
        exited = f"Runtime exited with error: {cause}"
        current, self._current = self._current, None
        if self._state is State.STARTING:
            self._init_error = error_response("Runtime.ExitError", exited).payload
        elif current is not None and (current.fetched or not retry_unfetched):
            current.response = error_response(
                "Runtime.ExitError", f"RequestId: {current.request_id} Error: {exited}"
            )
        self._enter(State.ENDED)

    def _variables(self, access: Mapping[str, str]) -> dict[str, str]:
        """Return Lambda's variables and the function's, and few of this machine's."""
        version = self.version
        return {
            **{name: os.environ[name] for name in _HOST_VARIABLES if name in os.environ},
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LAMBDA_TASK_ROOT": str(version.code),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_address[1]}",
            "AWS_LAMBDA_FUNCTION_NAME": version.name,
            "AWS_LAMBDA_FUNCTION_VERSION": version.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_mb),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{version.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": self._stream,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "_HANDLER": version.command,
            **access,
            "AWS_REGION": version.region,
            "AWS_DEFAULT_REGION": version.region,
            RUNTIME_KEY: self.api_key,
            **version.environment,
        }

    def _log(self, *lines: str) -> None:
        self._latest.extend(lines)
        group = f"/aws/lambda/{self.version.name}"
        self._write_log(self.version.region, group, self._stream, list(lines))


def _has_output(pipe: IO[bytes], timeout_ms: int | None) -> bool:
    """Tell whether a pipe can be read, which it also can at its end; None waits until then."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(timeout_ms))
