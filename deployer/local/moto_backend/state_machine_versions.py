"""Mends of moto's state machine versions, which `up` publishes and `releases` lists."""

from __future__ import annotations

import uuid
from typing import Any

from deployer.local.moto_backend.patching import around

_PAGE = 100  # versions, unless a call says otherwise


def apply() -> None:
    """Mend everything about versions of state machines."""
    know_revisions()
    publish_list_and_delete()


def know_revisions() -> None:
    """moto knows no revisions: it publishes another version of what has not changed (Sfn-16).

    A state machine that was never updated has no revisionId (Sfn-13).
    """
    from moto.stepfunctions.models import StateMachine
    from moto.stepfunctions.responses import StepFunctionResponse

    @around(StateMachine, "update")
    def update(original: Any, self: Any, **changes: Any) -> Any:
        before = (self.definition, self.roleArn)
        answer = original(self, **changes)
        if (self.definition, self.roleArn) != before:
            self.revision = str(uuid.uuid4())
        return answer

    @around(StateMachine, "publish")
    def publish(original: Any, self: Any, description: str | None) -> Any:
        for version in self.versions.values():
            if version.revision == _revision(self):
                self.latest_version = version
                return
        original(self, description)
        self.latest_version.revision = _revision(self)

    @around(StepFunctionResponse, "_describe_state_machine")
    def describe(original: Any, self: Any, state_machine_arn: str) -> Any:
        answer = original(self, state_machine_arn)
        revision = _revision(self.stepfunction_backend.describe_state_machine(state_machine_arn))
        if revision is not None:
            answer.result["revisionId"] = revision
        return answer

    @around(StepFunctionResponse, "update_state_machine")
    def respond(original: Any, self: Any) -> Any:
        answer = original(self)
        arn = self._get_param("stateMachineArn")
        answer.result["revisionId"] = _revision(
            self.stepfunction_backend.describe_state_machine(arn)
        )
        return answer


def _revision(machine: Any) -> str | None:
    revision: str | None = getattr(machine, "revision", None)
    return revision


def publish_list_and_delete() -> None:
    """moto lacks three operations: it can neither publish, list nor delete a version alone."""
    from moto.core.exceptions import AWSError
    from moto.core.responses import ActionResult, EmptyResult
    from moto.stepfunctions.exceptions import StateMachineDoesNotExist
    from moto.stepfunctions.responses import StepFunctionResponse

    class Conflict(AWSError):  # type: ignore[misc]  # moto has no types
        TYPE = "ConflictException"
        STATUS = 409

    def publish_state_machine_version(self: Any) -> Any:
        machine = self.stepfunction_backend.describe_state_machine(
            self._get_param("stateMachineArn")
        )
        revision = self._get_param("revisionId")
        if revision not in (None, _revision(machine) or "INITIAL"):
            raise Conflict(f"Failed to publish: revision {revision} is not the latest")
        machine.publish(self._get_param("description"))
        version = machine.latest_version
        return ActionResult(
            {"creationDate": version.creation_date, "stateMachineVersionArn": version.arn}
        )

    def list_state_machine_versions(self: Any) -> Any:
        machine = self.stepfunction_backend.describe_state_machine(
            self._get_param("stateMachineArn")
        )
        versions = [version for _, version in sorted(machine.versions.items(), reverse=True)]
        first = int(self._get_param("nextToken") or 0)
        end = first + (self._get_param("maxResults") or _PAGE)
        answer: dict[str, Any] = {
            "stateMachineVersions": [
                {"stateMachineVersionArn": version.arn, "creationDate": version.creation_date}
                for version in versions[first:end]
            ]
        }
        if end < len(versions):
            answer["nextToken"] = str(end)
        return ActionResult(answer)

    def delete_state_machine_version(self: Any) -> Any:
        arn, _, number = self._get_param("stateMachineVersionArn").rpartition(":")
        try:
            machine = self.stepfunction_backend.describe_state_machine(arn)
        except StateMachineDoesNotExist:
            return EmptyResult()
        aliased = {
            route["stateMachineVersionArn"]
            for alias in machine.aliases.values()
            for route in alias.routing_configuration
        }
        if f"{arn}:{number}" in aliased:
            raise Conflict("Version to be deleted must not be referenced by an alias.")
        machine.versions.pop(int(number), None)
        return EmptyResult()

    StepFunctionResponse.publish_state_machine_version = publish_state_machine_version
    StepFunctionResponse.list_state_machine_versions = list_state_machine_versions
    StepFunctionResponse.delete_state_machine_version = delete_state_machine_version
