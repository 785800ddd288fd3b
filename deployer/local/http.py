"""HTTP as the local AWS speaks it: waitress reads whole requests, within limits, before any of them is answered.

So a request that is sent half holds no thread and no lock. What waitress itself refuses is told in JSON, like every answer.
"""

from __future__ import annotations

import re

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask, WSGITask

from deployer.local.door import message


class Task(WSGITask):  # type: ignore[misc]
    """Answers a request. waitress capitalises the names of headers, but those of S3's metadata are lower case."""

    def build_response_header(self) -> bytes:
        header: bytes = super().build_response_header()
        return re.sub(rb"(?m)^X-Amz-Meta-[^:\r\n]*", lambda match: match[0].lower(), header)


class JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """Tells what is wrong with a request that is no HTTP, too large, or with an impossible length."""

    def execute(self) -> None:
        error = self.request.error
        _, headers, content = message(error.code, f"{error.reason}: {error.body}")
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend(headers.items())
        self.set_close_on_finish()
        self.content_length = len(content)
        self.write(content)


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Reads a request. waitress would wait for ever for the body of one that expects 100 Continue and has none."""

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.body_rcv is None:
            self.expect_continue = False


class Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = Parser
    task_class = Task
    error_task_class = JsonErrorTask
