"""Lambda: provisioned concurrency, environments of a published version that are kept ready."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated, Any, ClassVar, TypedDict

from deployer.aws.access import Aws
from deployer.engine.plan import Action, Change, Fields, Outputs, Ref, State
from deployer.errors import AwsError
from deployer.resources.base import Owned, Resource, changed
from deployer.resources.fields import Member, members, read_members, write_members

# Pc-6: the second one means that the version itself is absent.
_ABSENT = ("ProvisionedConcurrencyConfigNotFoundException", "ResourceNotFoundException")
_DEADLINE_S = 900  # Pc-2: the first minute or two show nothing
# Pc-3: another alias or version of the user's holds it. Waiting does not help.
_TAKEN = ("Version is pointed by", "Alias can't be used")

Prove = Callable[[Aws, str], None]  # raises unless a version, by its ARN, answers as it must


class ProvisionedFields(TypedDict):
    """The fields of a configuration of provisioned concurrency."""

    version_arn: str | Ref
    # Pc-7: what is allocated fluctuates; what was requested does not.
    concurrency: Annotated[
        int,
        Member(
            "ProvisionedConcurrentExecutions", answer="RequestedProvisionedConcurrentExecutions"
        ),
    ]
    status: str  # READY or IN_PROGRESS; FAILED with AWS's reason; declared as READY


_MEMBERS = members(ProvisionedFields)


def not_ready(error: AwsError) -> str | None:
    """Return why a write may succeed later (R-4, R-6)."""
    if error.code == "ResourceNotFoundException":
        return "for Lambda: the new version is not seen yet"
    conflict = error.code == "ResourceConflictException"
    if conflict and not any(text in error.aws_message for text in _TAKEN):
        return "for Lambda: the function is still being changed"
    return None


class Configuration:
    """The provisioned concurrency of one version, by its ARN."""

    def __init__(self, version: str) -> None:
        function, _, number = version.rpartition(":")
        self._where = {"FunctionName": function.rpartition(":")[2], "Qualifier": number}

    def get(self, aws: Aws) -> dict[str, Any] | None:
        """Return AWS's description; None if there is none."""
        answer: dict[str, Any] | None = aws.find(
            _ABSENT, "lambda", "get_provisioned_concurrency_config", **self._where
        )
        return answer

    def ensure(self, aws: Aws, concurrency: int) -> None:
        """Return once so much of it is ready; set it unless an interrupted run has done so."""
        answer = self.get(aws)
        requested = fields_of(answer)["concurrency"] if answer else None
        if answer and requested == concurrency and answer["Status"] != "FAILED":
            self._wait(aws, concurrency)
        else:
            self._put(aws, concurrency)

    def _put(self, aws: Aws, concurrency: int) -> None:
        wanted = write_members(_MEMBERS, {"concurrency": concurrency})
        answer = aws.retry(
            lambda: aws.call(
                "lambda", "put_provisioned_concurrency_config", **self._where, **wanted
            ),
            when=not_ready,
            deadline_s=300,
        )
        if answer["Status"] != "READY":
            self._wait(aws, concurrency)

    def _wait(self, aws: Aws, concurrency: int) -> None:
        """Return once so much is ready (Pc-2); raise AwsError with AWS's reason if that fails."""
        ready = 0

        def check() -> bool | None:
            nonlocal ready
            answer = self.get(aws)
            if answer is None:  # GEN-8: the new configuration is not seen yet
                return None
            fields = fields_of(answer)
            ready = answer.get("AvailableProvisionedConcurrentExecutions", 0)
            if answer["Status"] == "FAILED":
                raise AwsError(
                    "FAILED",
                    answer.get("StatusReason", "Lambda gives no reason"),
                    operation="GetProvisionedConcurrencyConfig",
                    advice="the workflow does not name this version because of it; the next run "
                    "tries again, or takes it away",
                )
            done = fields["status"] == "READY" and fields["concurrency"] == concurrency
            return done or None

        aws.wait_until(
            check,
            reason=lambda: f"for Lambda: {ready} of {concurrency} environments are ready",
            deadline_s=_DEADLINE_S,
        )

    def delete(self, aws: Aws) -> None:
        """Delete it and return once it is gone."""
        aws.retry(
            lambda: aws.find(
                _ABSENT, "lambda", "delete_provisioned_concurrency_config", **self._where
            ),
            when=not_ready,
            deadline_s=300,
        )
        aws.wait_until(
            lambda: True if self.get(aws) is None else None,
            reason="for Lambda: provisioned concurrency is being taken away",
        )


