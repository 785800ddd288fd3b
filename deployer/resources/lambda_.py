"""Lambda: functions from a container image, with published versions."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from deployer.aws.access import Aws
from deployer.engine.compare import tags_from
from deployer.engine.plan import Change, Fields, State
from deployer.errors import AwsError
from deployer.resources.base import Ownership, Resource, changed

_ABSENT = ("ResourceNotFoundException",)
KEPT_VERSIONS = 3

# Lambda-8: these go through UpdateFunctionCode, everything else through
# UpdateFunctionConfiguration.
_CODE = ("image_digest", "architecture")
_CONFIGURATION = (
    "description", "role_arn", "memory_mb", "timeout_s", "ephemeral_storage_mb", "environment", "tracing", "command",
)  # fmt: skip


def not_ready(error: AwsError) -> str | None:
    """IAM, ECR or Lambda itself is not ready for this write yet (R-1 to R-6, R-16). The same codes
    can be permanent.
    """
    text = error.aws_message
    if error.code == "InvalidParameterValueException":
        if (
            "cannot be assumed by Lambda" in text
            or "role does not have permissions" in text
            or "CreateGrant" in text
        ):
            return "for IAM: Lambda cannot assume the execution role yet"
    if error.code == "AccessDeniedException" and "permission to access the ECR image" in text:
        return "for ECR: Lambda may not pull the image yet"
    if error.code == "ResourceNotFoundException":  # R-6; what a removal asks for does not get here
        return "for Lambda: the new function is not seen yet"
    return being_changed(error) if "already exist" not in text else None


def being_changed(error: AwsError) -> str | None:
    """A change is under way, so another one has to wait (R-4, R-5, Lambda-6)."""
    conflict = error.code == "ResourceConflictException"
    return "for Lambda: the function is still being changed" if conflict else None


class Function(Resource):
    """An image function and its published versions.

    Args:
        repository_uri: `account.dkr.ecr.region.amazonaws.com/name`; with `image_digest` it makes
            the image's address.
        pinned_by: ARN of the state machine whose definition pins versions; what it names is never
            removed.
    Fields: `tags`, `description`, `image_digest`, `architecture`, `role_arn`, `memory_mb`,
        `timeout_s`, `ephemeral_storage_mb`, `environment`, `tracing`, `command` (None: the image's
        own), `published` (the newest version is what $LATEST is).
    Outputs: `version_arn`, of the newest published version.
    """

    def __init__(
        self,
        key: str,
        *,
        name: str,
        ours: Ownership,
        repository_uri: str = "",
        pinned_by: str = "",
        fields: Fields | None = None,
        needs: Collection[str] = (),
    ) -> None:
        super().__init__(key, fields, needs)
        self.name = name
        self.ours = ours
        self.repository_uri = repository_uri
        self.pinned_by = pinned_by

    replace_on = ("package_type",)
    exists = ("ResourceConflictException",)  # Lambda-15

    def moves(self, changed: Collection[str]) -> Collection[str]:
        # Every other field belongs to a version, so its change publishes a new one; tags are the
        # function's (Lambda-24).
        return () if set(changed) == {"tags"} else ("version_arn",)

    def read(self, aws: Aws) -> State | None:
        answer, versions = aws.together(lambda: self._get(aws), lambda: self._versions(aws))
        if answer is None:
            return None
        tags = tags_from(answer.get("Tags"))
        latest = self._fields(answer["Configuration"])
        newest = versions[-1] if versions else None
        published = newest is not None and self._fields(newest) == latest
        outputs = {"version_arn": newest["FunctionArn"]} if newest is not None else {}
        found = {
            "arn": answer["Configuration"]["FunctionArn"],
            "busy": _is_busy(answer["Configuration"]),
        }
        return State(
            {**latest, "tags": self.ours.among(tags), "published": published}, {**outputs, **found}
        )

    def find(self, aws: Aws) -> State | None:
        return State({}) if self._get(aws) else None

    def _get(self, aws: Aws) -> dict[str, Any] | None:
        found: dict[str, Any] | None = aws.find(
            _ABSENT, "lambda", "get_function", FunctionName=self.name
        )
        if found is not None:
            self.ours.check(f"Lambda function {self.name}", tags_from(found.get("Tags")))
        return found

    @staticmethod
    def _fields(found: dict[str, Any]) -> dict[str, Any]:
        """Return a configuration in our vocabulary, with AWS's defaults written out (Lambda-25)."""
        override = found.get("ImageConfigResponse", {}).get("ImageConfig", {})
        return {
            "package_type": found["PackageType"],
            "description": found.get("Description", ""),
            # Img-12: of an image function this is the digest
            "image_digest": f"sha256:{found['CodeSha256']}",
            "architecture": found.get("Architectures", ["x86_64"])[0],
            "role_arn": found["Role"],
            "memory_mb": found.get("MemorySize", 128),
            "timeout_s": found.get("Timeout", 3),
            "ephemeral_storage_mb": found.get("EphemeralStorage", {}).get("Size", 512),
            "environment": found.get("Environment", {}).get("Variables", {}),
            "tracing": found.get("TracingConfig", {}).get("Mode", "PassThrough"),
            "command": override.get("Command") or None,
        }

    def _versions(self, aws: Aws) -> list[dict[str, Any]]:
        """Return the published versions' configurations, oldest first (Lambda-19)."""
        try:
            found = list(
                aws.pages("lambda", "list_versions_by_function", "Versions", FunctionName=self.name)
            )
        except AwsError as error:
            if error.code not in _ABSENT:
                raise
            found = []  # a new function is not seen everywhere yet
        published = [each for each in found if each["Version"] != "$LATEST"]
        return sorted(published, key=lambda each: int(each["Version"]))

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters = {
            "FunctionName": self.name,
            "PackageType": desired["package_type"],
            "Code": {"ImageUri": self._image_uri(desired)},
            "Architectures": [desired["architecture"]],
            "Tags": desired["tags"],
            **self._configuration(desired, _CONFIGURATION),
        }
        if desired["command"] is None:
            del parameters["ImageConfig"]
        self._write(aws, "create_function", parameters)
        return self._publish(aws, desired)

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        if changed(change, "tags"):
            arn = actual.outputs["arn"]
            aws.retry(
                lambda: aws.call("lambda", "tag_resource", Resource=arn, Tags=desired["tags"]),
                when=not_ready,
            )
        if change.names == {"tags"}:
            return {}
        if actual.outputs[
            "busy"
        ]:  # a run that was cut off may have left the function Pending (PRE-14)
            self._settled(aws)
        names = [name for name in _CONFIGURATION if changed(change, name)]
        if names:
            parameters = {"FunctionName": self.name, **self._configuration(desired, names)}
            self._write(aws, "update_function_configuration", parameters)
        if changed(change, *_CODE):
            code = {
                "ImageUri": self._image_uri(desired),
                "Architectures": [desired["architecture"]],
            }
            self._write(aws, "update_function_code", {"FunctionName": self.name, **code})
        return self._publish(aws, desired)

    def _image_uri(self, desired: Fields) -> str:
        return f"{self.repository_uri}@{desired['image_digest']}"

    @staticmethod
    def _configuration(desired: Fields, names: Collection[str]) -> dict[str, Any]:
        """Return these fields as boto3's parameters; maps are replaced whole (Lambda-10,
        Lambda-11).
        """
        every = {
            "description": ("Description", desired["description"]),
            "role_arn": ("Role", desired["role_arn"]),
            "memory_mb": ("MemorySize", desired["memory_mb"]),
            "timeout_s": ("Timeout", desired["timeout_s"]),
            "ephemeral_storage_mb": ("EphemeralStorage", {"Size": desired["ephemeral_storage_mb"]}),
            "environment": ("Environment", {"Variables": desired["environment"]}),
            "tracing": ("TracingConfig", {"Mode": desired["tracing"]}),
            "command": (
                "ImageConfig",
                {"Command": desired["command"]} if desired["command"] else {},
            ),
        }
        return dict(every[name] for name in names)

    def _write(self, aws: Aws, operation: str, parameters: dict[str, Any]) -> None:
        aws.retry(
            lambda: aws.call("lambda", operation, **parameters), when=not_ready, deadline_s=300
        )
        self._settled(aws)

    def _settled(self, aws: Aws) -> None:
        """Wait until the function can be written again (Lambda-1, Lambda-2); Inactive is fine
        (Lambda-5).
        """

        def check() -> bool | None:
            found = aws.find(_ABSENT, "lambda", "get_function", FunctionName=self.name)
            if found is None:  # a new function is not seen yet
                return None
            configuration = found["Configuration"]
            for state, reason in (
                ("State", "StateReason"),
                ("LastUpdateStatus", "LastUpdateStatusReason"),
            ):
                if (
                    configuration.get(state) == "Failed"
                ):  # Lambda-4: the reason is all there is to go on
                    code = configuration.get(f"{reason}Code", "Failed")
                    raise AwsError(
                        code,
                        configuration.get(reason, "Lambda gives no reason"),
                        operation="GetFunction",
                    )
            return None if _is_busy(configuration) else True

        aws.wait_until(check, reason="for Lambda: the function is being prepared")

    def _publish(self, aws: Aws, desired: Fields) -> Fields:
        """Publish $LATEST, sure that it holds the image just set (Lambda-16, Lambda-17); remove
        what is too old.
        """
        sha256 = desired["image_digest"].removeprefix("sha256:")
        parameters = {"FunctionName": self.name, "CodeSha256": sha256}
        published = aws.retry(
            lambda: aws.call("lambda", "publish_version", **parameters),
            when=not_ready,
            deadline_s=300,
        )
        version = published["Version"]

        def active() -> (
            bool | None
        ):  # Lambda-18: a version has a Pending of its own, and its update status can be null
            answer = aws.find(
                _ABSENT, "lambda", "get_function", FunctionName=self.name, Qualifier=version
            )
            found = answer["Configuration"] if answer else {"State": "Pending"}
            if found.get("State") == "Failed":
                raise AwsError(
                    found.get("StateReasonCode", "Failed"),
                    found.get("StateReason", ""),
                    operation="GetFunction",
                )
            return None if found.get("State") == "Pending" else True

        if published.get("State") != "Active":
            aws.wait_until(active, reason="for Lambda: the new version is being prepared")
        if (
            int(version) > KEPT_VERSIONS
        ):  # numbers are never given twice, so there cannot be more versions than that
            self._prune(aws)
        return {"version_arn": published["FunctionArn"]}

    def _prune(self, aws: Aws) -> None:
        """Remove versions beyond the last three to which neither an alias nor the deployed workflow
        refers.
        """
        surplus = [each["Version"] for each in self._versions(aws)][:-KEPT_VERSIONS]
        if not surplus:
            return
        aliases = list(aws.pages("lambda", "list_aliases", "Aliases", FunctionName=self.name))
        used = {each["FunctionVersion"] for each in aliases}
        for each in aliases:
            used |= (each.get("RoutingConfig") or {}).get("AdditionalVersionWeights", {}).keys()
        missing = ("StateMachineDoesNotExist",)
        workflow = aws.find(
            missing, "stepfunctions", "describe_state_machine", stateMachineArn=self.pinned_by
        )
        definition = workflow["definition"] if workflow else ""
        for version in surplus:
            if version not in used and f':function:{self.name}:{version}"' not in definition:
                aws.find(
                    _ABSENT, "lambda", "delete_function", FunctionName=self.name, Qualifier=version
                )

    def delete(self, aws: Aws) -> None:
        delete = ("lambda", "delete_function")
        aws.retry(
            lambda: aws.find(_ABSENT, *delete, FunctionName=self.name),
            when=being_changed,
            deadline_s=300,
        )

        def gone() -> bool | None:  # Lambda-5: deletion may be asynchronous
            return (
                True
                if aws.find(_ABSENT, "lambda", "get_function", FunctionName=self.name) is None
                else None
            )

        aws.wait_until(gone, reason="for Lambda: the function is being deleted")


def _is_busy(configuration: dict[str, Any]) -> bool:
    return (
        configuration.get("State") == "Pending"
        or configuration.get("LastUpdateStatus") == "InProgress"
    )


def our_function_names(
    aws: Aws, prefix: str, ours: Ownership, known: Collection[str]
) -> Iterator[str]:
    """Yield the names of the functions that begin so and carry our tags, besides those already
    known.
    """
    for function in aws.pages("lambda", "list_functions", "Functions"):
        name = function["FunctionName"]
        if name.startswith(prefix) and name not in known:
            answer = aws.find(_ABSENT, "lambda", "list_tags", Resource=function["FunctionArn"])
            if answer and ours.marks(tags_from(answer["Tags"])):
                yield name
