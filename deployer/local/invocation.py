"""Values of a function's invocation: the version that runs, the request, and the response."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Lambda-28: bytes of a request, and of a response.
PAYLOAD_LIMIT = 6 * 1024 * 1024


@dataclass(frozen=True)
class Version:
    """The configuration that runs a published version of a function, or its $LATEST.

    `code` is the folder with the image's /var/task.
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
    def region(self) -> str:
        return self.arn.split(":")[3]

    @property
    def identity(self) -> str:
        """A hash of everything that a running process cannot change.

        The ARN alone will not do: $LATEST changes under one ARN.
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
    """The outcome of an invocation: `payload` is JSON; `is_error` makes it a FunctionError.

    `log` are the lines that the invocation wrote, or the init that failed before it.
    """

    payload: bytes
    is_error: bool = False
    log: tuple[str, ...] = ()


@dataclass
class Invocation:
    """A request on its way through an environment; `deadline` is in seconds since 1970."""

    payload: bytes
    deadline: float
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    fetched: bool = False
    response: Response | None = None


def error_response(kind: str, text: str) -> Response:
    return Response(json.dumps({"errorType": kind, "errorMessage": text}).encode(), is_error=True)
