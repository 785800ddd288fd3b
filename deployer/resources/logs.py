"""CloudWatch Logs: log groups, made before anything could make them without retention (Logs-9)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from deployer.aws.access import Aws
from deployer.engine.compare import tags_from
from deployer.engine.plan import Change, Fields, State
from deployer.errors import AwsError
from deployer.resources.base import Ownership, Resource, Tags, changed

_ABSENT = ("ResourceNotFoundException",)


class LogGroup(Resource):
    """A log group. Fields: `tags`; `retention_days`, None for keeping everything for ever.

    Args:
        prefix: that of its name and its siblings', with which one listing finds all of them;
            otherwise its name.
    """

    exists = ("ResourceAlreadyExistsException",)
    holds_data = True
    comes_back = True  # Logs-9

    def __init__(
        self,
        key: str,
        *,
        name: str,
        prefix: str = "",
        ours: Ownership,
        fields: Fields | None = None,
    ) -> None:
        super().__init__(key, fields)
        self.name = name
        self.prefix = prefix or name
        self.ours = ours

    def read(self, aws: Aws) -> State | None:
        groups = listed(aws, self.prefix, self.name)
        group = next((each for each in groups if each["logGroupName"] == self.name), None)
        if group is None:
            return None
        tags = _tags(aws, group)
        if tags is None:
            return None
        self.ours.check(f"log group {self.name}", tags)
        return State(
            {"tags": self.ours.among(tags), "retention_days": group.get("retentionInDays")},
            {"arn": _plain_arn(group)},
        )

    def create(self, aws: Aws, desired: Fields) -> Fields:
        self._write(aws, "create_log_group", logGroupName=self.name, tags=desired["tags"])
        if desired["retention_days"] is not None:
            self._retain(aws, desired)
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        if changed(change, "tags"):
            self._write(
                aws, "tag_resource", resourceArn=actual.outputs["arn"], tags=desired["tags"]
            )
        if changed(change, "retention_days"):
            self._retain(aws, desired)
        return {}

    @staticmethod
    def _write(aws: Aws, operation: str, **parameters: Any) -> None:
        aws.retry(lambda: aws.call("logs", operation, **parameters), when=not_ready)

    def _retain(self, aws: Aws, desired: Fields) -> None:
        days = desired["retention_days"]
        if days is None:  # Logs-2: "for ever" is the absence of a policy
            self._write(aws, "delete_retention_policy", logGroupName=self.name)
        else:
            self._write(aws, "put_retention_policy", logGroupName=self.name, retentionInDays=days)

    def delete(self, aws: Aws) -> None:
        aws.retry(
            lambda: aws.find(_ABSENT, "logs", "delete_log_group", logGroupName=self.name),
            when=not_ready,
        )


def not_ready(error: AwsError) -> str | None:
    """Another operation on the group is under way (R-19), a permission just granted is not seen yet
    (R-20), or the group.
    """
    if error.code == "OperationAbortedException":
        return "for CloudWatch Logs: another change of the log group is under way"
    if (
        error.code == "AccessDeniedException"
        and "no identity-based policy allows" in error.aws_message
    ):
        return "for IAM: the permission to change the log group is not seen yet"
    new = error.code in _ABSENT  # GEN-8; deletion does not get here
    return "for CloudWatch Logs: the new log group is not seen yet" if new else None


def _tags(aws: Aws, group: dict[str, Any]) -> Tags | None:
    """Return a group's tags; None for one that is still listed, but gone."""
    answer = aws.find(_ABSENT, "logs", "list_tags_for_resource", resourceArn=_plain_arn(group))
    return tags_from(answer["tags"]) if answer else None


def _plain_arn(group: dict[str, Any]) -> str:
    """Return the ARN without ":*", which tag calls need (Logs-4); older answers have it with that
    only.
    """
    return str(group.get("logGroupArn") or group["arn"].removesuffix(":*"))


def listed(aws: Aws, prefix: str, name: str) -> list[dict[str, Any]]:
    """Return the groups with a prefix, listed once in a pass; outside of one, those that begin with
    the name.

    Logs-3: there is no get-by-name. Logs-12: five listings a second are allowed, each of fifty
    groups.
    """

    def groups(begin: str) -> list[dict[str, Any]]:
        return list(aws.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=begin))

    found = aws.once(("log groups", prefix), lambda: groups(prefix))
    return groups(name) if found is None else found


def our_group_names(
    aws: Aws, prefix: str, ours: Ownership, known: Collection[str]
) -> Iterator[str]:
    """Yield the names of the log groups under a prefix that carry our tags, besides those already
    known.
    """
    for group in listed(aws, prefix, prefix):
        if group["logGroupName"] not in known and ours.marks(_tags(aws, group) or {}):
            yield group["logGroupName"]
