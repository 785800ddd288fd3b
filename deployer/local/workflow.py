"""StartSyncExecution: running a state machine to its end, in moto's interpreter."""

from __future__ import annotations

import json
import math
import re
import sys
import time
import uuid
from collections.abc import Mapping
from typing import Any

from deployer.files import check_depth
from deployer.local.answers import Answer, answer_json
from deployer.local.moto_backend import interpreter
from deployer.local.telemetry import Telemetry

# Sfn-25: bytes of a state's input or output, in UTF-8.
DATA_LIMIT = 262_144
# Levels of an input. AWS documents no limit; without one, the interpreter would exceed Python's
# limit of recursion.
MAX_DEPTH = 250
_HUGE = re.compile(r"\d[eE]\+?\d{3}|\d{309}")  # may be a number beyond floats


class Refused(Exception):
    """StartSyncExecution refuses the call: an AWS error code and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def answer(account: str, request: Mapping[str, Any], telemetry: Telemetry) -> Answer:
    """Answer StartSyncExecution, as Step Functions does over HTTP."""
    try:
        return answer_json(200, start_sync_execution(account, request, telemetry))
    except Refused as error:
        return answer_json(400, {"__type": error.code, "message": str(error)})


def start_sync_execution(
    account: str, request: Mapping[str, Any], telemetry: Telemetry | None = None
) -> dict[str, Any]:
    """Run a state machine to its end and return the execution record; times are seconds since 1970.

    Raises:
        Refused: the machine does not exist or is not EXPRESS, or the input is too long or not JSON
            (Sfn-25, Sfn-30).
    """
    arn = str(request.get("stateMachineArn"))
    try:
        machine = interpreter.find_machine(account, arn)
    except interpreter.NoSuchMachine as error:
        raise Refused(error.code, str(error)) from error
    if machine.type != "EXPRESS":
        raise Refused(
            "StateMachineTypeNotSupported",
            "This operation is not supported by this type of state machine",
        )
    text = request.get("input") or "{}"
    checked = _check_input(text)
    name = request.get("name") or str(uuid.uuid4())
    began = time.monotonic()
    execution = interpreter.run(account, machine, arn, name, checked)
    seconds = time.monotonic() - began
    record = {
        "executionArn": execution.arn,
        "stateMachineArn": arn,
        "name": name,
        "startDate": execution.started,
        "stopDate": execution.stopped,
        "status": execution.status,
        "input": text,
        "inputDetails": {"included": True},
        "billingDetails": {
            "billedDurationInMilliseconds": 100 * math.ceil(10 * seconds),
            "billedMemoryUsedInMB": 64,
        },
    }
    record |= _outcome(execution)
    if telemetry is not None:
        telemetry.executed(record, execution)
    return record


def _outcome(execution: interpreter.Execution) -> dict[str, Any]:
    """Return the fields of an execution record that depend on how the execution ended."""
    if execution.status == "TIMED_OUT":
        return {"error": "States.Timeout"}
    if execution.status != "SUCCEEDED":
        told = {"error": execution.error, "cause": execution.cause}
        return {name: text for name, text in told.items() if text is not None}
    output = json.dumps(execution.output, separators=(",", ":"))
    if len(output.encode()) <= DATA_LIMIT:
        return {"output": output, "outputDetails": {"included": True}}
    cause = (
        "The state/task returned a result with a size exceeding the maximum number of "
        "bytes service limit."
    )
    return {"status": "FAILED", "error": "States.DataLimitExceeded", "cause": cause}


def _check_input(text: str) -> str:
    """Return the input for the interpreter, with the largest float for any number beyond floats.

    JSON has no infinity.
    """
    if len(text.encode()) > DATA_LIMIT:
        limit = f"Member must have length less than or equal to {DATA_LIMIT}"
        raise Refused(
            "ValidationException",
            f"1 validation error detected: Value at 'input' failed to satisfy constraint: {limit}",
        )
    huge = _HUGE.search(text) is not None
    try:
        numbers: dict[str, Any] = (
            {"parse_float": _bounded, "parse_int": _bounded_int} if huge else {}
        )
        value = json.loads(text, parse_constant=_refuse_constant, **numbers)
        if text.count("[") + text.count("{") > MAX_DEPTH:
            check_depth(value, MAX_DEPTH)
    except RecursionError as error:
        text = f"nested more than {MAX_DEPTH} levels deep"
        raise Refused(
            "InvalidExecutionInput", f"Invalid State Machine Execution Input: '{text}'"
        ) from error
    except ValueError as error:
        raise Refused(
            "InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'"
        ) from error
    return json.dumps(value) if huge else text


def _bounded(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else math.copysign(sys.float_info.max, value)


def _bounded_int(text: str) -> float | int:
    """Return an integer, or the largest float for one beyond floats.

    Converting thousands of digits takes seconds.
    """
    return int(text) if len(text) < 309 else _bounded(text)


def _refuse_constant(name: str) -> None:
    # Python would take NaN and Infinity, which are not JSON.
    raise ValueError(f"Unrecognized token '{name}'")
