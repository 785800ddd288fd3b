"""A client of Lambda's Runtime API, for machines without a wheel of awslambdaric.

Runs as a script, `python runtime.py module.function`, in the function's process: it imports the
standard library only. Answers and errors have the shape of AWS's client.
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
# They prove to the Runtime API that a request is from the function's own process.
RUNTIME_KEY = "DEPLOYER_RUNTIME_KEY"
RUNTIME_KEY_HEADER = "Deployer-Runtime-Key"


class Context:
    """The second argument of a handler: facts about its invocation."""

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


class Fault(Exception):
    """A handler cannot be called, or its answer is not JSON; `kind` is AWS's name of the error."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def describe(error: Exception, request_id: str = "") -> dict[str, Any]:
    """Return an exception in the Runtime API's form, with the handler's own frames."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__
    ]
    return {
        "errorMessage": str(error),
        "errorType": error.kind if isinstance(error, Fault) else type(error).__name__,
        "requestId": request_id,
        "stackTrace": [] if isinstance(error, Fault) else traceback.format_list(frames),
    }


def load(handler: str) -> Callable[[Any, Context], Any]:
    module, dot, function = handler.rpartition(".")
    if not dot:
        raise Fault(
            "Runtime.MalformedHandlerName",
            f"Bad handler '{handler}': it needs a module and a function",
        )
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 (pathlib would lengthen the init)
    try:
        imported = importlib.import_module(module.replace("/", "."))
    except ImportError as error:
        raise Fault(
            "Runtime.ImportModuleError", f"Unable to import module '{module}': {error}"
        ) from error
    except SyntaxError as error:
        raise Fault(
            "Runtime.UserCodeSyntaxError", f"Syntax error in module '{module}': {error}"
        ) from error
    try:
        handler_function: Callable[[Any, Context], Any] = getattr(imported, function)
    except AttributeError as error:
        raise Fault(
            "Runtime.HandlerNotFound", f"Handler '{function}' missing on module '{module}'"
        ) from error
    return handler_function


def marshal(answer: Any) -> bytes:
    try:
        return json.dumps(answer).encode()
    except (TypeError, ValueError) as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def exchange(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None
) -> tuple[Mapping[str, str], bytes]:
    """Make one request; return headers and body."""
    headers = {RUNTIME_KEY_HEADER: os.environ.get(RUNTIME_KEY, "")}
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection.request(method, RUNTIME + path, body, headers)
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
            answer = marshal(handler(json.loads(event), context))
            outcome = "/response"
        except Exception as error:
            traceback.print_exc()
            answer, outcome = json.dumps(describe(error, context.aws_request_id)).encode(), "/error"
        exchange(connection, "POST", invocation + outcome, answer)


if __name__ == "__main__":
    main(sys.argv[1])
