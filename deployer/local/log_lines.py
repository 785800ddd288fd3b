"""The lines that Lambda adds to a function's log: INIT_REPORT, START, END and REPORT."""

from __future__ import annotations

import json
import math
import signal
from typing import Any

from deployer.local.invocation import Response, error_response

TIMEOUT = "Sandbox.Timedout"
_EXITS = ("Runtime.ExitError", "Runtime.OutOfMemory")


def start(request_id: str, version: str) -> str:
    return f"START RequestId: {request_id} Version: {version}"


def init_report(milliseconds: float, failure: Response) -> str:
    """Return the line of an init that failed; of others, the first REPORT tells."""
    status = _status(failure, in_init=True)
    return f"INIT_REPORT Init Duration: {milliseconds:.2f} ms\tPhase: init{status}"


def last(
    request_id: str,
    milliseconds: float,
    response: Response,
    *,
    memory_mb: int,
    peak_mb: float,
    init_ms: float | None,
) -> list[str]:
    """Return the lines with which a request ends.

    Args:
        init_ms: of the init that preceded an environment's first request.
    """
    fields = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {milliseconds:.2f} ms",
        # Lambda-33: the init is billed, too.
        f"Billed Duration: {math.ceil(milliseconds + (init_ms or 0))} ms",
        f"Memory Size: {memory_mb} MB",
        f"Max Memory Used: {min(round(peak_mb), memory_mb)} MB",
    ]
    if init_ms is not None:
        fields.append(f"Init Duration: {init_ms:.2f} ms")
    report = "\t".join(fields) + _status(response)
    error = _runtime_error(response)
    exited = str(error.get("errorMessage")) if error.get("errorType") in _EXITS else ""
    return [f"END RequestId: {request_id}", report, *([exited] if exited else [])]


def _status(response: Response, *, in_init: bool = False) -> str:
    """Return the end of a REPORT: why a request ended without the handler's own answer."""
    error = json.loads(response.payload) if in_init else _runtime_error(response)
    kind = error.get("errorType")
    if kind is None:
        return ""
    return "\tStatus: timeout" if kind == TIMEOUT else f"\tStatus: error\tError Type: {kind}"


def _runtime_error(response: Response) -> dict[str, Any]:
    """Return the error of a request that the handler did not end itself; {} of any other."""
    if not response.is_error:
        return {}
    error: dict[str, Any] = json.loads(response.payload)
    kind = str(error.get("errorType", ""))
    return error if kind.startswith(("Runtime.", "Sandbox.")) else {}


def ending(code: int) -> str:
    """Say how a process ended, in the words of Lambda's runtime."""
    if code >= 0:
        return f"exit status {code}"
    return f"signal: {(signal.strsignal(-code) or str(-code)).lower()}"


def out_of_memory(request_id: str) -> Response:
    text = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
    return error_response("Runtime.OutOfMemory", text)
