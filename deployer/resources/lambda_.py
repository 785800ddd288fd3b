"""Lambda: functions from a container image, with published versions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from math import inf
from typing import Annotated, Any, ClassVar, TypedDict

from deployer.aws.access import Aws
from deployer.engine.compare import tags_from
from deployer.engine.plan import Change, Fields, Ref, State
from deployer.errors import AwsError
from deployer.resources.base import Owned, Ownership, Resource, Tags, changed, retag
from deployer.resources.fields import Member, given, members, read_members, write_members

_ABSENT = ("ResourceNotFoundException",)
_LATEST = "$LATEST"


def _or_none(command: list[str]) -> list[str] | None:
    return command or None


def _image_config(command: list[str] | None) -> dict[str, Any]:
    return {"Command": command} if command else {}


class FunctionFields(TypedDict):
    """The fields of a function. Defaults are AWS's own (Lambda-25)."""

    tags: Tags
    package_type: Annotated[str, Member("PackageType")]
    image_digest: str | Ref  # sha256:...
    published: bool  # the newest version is the same as $LATEST
    # Why Lambda cannot run it, such as ImageDeleted; declared as None (ECR-12).
    failure: str | None
    architecture: Annotated[str, Member("Architectures[]", default="x86_64")]
    description: Annotated[str, Member("Description", default="")]
    role_arn: Annotated[str, Member("Role")]
    memory_mb: Annotated[int, Member("MemorySize", default=128)]
    timeout_s: Annotated[int, Member("Timeout", default=3)]
    ephemeral_storage_mb: Annotated[int, Member("EphemeralStorage.Size", default=512)]
    environment: Annotated[Mapping[str, str], Member("Environment.Variables", default={})]
    tracing: Annotated[str, Member("TracingConfig.Mode", default="PassThrough")]
    # None: the image's own command.
    command: Annotated[
        list[str] | None,
        Member(
            "ImageConfig",
            answer="ImageConfigResponse.ImageConfig.Command",
            parse=_or_none,
            write_as=_image_config,
        ),
    ]
    # None: not reserved; 0 stops the function. It belongs to the function, not to a version.
    reserved_concurrency: int | None


_MEMBERS = members(FunctionFields)
# Lambda-8: these go through UpdateFunctionCode, all others through UpdateFunctionConfiguration.
_CODE = ("image_digest", "architecture")
_CONFIGURATION = {
    name: member for name, member in _MEMBERS.items() if name not in (*_CODE, "package_type")
}


_UNVERSIONED = {"tags", "reserved_concurrency"}


def not_ready(error: AwsError) -> str | None:
    """Return why a write may succeed later (R-1 to R-6, R-16). The same codes can be permanent."""
    text = error.aws_message
    if error.code == "InvalidParameterValueException" and (
        "cannot be assumed by Lambda" in text
        or "role does not have permissions" in text
        or "CreateGrant" in text
    ):
        return "for IAM: Lambda cannot assume the execution role yet"
    if error.code == "AccessDeniedException" and "permission to access the ECR image" in text:
        return "for ECR: Lambda may not pull the image yet"
    if error.code == "ResourceNotFoundException":  # R-6; a deletion does not retry this code
        return "for Lambda: the new function is not seen yet"
    return being_changed(error) if "already exist" not in text else None


def being_changed(error: AwsError) -> str | None:
    """Return why to wait while another change is under way (R-4, R-5, Lambda-6)."""
    conflict = error.code == "ResourceConflictException"
    return "for Lambda: the function is still being changed" if conflict else None


