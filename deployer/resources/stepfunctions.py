"""Step Functions: the state machine."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from deployer.aws.access import Aws
from deployer.engine.compare import canonical_json, tag_list, tags_from
from deployer.engine.plan import Change, Fields, State
from deployer.errors import AwsError
from deployer.resources.base import Ownership, Resource, changed

_ABSENT = ("StateMachineDoesNotExist",)


def not_ready(error: AwsError) -> str | None:
    """IAM, the log destination or a deletion of the same name is not through yet (R-8, R-9, R-10)."""
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


class StateMachine(Resource):
    """A state machine. Fields: `tags`, `type`, `definition` (parsed JSON), `role_arn`, `logging`,
    `tracing`.

    `logging` is None or {"level", "include_execution_data", "destination"}; `tracing` is true or
    false.
    """

    replace_on = ("type",)
    exists = ("StateMachineAlreadyExists",)

    def __init__(
        self,
        key: str,
        *,
        arn: str,
        ours: Ownership,
        fields: Fields | None = None,
        needs: Collection[str] = (),
    ) -> None:
        super().__init__(key, fields, needs)
        self.arn = arn
        self.name = arn.rpartition(":")[2]
        self.ours = ours

    def read(self, aws: Aws) -> State | None:
        gone = ("ResourceNotFound",)
        found, answer = aws.together(
            lambda: aws.find(
                _ABSENT, "stepfunctions", "describe_state_machine", stateMachineArn=self.arn
            ),
            lambda: aws.find(gone, "stepfunctions", "list_tags_for_resource", resourceArn=self.arn),
        )
        if found is None or answer is None or found["status"] == "DELETING":
            return None  # create() waits until the name is free again
        tags = tags_from(answer["tags"])
        self.ours.check(f"state machine {self.name}", tags)
        return State(
            {
                "tags": self.ours.among(tags),
                "type": found["type"],
                "definition": json.loads(found["definition"]),
                "role_arn": found["roleArn"],
                "logging": self._read_logging(found.get("loggingConfiguration", {})),
                "tracing": found.get("tracingConfiguration", {}).get("enabled", False),
            }
        )

    @staticmethod
    def _read_logging(found: dict[str, Any]) -> dict[str, Any] | None:
        if found.get("level", "OFF") == "OFF":  # Sfn-14
            return None
        destinations = found.get("destinations") or [{}]
        return {
            "level": found["level"],
            "include_execution_data": found.get("includeExecutionData", False),
            "destination": destinations[0].get("cloudWatchLogsLogGroup", {}).get("logGroupArn"),
        }

    @staticmethod
    def _logging(wanted: dict[str, Any] | None) -> dict[str, Any]:
        """Return boto3's form; turning logging off must be said, not omitted (Sfn-10)."""
        if wanted is None:
            return {"level": "OFF", "includeExecutionData": False, "destinations": []}
        return {
            "level": wanted["level"],
            "includeExecutionData": wanted["include_execution_data"],
            "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": wanted["destination"]}}],
        }

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters = {
            "name": self.name,
            "type": desired["type"],
            "definition": canonical_json(desired["definition"]),
            "roleArn": desired["role_arn"],
            "loggingConfiguration": self._logging(desired["logging"]),
            "tracingConfiguration": {"enabled": desired["tracing"]},
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
        parameters = {
            "stateMachineArn": self.arn,
            # Sfn-11: the model wants one of these two even when neither changes.
            "definition": canonical_json(desired["definition"]),
            "roleArn": desired["role_arn"],
        }
        if changed(change, "logging"):
            parameters["loggingConfiguration"] = self._logging(desired["logging"])
        if changed(change, "tracing"):
            parameters["tracingConfiguration"] = {"enabled": desired["tracing"]}
        self._write(aws, "update_state_machine", parameters)
        return {}

    @staticmethod
    def _write(aws: Aws, operation: str, parameters: dict[str, Any]) -> None:
        call = lambda: aws.call("stepfunctions", operation, **parameters)  # noqa: E731
        aws.retry(call, when=not_ready, deadline_s=300)

    def delete(self, aws: Aws) -> None:
        aws.find(_ABSENT, "stepfunctions", "delete_state_machine", stateMachineArn=self.arn)

        def gone() -> bool | None:  # Sfn-21: DELETING for up to a minute, and no waiter
            found = aws.find(
                _ABSENT, "stepfunctions", "describe_state_machine", stateMachineArn=self.arn
            )
            return True if found is None else None

        aws.wait_until(gone, reason="for Step Functions: the state machine is being deleted")
