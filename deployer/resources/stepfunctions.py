"""Step Functions: the state machine, and its published versions.

A version of the state machine is a release of the service (`service.releases`). The call that
switches to a definition also publishes it; the state machine itself is what the API starts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, ClassVar, TypedDict

from deployer.aws.access import Aws
from deployer.engine.compare import canonical_json, tag_list, tags_from
from deployer.engine.plan import Action, Change, Fields, State, resolutions
from deployer.errors import AwsError
from deployer.resources.base import Owned, Ownership, Resource, Tags, changed, retag
from deployer.resources.fields import Member, members, read_members, write_members

_ABSENT = ("StateMachineDoesNotExist",)
_PAGE = 1000  # versions; a state machine has no more (Sfn-16)


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
    published: bool  # the newest version has the live definition


_MEMBERS = members(StateMachineFields)
_VERSION = re.compile(r"arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]+:function:[\w-]+:[0-9]+\b")


# Asks function versions, by their ARNs, and raises unless they answer as they must. Each comes with
# the key of its function, or "" if the declared definition names it without a Ref.
Prove = Callable[[Aws, Mapping[str, str]], None]


@dataclass(frozen=True)
class Version:
    """A published version of a state machine. AWS counts from 1 and gives no number twice."""

    arn: str
    created: datetime

    @property
    def number(self) -> int:
        return int(self.arn.rpartition(":")[2])


@dataclass(frozen=True)
class Definition:
    """What a version, or the state machine itself, executes; and its description."""

    workflow: Mapping[str, Any]
    description: str

    @property
    def function_versions(self) -> frozenset[str]:
        """The ARNs of the function versions that it names."""
        return function_versions(self.workflow)

    def same_as(self, workflow: Mapping[str, Any]) -> bool:
        return canonical_json(self.workflow) == canonical_json(workflow)


def function_versions(workflow: Mapping[str, Any]) -> frozenset[str]:
    """Return the ARNs of the function versions that a definition without Refs names."""
    return frozenset(_VERSION.findall(canonical_json(workflow)))


class OwnedStateMachine(Owned):
    """A state machine, known by its ARN."""

    reads: ClassVar[Collection[str]] = ("states:DescribeStateMachine", "states:ListTagsForResource")
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

    def versions(self, aws: Aws, most: int | None = None) -> list[Version]:
        """Return the published versions, newest first; none without the state machine.

        Args:
            most: how many are wanted; None for all.
        """
        return list(islice(self._versions(aws, min(most or _PAGE, _PAGE)), most))

    def _versions(self, aws: Aws, page_size: int) -> Iterator[Version]:
        more: dict[str, Any] = {}
        while True:  # botocore has no paginator for this operation
            page = aws.find(
                (*_ABSENT, "InvalidArn"),
                "stepfunctions",
                "list_state_machine_versions",
                stateMachineArn=self.arn,
                maxResults=page_size,
                **more,
            )
            for version in page["stateMachineVersions"] if page else ():
                yield Version(version["stateMachineVersionArn"], version["creationDate"])
            if page is None or "nextToken" not in page:
                return
            more = {"nextToken": page["nextToken"]}

    def definition(self, aws: Aws, version: Version | None = None) -> Definition | None:
        """Return what a version executes, or the state machine itself; None if it is gone."""
        arn = version.arn if version else self.arn
        answer = aws.find(_ABSENT, "stepfunctions", "describe_state_machine", stateMachineArn=arn)
        if answer is None:
            return None
        return Definition(json.loads(answer["definition"]), answer.get("description", ""))

    def delete_version(self, aws: Aws, version: Version) -> bool:
        """Delete a version; return False if an alias of somebody else names it (Sfn-18)."""
        answer = aws.find(
            ("ConflictException",),
            "stepfunctions",
            "delete_state_machine_version",
            stateMachineVersionArn=version.arn,
        )
        return answer is not None

    def delete(self, aws: Aws) -> None:
        aws.find(_ABSENT, "stepfunctions", "delete_state_machine", stateMachineArn=self.arn)

        def gone() -> bool | None:  # Sfn-21: DELETING for up to a minute, and no waiter
            answer = aws.find(
                _ABSENT, "stepfunctions", "describe_state_machine", stateMachineArn=self.arn
            )
            return True if answer is None else None

        aws.wait_until(gone, reason="for Step Functions: the state machine is being deleted")


_TAGGING = ("states:TagResource", "states:UntagResource")


class StateMachine(OwnedStateMachine, Resource):
    """A declared state machine.

    Args:
        prove: is called with the versions to which the machine is about to be switched; None
            switches without it.
        describe: returns the description of the version that is about to be published.
    Outputs: `release` and `description`, the number and the description of the newest version if
        that has the live definition.
    """

    replace_on = ("type",)
    exists = ("StateMachineAlreadyExists",)
    reads = (*OwnedStateMachine.reads, "states:ListStateMachineVersions")
    finds = OwnedStateMachine.reads
    passed_to = "states.amazonaws.com"
    # Those of `writes` that make another definition live, and that prove its versions.
    switches = (
        "iam:PassRole",
        "states:DeleteStateMachineVersion",
        "states:PublishStateMachineVersion",
        "states:UpdateStateMachine",
    )
    proves = ("lambda:InvokeFunction",)
    writes = (*switches, *proves, "states:CreateStateMachine", *_TAGGING)

    def __init__(
        self,
        key: str,
        *,
        arn: str,
        ours: Ownership,
        fields: StateMachineFields,
        prove: Prove | None = None,
        describe: Callable[[], str] = lambda: "",
        needs: Collection[str] = (),
    ) -> None:
        Resource.__init__(self, key, fields, needs)
        self.arn = arn
        self.ours = ours
        self._prove = prove
        self._describe = describe

    def moves(self, changed: Collection[str]) -> Collection[str]:
        published = {"definition", "published"} & set(changed)
        return ("release", "description") if published else ()

    def read(self, aws: Aws) -> State | None:
        # None while it is being deleted: create() waits until the name is free again.
        found, newest = aws.together(lambda: self._get(aws), lambda: self._newest(aws))
        if found is None:
            return None
        description, tags = found
        fields = read_members(_MEMBERS, description)
        version, definition = newest or (None, None)
        published = definition is not None and definition.same_as(fields["definition"])
        outputs: dict[str, Any] = {}
        if version and definition and published:
            outputs = {"release": version.number, "description": definition.description}
        released = {"definition": definition.workflow} if definition else None
        return State({"tags": tags, **fields, "published": published}, outputs, released)

    def _newest(self, aws: Aws) -> tuple[Version, Definition] | None:
        for version in self.versions(aws, 1):
            definition = self.definition(aws, version)
            return (version, definition) if definition else None
        return None

    def prove(self, aws: Aws, desired: Fields, actual: State | None, change: Change) -> bool:
        """Prove the versions that the new definition names and the live one does not."""
        is_switched = change.action is not Action.UPDATE or changed(change, "definition")
        if self._prove is None or not is_switched:
            return False
        live = function_versions(actual.fields["definition"]) if actual else frozenset()
        keys = {
            version: ref.key
            for ref, version in resolutions(self.fields["definition"], desired["definition"])
        }
        new = {**dict.fromkeys(sorted(function_versions(desired["definition"])), ""), **keys}
        asked = {version: key for version, key in new.items() if version not in live}
        if asked:
            self._prove(aws, asked)
        return bool(asked)

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters = {
            "name": self.name,
            **write_members(_MEMBERS, desired),
            **self._publishing(),
            "tags": tag_list(desired["tags"], lower=True),
        }
        return self._write(aws, "create_state_machine", parameters)

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        if changed(change, "tags"):  # Sfn-15
            self._retag(aws, desired["tags"], actual.fields["tags"])
        if change.names == {"tags"}:
            return {}
        if change.names <= {"tags", "published"}:
            published = {"stateMachineArn": self.arn, "description": self._describe()}
            return self._write(aws, "publish_state_machine_version", published)
        # Sfn-11: the model wants one of these two even when neither changes.
        sent = {"definition", "role_arn"} | change.names
        values = {name: value for name, value in desired.items() if name in sent}
        parameters = {"stateMachineArn": self.arn, **write_members(_MEMBERS, values)}
        if changed(change, "definition", "published"):
            parameters |= self._publishing()
        return self._write(aws, "update_state_machine", parameters)

    def _retag(self, aws: Aws, desired: Tags, actual: Tags) -> None:
        where = {"resourceArn": self.arn}

        def tag(tags: Tags) -> None:
            listed = {"tags": tag_list(tags, lower=True)}
            self._write(aws, "tag_resource", {**where, **listed})

        def untag(keys: list[str]) -> None:
            self._write(aws, "untag_resource", {**where, "tagKeys": keys})

        retag(desired, actual, tag=tag, untag=untag)

    def _publishing(self) -> dict[str, Any]:
        """Return the parameters by which a write publishes too; twice is once (Sfn-16)."""
        return {"publish": True, "versionDescription": self._describe()}

    @staticmethod
    def _write(aws: Aws, operation: str, parameters: dict[str, Any]) -> Fields:
        """Make a call; return the release that it published, as an output."""
        answer = aws.retry(
            lambda: aws.call("stepfunctions", operation, **parameters),
            when=not_ready,
            deadline_s=300,
        )
        arn = answer.get("stateMachineVersionArn")
        return {"release": int(arn.rpartition(":")[2])} if arn else {}
