"""CloudWatch Logs: log groups, created before AWS creates them without retention (Logs-9)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from typing import Annotated, Any, TypedDict

from deployer.aws.access import Aws
from deployer.engine.compare import tags_from
from deployer.engine.plan import Change, Fields, State
from deployer.errors import AwsError
from deployer.resources.base import Ownership, Resource, Tags, changed, retag
from deployer.resources.fields import Setting, read_members, settings

_ABSENT = ("ResourceNotFoundException",)


class LogGroupFields(TypedDict):
    """The fields of a log group."""

    tags: Tags
    retention_days: Annotated[
        int | None,  # Logs-2: "for ever" is the absence of a policy
        Setting("retentionInDays", put="put_retention_policy", remove="delete_retention_policy"),
    ]


_SETTINGS = settings(LogGroupFields)


class LogGroup(Resource):
    """A log group.

    Args:
        prefix: common to its name and its siblings', so that one listing returns all of them; by
            default its name.
    """

    exists = ("ResourceAlreadyExistsException",)
    holds_data = True
    comes_back = True  # Logs-9
    reads = ("logs:DescribeLogGroups", "logs:ListTagsForResource")
    writes = (
        "logs:CreateLogGroup",
        "logs:TagResource",
        "logs:UntagResource",
        "logs:PutRetentionPolicy",
        "logs:DeleteRetentionPolicy",
    )
    deletes = ("logs:DeleteLogGroup",)

    def __init__(
        self,
        key: str,
        *,
        name: str,
        prefix: str = "",
        ours: Ownership,
        fields: LogGroupFields,
    ) -> None:
        super().__init__(key, fields)
        self.name = name
        self.prefix = prefix or name
        self.ours = ours

    def read(self, aws: Aws) -> State | None:
        groups = listed(aws, self.prefix, self.name)
        group = next((group for group in groups if group["logGroupName"] == self.name), None)
        if group is None:
            return None
        tags = group_tags(aws, group)
        if tags is None:
            return None
        self.ours.check(f"log group {self.name}", tags)
        return State(
            {"tags": self.ours.among(tags), **read_members(_SETTINGS, group)},
            {"arn": _plain_arn(group), "metric_filters": group.get("metricFilterCount", 0)},
        )

    def create(self, aws: Aws, desired: Fields) -> Fields:
        self._write(aws, "create_log_group", logGroupName=self.name, tags=desired["tags"])
        for name in _SETTINGS:
            if desired[name] is not None:
                self._put(aws, name, desired[name])
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        if changed(change, "tags"):
            write = partial(self._write, aws, resourceArn=actual.outputs["arn"])
            retag(
                desired["tags"],
                actual.fields["tags"],
                tag=lambda tags: write("tag_resource", tags=tags),
                untag=lambda keys: write("untag_resource", tagKeys=keys),
            )
        for name in _SETTINGS:
            if changed(change, name):
                self._put(aws, name, desired[name])
        return {}

    def _put(self, aws: Aws, name: str, value: Any) -> None:
        operation, parameters = _SETTINGS[name].call(value)
        self._write(aws, operation, logGroupName=self.name, **parameters)

    @staticmethod
    def _write(aws: Aws, operation: str, **parameters: Any) -> None:
        aws.retry(lambda: aws.call("logs", operation, **parameters), when=not_ready)

    def delete(self, aws: Aws) -> None:
        aws.retry(
            lambda: aws.find(_ABSENT, "logs", "delete_log_group", logGroupName=self.name),
            when=not_ready,
        )


def not_ready(error: AwsError) -> str | None:
    """Return why a write may succeed later (R-19, R-20)."""
    if error.code == "OperationAbortedException":
        return "for CloudWatch Logs: another change of the log group is under way"
    if (
        error.code == "AccessDeniedException"
        and "no identity-based policy allows" in error.aws_message
    ):
        return "for IAM: the permission to change the log group is not seen yet"
    new = error.code in _ABSENT  # GEN-8; a deletion does not retry this code
    return "for CloudWatch Logs: the new log group is not seen yet" if new else None


def group_tags(aws: Aws, group: dict[str, Any]) -> Tags | None:
    """Return a group's tags; None for a deleted group that is still listed."""
    answer = aws.find(_ABSENT, "logs", "list_tags_for_resource", resourceArn=_plain_arn(group))
    return tags_from(answer["tags"]) if answer else None


def _plain_arn(group: dict[str, Any]) -> str:
    """Return the ARN without ":*", as tag calls need it (Logs-4). Older answers lack that form."""
    return str(group.get("logGroupArn") or group["arn"].removesuffix(":*"))


def listed(aws: Aws, prefix: str, name: str) -> list[dict[str, Any]]:
    """Return the groups with a prefix, listed once in a pass; outside of a pass, by `name` alone.

    Logs-3: there is no get-by-name. Logs-12: five listings a second are allowed, each of fifty
    groups.
    """

    def groups(begin: str) -> list[dict[str, Any]]:
        return list(aws.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=begin))

    remembered = aws.once(("log groups", prefix), lambda: groups(prefix))
    return groups(name) if remembered is None else remembered


def our_group_names(
    aws: Aws, prefix: str, ours: Ownership, known: Collection[str]
) -> Iterator[str]:
    """Yield the names of our log groups with this prefix, except the known ones."""
    for group in listed(aws, prefix, prefix):
        if group["logGroupName"] not in known and ours.marks(group_tags(aws, group) or {}):
            yield group["logGroupName"]
