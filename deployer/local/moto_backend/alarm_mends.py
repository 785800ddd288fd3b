"""Mends of alarms: metric filters count lines, and alarms have the state that metrics give them."""

from __future__ import annotations

import json
import operator
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from deployer.local.moto_backend.metrics import MetricStore, Value, points
from deployer.local.moto_backend.patching import around

_EQUAL = re.compile(r'\(?\s*\$\.([\w.]+)\s*=\s*"([^"]*)"\s*\)?')
_COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


def mend(store: MetricStore) -> None:
    """Mend everything about alarms; a second call only replaces the store."""
    count_metric_filters()
    count_lines(store)
    evaluate_alarms(store)


def count_metric_filters() -> None:
    """moto says of every log group that it has no metric filter."""
    from moto.logs.models import LogGroup

    @around(LogGroup, "to_describe_dict")
    def describe(original: Any, self: Any) -> Any:
        return {**original(self), "metricFilterCount": len(list(_filters(self)))}


def count_lines(store: MetricStore) -> None:
    """moto keeps metric filters and counts nothing."""
    from moto.logs.models import LogStream

    @around(LogStream, "put_log_events")
    def put(original: Any, self: Any, log_events: list[dict[str, Any]]) -> Any:
        for one in _filters(self.log_group):
            matching = sum(matches(one["filterPattern"], event["message"]) for event in log_events)
            for counted in one["metricTransformations"] if matching else ():
                value = Value(counted["metricName"], float(counted["metricValue"]))
                for _ in range(matching):
                    region, namespace = self.region, counted["metricNamespace"]
                    store.put(region, namespace, {}, value, time.time())
        return original(self, log_events)


def _filters(group: Any) -> Iterator[dict[str, Any]]:
    from moto.logs.models import logs_backends

    backend = logs_backends[group.account_id][group.region]
    for one in backend.filters.metric_filters:
        if one["logGroupName"] == group.name:
            yield one


def matches(pattern: str, message: str) -> bool:
    """Tell whether a line fits `{ ($.a = "x") || ($.b = "y") }`, or has a term."""
    if not pattern.startswith("{"):
        return pattern.strip('"') in message
    try:
        document = json.loads(message)
    except ValueError:
        return False
    return any(
        _member(document, path) == text for path, text in _EQUAL.findall(pattern.strip("{} "))
    )


def _member(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def evaluate_alarms(store: MetricStore) -> None:
    """moto leaves an alarm as it was created; AWS evaluates it each minute.

    Of a prefix and a state, moto's listing regards the prefix alone.
    """
    from moto.cloudwatch.responses import CloudWatchResponse

    @around(CloudWatchResponse, "describe_alarms")
    def describe(original: Any, self: Any) -> Any:
        backend = self.cloudwatch_backend
        for alarm in list(backend.alarms.values()):
            if not (alarm.metric_data_queries or alarm.rule):
                _evaluate(backend, store, alarm)
        answer = original(self)
        state, listed = self._get_param("StateValue"), answer.result["MetricAlarms"]
        wanted = [alarm for alarm in listed if state in (None, alarm.state_value)]
        answer.result["MetricAlarms"] = wanted
        return answer


def _evaluate(backend: Any, store: MetricStore, alarm: Any) -> None:
    compare, words = _COMPARISONS[alarm.comparison_operator]
    metric = {
        "Namespace": alarm.namespace,
        "MetricName": alarm.metric_name,
        "Dimensions": [{"Name": one.name, "Value": one.value} for one in alarm.dimensions],
    }
    stat = {
        "Metric": metric,
        "Period": alarm.period,
        "Stat": alarm.statistic or alarm.extended_statistic,
    }
    end = datetime.now(timezone.utc) + timedelta(minutes=1)
    start = end - timedelta(seconds=alarm.period * alarm.evaluation_periods)
    values = [value for _, value in points(backend, store, stat, start, end)]
    missing = alarm.evaluation_periods - len(values)
    breaching = sum(compare(value, alarm.threshold) for value in values)
    breaching += missing if alarm.treat_missing_data == "breaching" else 0
    if breaching >= (alarm.datapoints_to_alarm or alarm.evaluation_periods):
        state = "ALARM"
    elif values or alarm.treat_missing_data in ("notBreaching", "breaching"):
        state = "OK"
    else:
        state = "INSUFFICIENT_DATA"
    if state != alarm.state_value and not (alarm.treat_missing_data == "ignore" and not values):
        shown = ", ".join(map(str, values)) or "no datapoints"
        reason = f"Threshold: {shown} was compared to be {words} {alarm.threshold}"
        alarm.update_state(reason, "{}", state)
