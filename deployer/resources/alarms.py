"""CloudWatch: the alarms of a service, all in one resource, since one call lists them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Annotated, Any, TypedDict

from deployer.aws.access import Aws
from deployer.engine.compare import tag_list, tags_from
from deployer.engine.plan import Change, Fields, State
from deployer.errors import DENIED, AwsError
from deployer.resources.base import Owned, Ownership, Resource, Tags, retag
from deployer.resources.fields import Member, given, members, read_members, write_members

_MOST_DELETED = 100  # by one call


def _pairs(dimensions: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in sorted(dimensions.items())]


def _map(dimensions: Collection[Mapping[str, str]]) -> dict[str, str]:
    return {one["Name"]: one["Value"] for one in dimensions}


class AlarmFields(TypedDict):
    """The fields of one alarm. It has a statistic or a percentile."""

    tags: Tags
    description: Annotated[str, Member("AlarmDescription", default="")]
    namespace: Annotated[str, Member("Namespace")]
    metric: Annotated[str, Member("MetricName")]
    dimensions: Annotated[
        Mapping[str, str], Member("Dimensions", default={}, parse=_map, write_as=_pairs)
    ]
    statistic: Annotated[str | None, Member("Statistic")]
    percentile: Annotated[str | None, Member("ExtendedStatistic")]
    period_s: Annotated[int, Member("Period")]
    periods: Annotated[int, Member("EvaluationPeriods")]
    threshold: Annotated[float, Member("Threshold")]
    comparison: Annotated[str, Member("ComparisonOperator")]
    missing_data: Annotated[str, Member("TreatMissingData", default="missing")]  # Alarm-2
    actions: Annotated[list[str], Member("AlarmActions", default=[], parse=sorted)]
    enabled: Annotated[bool, Member("ActionsEnabled", default=True)]


class AlarmsFields(TypedDict):
    """The field of all alarms: each by its name, without the prefix of the service."""

    alarms: Mapping[str, AlarmFields]


_MEMBERS = members(AlarmFields)


class OwnedAlarms(Owned):
    """The alarms of a service, known by the prefix of their names.

    An alarm of this prefix without our tags belongs to other people.
    """

    harmless = True
    reads = ("cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource")
    deletes = ("cloudwatch:DeleteAlarms",)

    def __init__(
        self, key: str, *, prefix: str, ours: Ownership, needs: Collection[str] = ()
    ) -> None:
        super().__init__(key, needs)
        self.prefix = prefix
        self.ours = ours

    def find(self, aws: Aws) -> State | None:
        """Return our alarms; None without any, and where an account has never allowed to ask."""
        try:
            found = self.read_all(aws, ())
        except AwsError as error:
            if error.code in DENIED:
                return None
            raise
        return State({"alarms": found}) if found else None

    def read_all(self, aws: Aws, declared: Collection[str]) -> dict[str, Any]:
        """Return the fields of our alarms by name.

        Raises:
            ForeignResource: an alarm with a declared name is not ours.
        """
        answers = list(
            aws.pages("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNamePrefix=self.prefix)
        )
        tags = aws.together(*(partial(self._tags, aws, alarm) for alarm in answers))
        found = {}
        for alarm, own in zip(answers, tags, strict=True):
            name = alarm["AlarmName"].removeprefix(self.prefix)
            if name in declared:
                self.ours.check(f"CloudWatch alarm {alarm['AlarmName']}", own)
            elif not self.ours.marks(own):
                continue
            found[name] = {"tags": self.ours.among(own), **read_members(_MEMBERS, alarm)}
        return found

    @staticmethod
    def _tags(aws: Aws, alarm: Mapping[str, Any]) -> Tags:
        answer = aws.find(
            ("ResourceNotFoundException", "ResourceNotFound"),
            "cloudwatch",
            "list_tags_for_resource",
            ResourceARN=alarm["AlarmArn"],
        )
        return tags_from(answer["Tags"]) if answer else {}

    def delete(self, aws: Aws) -> None:
        self.remove(aws, list(self.read_all(aws, ())))

    def remove(self, aws: Aws, names: Collection[str]) -> None:
        """Delete alarms by name; those that are gone are no error (Alarm-3)."""
        full = [f"{self.prefix}{name}" for name in names]
        for first in range(0, len(full), _MOST_DELETED):
            some = full[first : first + _MOST_DELETED]
            aws.find(("ResourceNotFound",), "cloudwatch", "delete_alarms", AlarmNames=some)


class Alarms(OwnedAlarms, Resource):
    """The declared alarms of a service."""

    writes = (
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:TagResource",
        "cloudwatch:UntagResource",
    )

    def __init__(
        self,
        key: str,
        *,
        prefix: str,
        arn: str,
        ours: Ownership,
        fields: AlarmsFields,
        needs: Collection[str] = (),
    ) -> None:
        Resource.__init__(self, key, fields, needs)
        self.prefix = prefix
        self.arn = arn
        self.ours = ours

    def read(self, aws: Aws) -> State | None:
        found = self.read_all(aws, self.fields["alarms"])
        return State({"alarms": found}) if found else None

    def find(self, aws: Aws) -> State | None:
        return self.read(aws)

    def create(self, aws: Aws, desired: Fields) -> Fields:
        for name, fields in desired["alarms"].items():
            self._put(aws, name, fields)
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        wanted, found = desired["alarms"], actual.fields["alarms"]
        for name, fields in wanted.items():
            former = found.get(name)
            if former is not None:
                self._retag(aws, name, fields["tags"], former["tags"])
            if former is None or {**former, "tags": {}} != {**fields, "tags": {}}:
                self._put(aws, name, fields)
        self.remove(aws, [name for name in found if name not in wanted])
        return {}

    def _retag(self, aws: Aws, name: str, desired: Tags, actual: Tags) -> None:
        arn = f"{self.arn}{name}"

        def tag(tags: Tags) -> None:
            aws.call("cloudwatch", "tag_resource", ResourceARN=arn, Tags=tag_list(tags))

        def untag(keys: list[str]) -> None:
            aws.call("cloudwatch", "untag_resource", ResourceARN=arn, TagKeys=keys)

        retag(desired, actual, tag=tag, untag=untag)

    def _put(self, aws: Aws, name: str, fields: Fields) -> None:
        """Write an alarm whole (Alarm-1); the tags count at its creation alone."""
        aws.call(
            "cloudwatch",
            "put_metric_alarm",
            AlarmName=f"{self.prefix}{name}",
            Tags=tag_list(fields["tags"]),
            **write_members(_MEMBERS, given(fields)),
        )
