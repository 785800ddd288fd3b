"""The alarms of a service: what rings, and where it is heard.

A request that some models fail is answered with HTTP 200. What counts then is the workflow's log,
in which a metric filter counts the tasks that failed, each attempt of a repeated one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deployer.project.settings import Settings
from deployer.resources.alarms import AlarmFields, Alarms, AlarmsFields, OwnedAlarms
from deployer.resources.base import Owned, Ownership, Resource
from deployer.resources.metric_filters import MetricFilter, MetricFilterFields, OwnedMetricFilter
from deployer.resources.sns import OwnedTopic, Topic, TopicFields

FILTER, TOPIC, ALARMS = "failed_predictions", "alarm_topic", "alarms"
_METRIC = "FailedPredictions"
# The events of Step Functions' log by which a task ends badly (Alarm-4).
_FAILED = (
    "TaskFailed",
    "TaskTimedOut",
    "TaskSubmitFailed",
    "TaskStartFailed",
    "LambdaFunctionFailed",
    "LambdaFunctionTimedOut",
    "LambdaFunctionScheduleFailed",
    "LambdaFunctionStartFailed",
)
_PERIOD_S = 300
_SLOW_PERIODS = 3
_NEAR = 0.8  # of the timeout


def alarm_resources(settings: Settings, names: Sequence[str], ours: Ownership) -> list[Resource]:
    """Declare filter, topic and alarms; nothing where no alarms are wanted.

    The filter comes first and goes last: as long as there is one, the others are looked for.
    """
    if not settings.alarms:
        return []
    pattern = " || ".join(f'($.type = "{event}")' for event in _FAILED)
    group = settings.log_group("workflow")
    counted = MetricFilterFields(
        pattern=f"{{ {pattern} }}", namespace=settings.prefix, metric=_METRIC
    )
    failed = MetricFilter(
        FILTER, group=group, name=settings.prefix, fields=counted, needs=("logs/workflow",)
    )
    topics = [_topic(settings, ours)] if settings.alarm_email else []
    alarms = Alarms(
        ALARMS,
        prefix=f"{settings.prefix}-",
        arn=alarm_arn(settings, ""),
        ours=ours,
        fields=AlarmsFields(alarms=dict(_alarms(settings, names))),
        needs=[FILTER, *(topic.key for topic in topics)],
    )
    return [failed, *topics, alarms]


def number_of_alarms(settings: Settings, names: Sequence[str]) -> int:
    """Return how many alarms are declared."""
    return len(list(_alarms(settings, names))) if settings.alarms else 0


def owned_alarm_resources(settings: Settings, ours: Ownership) -> list[Owned]:
    """Return what there may be of alarms, declared or not, by name alone."""
    return [
        OwnedMetricFilter(
            FILTER,
            group=settings.log_group("workflow"),
            name=settings.prefix,
            needs=("logs/workflow",),
        ),
        OwnedTopic(TOPIC, arn=topic_arn(settings), ours=ours, needs=[FILTER]),
        OwnedAlarms(ALARMS, prefix=f"{settings.prefix}-", ours=ours, needs=[FILTER, TOPIC]),
    ]


def alarm_arn(settings: Settings, name: str) -> str:
    """Return the ARN of an alarm by its name without the service's prefix."""
    return settings.arn("cloudwatch", f"alarm:{settings.prefix}-{name}")


def topic_arn(settings: Settings) -> str:
    """Return the ARN of the service's topic."""
    return settings.arn("sns", f"{settings.prefix}-alarms")


def _topic(settings: Settings, ours: Ownership) -> Topic:
    assert settings.alarm_email is not None
    fields = TopicFields(tags=settings.all_tags, email=settings.alarm_email)
    return Topic(TOPIC, arn=topic_arn(settings), ours=ours, fields=fields, needs=[FILTER])


def _alarms(settings: Settings, names: Sequence[str]) -> Iterator[tuple[str, AlarmFields]]:
    machine = {"StateMachineArn": settings.workflow_arn}
    for name, metric, what in (
        ("executions-failed", "ExecutionsFailed", "failed"),
        ("executions-timed-out", "ExecutionsTimedOut", "timed out"),
    ):
        text = f"executions of the workflow {what}: python -m deployer logs workflow --errors"
        yield name, _count(settings, text, "AWS/States", metric, machine)
    text = "models failed in requests that may have been answered: python -m deployer logs --errors"
    yield "predictions-failed", _count(settings, text, settings.prefix, _METRIC, {})
    for name in names:
        function = settings.function_name(name).removeprefix(f"{settings.prefix}-")
        own = {"FunctionName": settings.function_name(name)}
        hint = f"python -m deployer logs {name}"
        text = f"invocations of {name} failed: {hint} --errors"
        yield f"{function}-errors", _count(settings, text, "AWS/Lambda", "Errors", own)
        text = f"Lambda refused invocations of {name}, which run at once too often: {hint}"
        yield f"{function}-throttles", _count(settings, text, "AWS/Lambda", "Throttles", own)
        yield f"{function}-slow", _slow(settings, name, own)


def _count(
    settings: Settings, text: str, namespace: str, metric: str, own: dict[str, str]
) -> AlarmFields:
    """Declare an alarm that rings at so many failures in a period; none is no failure (Alarm-2)."""
    return AlarmFields(
        tags=settings.all_tags,
        description=text,
        namespace=namespace,
        metric=metric,
        dimensions=own,
        statistic="Sum",
        percentile=None,
        period_s=_PERIOD_S,
        periods=1,
        threshold=float(settings.alarm_failures),
        comparison="GreaterThanOrEqualToThreshold",
        missing_data="notBreaching",
        actions=_actions(settings),
        enabled=True,
    )


def _slow(settings: Settings, name: str, own: dict[str, str]) -> AlarmFields:
    """Declare an alarm that rings when the slowest requests come near the function's timeout."""
    milliseconds = _NEAR * 1000 * settings.function(name).timeout_s
    counted = _count(settings, "", "AWS/Lambda", "Duration", own)
    return AlarmFields(
        **{
            **counted,
            "description": f"p99 of {name} is near its timeout: python -m deployer status",
            "statistic": None,
            "percentile": "p99",
            "periods": _SLOW_PERIODS,
            "threshold": milliseconds,
        }
    )


def _actions(settings: Settings) -> list[str]:
    own = [topic_arn(settings)] if settings.alarm_email else []
    return sorted({*own, *([settings.alarm_topic] if settings.alarm_topic else [])})
