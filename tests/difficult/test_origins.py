"""The plan tells what was changed outside from what the folder changes."""

from __future__ import annotations

import json
from typing import Any

from deployer.engine.plan import Plan
from deployer.project.settings import FunctionSettings
from deployer.service.drift import CHANGED, DELETED
from tests.support.deployments import Service

FOREST = "inference-dev-random-forest"


def origins(plan: Plan) -> dict[str, str]:
    """Return the origin of each place that differs, by resource and path."""
    return {
        f"{change.key}/{place.path}": place.origin
        for change in plan.effective
        for place in change.fields
    }


def test_a_function_that_was_configured_outside_is_told_from_an_own_change(
    service: Service,
) -> None:
    service.up()
    own: dict[str, Any] = {"defaults": FunctionSettings(timeout_s=12)}
    aws = service.account.aws()
    changes: dict[str, Any] = {"FunctionName": FOREST, "MemorySize": 512}
    aws.call("lambda", "update_function_configuration", **changes)
    assert origins(service.plan(**own))["function/random_forest/memory_mb"] == CHANGED
    assert origins(service.plan(**own))["function/random_forest/timeout_s"] == ""
    service.up(**own)
    assert set(origins(service.plan()).values()) == {""}


def test_a_variable_that_was_added_outside_is_told_from_an_own_one(service: Service) -> None:
    service.up()
    aws = service.account.aws()
    found = aws.call("lambda", "get_function_configuration", FunctionName=FOREST)
    variables = {**found["Environment"]["Variables"], "DEBUG": "1", "MODEL": "another"}
    aws.call(
        "lambda",
        "update_function_configuration",
        FunctionName=FOREST,
        Environment={"Variables": variables},
    )
    found = origins(service.plan(tracing=True))
    assert found["function/random_forest/environment.DEBUG"] == CHANGED
    assert found["function/random_forest/environment.MODEL"] == CHANGED
    assert found["function/random_forest/tracing"] == ""


def test_a_workflow_that_was_edited_outside_is_told_from_an_own_change(service: Service) -> None:
    service.up()
    definition = {**service.definition(), "Comment": "edited in the console"}
    aws = service.account.aws()
    aws.call(
        "stepfunctions",
        "update_state_machine",
        stateMachineArn=service.settings.workflow_arn,
        definition=json.dumps(definition),
    )
    found = origins(service.plan(defaults=FunctionSettings(memory_mb=2048)))
    assert found["workflow/definition.Comment"] == CHANGED
    own = [place for place in found if place.startswith("workflow/definition.States")]
    assert own and {found[place] for place in own} == {""}


def test_what_every_release_has_was_deleted_outside(service: Service) -> None:
    service.up()
    aws = service.account.aws()
    aws.call("lambda", "delete_function", FunctionName=FOREST)
    for group in (f"/aws/lambda/{FOREST}", "/aws/vendedlogs/apigateway/inference-dev"):
        aws.call("logs", "delete_log_group", logGroupName=group)
    plan = service.plan(log_retention_days=30)
    notes = {change.key: change.note for change in plan.effective}
    assert [key for key, note in notes.items() if DELETED in note] == [
        "logs/random_forest",
        "logs/api",
        "function/random_forest",
    ]


def test_after_a_rollback_the_folder_differs_and_nothing_was_changed_outside(
    service: Service,
) -> None:
    service.up()
    service.up(defaults=FunctionSettings(memory_mb=2048))
    service.rollback()
    assert set(origins(service.plan(defaults=FunctionSettings(memory_mb=2048))).values()) == {""}
    assert set(origins(service.plan()).values()) == {""}


def test_beside_a_canary_only_what_was_changed_outside_is_marked(service: Service) -> None:
    service.up()
    service.up(canary=10, defaults=FunctionSettings(memory_mb=2048))
    found = origins(service.plan(defaults=FunctionSettings(memory_mb=2048, timeout_s=12)))
    assert set(found.values()) == {""}
    aws = service.account.aws()
    aws.call("lambda", "update_function_configuration", FunctionName=FOREST, MemorySize=512)
    found = origins(service.plan(defaults=FunctionSettings(memory_mb=2048, timeout_s=12)))
    assert found.pop("function/random_forest/memory_mb") == CHANGED
    assert set(found.values()) == {""}


def test_nobody_knows_who_changed_what_no_release_records(service: Service) -> None:
    service.up()
    assert origins(service.plan(log_retention_days=30))["logs/api/retention_days"] == ""
