"""Metrics, access log and execution log of the local AWS are those of the real one."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from deployer.local import process
from deployer.local.access_log import Request, access_line
from deployer.local.moto_backend.account import trim
from deployer.local.moto_backend.execution_log import ExecutionLog
from deployer.local.moto_backend.metrics import MetricStore, Sample, Value
from deployer.service.declare import access_log_format
from tests.local.test_gateway import SAMPLE, send
from tests.support.accounts import connect
from tests.support.command_line import deployer

# Its tests share a server, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("local telemetry")

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:inference-dev"
FOREST = "inference-dev-random-forest"


@pytest.fixture(scope="module")
def asked(deployed: Path) -> Mapping[str, Any]:
    """Ask the sample twice, and what is no record; return the account and the ids of these."""
    url = str(deployer(deployed, "plan", "--local", "--json").json["outputs"]["url"])
    server = process.find(deployed)
    assert server is not None
    bodies = [SAMPLE, SAMPLE, b"{}"]
    ids = [send(url, "POST", body)[1]["apigw-requestid"] for body in bodies]
    assert send(f"{url}other", "GET")[0] == 404
    return {"aws": connect(server), "ids": ids, "api": urlsplit(url).path.split("/")[2]}


def metric(aws: Any, namespace: str, name: str, statistic: str, **dimensions: str) -> Any:
    now = datetime.now(timezone.utc)
    one = {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
    }
    stat = {"Metric": one, "Period": 86400, "Stat": statistic}
    answer = aws.call(
        "cloudwatch",
        "get_metric_data",
        MetricDataQueries=[{"Id": "a", "MetricStat": stat}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
    )
    values = answer["MetricDataResults"][0]["Values"]
    return values[0] if values else None


def test_lambda_counts_by_function_and_by_version(asked: Mapping[str, Any]) -> None:
    aws = asked["aws"]
    own = {"FunctionName": FOREST}
    version = aws.call("lambda", "list_versions_by_function", FunctionName=FOREST)["Versions"][-1]
    resource = {**own, "Resource": f"{FOREST}:{version['Version']}"}
    before = metric(aws, "AWS/Lambda", "Invocations", "Sum", **own)
    assert before == metric(aws, "AWS/Lambda", "Invocations", "Sum", **resource) >= 3
    assert metric(aws, "AWS/Lambda", "Errors", "Sum", **own) == 1
    assert metric(aws, "AWS/Lambda", "Throttles", "Sum", **own) == 0
    p50, p99 = (metric(aws, "AWS/Lambda", "Duration", name, **own) for name in ("p50", "p99"))
    assert 0 < p50 <= p99
    assert metric(aws, "AWS/Lambda", "ConcurrentExecutions", "Maximum", **own) == 1
    assert metric(aws, "AWS/Lambda", "Invocations", "Sum") >= 3 * 3


def test_step_functions_counts_by_state_machine(asked: Mapping[str, Any]) -> None:
    values = {
        name: metric(asked["aws"], "AWS/States", name, "Sum", StateMachineArn=MACHINE)
        for name in (
            "ExecutionsStarted",
            "ExecutionsSucceeded",
            "ExecutionsFailed",
            "ExecutionsTimedOut",
        )
    }
    assert list(values.values()) == [3, 2, 1, 0]
    assert metric(asked["aws"], "AWS/States", "ExecutionTime", "p99", StateMachineArn=MACHINE) > 0


def test_an_http_api_counts_by_its_own_names(asked: Mapping[str, Any]) -> None:
    aws, api = asked["aws"], asked["api"]
    for more in ({}, {"Stage": "$default"}):
        counts = [
            metric(aws, "AWS/ApiGateway", name, "Sum", ApiId=api, **more)
            for name in ("Count", "4xx", "5xx")
        ]
        assert counts == [4, 1, 0]
    assert metric(aws, "AWS/ApiGateway", "Latency", "p50", ApiId=api) > 0


def lines(aws: Any, group: str) -> list[Any]:
    events = aws.pages("logs", "filter_log_events", "events", logGroupName=group)
    return [json.loads(event["message"]) for event in events]


def test_the_access_log_has_a_line_for_each_request(asked: Mapping[str, Any]) -> None:
    *answered, refused = lines(asked["aws"], "/aws/vendedlogs/apigateway/inference-dev")
    assert [line["requestId"] for line in answered] == asked["ids"]
    assert {line["status"] for line in answered} == {"200"}
    assert (
        answered[0].items()
        >= {
            "ip": "127.0.0.1",
            "method": "POST",
            "path": "/",
            "integrationStatus": "200",
            "integrationError": "-",
            "error": "-",
        }.items()
    )
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", answered[0]["time"])
    assert int(answered[0]["latencyMs"]) > 0
    expected = {"status": "404", "path": "/other", "integrationStatus": "-", "error": "Not Found"}
    assert refused.items() >= expected.items()


def test_the_execution_log_has_the_errors_alone_as_its_level_says(
    asked: Mapping[str, Any],
) -> None:
    events = lines(asked["aws"], "/aws/vendedlogs/states/inference-dev")
    assert {event["execution_arn"].split(":")[7] for event in events} == {asked["ids"][2]}
    kinds = [event["type"] for event in events]
    assert "LambdaFunctionFailed" in kinds and kinds[-1] == "ExecutionFailed"
    assert not {"ExecutionStarted", "TaskStateEntered", "PassStateExited"} & set(kinds)
    assert events[-1]["details"]["error"] == "InvalidInput"
    assert all("input" not in event["details"] for event in events)
    times = [int(event["event_timestamp"]) for event in events]
    assert times == sorted(times) and abs(times[0] / 1000 - time.time()) < 3600


def test_no_event_follows_the_end_of_an_execution() -> None:
    log = ExecutionLog({"level": "ERROR"}, "arn")
    for number, kind in enumerate(("TaskFailed", "ExecutionFailed", "LambdaFunctionFailed")):
        moment = "2026-11-26T14:05:47.948Z"
        event = {"id": number, "type": kind, "previous_event_id": 0, "event_timestamp": moment}
        log.publish_history_log(event)
    assert [event.document["type"] for event in log.events] == ["TaskFailed", "ExecutionFailed"]


def test_what_a_line_of_an_access_log_has_no_value_for_is_a_dash() -> None:
    request = Request({"REMOTE_ADDR": "192.0.2.1"}, '/a "b"', "id=")
    request.error = "Not Found"
    line = access_line(access_log_format(), request.variables((404, {}, b"{}")))
    found = json.loads(line)
    assert (found["ip"], found["path"], found["error"]) == (
        "192.0.2.1",
        "/a%20%22b%22",
        "Not Found",
    )
    assert (found["integrationStatus"], found["integrationError"]) == ("-", "-")
    assert access_line("$context.nothing.at.all", {}) == "-"


def test_a_sample_knows_its_statistics() -> None:
    sample = Sample()
    for number in range(1, 201):
        sample.values[number] += 1
    names = ("SampleCount", "Sum", "Average", "Minimum", "Maximum", "p50", "p99", "p99.9", "p0")
    expected = [200, 20100, 100.5, 1, 200, 100, 198, 200, 1]
    assert [sample.statistic(name) for name in names] == expected
    assert Sample().statistic("Sum") is None
    merged = Sample(sets=[(2, 9, 4, 5)])
    merged.add(sample)
    assert (merged.statistic("Sum"), merged.statistic("Maximum")) == (20109, 200)
    assert merged.statistic("p50") is None


def test_of_many_lines_of_a_process_the_newest_and_its_cold_start_are_kept() -> None:
    cold = "REPORT RequestId: 1\tDuration: 2.00 ms\tInit Duration: 300.00 ms"
    messages = [*(f"before {number}" for number in range(9)), cold]
    messages += [f"line {number}" for number in range(5000)]
    events = [SimpleNamespace(message=message) for message in messages]
    for _ in range(2):
        trim(events)
        assert [event.message for event in events] == [cold, *messages[10:]]


def test_values_are_kept_for_a_day() -> None:
    store = MetricStore()
    for hours in (0, 1, 25):
        store.put("here", "AWS/X", {"a": "b"}, Value("Count", 1), 3600.0 * hours)
    assert [minute // 60 for _, _, minute, _ in store.minutes("here")] == [25]
    assert list(store.minutes("elsewhere")) == []
