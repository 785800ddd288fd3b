"""Transient errors of AWS, by their ids: the run waits and says so, and after the deadline raises
the error in AWS's words.

TEST-n are the scripted answers of docs/aws-behaviours.md. By default each of the two tests that go
through all of them takes one in seven, not the same ones; with TESTS=every, all.
"""

from __future__ import annotations

import random
import re

import pytest

from deployer.errors import ApplyFailed, DeployerError
from tests.support.clock import Clock
from tests.support.deployments import Service
from tests.support.picture import differences, picture
from tests.support.retries import BEFORE, CHANGE, ROWS, Row
from tests.support.thinning import thinned
from tests.support.troubles import (
    Always,
    BusyFunctions,
    Expired,
    ReturningLogs,
    Script,
    SlowDeletes,
    StaleReads,
)
from tests.support.wire import Answer, Call, Forward


def run(service: Service, what: str, clock: Clock) -> None:
    aws = service.account.aws(clock)
    if what == "down":
        service.down(aws)
    elif what == "change":
        service.up(aws, **CHANGE)
    else:
        service.up(aws)


def ids(row: Row) -> str:
    return f"{row.id}-{row.operation}-{row.run}"


@pytest.mark.parametrize("row", thinned(ROWS, every=7), ids=ids)
def test_what_is_transient_is_waited_out_and_told(service: Service, row: Row) -> None:
    """TEST-1, TEST-7, TEST-15, TEST-20 and their like."""
    if row.run != "up":
        service.up(**BEFORE[row.run])
    script = Script({row.operation: [(row.code, row.message, row.status)] * 3})
    service.account.troubles = [script]
    run(service, row.run, Clock())
    service.account.troubles = []
    assert script.made[row.operation] > 3
    assert row.told in service.told
    if row.run != "down":
        assert service.plan(**(CHANGE if row.run == "change" else {})).is_empty


@pytest.mark.parametrize("row", thinned(ROWS, every=7, first=3), ids=ids)
def test_what_stays_is_raised_as_aws_said_it_once_the_deadline_is_over(
    service: Service, row: Row
) -> None:
    """TEST-2. Some minutes of AWS's time, no more and no less; the rest of the run goes on, and the
    next one finishes.
    """
    if row.run != "up":
        service.up(**BEFORE[row.run])
    clock = Clock()
    service.account.troubles = [Always(row.operation, row.code, row.message, row.status)]
    with pytest.raises(ApplyFailed) as caught:
        run(service, row.run, clock)
    service.account.troubles = []
    assert f"{row.code}: {row.message}" in caught.value.message
    # Many resources make the same call in turn here, and each waits for itself.
    assert 20 < clock.now - 1000 < 10 * 330
    run(service, row.run, Clock())


PERMANENT = [
    (
        "CreateFunction",
        "InvalidParameterValueException",
        "The image manifest, config or layer media type for the source image x is not supported.",
        400,
        "TEST-3, Img-4",
    ),
    (
        "CreateFunction",
        "AccessDeniedException",
        "User: u is not authorized to perform: iam:PassRole on resource: r",
        403,
        "GEN-5",
    ),
    (
        "CreateFunction",
        "CodeStorageExceededException",
        "Code storage limit exceeded.",
        400,
        "Lambda-30",
    ),
    (
        "CreateStateMachine",
        "InvalidDefinition",
        "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED'",
        400,
        "Sfn-7",
    ),
    (
        "CreateStateMachine",
        "InvalidLoggingConfiguration",
        "Log Destination not found.",
        400,
        "Sfn-5",
    ),
    (
        "CreateStateMachine",
        "StateMachineLimitExceeded",
        "The maximum number of state machines has been reached.",
        400,
        "Sfn-31",
    ),
    (
        "CreateStateMachine",
        "AccessDeniedException",
        "User: u is not authorized to perform: iam:PassRole on resource: r",
        400,
        "GEN-5",
    ),
    ("CreateRole", "LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000", 409, "Iam-11"),
    ("CreateRole", "MalformedPolicyDocument", "This policy contains invalid Json", 400, "Iam-7"),
    ("CreateLogGroup", "LimitExceededException", "Resource limit exceeded.", 400, "GEN-3"),
    ("CreateApi", "BadRequestException", "Invalid protocol", 400, "Api-8"),
    (
        "CreateStage",
        "BadRequestException",
        "Insufficient permissions to enable logging",
        400,
        "Logs-7",
    ),
    (
        "CreateBucket",
        "BucketAlreadyExists",
        "The requested bucket name is not available.",
        409,
        "S3-3",
    ),
    (
        "CreateRepository",
        "AccessDeniedException",
        "User: u is not authorized to perform: ecr:CreateRepository",
        400,
        "GEN-3",
    ),
]


