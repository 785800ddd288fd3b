"""A client of Lambda's Runtime API on the standard library, for machines that awslambdaric has no wheel for.

Runs as a program of its own, `python runtime.py module.function`, in the function's process: it imports nothing of deployer.
Answers and errors have the shape of AWS's client.
"""

from __future__ import annotations

import http.client
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

RUNTIME = "/2018-06-01/runtime"


class Context:
    """What a handler may ask about its invocation."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers.get("Lambda-Runtime-Invoked-Function-Arn")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self._deadline_ms = int(headers.get("Lambda-Runtime-Deadline-Ms", "0"))

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self._deadline_ms - int(1000 * time.time()))


def describe(error: Exception, request_id: str = "") -> dict[str, Any]:
    """Return an exception as the Runtime API wants it."""
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": request_id,
        "stackTrace": traceback.format_tb(error.__traceback__),
    }


def load(handler: str) -> Callable[[Any, Context], Any]:
    module, _, function = handler.rpartition(".")
    sys.path.insert(0, os.getcwd())
    found: Callable[[Any, Context], Any] = getattr(importlib.import_module(module.replace("/", ".")), function)
    return found


def exchange(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None
) -> tuple[Mapping[str, str], bytes]:
    """Make one request; return headers and body."""
    connection.request(method, RUNTIME + path, body, {"Content-Type": "application/json"} if body is not None else {})
    response = connection.getresponse()
    content = response.read()
    if response.status >= 300:
        raise SystemExit(f"the Runtime API answered {response.status} to {path}: {content[:200]!r}")
    return dict(response.headers), content


def main(handler_name: str) -> None:
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        handler = load(handler_name)
    except Exception as error:
        traceback.print_exc()
        exchange(connection, "POST", "/init/error", json.dumps(describe(error)).encode())
        raise SystemExit(1) from error
    while True:
        headers, event = exchange(connection, "GET", "/invocation/next")
        context = Context(headers)
        invocation = f"/invocation/{context.aws_request_id}"
        try:
            answer = json.dumps(handler(json.loads(event), context)).encode()
            outcome = "/response"
        except Exception as error:
            traceback.print_exc()
            answer, outcome = json.dumps(describe(error, context.aws_request_id)).encode(), "/error"
        exchange(connection, "POST", invocation + outcome, answer)


if __name__ == "__main__":
    main(sys.argv[1])
