"""CloudWatch's metrics: the values that the data plane counts, and GetMetricData over them.

As CloudWatch, the store keeps a metric's values by the minute, each with how often it occurred.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from deployer.local.moto_backend.patching import around

_MINUTE_S = 60
_KEPT_MINUTES = 24 * 60  # AWS keeps minutes for 15 days
Dimensions = Mapping[str, str]
_Key = tuple[str, str, frozenset[tuple[str, str]]]  # namespace, name, dimensions
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")


@dataclass(frozen=True)
class Value:
    """One value of a metric; `unit` is CloudWatch's word."""

    name: str
    value: float
    unit: str = "Count"


@dataclass
class Sample:
    """Values of a period. Those of statistic sets are known by their sum alone."""

    values: Counter[float] = field(default_factory=Counter)
    sets: list[tuple[float, float, float, float]] = field(default_factory=list)

    def add(self, other: Sample) -> None:
        self.values += other.values
        self.sets += other.sets

    def statistic(self, name: str) -> float | None:
        """Return Sum, Average, Minimum, Maximum, SampleCount or a percentile such as p99.

        None where there is no value, or no percentile of statistic sets.
        """
        count = self.values.total() + sum(one[0] for one in self.sets)
        if not count:
            return None
        if name.startswith("p"):
            return None if self.sets else _percentile(self.values, float(name[1:]))
        total = sum(value * times for value, times in self.values.items())
        statistics = {
            "SampleCount": float(count),
            "Sum": (total := total + sum(one[1] for one in self.sets)),
            "Average": total / count,
            "Minimum": min([*self.values, *(one[2] for one in self.sets)]),
            "Maximum": max([*self.values, *(one[3] for one in self.sets)]),
        }
        return statistics[name]


def _percentile(values: Counter[float], percent: float) -> float:
    """Return the smallest value that `percent` of the values do not exceed."""
    rank = max(1, math.ceil(values.total() * percent / 100))
    seen = 0
    for value in sorted(values):
        seen += values[value]
        if seen >= rank:
            break
    return value