def fields_of(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a configuration, but for its version."""
    status = answer["Status"]
    if status == "FAILED":
        status = f"FAILED: {answer.get('StatusReason', 'Lambda gives no reason')}"
    return {**read_members(_MEMBERS, answer), "status": status}


def configurations(aws: Aws, function: str) -> dict[str, dict[str, Any]]:
    """Return the descriptions of a function's configurations by the ARN of their version.

    Oldest version first. Those of aliases belong to other people. The reads of one pass share it.
    """

    def listed() -> list[dict[str, Any]]:
        key = "ProvisionedConcurrencyConfigs"
        try:
            return list(
                aws.pages(
                    "lambda", "list_provisioned_concurrency_configs", key, FunctionName=function
                )
            )
        except AwsError as error:
            if error.code not in _ABSENT:
                raise
            return []  # there is no such function

    found = aws.once(("provisioned concurrency", function), listed)
    found = listed() if found is None else found
    by_version = {str(each["FunctionArn"]): each for each in found}
    versions = [arn for arn in by_version if arn.rpartition(":")[2].isdigit()]
    versions.sort(key=lambda arn: int(arn.rpartition(":")[2]))
    return {arn: by_version[arn] for arn in versions}


class OwnedProvisionedConcurrency(Owned):
    """A configuration that was found on a version, by its ARN.

    Args:
        wanted_by: key of the function whose newest version keeps it; None: it goes in any case.
    """

    harmless = True
    reads: ClassVar[Collection[str]] = (
        "lambda:ListProvisionedConcurrencyConfigs",
        "lambda:GetProvisionedConcurrencyConfig",
    )
    deletes = ("lambda:DeleteProvisionedConcurrencyConfig",)

    def __init__(
        self, key: str, *, version: str, part_of: str, wanted_by: str | None, remark: str = ""
    ) -> None:
        super().__init__(key)
        self.part_of = part_of
        self.remark = remark
        self.version = version
        self._wanted_by = wanted_by

    def find(self, aws: Aws) -> State | None:
        return State({}) if Configuration(self.version).get(aws) else None

    def is_wanted(self, outputs: Outputs) -> bool:
        known = outputs.get(self._wanted_by or "") or {}
        return known.get("version_arn") == self.version

    def delete(self, aws: Aws) -> None:
        Configuration(self.version).delete(aws)


class ProvisionedConcurrency(Resource):
    """The configuration on the newest version of a function that has one.

    An update moves it: the former version keeps its own until the end of the run.

    Args:
        function: the function's name.
        prove: asks a version before capacity is allocated to it; None allocates without it.
        remark: what it costs.
    """

    reads = OwnedProvisionedConcurrency.reads
    # Those that versions hold which are no longer live are deleted.
    writes = ("lambda:PutProvisionedConcurrencyConfig", *OwnedProvisionedConcurrency.deletes)
    deletes = OwnedProvisionedConcurrency.deletes

    def __init__(
        self,
        key: str,
        *,
        function: str,
        fields: ProvisionedFields,
        prove: Prove | None = None,
        remark: str = "",
        needs: Collection[str] = (),
    ) -> None:
        super().__init__(key, fields, needs)
        self.function = function
        self.remark = remark
        self._prove = prove

    def read(self, aws: Aws) -> State | None:
        found = configurations(aws, self.function)
        if not found:
            return None
        version = list(found)[-1]
        return State({"version_arn": version, **fields_of(found[version])})

    def prove(self, aws: Aws, desired: Fields, actual: State | None, change: Change) -> bool:
        """Prove a version that gets capacity for the first time: a faulty one would cost money."""
        is_new = change.action is Action.CREATE or changed(change, "version_arn")
        if self._prove is None or not is_new:
            return False
        self._prove(aws, desired["version_arn"])
        return True

    def create(self, aws: Aws, desired: Fields) -> Fields:
        Configuration(desired["version_arn"]).ensure(aws, desired["concurrency"])
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        return self.create(aws, desired)

    def delete(self, aws: Aws) -> None:
        for version in list(configurations(aws, self.function)):
            Configuration(version).delete(aws)
