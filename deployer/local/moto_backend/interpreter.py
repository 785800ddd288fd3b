"""Running state machines in moto's interpreter."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any


class NoSuchMachine(Exception):
    """No state machine has this ARN; `code` is AWS's error code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Execution:
    """A finished execution; `started` and `stopped` are seconds since 1970."""

    arn: str
    status: str
    started: float
    stopped: float
    output: Any
    error: str | None
    cause: str | None


def find_machine(account: str, arn: str) -> Any:
    """Return moto's model of a state machine; its `type` is EXPRESS or STANDARD."""
    from moto.stepfunctions.exceptions import InvalidArn, StateMachineDoesNotExist
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    try:
        backend = stepfunctions_parser_backends[account][arn.split(":")[3]]
        return backend.describe_state_machine(arn)
    except (InvalidArn, IndexError) as error:
        raise NoSuchMachine("InvalidArn", f"Invalid Arn: '{arn}'") from error
    except StateMachineDoesNotExist as error:
        raise NoSuchMachine(
            "StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'"
        ) from error


def run(account: str, machine: Any, arn: str, name: str, text: str) -> Execution:
    """Run a state machine to its end; `text` is the input, in JSON."""
    from moto.stepfunctions.parser.backend.execution import SyncExecution

    execution = SyncExecution(
        name=name,
        sm_type=machine.type,
        role_arn=machine.roleArn,
        exec_arn=arn.replace(":stateMachine:", ":express:") + f":{name}:{uuid.uuid4()}",
        account_id=account,
        region_name=arn.split(":")[3],
        state_machine=SimpleNamespace(
            arn=arn, name=machine.name, sm_type=machine.type, definition=machine.definition
        ),
        start_date=datetime.now(timezone.utc),
        cloud_watch_logging_session=None,
        input_data=text,
        activity_store={},
    )
    execution.start()
    return Execution(
        arn=execution.exec_arn,
        status=execution.sync_execution_status.value,
        started=execution.start_date.timestamp(),
        stopped=execution.stop_date.timestamp(),
        output=execution.output,
        error=execution.error,
        cause=execution.cause,
    )
