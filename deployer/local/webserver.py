"""The HTTP server: waitress, with further limits.

waitress reads a whole request before it is answered, so an unfinished request holds no thread and
no lock. This module limits what waitress does not: the work that a request line costs, the time for
a request, and the bodies of requests without the key. Refusals are in JSON.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask
from waitress.utilities import BadRequest

from deployer.local.answers import Answer, message

# For a client to send a whole request, and a second more for each megabyte of its body.
REQUEST_S = 30.0
_SLOWEST = 10**6  # bytes a second
_MAX_CONTROL_LINE = 4096  # of a chunk, with its extensions
_MAX_TRAILER = 65536
# A refused client may go on sending for this time: closing its connection would lose the answer.
LINGER_S = 5.0
_LENGTH_DIGITS = 15  # a petabyte; converting very many digits takes long


class Task(WSGITask):  # type: ignore[misc]
    """Answers a request; keeps the names of S3's metadata lower case, unlike waitress."""

    def build_response_header(self) -> bytes:
        header: bytes = super().build_response_header()
        return re.sub(rb"(?m)^X-Amz-Meta-[^:\r\n]*", lambda match: match[0].lower(), header)


class JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers a malformed or too large request with its error."""

    def execute(self) -> None:
        self.channel.refused = True
        error = self.request.error
        text = error.reason if error.code == 413 else f"{error.reason}: {error.body}"
        path = getattr(self.request, "path", "")  # it may not have been read
        status, headers, content = self.channel.server.refusal(path, error.code, text)
        self.status = f"{status} {HTTPStatus(status).phrase}"
        self.response_headers.extend(headers.items())
        self.set_close_on_finish()
        self.content_length = len(content)
        command = getattr(self.request, "command", None)  # it may not have been read
        self.write(b"" if command == "HEAD" else content)


class _Limits:
    """waitress's settings with another limit of a body, for one request."""

    def __init__(self, settings: Any, largest_body: int) -> None:
        self._settings = settings
        self.max_request_body_size = largest_body

    def __getattr__(self, name: str) -> Any:
        return getattr(self._settings, name)


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Reads a request, and refuses one early that would cost much time or memory."""

    largest_body: Callable[[str, dict[str, str]], int]
    completed: bool
    adj: Any

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        receiver = self.body_rcv
        is_chunked = self.chunked and not self.completed and receiver is not None
        if is_chunked and (
            len(receiver.control_line) > _MAX_CONTROL_LINE or len(receiver.trailer) > _MAX_TRAILER
        ):
            self.error = BadRequest("a chunk's line or the trailer is too long")
            self.completed = True
        if self.completed:  # or waitress would ask for a body that it does not read
            self.expect_continue = False
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        line, _, headers = header_plus.partition(b"\n")
        target = line.split(b" ")[1:2]
        # waitress's pattern of this line takes quadratic time for a URL with a scheme. Only proxies
        # are sent one.
        if (
            not target
            or target[0][:1] not in (b"/", b"*")
            or b"://" in target[0].partition(b"?")[0]
        ):
            raise ParsingError("the target must be a path")
        if re.search(rb"(?im)^content-length:[ \t]*[0-9]{%d}" % (_LENGTH_DIGITS + 1), headers):
            raise ParsingError("Content-Length is invalid")
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # from splitting the target
            raise ParsingError(str(error)) from error
        self.adj = _Limits(self.adj, self.largest_body(self.path, self.headers))


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection that times its unfinished request and lets a refused client read the reason."""

    task_class = Task
    error_task_class = JsonErrorTask
    parser_class = Parser
    began = 0.0
    will_close: bool
    close_when_flushed: bool
    refused = False
    lingers_until = 0.0  # by time.time(); bytes received until then are discarded

    def handle_write(self) -> None:
        if not (self.refused and self.close_when_flushed) or self.will_close:
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if not self.total_outbufs_len and self.connected:
            self.close_when_flushed = False
            self.lingers_until = time.time() + LINGER_S
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:  # the client has gone
                self.will_close = True

    def received(self, data: bytes) -> bool:
        if self.lingers_until:
            self.will_close = self.will_close or time.time() > self.lingers_until
            return False
        unfinished = self.request
        has_request: bool = super().received(data)
        if self.request is not unfinished:
            self.began = time.time()
        return has_request


class Server(TcpWSGIServer):  # type: ignore[misc]
    """waitress's server; it closes connections whose requests take too long or too much room."""

    channel_class = Channel
    # Answers a refused request, from its path, status and reason.
    refusal: Callable[[str, int, str], Answer] = staticmethod(
        lambda path, status, reason: message(status, reason)
    )

    def maintenance(self, now: float) -> None:
        super().maintenance(now)
        for channel in self.active_channels.values():
            request = channel.request
            if 0 < channel.lingers_until < now:
                channel.will_close = True
            if (
                request is not None
                and channel.began + REQUEST_S + request.content_length / _SLOWEST < now
            ):
                channel.will_close = True

    def readable(self) -> bool:
        if len(self._map) >= self.adj.connection_limit:
            waiting = [channel for channel in self.active_channels.values() if not channel.requests]
            for channel in sorted(waiting, key=lambda channel: channel.last_activity)[
                : len(waiting) // 10 + 1
            ]:
                channel.will_close = True
        readable: bool = super().readable()
        return readable


def make_server(
    application: Any, largest_body: Callable[[str, dict[str, str]], int], **settings: Any
) -> Server:
    """Return a server that listens already.

    Args:
        largest_body: takes a request's path and headers (upper case, with underscores); returns the
            number of bytes below which its body is read.
        settings: waitress's adjustments.
    """
    adjustments = Adjustments(**settings)
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(adjustments.threads)
    Parser.largest_body = staticmethod(largest_body)
    return Server(
        application, {}, dispatcher=dispatcher, adj=adjustments, sockinfo=adjustments.listen[0]
    )
