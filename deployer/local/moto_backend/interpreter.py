"""Running state machines in moto's interpreter."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from deployer.local.moto_backend.execution_log import ExecutionLog, LoggedEvent


class NoSuchMachine(Exception):
    """No state machine has this ARN; `code` is AWS's error code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Execution:
    """A finished execution; `started` and `stopped` are seconds since 1970.

    `events` are those that its state machine logs, into the group with the ARN `log_group`.
    """

    arn: str
    status: str
    started: float
    stopped: float
    output: Any
    error: str | None
    cause: str | None
    log_group: str | None
    events: Sequence[LoggedEvent]


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

    execution_arn = arn.replace(":stateMachine:", ":express:") + f":{name}:{uuid.uuid4()}"
    log = ExecutionLog(machine.loggingConfiguration, execution_arn)
    execution = SyncExecution(
        name=name,
        sm_type=machine.type,
        role_arn=machine.roleArn,
        exec_arn=execution_arn,
        account_id=account,
        region_name=arn.split(":")[3],
        state_machine=SimpleNamespace(
            arn=arn, name=machine.name, sm_type=machine.type, definition=machine.definition
        ),
        start_date=datetime.now(timezone.utc),
        cloud_watch_logging_session=log,
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
        log_group=log.group,
        events=tuple(log.events),
    )
