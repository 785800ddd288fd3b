"""What a run waits for, what it does not wait for, and how it asks meanwhile."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from deployer.errors import NotSettled
from deployer.project.settings import FunctionSettings
from deployer.service.declare import declare
from deployer.service.release import read_release
from tests.support.clock import Clock
from tests.support.deployments import Service
from tests.support.troubles import BusyFunctions
from tests.support.wire import Account, Answer, Call, Forward

LARGER: dict[str, Any] = {"defaults": FunctionSettings(memory_mb=2048)}


def changing(operation: str, change: Callable[[Any], Any]) -> Callable[..., Answer | None]:
    """Return a trouble that changes every answer to an operation."""

    def trouble(call: Call, forward: Forward) -> Answer | None:
        if call.operation != operation:
            return None
        answer = forward(call)
        return answer.with_json(change(answer.json)) if answer.succeeded else answer

    return trouble


@pytest.mark.slow
def test_an_up_whose_second_read_shows_something_else_is_not_settled(service: Service) -> None:
    """GEN-8: somebody else, or AWS, undoes a change at once."""
    undone = changing("DescribeStateMachine", lambda found: {**found, "name": "x", "type": "X"})
    applied = False

    def after(call: Call, forward: Forward) -> Answer | None:
        nonlocal applied
        applied = applied or call.operation == "CreateStage"
        return undone(call, forward) if applied else None

    service.account.troubles = [after]
    clock = Clock()
    with pytest.raises(NotSettled, match=r"everything was applied, but .* workflow \(type\)"):
        service.up(service.account.aws(clock))
    assert sum(clock.slept) > 60


@pytest.mark.slow
def test_a_down_that_leaves_something_is_not_settled(service: Service) -> None:
    service.up()
    logs = service.account.aws().call("logs", "describe_log_groups")["logGroups"]
    group = next(group for group in logs if group["logGroupName"].endswith("support-vector"))
    deleted = False

    def staying(call: Call, forward: Forward) -> Answer | None:
        nonlocal deleted
        deleted = deleted or call.operation == "DeleteBucket"
        if not deleted:
            return None
        if call.operation == "DescribeLogGroups":
            return forward(call).with_json({"logGroups": [group]})
        if call.operation == "ListTagsForResource" and call.service == "logs":
            tags = json.dumps({"tags": service.settings.tags}).encode()
            return Answer(200, {"Content-Type": "application/x-amz-json-1.1"}, tags)
        return None

    service.account.troubles = [staying]
    with pytest.raises(NotSettled, match="this is still there: logs/"):
        service.down()


@pytest.mark.parametrize(
    ("key", "deletion", "reading"),
    [
        ("function/random_forest", "DeleteFunction", "GetFunction"),
        ("repository", "DeleteRepository", "DescribeRepositories"),
    ],
)
def test_a_deletion_ends_once_the_resource_is_gone(
    service: Service, key: str, deletion: str, reading: str
) -> None:
    """Lambda-5, ECR-4: it is still read for a while after the call."""
    service.up()
    release = read_release(service.settings, service.events.append)
    resource = next(each for each in declare(service.settings, release) if each.key == key)
    clock = Clock()
    last: list[Answer] = []
    deleted: list[float] = []

    def slow(call: Call, forward: Forward) -> Answer | None:
        if call.operation == deletion:
            deleted.append(clock())
        if call.operation != reading:
            return None
        if deleted and clock() < deleted[0] + 20:
            return last[-1]
        answer = forward(call)
        last.append(answer)
        return answer

    service.account.troubles = [slow]
    aws = service.account.aws(clock)
    assert resource.find(aws) is not None
    resource.delete(aws)
    assert clock() >= deleted[0] + 20
    assert resource.find(aws) is None


def test_an_inactive_function_is_updated_without_waiting(service: Service) -> None:
    """Lambda-5: it is healthy."""
    service.up()

    def inactive(found: Any) -> Any:
        return {**found, "Configuration": {**found["Configuration"], "State": "Inactive"}}

    service.account.troubles = [changing("GetFunction", inactive)]
    clock = Clock()
    service.up(service.account.aws(clock), **LARGER)
    assert clock.slept == []
    assert service.plan(**LARGER).is_empty


def test_a_function_found_pending_is_written_once_it_is_ready(service: Service) -> None:
    """PRE-14, R-4: an interrupted run left it so. Here Lambda would not refuse an early write."""
    service.up()
    clock = Clock()
    written: list[float] = []

    def pending(call: Call, forward: Forward) -> Answer | None:
        if call.operation.startswith("UpdateFunction"):
            written.append(clock())
        if call.operation != "GetFunction" or clock() >= 1020 or "Qualifier" in call.url:
            return None
        answer = forward(call)
        found = answer.json
        found["Configuration"]["State"] = "Pending"
        return answer.with_json(found)

    service.account.troubles = [pending]
    service.up(service.account.aws(clock), **LARGER)
    assert len(written) == 3 and min(written) >= 1020


def test_a_longer_wait_makes_more_calls_of_get_function_alone(
    account: Account, service: Service
) -> None:
    """Lambda-3: of GetFunction a hundred a second are allowed, of every other call fifteen."""
    counts = []
    service.up()
    for seconds, memory_mb in ((1, 1500), (60, 2500)):
        clock = Clock()
        account.troubles = [BusyFunctions(seconds, clock)]
        account.calls.clear()
        service.up(account.aws(clock), defaults=FunctionSettings(memory_mb=memory_mb))
        counts.append(Counter(call.operation for call in account.calls if call.service == "lambda"))
        account.troubles = []
    short, long = counts
    assert long.pop("GetFunction") > short.pop("GetFunction") + 10
    assert long == short