class OwnedFunction(Owned):
    """A function and all its versions, known by name."""

    # ListFunctions and ListTags serve to find functions that are no longer declared.
    reads: ClassVar[Collection[str]] = (
        "lambda:ListFunctions",
        "lambda:ListTags",
        "lambda:GetFunction",
    )
    deletes = ("lambda:DeleteFunction",)

    def __init__(
        self, key: str, *, name: str, ours: Ownership, needs: Collection[str] = ()
    ) -> None:
        super().__init__(key, needs)
        self.name = name
        self.ours = ours

    def find(self, aws: Aws) -> State | None:
        return State({}) if self._get(aws) else None

    def _get(self, aws: Aws) -> dict[str, Any] | None:
        answer: dict[str, Any] | None = aws.find(
            _ABSENT, "lambda", "get_function", FunctionName=self.name
        )
        if answer is not None:
            self.ours.check(f"Lambda function {self.name}", tags_from(answer.get("Tags")))
        return answer

    def versions(self, aws: Aws) -> list[dict[str, Any]]:
        """Return the published versions' configurations, oldest first (Lambda-19)."""
        return [version for version in self.all_versions(aws) if version["Version"] != _LATEST]

    def all_versions(self, aws: Aws) -> list[dict[str, Any]]:
        """Return the published versions' configurations, oldest first, and last that of $LATEST."""
        try:
            versions = list(
                aws.pages("lambda", "list_versions_by_function", "Versions", FunctionName=self.name)
            )
        except AwsError as error:
            if error.code not in _ABSENT:
                raise
            versions = []  # a new function is not seen everywhere yet

        def order(version: dict[str, Any]) -> float:
            return inf if version["Version"] == _LATEST else int(version["Version"])

        return sorted(versions, key=order)

    def delete_versions(self, aws: Aws, surplus: Collection[str]) -> list[str]:
        """Delete versions by their numbers, except those that an alias names (Lambda-22).

        Returns:
            the numbers of those that were deleted.
        """
        if not surplus:
            return []
        aliases = list(aws.pages("lambda", "list_aliases", "Aliases", FunctionName=self.name))
        used = {alias["FunctionVersion"] for alias in aliases}
        for alias in aliases:
            used |= (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights", {}).keys()
        deleted = [version for version in surplus if version not in used]
        for version in deleted:
            aws.find(
                _ABSENT, "lambda", "delete_function", FunctionName=self.name, Qualifier=version
            )
        return deleted

    def delete(self, aws: Aws) -> None:
        aws.retry(
            lambda: aws.find(_ABSENT, "lambda", "delete_function", FunctionName=self.name),
            when=being_changed,
            deadline_s=300,
        )

        def gone() -> bool | None:  # Lambda-5: deletion may be asynchronous
            answer = aws.find(_ABSENT, "lambda", "get_function", FunctionName=self.name)
            return True if answer is None else None

        aws.wait_until(gone, reason="for Lambda: the function is being deleted")


class Function(OwnedFunction, Resource):
    """An image function and its published versions.

    Args:
        repository_uri: `account.dkr.ecr.region.amazonaws.com/name`; with the field `image_digest`
            it makes the image's address.
    Outputs: `version_arn`, of the newest published version.
    """

    replace_on = ("package_type",)
    exists = ("ResourceConflictException",)  # Lambda-15
    reads = (*OwnedFunction.reads, "lambda:ListVersionsByFunction")
    finds = OwnedFunction.reads
    passed_to = "lambda.amazonaws.com"
    # ListAliases and DeleteFunction serve to delete old versions.
    writes = (
        "iam:PassRole",
        "lambda:CreateFunction",
        "lambda:TagResource",
        "lambda:UntagResource",
        "lambda:UpdateFunctionConfiguration",
        "lambda:UpdateFunctionCode",
        "lambda:PublishVersion",
        "lambda:PutFunctionConcurrency",
        "lambda:DeleteFunctionConcurrency",
        "lambda:ListAliases",
        "lambda:DeleteFunction",
    )

    def __init__(
        self,
        key: str,
        *,
        name: str,
        ours: Ownership,
        repository_uri: str,
        fields: FunctionFields,
        needs: Collection[str] = (),
    ) -> None:
        Resource.__init__(self, key, fields, needs)
        self.name = name
        self.ours = ours
        self.repository_uri = repository_uri

    def moves(self, changed: Collection[str]) -> Collection[str]:
        # Every other field belongs to a version, so its change publishes a new one (Lambda-24).
        return () if _UNVERSIONED.issuperset(changed) else ("version_arn",)

    def read(self, aws: Aws) -> State | None:
        answer, newest = aws.together(lambda: self._get(aws), lambda: self._newest(aws))
        if answer is None:
            return None
        tags = tags_from(answer.get("Tags"))
        latest = self._fields(answer["Configuration"])
        released = self._fields(newest) if newest is not None else None
        published = released == latest
        outputs = {
            "arn": answer["Configuration"]["FunctionArn"],
            "busy": _is_busy(answer["Configuration"]),
        }
        if newest is not None:
            outputs["version_arn"] = newest["FunctionArn"]
        outputs["version_failure"] = failure(newest or {})
        fields = {
            "tags": self.ours.among(tags),
            "published": published,
            "failure": failure(answer["Configuration"]) or outputs["version_failure"],
            # Lambda-27: such an answer has it, that of a version has not.
            "reserved_concurrency": answer.get("Concurrency", {}).get(
                "ReservedConcurrentExecutions"
            ),
        }
        return State({**latest, **fields}, outputs, released)

    @staticmethod
    def _fields(configuration: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of a function's or a version's configuration."""
        return {
            # Img-12: for an image function, CodeSha256 is the image's digest
            "image_digest": f"sha256:{configuration['CodeSha256']}",
            **read_members(_MEMBERS, configuration),
        }

    def _newest(self, aws: Aws) -> dict[str, Any] | None:
        """Return the newest version's configuration, with its state; None if there is none."""
        versions = self.versions(aws)
        if not versions:
            return None
        # Lambda-35: the list does not say its state.
        return self._version(aws, versions[-1]["Version"]) or versions[-1]

    def _version(self, aws: Aws, number: str) -> dict[str, Any] | None:
        """Return a version's configuration with its state; None if it is not seen (R-6)."""
        answer = aws.find(
            _ABSENT, "lambda", "get_function", FunctionName=self.name, Qualifier=number
        )
        return answer["Configuration"] if answer else None

    def _version_failure(self, aws: Aws, number: str) -> str | None:
        return failure(self._version(aws, number) or {})

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters = {
            "FunctionName": self.name,
            "Code": {"ImageUri": self._image_uri(desired)},
            "Tags": desired["tags"],
            **write_members(_MEMBERS, given(desired)),
        }
        self._write(aws, "create_function", parameters)
        if desired["reserved_concurrency"] is not None:
            self._reserve(aws, desired["reserved_concurrency"])
        return self._publish(aws, desired)

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        if changed(change, "tags"):
            self._retag(aws, desired, actual)
        if changed(change, "reserved_concurrency"):
            self._reserve(aws, desired["reserved_concurrency"])
        if change.names <= _UNVERSIONED:
            return {}
        if actual.outputs["busy"]:  # PRE-14: an interrupted run may have left it Pending
            self._settled(aws)
        # ECR-12: the code first. Lambda does not configure a function whose image was deleted.
        if changed(change, *_CODE, "failure"):
            parameters = {
                "FunctionName": self.name,
                "ImageUri": self._image_uri(desired),
                "Architectures": [desired["architecture"]],
            }
            self._write(aws, "update_function_code", parameters)
        # Maps are replaced whole (Lambda-10, Lambda-11).
        configuration = {name: desired[name] for name in _CONFIGURATION if changed(change, name)}
        if configuration:
            parameters = {
                "FunctionName": self.name,
                **write_members(_CONFIGURATION, configuration),
            }
            self._write(aws, "update_function_configuration", parameters)
        failed = actual.outputs.get("version_failure") and actual.outputs["version_arn"]
        return self._publish(aws, desired, failed)

    @staticmethod
    def _retag(aws: Aws, desired: Fields, actual: State) -> None:
        def write(operation: str, **parameters: Any) -> None:
            arn = actual.outputs["arn"]
            aws.retry(
                lambda: aws.call("lambda", operation, Resource=arn, **parameters), when=not_ready
            )

        retag(
            desired["tags"],
            actual.fields["tags"],
            tag=lambda tags: write("tag_resource", Tags=tags),
            untag=lambda keys: write("untag_resource", TagKeys=keys),
        )

    def _reserve(self, aws: Aws, concurrency: int | None) -> None:
        """Reserve concurrency; 0 is a value, None ends the reservation (Lambda-12)."""
        function = {"FunctionName": self.name}
        if concurrency is None:
            call = partial(aws.call, "lambda", "delete_function_concurrency", **function)
        else:
            call = partial(
                aws.call,
                "lambda",
                "put_function_concurrency",
                **function,
                ReservedConcurrentExecutions=concurrency,
            )
        aws.retry(call, when=not_ready, deadline_s=300)

    def _image_uri(self, desired: Fields) -> str:
        return f"{self.repository_uri}@{desired['image_digest']}"

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
            answer = aws.find(_ABSENT, "lambda", "get_function", FunctionName=self.name)
            if answer is None:  # a new function is not seen yet
                return None
            configuration = answer["Configuration"]
            if _is_busy(configuration):
                return None
            _raise_if_failed(configuration, "State", "Lambda gives no reason")
            _raise_if_failed(configuration, "LastUpdateStatus", "Lambda gives no reason")
            return True

        aws.wait_until(check, reason="for Lambda: the function is being prepared")

    def _publish(self, aws: Aws, desired: Fields, failed: str | None = None) -> Fields:
        """Publish $LATEST, and make sure that it has the image just set (Lambda-16, Lambda-17).

        Args:
            failed: the ARN of a version that cannot run. If nothing else changed, publishing would
                return it for ever, so it is deleted (Lambda-36).
        """
        sha256 = desired["image_digest"].removeprefix("sha256:")
        parameters = {"FunctionName": self.name, "CodeSha256": sha256}

        def publish() -> Any:
            return aws.call("lambda", "publish_version", **parameters)

        published = aws.retry(publish, when=not_ready, deadline_s=300)
        if published["FunctionArn"] == failed and self._version_failure(aws, published["Version"]):
            self.delete_versions(aws, [published["Version"]])
            published = aws.retry(publish, when=not_ready, deadline_s=300)
        version = published["Version"]

        # Lambda-18: a version has a Pending of its own, and its update status can be null.
        def active() -> bool | None:
            configuration = self._version(aws, version) or {"State": "Pending"}
            _raise_if_failed(configuration, "State", "")
            return None if configuration.get("State") == "Pending" else True

        if published.get("State") != "Active":
            aws.wait_until(active, reason="for Lambda: the new version is being prepared")
        return {"version_arn": published["FunctionArn"]}


def _raise_if_failed(configuration: dict[str, Any], status: str, default: str) -> None:
    """Raise AwsError if a status is Failed; its reason is all there is to go on (Lambda-4)."""
    if configuration.get(status) == "Failed":
        code = configuration.get(f"{status}ReasonCode", "Failed")
        reason = configuration.get(f"{status}Reason", default)
        raise AwsError(code, reason, operation="GetFunction")


def failure(configuration: Mapping[str, Any]) -> str | None:
    """Return the code of the reason why a function or a version failed; None if it did not."""
    if configuration.get("State") != "Failed":
        return None
    return str(configuration.get("StateReasonCode") or "Failed")


def _is_busy(configuration: dict[str, Any]) -> bool:
    return (
        configuration.get("State") == "Pending"
        or configuration.get("LastUpdateStatus") == "InProgress"
    )


def our_function_names(
    aws: Aws, prefix: str, ours: Ownership, known: Collection[str]
) -> Iterator[str]:
    """Yield the names of our functions with this prefix, except the known ones."""
    for function in aws.pages("lambda", "list_functions", "Functions"):
        name = function["FunctionName"]
        if name.startswith(prefix) and name not in known:
            answer = aws.find(_ABSENT, "lambda", "list_tags", Resource=function["FunctionArn"])
            if answer and ours.marks(tags_from(answer["Tags"])):
                yield name
