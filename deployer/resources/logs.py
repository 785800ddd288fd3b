"""CloudWatch Logs: log groups, made before anything could make them without retention (Logs-9)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from deployer.aws import Aws
from deployer.compare import tags_from
from deployer.errors import AwsError
from deployer.plan import Change, Fields, State
from deployer.resources.base import Resource, Tags, must_be_ours


class LogGroup(Resource):
    """A log group. Fields: `retention_days`, None for keeping everything for ever."""

    def __init__(self, key: str, *, name: str, ours: Tags, fields: Fields | None = None) -> None:
        super().__init__(key, fields)
        self.name = name
        self.ours = ours

    def read(self, aws: Aws) -> State | None:
        # Logs-3: there is no get-by-name, and the prefix finds NAME-2 as well.
        groups = aws.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=self.name)
        group = next((each for each in groups if each["logGroupName"] == self.name), None)
        if group is None:
            return None
        must_be_ours(f"log group {self.name}", _tags(aws, group), self.ours)
        return State({"retention_days": group.get("retentionInDays")})

    def create(self, aws: Aws, desired: Fields) -> Fields:
        aws.call("logs", "create_log_group", logGroupName=self.name, tags=dict(self.ours))
        if desired["retention_days"] is not None:
            self._retain(aws, desired)
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        self._retain(aws, desired)
        return {}

    def _retain(self, aws: Aws, desired: Fields) -> None:
        days = desired["retention_days"]
        if days is None:  # Logs-2: "for ever" is the absence of a policy
            aws.call("logs", "delete_retention_policy", logGroupName=self.name)
        else:
            aws.retry(
                lambda: aws.call("logs", "put_retention_policy", logGroupName=self.name, retentionInDays=days),
                when=_propagating,
            )

    def delete(self, aws: Aws) -> None:
        missing = ("ResourceNotFoundException",)
        aws.retry(
            lambda: aws.find(missing, "logs", "delete_log_group", logGroupName=self.name),
            when=_aborted,
        )


def _propagating(error: AwsError) -> str | None:
    """A permission granted a moment ago is not seen yet (R-20)."""
    denied = error.code == "AccessDeniedException" and "no identity-based policy allows" in error.aws_message
    return "for IAM: the permission to set a retention is not seen yet" if denied else None


def _aborted(error: AwsError) -> str | None:
    """Another operation on the group is under way (R-19)."""
    return "for CloudWatch Logs: another change is under way" if error.code == "OperationAbortedException" else None


def _tags(aws: Aws, group: dict[str, Any]) -> Tags:
    # Logs-4: tag calls need the ARN without ":*", which older answers give as `arn` only.
    arn = group.get("logGroupArn") or group["arn"].removesuffix(":*")
    return tags_from(aws.call("logs", "list_tags_for_resource", resourceArn=arn)["tags"])


def our_group_names(aws: Aws, prefix: str, ours: Tags, known: Collection[str]) -> Iterator[str]:
    """Yield the names of the log groups under a prefix that carry our tags, besides those already known."""
    for group in aws.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=prefix):
        if group["logGroupName"] not in known and ours.items() <= dict(_tags(aws, group)).items():
            yield group["logGroupName"]
