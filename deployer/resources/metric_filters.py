"""CloudWatch Logs: a filter that counts lines of a log group as a metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from deployer.aws.access import Aws
from deployer.engine.plan import Change, Fields, State
from deployer.resources.base import Owned, Resource
from deployer.resources.logs import not_ready

_ABSENT = ("ResourceNotFoundException",)


class MetricFilterFields(TypedDict):
    """The fields of a metric filter: each line that fits the pattern counts 1."""

    pattern: str
    namespace: str
    metric: str


class OwnedMetricFilter(Owned):
    """A metric filter of one of our log groups. It has no tags; whose the group is, it is.

    Args:
        group: the name of the log group.
        needs: the key of the log group, first.
    """

    harmless = True
    reads = ("logs:DescribeMetricFilters",)
    deletes = ("logs:DeleteMetricFilter",)

    def __init__(self, key: str, *, group: str, name: str, needs: tuple[str, ...]) -> None:
        super().__init__(key, needs)
        self.part_of = needs[0]
        self.group = group
        self.name = name

    def find(self, aws: Aws) -> State | None:
        answer = self.get(aws)
        return None if answer is None else State({})

    def get(self, aws: Aws) -> Mapping[str, Any] | None:
        """Return AWS's description; None if it, or the group, does not exist."""
        answer = aws.find(
            _ABSENT,
            "logs",
            "describe_metric_filters",
            logGroupName=self.group,
            filterNamePrefix=self.name,
        )
        found = answer["metricFilters"] if answer else ()
        return next((one for one in found if one["filterName"] == self.name), None)

    def delete(self, aws: Aws) -> None:
        named = {"logGroupName": self.group, "filterName": self.name}
        aws.retry(
            lambda: aws.find(_ABSENT, "logs", "delete_metric_filter", **named), when=not_ready
        )


class MetricFilter(OwnedMetricFilter, Resource):
    """A declared metric filter."""

    writes = ("logs:PutMetricFilter",)

    def __init__(
        self,
        key: str,
        *,
        group: str,
        name: str,
        fields: MetricFilterFields,
        needs: tuple[str, ...],
    ) -> None:
        Resource.__init__(self, key, fields, needs)
        self.part_of = needs[0]
        self.group = group
        self.name = name

    def find(self, aws: Aws) -> State | None:
        return self.read(aws)

    def read(self, aws: Aws) -> State | None:
        answer = self.get(aws)
        if answer is None:
            return None
        counted = answer["metricTransformations"][0]
        fields = {
            "pattern": answer.get("filterPattern", ""),
            "namespace": counted["metricNamespace"],
            "metric": counted["metricName"],
        }
        return State(fields)

    def create(self, aws: Aws, desired: Fields) -> Fields:
        counted = {
            "metricName": desired["metric"],
            "metricNamespace": desired["namespace"],
            "metricValue": "1",
        }
        parameters = {
            "logGroupName": self.group,
            "filterName": self.name,
            "filterPattern": desired["pattern"],
            "metricTransformations": [counted],
        }
        aws.retry(lambda: aws.call("logs", "put_metric_filter", **parameters), when=not_ready)
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        return self.create(aws, desired)  # one call writes it whole
