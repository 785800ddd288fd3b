"""Provisioned and reserved concurrency of a service, from the first `up` to `down`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from deployer.aws.access import Aws
from deployer.engine.plan import Action, Plan
from deployer.errors import ApplyFailed, ConfigError
from deployer.project.settings import FunctionSettings
from deployer.service import provisioning
from deployer.service.provisioning import free, provision
from tests.support.clock import Clock
from tests.support.deployments import Service
from tests.support.troubles import Always, Dead, SlowProvisioning
from tests.support.wire import Answer, Call, Forward, Killed, broken

FUNCTION = "inference-dev-random-forest"
ARN = f"arn:aws:lambda:us-east-1:123456789012:function:{FUNCTION}"
KEY = "provisioned/random_forest"


def forest(**fields: Any) -> dict[str, Any]:
    """Return the overrides with settings of one function."""
    return {"per_function": {"random_forest": FunctionSettings(**fields)}}


def held(aws: Aws) -> dict[str, int]:
    """Return what the versions of that function hold, by their number."""
    found = aws.pages(
        "lambda",
        "list_provisioned_concurrency_configs",
        "ProvisionedConcurrencyConfigs",
        FunctionName=FUNCTION,
    )
    return {
        each["FunctionArn"].rpartition(":")[2]: each["RequestedProvisionedConcurrentExecutions"]
        for each in found
    }


def shown(plan: Plan) -> dict[str, Action]:
    return {change.key: change.action for change in plan.effective}


def writes(service: Service) -> Iterator[str]:
    """Yield the writing calls of Lambda and Step Functions, and forget all."""
    for call in service.account.calls:
        if call.writes and call.service in ("lambda", "stepfunctions"):
            yield call.operation
    service.account.calls.clear()


@pytest.fixture
def deployed(service: Service) -> Service:
    service.up(**forest(provisioned_concurrency=2))
    service.account.calls.clear()
    return service


def test_a_new_version_is_ready_before_the_switch_and_the_former_one_is_freed_after_it(
    deployed: Service,
) -> None:
    """Pc-1, Pc-2, GEN-13, TEST-24: and it is proved before it costs anything."""
    aws = deployed.account.aws()
    assert held(aws) == {"1": 2}
    changed = forest(provisioned_concurrency=2, memory_mb=2048)
    plan, _ = deployed.up(**changed)
    assert shown(plan) == {
        "function/random_forest": Action.UPDATE,
        KEY: Action.UPDATE,
        "workflow": Action.UPDATE,
        f"{KEY}/1": Action.DELETE,
    }
    assert list(writes(deployed)) == [
        "UpdateFunctionConfiguration",
        "PublishVersion",
        "Invoke",
        "PutProvisionedConcurrencyConfig",
        "Invoke",
        "UpdateStateMachine",
        "DeleteProvisionedConcurrencyConfig",
    ]
    assert held(aws) == {"2": 2}
    assert any("0 of 2 environments are ready" in text for text in deployed.told)
    assert deployed.plan(**changed).is_empty
    assert plan.destructive == (), "nobody is asked"


def test_the_plan_says_what_it_costs(deployed: Service) -> None:
    """Pc-9."""
    plan = deployed.plan(**forest(provisioned_concurrency=4, memory_mb=512))
    (note,) = (change.note for change in plan.effective if change.key == KEY)
    assert "4 x 512 MB kept ready cost about 21.90 USD a month while idle (us-east-1," in note


def test_turned_off_it_goes_and_nothing_else_changes(deployed: Service) -> None:
    """Pc-6: off is a deletion."""
    plan, _ = deployed.up()
    assert shown(plan) == {f"{KEY}/1": Action.DELETE}
    assert list(writes(deployed)) == ["DeleteProvisionedConcurrencyConfig"]
    assert held(deployed.account.aws()) == {} and deployed.plan().is_empty


def test_another_number_changes_the_live_version_in_place(deployed: Service) -> None:
    """Pc-7."""
    plan, _ = deployed.up(**forest(provisioned_concurrency=3))
    assert [field.path for field in plan.effective[0].fields] == ["concurrency"]
    assert list(writes(deployed)) == ["PutProvisionedConcurrencyConfig"]
    assert held(deployed.account.aws()) == {"1": 3}


def test_what_somebody_else_configured_is_shown_and_put_right(deployed: Service) -> None:
    aws = deployed.account.aws()
    where = {"FunctionName": FUNCTION, "Qualifier": "1"}
    aws.call("lambda", "delete_provisioned_concurrency_config", **where)
    plan, _ = deployed.up(**forest(provisioned_concurrency=2))
    assert shown(plan) == {KEY: Action.CREATE}
    aws.call("lambda", "update_function_configuration", FunctionName=FUNCTION, MemorySize=512)
    aws.call("lambda", "publish_version", FunctionName=FUNCTION)
    where["Qualifier"] = "2"
    aws.call(
        "lambda",
        "put_provisioned_concurrency_config",
        **where,
        ProvisionedConcurrentExecutions=5,
    )
    deployed.up(**forest(provisioned_concurrency=2))
    assert held(aws) == {"3": 2}
    assert deployed.plan(**forest(provisioned_concurrency=2)).is_empty


@pytest.mark.slow(every=2)
@pytest.mark.parametrize("end", [Killed, ConnectionClosedError])
def test_a_move_that_ends_after_any_of_its_calls_is_completed(
    deployed: Service, end: type[BaseException]
) -> None:
    """By the next run if the process was killed, by the same one if an answer was lost."""
    aws = deployed.account.aws()
    operations = (
        "PutProvisionedConcurrencyConfig",
        "UpdateStateMachine",
        "DeleteProvisionedConcurrencyConfig",
    )
    for number, operation in enumerate(operations, start=2):
        deployed.overrides = forest(provisioned_concurrency=2, memory_mb=1024 + number)
        ended: list[str] = []

        def ending(
            call: Call, forward: Forward, last: str = operation, ended: list[str] = ended
        ) -> Answer | None:
            if ended and end is Killed:
                raise Killed
            if ended or call.operation != last:
                return None
            ended.append(last)
            forward(call)
            raise Killed if end is Killed else broken(call)

        deployed.account.troubles = [ending]
        if end is Killed:
            with pytest.raises(Killed):
                deployed.up()
            deployed.account.troubles = []
            deployed.account.calls.clear()
        deployed.up()
        deployed.account.troubles = []
        assert ended and held(aws) == {str(number): 2}, operation
        assert deployed.plan().is_empty, operation


def test_it_goes_before_its_function(deployed: Service) -> None:
    """GEN-14, Pc-8: with `down`, and with a model that is no longer declared."""
    deployed.down()
    made = list(writes(deployed))
    assert made.index("DeleteProvisionedConcurrencyConfig") < made.index("DeleteFunction")


def test_environments_that_take_long_are_waited_for(deployed: Service) -> None:
    """Pc-2."""
    clock = Clock()
    deployed.account.troubles = [SlowProvisioning(120, clock)]
    deployed.up(deployed.account.aws(clock), **forest(provisioned_concurrency=3))
    assert clock() >= 1120
    assert any("2 of 3 environments are ready" in text for text in deployed.told)


def test_environments_that_cannot_start_fail_with_aws_reason_and_nothing_is_switched(
    deployed: Service,
) -> None:
    """Pc-2, TEST-24."""
    deployed.account.troubles = [Dead("FUNCTION_ERROR_INIT_FAILURE")]
    changed = forest(provisioned_concurrency=2, memory_mb=2048)
    with pytest.raises(ApplyFailed, match="FAILED: FUNCTION_ERROR_INIT_FAILURE"):
        deployed.up(**changed)
    assert "UpdateStateMachine" not in list(writes(deployed))
    (change,) = (change for change in deployed.plan(**changed).effective if change.key == KEY)
    (field,) = change.fields
    assert (field.before, field.after) == ("FAILED: FUNCTION_ERROR_INIT_FAILURE", "READY")
    deployed.account.troubles = []
    deployed.up(**changed)
    assert held(deployed.account.aws()) == {"2": 2}


def test_environments_that_are_never_ready_end_the_wait(deployed: Service) -> None:
    clock = Clock()
    deployed.account.troubles = [SlowProvisioning(10_000, clock)]
    with pytest.raises(ApplyFailed, match="gave up after 900 s for Lambda: 2 of 3 environments"):
        deployed.up(deployed.account.aws(clock), **forest(provisioned_concurrency=3))


def test_a_version_that_an_alias_holds_is_a_permanent_refusal(deployed: Service) -> None:
    """Pc-3."""
    text = "Version is pointed by a Provisioned Concurrency alias"
    trouble = Always("PutProvisionedConcurrencyConfig", "ResourceConflictException", text, 409)
    deployed.account.troubles = [trouble]
    with pytest.raises(ApplyFailed, match=text):
        deployed.up(**forest(provisioned_concurrency=3))
    assert trouble.calls == 1


def test_a_configuration_of_an_alias_is_left_alone(deployed: Service) -> None:
    """Pc-3, Pc-4: this service has no aliases."""

    def aliased(call: Call, forward: Forward) -> Answer | None:
        if call.operation != "ListProvisionedConcurrencyConfigs" or FUNCTION not in call.url:
            return None
        answer = forward(call)
        found = answer.json["ProvisionedConcurrencyConfigs"]
        theirs = {**found[0], "FunctionArn": f"{ARN}:stable"}
        return answer.with_json({"ProvisionedConcurrencyConfigs": [*found, theirs]})

    deployed.account.troubles = [aliased]
    assert deployed.plan(**forest(provisioned_concurrency=2)).is_empty
    assert shown(deployed.plan()) == {f"{KEY}/1": Action.DELETE}


def test_what_is_reserved_holds_two_versions(service: Service) -> None:
    """Pc-9, PRE-8: the local AWS refuses more, as AWS does."""
    with pytest.raises(ConfigError, match="both hold it: reserve 4 or more"):
        service.plan(**forest(provisioned_concurrency=2, reserved_concurrency=3))
    settings = forest(provisioned_concurrency=2, reserved_concurrency=4)
    service.up(**settings)
    changed = {**settings, "tracing": True}
    service.up(**changed)
    assert service.plan(**changed).is_empty and held(service.account.aws()) == {"2": 2}


def test_lowering_both_at_once_is_refused_with_the_order_that_works(service: Service) -> None:
    """Pc-9: the live version still holds the former number."""
    service.up(**forest(provisioned_concurrency=5, reserved_concurrency=10))
    lower = forest(provisioned_concurrency=2, reserved_concurrency=4)
    with pytest.raises(ApplyFailed, match="lower than") as caught:
        service.up(**lower)
    assert "lower provisioned_concurrency first" in caught.value.advice
    service.up(**forest(provisioned_concurrency=2, reserved_concurrency=10))
    service.up(**lower)
    assert service.plan(**lower).is_empty


def test_a_reservation_is_no_part_of_a_version(service: Service) -> None:
    """Lambda-12, Lambda-27: 0 is a value, and nothing is none."""
    service.up()
    aws = service.account.aws()
    for number in (5, 0, None):
        service.account.calls.clear()
        settings = forest(reserved_concurrency=number)
        plan, _ = service.up(**settings)
        assert shown(plan) == {"function/random_forest": Action.UPDATE}
        operation = "PutFunctionConcurrency" if number is not None else "DeleteFunctionConcurrency"
        assert list(writes(service)) == [operation]
        found = aws.call("lambda", "get_function", FunctionName=FUNCTION).get("Concurrency")
        assert found == (None if number is None else {"ReservedConcurrentExecutions": number})
        assert service.plan(**settings).is_empty


def test_a_stopped_function_is_not_asked(service: Service) -> None:
    """Lambda-12: with 0 it answers nobody."""
    service.up(**forest(reserved_concurrency=0))
    asked = [call.url for call in service.account.calls if call.operation == "Invoke"]
    assert len(asked) == 2 and not any("random-forest" in url for url in asked)
    assert any(
        "random_forest is not proved: its reserved_concurrency is 0" in text
        for text in service.told
    )


def test_a_rollback_makes_it_ready_first_and_takes_it_away_from_what_was_live(
    deployed: Service,
) -> None:
    deployed.overrides = forest(provisioned_concurrency=2, memory_mb=2048)
    deployed.up()
    aws = deployed.account.aws()
    assert held(aws) == {"2": 2}
    deployed.account.calls.clear()
    deployed.rollback()
    assert list(writes(deployed)) == [
        "Invoke",
        "PutProvisionedConcurrencyConfig",
        "UpdateStateMachine",
        "DeleteProvisionedConcurrencyConfig",
    ]
    assert held(aws) == {"1": 2}
    shown_wait = "making 2 environments of random_forest, version 1 ready before the switch"
    assert shown_wait in deployed.told
    assert shown(deployed.plan()) == {
        KEY: Action.UPDATE,
        "workflow": Action.UPDATE,
        f"{KEY}/1": Action.DELETE,
    }
    deployed.up()
    assert held(aws) == {"2": 2} and deployed.plan().is_empty


def test_a_rollback_that_may_not_free_the_former_versions_says_so_and_the_next_frees_them(
    deployed: Service,
) -> None:
    deployed.overrides = forest(provisioned_concurrency=2, memory_mb=2048)
    deployed.up()
    refused = Always("DeleteProvisionedConcurrencyConfig", "AccessDeniedException", "no", 403)
    deployed.account.troubles = [refused]
    _, outputs = deployed.rollback()
    assert outputs["release"] == 3  # it is live, and a repetition would go back further
    assert any("was not all taken away" in text for text in deployed.told)
    aws = deployed.account.aws()
    deployed.account.troubles = []
    assert held(aws) == {"1": 2, "2": 2}
    deployed.rollback(to=1)
    assert held(aws) == {"1": 2}


def test_both_graphs_of_a_canary_keep_theirs(deployed: Service) -> None:
    deployed.overrides = forest(provisioned_concurrency=2, memory_mb=2048)
    plan, _ = deployed.up(canary=10)
    aws = deployed.account.aws()
    assert f"{KEY}/1" not in shown(plan) and held(aws) == {"1": 2, "2": 2}
    assert deployed.plan().is_empty
    deployed.promote()
    assert held(aws) == {"2": 2} and deployed.plan().is_empty


def test_a_canary_that_is_taken_back_keeps_nothing(deployed: Service) -> None:
    deployed.overrides = forest(provisioned_concurrency=2, memory_mb=2048)
    deployed.up(canary=10)
    deployed.rollback()
    assert held(deployed.account.aws()) == {"1": 2}


def test_what_the_settings_want_no_more_is_not_made_ready(deployed: Service) -> None:
    """As of a function that they do not know: each stands for itself."""
    aws, settings = deployed.account.aws(), deployed.settings
    provision(aws, settings, {f"{ARN}:1": "random_forest"})
    assert list(writes(deployed)) == []
    live = {"random_forest": [f"{ARN}:1"], "linear_regression": []}
    free(aws, settings, provisioning.held(aws, settings, live), live)
    assert held(aws) == {}