class MetricStore:
    """The values of the metrics that AWS's services put themselves, by region."""

    def __init__(self) -> None:
        self._regions: dict[str, dict[_Key, dict[int, Sample]]] = {}
        self._units: dict[_Key, str] = {}

    def put(
        self, region: str, namespace: str, dimensions: Dimensions, value: Value, now_s: float
    ) -> None:
        key = (namespace, value.name, frozenset(dimensions.items()))
        self._units[key] = value.unit
        minutes = self._regions.setdefault(region, {}).setdefault(key, {})
        minute = int(now_s // _MINUTE_S)
        if minute not in minutes:
            for old in [one for one in minutes if one <= minute - _KEPT_MINUTES]:
                del minutes[old]
            minutes[minute] = Sample()
        minutes[minute].values[round(value.value, 2)] += 1

    def clear(self) -> None:
        self._regions.clear()
        self._units.clear()

    def minutes(self, region: str) -> Iterator[tuple[_Key, str, int, Sample]]:
        """Yield each metric's key, unit, minute since 1970, and values."""
        for key, minutes in self._regions.get(region, {}).items():
            for minute, sample in minutes.items():
                yield key, self._units[key], minute, sample


def mend(store: MetricStore) -> None:
    """Mend everything about metrics; a second call only replaces the store."""
    show_own_metrics(store)
    answer_metric_data(store)


def show_own_metrics(store: MetricStore) -> None:
    """moto's services put no metrics; AWS's do."""
    from moto.cloudwatch.models import CloudWatchBackend, MetricAggregatedDatum

    @around(CloudWatchBackend, "get_all_metrics")
    def get(original: Any, self: Any) -> Any:
        own = [
            MetricAggregatedDatum(
                namespace=namespace,
                name=name,
                min_stat=sample.statistic("Minimum"),
                max_stat=sample.statistic("Maximum"),
                sample_count=sample.statistic("SampleCount"),
                sum_stat=sample.statistic("Sum"),
                dimensions=[{"Name": one, "Value": value} for one, value in dimensions],
                timestamp=_moment(minute),
                unit=unit,
            )
            for (namespace, name, dimensions), unit, minute, sample in store.minutes(
                self.region_name
            )
        ]
        return [*original(self), *own]


def answer_metric_data(store: MetricStore) -> None:
    """moto's GetMetricData knows no percentiles and takes dimensions for another metric's.

    It matches them in the order in which they were put, and a query without any matches all.
    """
    from moto.cloudwatch.exceptions import ValidationError
    from moto.cloudwatch.metric_data_expression_parser import parse_expression
    from moto.cloudwatch.models import CloudWatchBackend

    @around(CloudWatchBackend, "get_metric_data")
    def get(
        original: Any,
        self: Any,
        queries: list[dict[str, Any]],
        start_time: datetime,
        end_time: datetime,
        scan_by: str = "TimestampAscending",
    ) -> Any:
        original(self, [], start_time, end_time)  # refuses such times as AWS does
        results = []
        for query in queries:
            if "MetricStat" not in query:
                continue
            stat = query["MetricStat"]["Stat"]
            if stat not in _STATISTICS and not _PERCENTILE.fullmatch(stat):
                raise ValidationError(f"The value {stat} for parameter Stat is not supported.")
            found = points(self, store, query["MetricStat"], start_time, end_time)
            if scan_by == "TimestampDescending":
                found.reverse()
            label = query.get("Label") or f"{query['MetricStat']['Metric']['MetricName']}"
            results.append(_result(query, label, found))
        for query in queries:
            if "MetricStat" not in query:
                values, times = parse_expression(query["Expression"], results)
                found = list(zip(times, values, strict=True))
                results.append(_result(query, query.get("Label") or query["Id"], found))
        hidden = {query["Id"] for query in queries if not query.get("ReturnData", True)}
        return [result for result in results if result["id"] not in hidden]


_STATISTICS = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")


def _result(query: Mapping[str, Any], label: str, points: list[Any]) -> dict[str, Any]:
    return {
        "id": query["Id"],
        "label": label,
        "values": [value for _, value in points],
        "timestamps": [moment for moment, _ in points],
        "status_code": "Complete",
    }


def points(
    backend: Any, store: MetricStore, stat: Mapping[str, Any], start: datetime, end: datetime
) -> list[tuple[datetime, float]]:
    """Return time and value of each period that has one, the oldest first."""
    period_s = int(stat["Period"])
    first = _naive(start).replace(second=0, microsecond=0)  # as AWS rounds it
    periods: dict[int, Sample] = {}
    for moment, sample in _samples(backend, store, stat):
        if first <= moment < _naive(end):
            number = int((moment - first).total_seconds() // period_s)
            periods.setdefault(number, Sample()).add(sample)
    found = []
    for number, sample in sorted(periods.items()):
        value = sample.statistic(stat["Stat"])
        if value is not None:
            found.append((first + timedelta(seconds=number * period_s), value))
    return found


def _samples(
    backend: Any, store: MetricStore, stat: Mapping[str, Any]
) -> Iterator[tuple[datetime, Sample]]:
    """Yield time and values of one metric: those of the services, and those that users put."""
    metric, wanted = stat["Metric"], stat.get("Unit")
    pairs = {(one["Name"], one["Value"]) for one in metric.get("Dimensions") or ()}
    sought = (metric["Namespace"], metric["MetricName"], frozenset(pairs))
    for key, unit, minute, sample in store.minutes(backend.region_name):
        if key == sought and wanted in (None, unit):
            yield _moment(minute), sample
    for datum in backend.metric_data:
        own = frozenset((one.name, one.value) for one in datum.dimensions)
        if (datum.namespace, datum.name, own) == sought and wanted in (None, datum.unit):
            yield _naive(datum.timestamp), _sample(datum)


def _moment(minute: int) -> datetime:
    return _naive(datetime.fromtimestamp(minute * _MINUTE_S, timezone.utc))


def _naive(moment: datetime) -> datetime:
    """Return a time in UTC without a zone, as moto compares them."""
    return moment.astimezone(timezone.utc).replace(tzinfo=None) if moment.tzinfo else moment


def _sample(datum: Any) -> Sample:
    if hasattr(datum, "value"):
        return Sample(Counter({datum.value: 1}))
    return Sample(sets=[(datum.sample_count, datum.sum, datum.min, datum.max)])
