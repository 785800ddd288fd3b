"""Step Functions: the state machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, TypedDict

from deployer.aws.access import Aws
from deployer.engine.compare import canonical_json, tag_list, tags_from
from deployer.engine.plan import Action, Change, Fields, State, resolutions
from deployer.errors import AwsError
from deployer.resources.base import Owned, Ownership, Resource, Tags, changed
from deployer.resources.fields import Member, members, read_members, write_members

_ABSENT = ("StateMachineDoesNotExist",)


def not_ready(error: AwsError) -> str | None:
    """Return why a write may succeed later: IAM, or a deletion of this name (R-8, R-9, R-10)."""
    if (
        error.code == "AccessDeniedException"
        and "authorized to assume the provided role" in error.aws_message
    ):
        return "for IAM: Step Functions cannot assume the workflow's role yet"
    if (
        error.code == "AccessDeniedException"
        and "not authorized to access the Log Destination" in error.aws_message
    ):
        return "for IAM: the workflow's role may not deliver logs yet"
    if error.code == "StateMachineDeleting":
        return "for Step Functions: the former state machine is still being deleted"
    return (
        "for Step Functions: another change is under way"
        if error.code == "ConflictException"
        else None
    )


class LoggingFields(TypedDict):
    """How a state machine logs."""

    level: Annotated[str, Member("level")]
    include_execution_data: Annotated[bool, Member("includeExecutionData", default=False)]
    destination: Annotated[str, Member("destinations[].cloudWatchLogsLogGroup.logGroupArn")]


_LOGGING = members(LoggingFields)


def _read_logging(configuration: Mapping[str, Any]) -> dict[str, Any] | None:
    if configuration.get("level", "OFF") == "OFF":  # Sfn-14
        return None
    return read_members(_LOGGING, configuration)


def _write_logging(logging: LoggingFields | None) -> dict[str, Any]:
    """Return boto3's form; turning logging off must be sent, not left out (Sfn-10)."""
    if logging is None:
        return {"level": "OFF", "includeExecutionData": False, "destinations": []}
    return write_members(_LOGGING, logging)


class StateMachineFields(TypedDict):
    """The fields of a state machine. `definition` is parsed JSON and may hold Refs."""

    tags: Tags
    type: Annotated[str, Member("type")]
    definition: Annotated[
        Mapping[str, Any], Member("definition", parse=json.loads, write_as=canonical_json)
    ]
    role_arn: Annotated[str, Member("roleArn")]
    logging: Annotated[
        LoggingFields | None,
        Member("loggingConfiguration", parse=_read_logging, write_as=_write_logging),
    ]
    tracing: Annotated[bool, Member("tracingConfiguration.enabled", default=False)]


_MEMBERS = members(StateMachineFields)
_VERSION = re.compile(r"arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]+:function:[\w-]+:[0-9]+\b")


# Asks function versions, by the key of their function, and raises unless they answer as they must.
Prove = Callable[[Aws, Mapping[str, str]], None]


class OwnedStateMachine(Owned):
    """A state machine, known by its ARN."""

    reads = ("states:DescribeStateMachine", "states:ListTagsForResource")
    deletes = ("states:DeleteStateMachine",)

    def __init__(self, key: str, *, arn: str, ours: Ownership, needs: Collection[str] = ()) -> None:
        super().__init__(key, needs)
        self.arn = arn
        self.ours = ours

    @property
    def name(self) -> str:
        return self.arn.rpartition(":")[2]

    def find(self, aws: Aws) -> State | None:
        return State({}) if self._get(aws) else None

    def _get(self, aws: Aws) -> tuple[dict[str, Any], Tags] | None:
        """Return description and ownership tags; None if it is absent or being deleted."""
        description, answer = aws.together(
            lambda: aws.find(
                _ABSENT, "stepfunctions", "describe_state_machine", stateMachineArn=self.arn
            ),
            lambda: aws.find(
                ("ResourceNotFound",),
                "stepfunctions",
                "list_tags_for_resource",
                resourceArn=self.arn,
            ),
        )
        if description is None or answer is None or description["status"] == "DELETING":
            return None
        tags = tags_from(answer["tags"])
        self.ours.check(f"state machine {self.name}", tags)
        return description, self.ours.among(tags)

    def function_versions(self, aws: Aws) -> set[str]:
        """Return the ARNs of the function versions that the live definition names."""
        description = aws.find(
            _ABSENT, "stepfunctions", "describe_state_machine", stateMachineArn=self.arn
        )
        return set(_VERSION.findall(description["definition"])) if description else set()

    def delete(self, aws: Aws) -> None:
        aws.find(_ABSENT, "stepfunctions", "delete_state_machine", stateMachineArn=self.arn)

        def gone() -> bool | None:  # Sfn-21: DELETING for up to a minute, and no waiter
            answer = aws.find(
                _ABSENT, "stepfunctions", "describe_state_machine", stateMachineArn=self.arn
            )
            return True if answer is None else None

        aws.wait_until(gone, reason="for Step Functions: the state machine is being deleted")


class StateMachine(OwnedStateMachine, Resource):
    """A declared state machine.

    Args:
        prove: is called with the versions to which the machine is about to be switched; None
            switches without it.
    """

    replace_on = ("type",)
    exists = ("StateMachineAlreadyExists",)
    writes = (
        "iam:PassRole",
        "lambda:InvokeFunction",
        "states:CreateStateMachine",
        "states:TagResource",
        "states:UpdateStateMachine",
    )

    def __init__(
        self,
        key: str,
        *,
        arn: str,
        ours: Ownership,
        fields: StateMachineFields,
        prove: Prove | None = None,
        needs: Collection[str] = (),
    ) -> None:
        Resource.__init__(self, key, fields, needs)
        self.arn = arn
        self.ours = ours
        self._prove = prove

    def read(self, aws: Aws) -> State | None:
        # None while it is being deleted: create() waits until the name is free again.
        found = self._get(aws)
        if found is None:
            return None
        description, tags = found
        return State({"tags": tags, **read_members(_MEMBERS, description)})

    def prove(self, aws: Aws, desired: Fields, actual: State | None, change: Change) -> None:
        """Prove the versions that the new definition refers to and the live one does not name."""
        is_switched = change.action is not Action.UPDATE or changed(change, "definition")
        if self._prove is None or not is_switched:
            return
        live = canonical_json(actual.fields["definition"]) if actual else ""
        in_use = set(_VERSION.findall(live))
        versions = {
            ref.key: version
            for ref, version in resolutions(self.fields["definition"], desired["definition"])
            if version not in in_use
        }
        if versions:
            self._prove(aws, versions)

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters = {
            "name": self.name,
            **write_members(_MEMBERS, desired),
            "tags": tag_list(desired["tags"], lower=True),
        }
        self._write(aws, "create_state_machine", parameters)
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        if changed(change, "tags"):  # Sfn-15
            tags = tag_list(desired["tags"], lower=True)
            self._write(aws, "tag_resource", {"resourceArn": self.arn, "tags": tags})
        if change.names == {"tags"}:
            return {}
        # Sfn-11: the model wants one of these two even when neither changes.
        sent = {"definition", "role_arn"} | change.names
        values = {name: value for name, value in desired.items() if name in sent}
        parameters = {"stateMachineArn": self.arn, **write_members(_MEMBERS, values)}
        self._write(aws, "update_state_machine", parameters)
        return {}

    @staticmethod
    def _write(aws: Aws, operation: str, parameters: dict[str, Any]) -> None:
        aws.retry(
            lambda: aws.call("stepfunctions", operation, **parameters),
            when=not_ready,
            deadline_s=300,
        )