@pytest.mark.slow(every=4)
@pytest.mark.parametrize(
    ("operation", "code", "message", "status", "id"),
    PERMANENT,
    ids=[f"{e[4]}-{e[1]}" for e in PERMANENT],
)
def test_what_is_permanent_fails_at_once(
    service: Service, operation: str, code: str, message: str, status: int, id: str
) -> None:
    clock = Clock()
    refusing = Always(operation, code, message, status)
    service.account.troubles = [refusing]
    with pytest.raises(ApplyFailed, match=re.escape(f"{code}: {message}")):
        run(service, "up", clock)
    assert clock.slept == []
    service.account.troubles = []
    made = [call for call in service.account.calls if call.operation == operation]
    assert refusing.calls <= 5 and made == []


def test_a_function_is_not_written_while_it_is_busy(service: Service) -> None:
    """TEST-4, Lambda-2: the waiter comes first, so AWS never has to refuse."""
    service.up()
    clock = Clock()
    refused: list[str] = []

    def watch(call: Call, forward: Forward) -> Answer | None:
        answer = forward(call)
        if answer.status == 409:
            refused.append(call.operation)
        return answer

    service.account.troubles = [watch, BusyFunctions(20, clock)]
    handler = {"tracing": True}
    service.up(service.account.aws(clock), **handler)
    assert clock.now > 1020 and refused == []
    assert "waiting for Lambda: the function is being prepared" in service.told


def test_a_state_machine_that_is_being_deleted_is_waited_for_and_its_role_comes_after(
    service: Service,
) -> None:
    """TEST-10, Sfn-21, GEN-15."""
    service.up()
    clock = Clock()
    service.account.troubles = [SlowDeletes(40, clock)]
    service.account.calls.clear()
    service.down(service.account.aws(clock))
    assert clock.now >= 1040
    role = service.settings.role_name("workflow")
    made = [
        call.operation
        for call in service.account.calls
        if call.writes and call.says(role) or call.service == "stepfunctions"
    ]
    assert made.index("DeleteStateMachine") < made.index("DeleteRole")
    assert "waiting for Step Functions: the state machine is being deleted" in service.told


def test_up_right_after_down_waits_until_the_name_is_free(service: Service) -> None:
    """R-10, PRE-14."""
    service.up()
    clock = Clock()
    deletes = SlowDeletes(100, clock)
    service.account.troubles = [deletes]
    service.plan(service.account.aws(clock))
    arn = service.settings.workflow_arn
    service.account.aws().call("stepfunctions", "delete_state_machine", stateMachineArn=arn)
    service.up(service.account.aws(clock))
    assert clock.now >= 1100
    assert (
        "waiting for Step Functions: the former state machine is still being deleted"
        in service.told
    )
    service.account.troubles = []
    assert service.plan().is_empty


def test_a_log_group_that_comes_back_is_deleted_again(service: Service) -> None:
    """Logs-9: it was ours a moment ago, and comes back without tags."""
    empty = picture(service.account.aws())
    service.up()
    name, tags = "/aws/lambda/inference-dev-random-forest", list(service.settings.tags)
    service.account.troubles = [returning := ReturningLogs(name, tags)]
    service.down()
    service.account.troubles = []
    assert returning.returned
    assert differences(picture(service.account.aws()), empty) == []


def test_down_finds_nothing_to_do_where_everything_answers_not_found(service: Service) -> None:
    """TEST-25, GEN-14: a resource that vanishes between reading and deleting counts as deleted."""
    service.up()
    deleted: list[str] = []

    def vanishing(call: Call, forward: Forward) -> Answer | None:
        """Delete before our call does, so that it finds nothing."""
        if not call.operation.startswith("Delete"):
            return None
        deleted.append(call.operation)
        forward(call)
        return forward(call)

    service.account.troubles = [vanishing]
    service.down()
    assert len(deleted) > 15


def test_credentials_that_expire_in_the_middle_end_the_run_at_once_and_the_next_goes_on(
    service: Service,
) -> None:
    service.up()
    expected = picture(service.account.aws())
    service.account.reset()
    for after in (1, 20, 40):
        clock = Clock()
        service.account.troubles = [expired := Expired(after)]
        with pytest.raises(ApplyFailed) as caught:
            service.up(service.account.aws(clock))
        assert "sign in again" in caught.value.advice
        assert "the next run resumes from there" in caught.value.advice
        assert clock.slept == [] and expired.refused < 20
        service.account.troubles = []
        service.up()
        assert differences(picture(service.account.aws()), expected) == []
        service.account.reset()


def test_credentials_that_expire_before_the_plan_say_so(service: Service) -> None:
    service.account.troubles = [
        Always("GetRole", "ExpiredToken", "The security token is expired", 403)
    ]
    with pytest.raises(DeployerError, match="expired") as caught:
        service.up()
    assert "sign in again" in caught.value.advice


@pytest.mark.slow
def test_reads_that_lag_are_read_again_until_the_account_shows_what_was_applied(
    service: Service,
) -> None:
    """GEN-8, Sfn-12."""
    clock = Clock()
    service.account.troubles = [StaleReads(40, clock, random.Random(1), share=1.0)]
    service.up(service.account.aws(clock))
    assert clock.now > 1030
