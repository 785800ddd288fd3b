"""Alarms: off by default, declared by one setting, planned and deleted like all else."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from deployer.engine.events import Note
from deployer.errors import ApplyFailed, ConfigError, ForeignResource
from deployer.service.alarms import ALARMS, FILTER, TOPIC
from deployer.service.check import all_findings
from deployer.service.status import read_status
from tests.support.clock import Clock
from tests.support.deployments import Service
from tests.support.serial import SerialExecutor
from tests.support.troubles import Always, Script
from tests.support.watching import put_alarm, put_values
from tests.support.wire import Answer, Call, Forward, broken

ON: dict[str, Any] = {"alarm_email": "ops@example.com"}
TOPIC_ARN = "arn:aws:sns:us-east-1:123456789012:inference-dev-alarms"
PARTS = (FILTER, TOPIC, ALARMS)
FOREST = {"FunctionName": "inference-dev-random-forest"}


def alarms(service: Service) -> dict[str, Any]:
    listed = service.account.aws().pages("cloudwatch", "describe_alarms", "MetricAlarms")
    return {one["AlarmName"].removeprefix("inference-dev-"): one for one in listed}


def actions(plan: Any) -> dict[str, str]:
    return {change.key: change.action.value for change in plan.effective}


def places(plan: Any) -> list[str]:
    return [place.path for change in plan.effective for place in change.fields]


def written(service: Service) -> list[Call]:
    return [call for call in service.account.calls if call.writes]


def test_without_the_setting_neither_cloudwatch_nor_sns_is_called(service: Service) -> None:
    service.up()
    service.plan()
    service.down()
    services = {call.service for call in service.account.calls}
    assert not {"cloudwatch", "sns"} & services


def test_alarms_are_created_found_as_declared_and_deleted_by_their_setting(
    service: Service,
) -> None:
    service.up()
    plan, _ = service.up(**ON)
    assert actions(plan) == dict.fromkeys(PARTS, "create")
    assert plan.destructive == ()
    found = alarms(service)
    assert {"executions-failed", "executions-timed-out", "predictions-failed"} < found.keys()
    assert len(found) == 3 + 3 * 3
    slow = found["random-forest-slow"]
    assert (slow["ExtendedStatistic"], slow["Threshold"], slow["Period"]) == ("p99", 16000.0, 300)
    assert {alarm["AlarmActions"][0] for alarm in found.values()} == {TOPIC_ARN}
    assert service.plan(**ON).is_empty
    plan, _ = service.up()
    assert actions(plan) == dict.fromkeys(PARTS, "delete")
    assert alarms(service) == {}
    service.account.calls.clear()
    assert service.plan().is_empty
    assert not {"cloudwatch", "sns"} & {call.service for call in service.account.calls}


@pytest.mark.parametrize("settings", [ON, {}], ids=["declared", "not declared"])
def test_down_deletes_alarms_whatever_the_setting(
    service: Service, settings: dict[str, Any]
) -> None:
    service.up(**ON)
    service.overrides = settings
    service.down()
    aws = service.account.aws()
    assert alarms(service) == {}
    assert list(aws.pages("sns", "list_topics", "Topics")) == []


def test_a_topic_of_ones_own_hears_the_alarms_and_is_left_alone(service: Service) -> None:
    aws = service.account.aws()
    own = aws.call("sns", "create_topic", Name="pager")["TopicArn"]
    plan, _ = service.up(alarm_topic=own)
    assert TOPIC not in actions(plan)
    assert {one["AlarmActions"][0] for one in alarms(service).values()} == {own}
    service.up(alarm_topic=own, **ON)
    assert alarms(service)["executions-failed"]["AlarmActions"] == sorted([own, TOPIC_ARN])
    service.overrides = {"alarm_topic": own}
    service.down()
    assert [one["TopicArn"] for one in aws.pages("sns", "list_topics", "Topics")] == [own]


def test_a_topic_that_does_not_exist_is_refused_before_the_first_write(service: Service) -> None:
    absent = "arn:aws:sns:us-east-1:123456789012:nobody"
    service.up()
    service.account.calls.clear()
    with pytest.raises(ConfigError, match=f"alarm_topic: {absent} does not exist"):
        service.up(alarm_topic=absent)
    assert written(service) == []
    service.account.troubles = [Always("GetTopicAttributes", "AuthorizationError", "no", 403)]
    service.up(alarm_topic=absent)
    said = [event.text for event in service.events if isinstance(event, Note)]
    assert any("the topic was not asked: alarm_topic:" in text for text in said)
    service.account.troubles = []
    service.overrides = {"alarm_topic": absent}
    aws, emit = service.account.aws(), service.events.append
    findings = all_findings(aws, service.settings, SerialExecutor(), emit, offline=False)
    assert f"alarm_topic: {absent} does not exist" in findings[-1]
    assert service.plan(alarm_topic=absent).is_empty


def test_the_status_says_who_hears_the_alarms(service: Service) -> None:
    service.up(**ON)
    service.overrides = ON
    aws = service.account.aws()
    found = read_status(aws, service.settings, SerialExecutor())
    document = found.document()["alarms_go_to"]
    assert document == {"email": "ops@example.com", "confirmed": True, "topic": None}
    assert found.is_well
    (one,) = aws.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=TOPIC_ARN)
    aws.call("sns", "unsubscribe", SubscriptionArn=one["SubscriptionArn"])
    found = read_status(aws, service.settings, SerialExecutor())
    (problem, *_) = found.problems
    assert "alarms do not reach ops@example.com" in problem.text and not found.is_well
    plan, _ = service.up(**ON)
    assert places(plan) == ["email"]
    assert read_status(aws, service.settings, SerialExecutor()).is_well


def test_one_alarm_is_changed_and_one_deleted_behind_our_back(service: Service) -> None:
    service.up(**ON)
    aws = service.account.aws()
    changed = alarms(service)["executions-failed"]
    names = ("AlarmName", "MetricName", "Namespace", "Dimensions", "Statistic", "Period")
    kept = {name: changed[name] for name in (*names, "EvaluationPeriods", "ComparisonOperator")}
    aws.call("cloudwatch", "put_metric_alarm", **kept, Threshold=1000.0, TreatMissingData="ignore")
    aws.call("cloudwatch", "delete_alarms", AlarmNames=["inference-dev-random-forest-slow"])
    plan = service.plan(**ON)
    assert actions(plan) == {ALARMS: "update"}
    assert set(places(plan)) == {
        *(f"alarms.executions-failed.{name}" for name in ("actions[+0]", "description")),
        *(f"alarms.executions-failed.{name}" for name in ("missing_data", "threshold")),
        "alarms.random-forest-slow",
    }
    service.account.calls.clear()
    service.up(**ON)
    assert [call.operation for call in written(service)] == ["PutMetricAlarm"] * 2
    assert service.plan(**ON).is_empty


def test_the_alarms_of_a_model_that_is_gone_go_and_those_of_others_stay(service: Service) -> None:
    service.up(**ON)
    aws = service.account.aws()
    put_alarm(aws, "inference-dev-mine")
    tags = [{"Key": key, "Value": value} for key, value in service.settings.tags.items()]
    stale = {**alarms(service)["random-forest-slow"], "AlarmName": "inference-dev-former-slow"}
    names = ("AlarmName", "MetricName", "Namespace", "ExtendedStatistic", "Period", "Threshold")
    more = ("EvaluationPeriods", "ComparisonOperator")
    aws.call(
        "cloudwatch",
        "put_metric_alarm",
        **{name: stale[name] for name in (*names, *more)},
        Tags=tags,
    )
    assert places(service.plan(**ON)) == ["alarms.former-slow"]
    service.up(**ON)
    assert "mine" in alarms(service) and "former-slow" not in alarms(service)
    service.overrides = ON
    service.down()
    assert list(alarms(service)) == ["mine"]


def test_an_alarm_and_a_topic_of_others_are_refused(service: Service) -> None:
    service.up(**ON)
    aws = service.account.aws()
    keys = list(service.settings.tags)
    alarm = alarms(service)["executions-failed"]["AlarmArn"]
    aws.call("cloudwatch", "untag_resource", ResourceARN=alarm, TagKeys=keys)
    with pytest.raises(ForeignResource, match="alarm inference-dev-executions-failed already"):
        service.plan(**ON)
    service.up(**ON, adopt=True)
    assert service.plan(**ON).is_empty
    aws.call("sns", "untag_resource", ResourceArn=TOPIC_ARN, TagKeys=keys)
    with pytest.raises(ForeignResource, match="topic inference-dev-alarms already"):
        service.plan(**ON)
    service.up(**ON, adopt=True)
    assert service.plan(**ON).is_empty


def test_another_address_is_subscribed_and_nobody_else_is_unsubscribed(service: Service) -> None:
    service.up(**ON)
    aws = service.account.aws()
    aws.call("sns", "subscribe", TopicArn=TOPIC_ARN, Protocol="email", Endpoint="own@example.com")
    plan, _ = service.up(alarm_email="new@example.com")
    assert places(plan) == ["email"]
    (change,) = (change for change in plan.effective if change.key == TOPIC)
    assert change.fields[0].before == "ops@example.com, own@example.com"
    found = aws.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=TOPIC_ARN)
    assert sorted(one["Endpoint"] for one in found) == [
        "new@example.com",
        "ops@example.com",
        "own@example.com",
    ]


def test_a_run_that_died_among_the_alarms_is_completed_and_undone_by_the_next(
    service: Service,
) -> None:
    """Alarm-6: the filter comes first and goes last, so the rest is found by it."""
    service.up()
    refused = Always("PutMetricAlarm", "LimitExceeded", "The quota of alarms is used up.")
    service.account.troubles = [refused]
    with pytest.raises(ApplyFailed, match="quota of alarms"):
        service.up(**ON)
    service.account.troubles = []
    assert actions(service.plan(**ON)) == {ALARMS: "create"}
    assert actions(service.plan()) == {TOPIC: "delete", FILTER: "delete"}
    service.up(**ON)
    service.account.troubles = [Always("DeleteTopic", "AuthorizationError", "no", 403)]
    with pytest.raises(ApplyFailed):
        service.up()
    service.account.troubles = []
    assert set(actions(service.plan())) == {TOPIC, FILTER}
    service.up()
    assert service.plan().is_empty


def test_alarms_are_written_three_a_second(service: Service) -> None:
    """Alarm-7; and what is refused all the same is waited out."""
    service.up()
    clock = Clock()
    service.account.troubles = [
        Script({"PutMetricAlarm": [("Throttling", "Rate exceeded", 400)] * 2})
    ]
    service.up(service.account.aws(clock), **ON)
    assert service.plan(**ON).is_empty
    assert clock.now - 1000 > (12 - 3) / 3


def test_a_lost_answer_leaves_one_of_each_alarm(service: Service) -> None:
    """Alarm-3."""
    service.up()
    lost: list[str] = []

    def lose(call: Call, forward: Forward) -> Answer | None:
        if call.operation not in ("PutMetricAlarm", "CreateTopic", "PutMetricFilter", "Subscribe"):
            return None
        answer = forward(call)
        if call.operation in lost:
            return answer
        lost.append(call.operation)
        raise broken(call)

    service.account.troubles = [lose]
    service.up(service.account.aws(Clock()), **ON)
    service.account.troubles = []
    assert len(lost) == 4 and len(alarms(service)) == 12
    assert service.plan(**ON).is_empty


def test_what_counts_rings_and_a_failed_task_in_the_log_counts(service: Service) -> None:
    service.up(**ON)
    aws = service.account.aws()
    assert {alarm["StateValue"] for alarm in alarms(service).values()} <= {
        "OK",
        "INSUFFICIENT_DATA",
    }
    put_values(aws, "AWS/Lambda", FOREST, Throttles=[1])
    group = {"logGroupName": "/aws/vendedlogs/states/inference-dev", "logStreamName": "one"}
    aws.call("logs", "create_log_stream", **group)
    now = int(datetime.now(timezone.utc).timestamp() * 1000)
    lines = [json.dumps({"type": kind, "id": "1"}) for kind in ("TaskFailed", "ExecutionFailed")]
    events = [{"message": line, "timestamp": now} for line in [*lines, "no JSON"]]
    aws.call("logs", "put_log_events", logEvents=events, **group)
    ringing = [name for name, one in alarms(service).items() if one["StateValue"] == "ALARM"]
    assert sorted(ringing) == ["predictions-failed", "random-forest-throttles"]
