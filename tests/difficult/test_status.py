"""`status`: what is deployed, how it does, and what to do next."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from deployer.errors import ReleaseUnavailable
from deployer.project.settings import FunctionSettings
from deployer.service.status import Status, read_status
from tests.support.deployments import Service
from tests.support.serial import SerialExecutor
from tests.support.troubles import Always
from tests.support.watching import put_alarm, put_values
from tests.support.wire import Account

FOREST = "inference-dev-random-forest"
FUNCTION = {"FunctionName": FOREST}


def status(service: Service, **overrides: Any) -> Status:
    service.overrides = {**service.overrides, **overrides}
    return read_status(service.account.aws(), service.settings, SerialExecutor())


def count(
    service: Service, namespace: str, own: dict[str, str], **numbers: Sequence[float]
) -> None:
    put_values(service.account.aws(), namespace, own, **numbers)


def commands(found: Status) -> dict[str, str]:
    return {problem.text: problem.command for problem in found.problems}


def test_nothing_is_deployed(service: Service) -> None:
    with pytest.raises(ReleaseUnavailable, match="nothing is deployed as service inference"):
        status(service)


def test_a_workflow_that_is_gone_is_not_taken_for_a_service_that_was_never_there(
    service: Service,
) -> None:
    service.up()
    arn = service.settings.workflow_arn
    service.account.aws().call("stepfunctions", "delete_state_machine", stateMachineArn=arn)
    with pytest.raises(ReleaseUnavailable, match="its API still stands: every request fails"):
        status(service)


def test_what_is_deployed_is_told_from_the_account(service: Service) -> None:
    _, outputs = service.up()
    service.up(defaults=FunctionSettings(memory_mb=2048))
    found = status(service, defaults=FunctionSettings(memory_mb=2048))
    document = found.document()
    assert document["url"] == outputs["url"]
    assert document["release"]["number"] == 2
    assert (document["auth"], document["stage"], document["region"]) == ("none", "dev", "us-east-1")
    assert document["drift"] is False and document["differs_from_folder"] == []
    forest = document["models"]["random_forest"]
    assert (forest["memory_mb"], forest["function_version"]) == (2048, "2")
    assert forest["metric"].keys() == {"rmse"}
    assert found.problems == [] and found.is_well


def test_the_last_hour_is_counted_by_model_workflow_and_api(service: Service) -> None:
    service.up()
    durations = [float(number) for number in range(1, 101)]
    count(service, "AWS/Lambda", FUNCTION, Invocations=[60, 40], Errors=[3], Throttles=[2, 0])
    count(service, "AWS/Lambda", FUNCTION, Duration=durations)
    machine = {"StateMachineArn": service.settings.workflow_arn}
    count(service, "AWS/States", machine, ExecutionsStarted=[50], ExecutionsTimedOut=[1])
    (api,) = service.account.aws().pages("apigatewayv2", "get_apis", "Items")
    count(service, "AWS/ApiGateway", {"ApiId": api["ApiId"]}, Count=[50], **{"4xx": [4]})
    found = status(service)
    model = found.document()["models"]["random_forest"]
    assert (model["requests"], model["errors"]) == (102, 5)
    assert (model["p50_ms"], model["p99_ms"]) == (50, 99)
    document = found.document()
    assert (document["executions"], document["failed_executions"]) == (50, 1)
    assert (document["requests"], document["client_errors"], document["server_errors"]) == (
        50,
        4,
        0,
    )
    idle = document["models"]["support_vector"]
    assert (idle["requests"], idle["errors"], idle["p50_ms"]) == (0, 0, None)
    assert commands(found) == {
        "requests failed: random_forest 3 of 102": "python -m deployer logs --errors random_forest "
        "--since 1h",
        "Lambda refused requests, for lack of concurrency: random_forest 2 of 102": "python -m "
        "deployer logs --errors workflow --since 1h",
        "executions failed: 1 of 50": "python -m deployer logs --errors workflow --since 1h",
    }


def test_a_rest_api_is_counted_by_its_own_names(service: Service) -> None:
    service.up(api="rest")
    before = status(service, api="rest").document()["requests"]  # `up` asked whether it answers
    own = {"ApiName": "inference-dev", "Stage": "live"}
    count(service, "AWS/ApiGateway", own, Count=[9], **{"4XXError": [2], "5XXError": [1]})
    document = status(service).document()
    assert document["requests"] - before == 9
    assert (document["client_errors"], document["server_errors"]) == (2, 1)
    problem = f"answered with 5xx: 1 of {document['requests']}"
    assert commands(status(service))[problem] == "python -m deployer logs --errors api --since 1h"


def test_cold_starts_are_counted_in_the_log(service: Service) -> None:
    service.up()
    aws = service.account.aws()
    group = {"logGroupName": f"/aws/lambda/{FOREST}", "logStreamName": "2026/11/26/[1]0"}
    aws.call("logs", "create_log_stream", **group)
    now = int(datetime.now(timezone.utc).timestamp() * 1000)
    cold = "REPORT RequestId: 1\tDuration: 2.00 ms\tInit Duration: 300.00 ms\t"
    lines = {cold: now - 1000, "REPORT RequestId: 2\tDuration: 2.00 ms\t": now}
    old = {cold: now - 2 * 3600 * 1000}
    for some in (old, lines):
        events = [{"message": text, "timestamp": moment} for text, moment in some.items()]
        aws.call("logs", "put_log_events", logEvents=events, **group)
    models = status(service).document()["models"]
    assert models["random_forest"]["cold_starts"] == 1
    assert models["support_vector"]["cold_starts"] == 0


@pytest.mark.parametrize(
    ("operation", "missing"),
    [
        ("GetMetricData", ("requests", "errors", "p50_ms", "p99_ms", "cold_starts")),
        ("FilterLogEvents", ("cold_starts",)),
    ],
)
def test_without_permission_for_metrics_the_rest_is_shown(
    service: Service, operation: str, missing: tuple[str, ...]
) -> None:
    service.up()
    count(service, "AWS/Lambda", FUNCTION, Duration=[1])
    refused = Always(operation, "AccessDeniedException", "no identity-based policy allows it", 403)
    service.account.troubles = [refused]
    found = status(service)
    model = found.document()["models"]["random_forest"]
    assert [name for name in model if model[name] is None] == ["canary", *missing]
    assert found.url and found.release
    assert ("no identity-based policy" in found.unmeasured) == (operation == "GetMetricData")
    assert found.is_well == (operation != "GetMetricData")


def test_what_was_changed_outside_is_drift_and_what_the_folder_changes_is_none(
    service: Service,
) -> None:
    service.up()
    assert status(service, log_retention_days=30).document()["drift"] is False
    assert "logs/random_forest" in status(service).document()["differs_from_folder"]
    aws = service.account.aws()
    aws.call("lambda", "update_function_configuration", FunctionName=FOREST, MemorySize=512)
    aws.call("logs", "delete_log_group", logGroupName="/aws/vendedlogs/states/inference-dev")
    found = status(service)
    assert found.document()["drift"] is True
    assert found.document()["changed_outside"] == [
        "logs/workflow (deleted outside)",
        "function/random_forest (memory_mb)",
    ]
    assert list(commands(found).values()) == ["python -m deployer plan"]


def test_a_folder_that_is_not_sound_leaves_drift_unknown(
    account: Account, one_project: Path, tmp_path: Path
) -> None:
    shutil.copytree(one_project, tmp_path / "project")
    own = Service(account, tmp_path / "project")
    own.up()
    (own.project / "models" / "random_forest.joblib").unlink()
    found = status(own)
    assert found.document()["drift"] is None
    assert found.document()["differs_from_folder"] is None
    assert "random_forest" in found.comparison.unknown


def test_a_canary_a_version_that_is_gone_and_no_api_are_problems(service: Service) -> None:
    service.up()
    service.up(canary=10, defaults=FunctionSettings(memory_mb=2048))
    found = status(service, defaults=FunctionSettings(memory_mb=2048))
    assert found.document()["release"]["canary"] == 10
    for model in found.models:
        assert model.live and model.candidate
        assert (model.live.number, model.candidate.number) == ("1", "2")
        assert model.document["function_version"] == "1"
        assert model.document["canary"] == model.candidate.model
    assert list(commands(found)) == [
        "release 2 is a canary: make it live, or take it away by rollback"
    ]
    aws = service.account.aws()
    aws.call("lambda", "delete_function", FunctionName=FOREST, Qualifier="2")
    (api,) = aws.pages("apigatewayv2", "get_apis", "Items")
    aws.call("apigatewayv2", "delete_api", ApiId=api["ApiId"])
    found = status(service)
    texts = list(commands(found))
    assert found.document()["requests"] is None
    assert texts[0] == "random_forest: the function version that is tried by the canary is gone"
    assert texts[1] == "there is no API, or more than one"


def test_a_workflow_that_was_changed_outside_is_no_release(service: Service) -> None:
    service.up()
    aws = service.account.aws()
    definition = {**service.definition(), "Comment": "edited"}
    aws.call(
        "stepfunctions",
        "update_state_machine",
        stateMachineArn=service.settings.workflow_arn,
        definition=json.dumps(definition),
    )
    found = status(service)
    assert found.document()["release"] is None
    assert commands(found)["the live workflow is no release"] == "python -m deployer plan"


def test_an_alarm_that_rings_is_a_problem(service: Service) -> None:
    service.up()
    aws = service.account.aws()
    for name in ("inference-dev-mine", "other-alarm"):
        put_alarm(aws, name)
    assert status(service).document()["alarms"] == []
    count(service, "AWS/Lambda", {}, Errors=[3])
    found = status(service)
    assert found.document()["alarms"] == ["inference-dev-mine"]
    assert list(commands(found)) == ["alarms ring: inference-dev-mine"]
