"""Running a state machine synchronously, in moto's interpreter, as StartSyncExecution does."""

from __future__ import annotations

import json
import math
import re
import sys
import time
import uuid
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from deployer.files import check_depth

# Sfn-25: bytes of a state's input or output, in UTF-8.
DATA_LIMIT = 262_144
# Levels of an input. AWS documents no limit; without one, the interpreter would pass that of
# Python's recursion.
DEEPEST = 250
_HUGE = re.compile(r"\d[eE]\+?\d{3}|\d{309}")  # what may be a number beyond floats


class Refused(Exception):
    """StartSyncExecution refuses the call: an AWS error code and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def start_sync_execution(account: str, request: dict[str, Any]) -> dict[str, Any]:
    """Run a state machine to its end and return the execution record; times are seconds since 1970.

    Raises:
        Refused: the machine does not exist or is not EXPRESS, or the input is too long or not JSON
            (Sfn-25, Sfn-30).
    """
    from moto.stepfunctions.parser.backend.execution import SyncExecution

    arn = str(request.get("stateMachineArn"))
    machine = _machine(account, arn)
    text = request.get("input") or "{}"
    given = _check_input(text)
    name = request.get("name") or str(uuid.uuid4())
    region = arn.split(":")[3]
    started = time.monotonic()
    execution = SyncExecution(
        name=name,
        sm_type=machine.type,
        role_arn=machine.roleArn,
        exec_arn=arn.replace(":stateMachine:", ":express:") + f":{name}:{uuid.uuid4()}",
        account_id=account,
        region_name=region,
        state_machine=SimpleNamespace(
            arn=arn, name=machine.name, sm_type=machine.type, definition=machine.definition
        ),
        start_date=datetime.now(timezone.utc),
        cloud_watch_logging_session=None,
        input_data=given,
        activity_store={},
    )
    execution.start()
    return _record(execution, arn, text, time.monotonic() - started)


def _machine(account: str, arn: str) -> Any:
    from moto.stepfunctions.exceptions import InvalidArn, StateMachineDoesNotExist
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    try:
        machine = stepfunctions_parser_backends[account][arn.split(":")[3]].describe_state_machine(
            arn
        )
    except (InvalidArn, IndexError) as error:
        raise Refused("InvalidArn", f"Invalid Arn: '{arn}'") from error
    except StateMachineDoesNotExist as error:
        raise Refused(
            "StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'"
        ) from error
    if machine.type != "EXPRESS":
        raise Refused(
            "StateMachineTypeNotSupported",
            "This operation is not supported by this type of state machine",
        )
    return machine


def _check_input(text: str) -> str:
    """Return the input as the interpreter takes it: a number beyond floats as the largest one, for
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
        if text.count("[") + text.count("{") > DEEPEST:
            check_depth(value, DEEPEST)
    except RecursionError as error:
        text = f"nested more than {DEEPEST} levels deep"
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
    """Return an integer, or the largest float for one beyond: to convert thousands of digits takes
    seconds.
    """
    return int(text) if len(text) < 309 else _bounded(text)


def _refuse_constant(name: str) -> None:
    raise ValueError(
        f"Unrecognized token '{name}'"
    )  # Python would take NaN and Infinity, which are not JSON


def _record(execution: Any, arn: str, text: str, seconds: float) -> dict[str, Any]:
    status = execution.sync_execution_status.value
    record = {
        "executionArn": execution.exec_arn,
        "stateMachineArn": arn,
        "name": execution.name,
        "startDate": execution.start_date.timestamp(),
        "stopDate": execution.stop_date.timestamp(),
        "status": status,
        "input": text,
        "inputDetails": {"included": True},
        "billingDetails": {
            "billedDurationInMilliseconds": 100 * math.ceil(10 * seconds),
            "billedMemoryUsedInMB": 64,
        },
    }
    if status == "SUCCEEDED":
        output = json.dumps(execution.output, separators=(",", ":"))
        if len(output.encode()) <= DATA_LIMIT:
            return {**record, "output": output, "outputDetails": {"included": True}}
        limit = (
            "The state/task returned a result with a size exceeding the maximum number of "
            "bytes service limit."
        )
        return {**record, "status": "FAILED", "error": "States.DataLimitExceeded", "cause": limit}
    if status == "TIMED_OUT":
        return {**record, "error": "States.Timeout"}
    return {**record, "error": execution.error, "cause": execution.cause}
