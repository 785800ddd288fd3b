"""What can go wrong, and what to do about it. Errors of AWS become advice here; nothing is printed.

DeployerError             one line for the user, and one of advice
+-- ConfigError           settings, models or the workflow are wrong; lists every problem
|   +-- NoProject         the folder is no project
+-- ForeignResource       something of this name exists and is not ours
+-- PlanMoved             a plan's file does not hold any more
+-- Declined              the user said no, or could not be asked
+-- Interrupted           the user ended the run
+-- ApplyFailed           some steps failed or were skipped
+-- NotSettled            everything was applied, but the account still shows differences
+-- ProofFailed           a new function version does not answer as its model did
+-- ReleaseUnavailable    there is no such release, or it cannot be gone back to
+-- BuildError            the function image cannot be made
+-- TrainingFailed        the user's training program failed
+-- LocalError            the local AWS does not start or answer
+-- InvocationFailed      the API could not be called
+-- LogsUnavailable       there are no such logs
+-- MachineFailed         this machine refused: disk, rights, memory, threads, a missing package
+-- Defect                none of these: a fault of the deployer
+-- AwsError              AWS refused a call
    +-- NoCredentials     the call was never made: there is nothing to sign it with
    +-- NotReached        the call got no answer
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

E = TypeVar("E", bound="DeployerError")


class DeployerError(Exception):
    """A problem with a solution: `message` says what and where, `advice` what to do next.

    `details` stand below the message where it ends a run, such as the lines of a log.
    """

    details = ""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.document: dict[str, Any] = {}  # what --json prints beside the error

    def __str__(self) -> str:
        return f"{self.message}\n{self.advice}" if self.advice else self.message

    def during(self: E, context: str) -> E:
        """Return a copy whose message begins with `context`, such as "failed to create api".

        Raise it `from` this error, which threads may share and which therefore stays as it is.
        """
        error = type(self).__new__(type(self))
        vars(error).update(vars(self), message=f"{context}: {self.message}")
        error.args = (error.message,)
        return error


class ConfigError(DeployerError):
    """The user's input is wrong; `problems` has one line for each mistake, with its place."""

    def __init__(self, problems: Iterable[str], advice: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems), advice)


class NoProject(ConfigError):
    """The folder is no project; nothing was started or written."""


class ForeignResource(DeployerError):
    """A resource has one of our names but not our tags; it is neither changed nor deleted."""


class PlanMoved(DeployerError):
    """A plan that was reviewed is not what would be applied now; nothing was changed."""


class Declined(DeployerError):
    """Nothing was done, because the user declined or there was no terminal to ask on."""


class Interrupted(DeployerError):
    """The user ended the run; steps that were running have been finished."""


class ApplyFailed(DeployerError):
    """Some steps failed or were skipped; the next run continues from the ones that succeeded."""


class NotSettled(DeployerError):
    """Everything was applied, but a second read shows differences or, after `down`, remains."""


class ProofFailed(DeployerError):
    """A new function version does not answer as its model did when trained; it is not live."""

    def __init__(self, message: str, advice: str, details: str) -> None:
        super().__init__(message, advice)
        self.details = details


class ReleaseUnavailable(DeployerError):
    """There is no such release, or what it needs is gone, or it may not be made live now."""


class BuildError(DeployerError):
    """The function image cannot be built or pushed."""


class TrainingFailed(DeployerError):
    """The user's training program cannot be run, failed, or left no manifest."""


class LocalError(DeployerError):
    """The local AWS cannot be started, reached or ended."""


class Refusal(NamedTuple):
    """An answer of the API that holds no predictions.

    Args:
        status: of HTTP.
        error: its name; "" for an answer that API Gateway of an HTTP API gives by itself.
        text: its message, or the execution's cause.
        request: its id.
        started: whether it is an execution that failed.
    """

    status: int
    error: str
    text: str
    request: str | None
    started: bool


class InvocationFailed(DeployerError):
    """The deployed API gave no usable answer.

    Args:
        kind: what it did instead, without address and ids, so that equal failures can be counted.
        refusal: its answer, if it gave one.
    """

    kind = ""
    refusal: Refusal | None = None


class LogsUnavailable(DeployerError):
    """Nothing is deployed, a name or a request is not known, or its logs are gone."""


class MachineFailed(DeployerError):
    """This machine refused something: a file, its disk, its memory, a thread, a package."""


class Defect(DeployerError):
    """A fault of the deployer itself."""


class AwsError(DeployerError):
    """AWS refused a call. `code` is the error code, not the exception's class name (GEN-1)."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        operation: str = "",
        status: int = 0,
        request_id: str = "",
        advice: str = "",
    ) -> None:
        self.code = code
        self.aws_message = message
        self.operation = operation
        self.status = status
        self.request_id = request_id
        where = f"{operation}: " if operation else ""
        request = f" (request {request_id})" if request_id else ""
        again = "AWS failed to answer; run the command again" if status >= 500 else ""
        super().__init__(
            f"{where}{code}: {message}{request}",
            advice or advise(code, message, operation) or again,
        )


class NoCredentials(AwsError):
    """No credentials, no region, or a profile that does not exist: the call was never made."""


class NotReached(AwsError):
    """The endpoint gave no answer: no network, a wrong --endpoint-url, a broken connection."""


LOCAL_ADVICE = "without an AWS account, --local runs the service on this machine"
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_INVALID = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthFailure",
}
# What AWS's services call a call that the caller may not make.
DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "403",
    "UnauthorizedOperation",
    "NotAuthorized",
    "ForbiddenException",
    "AuthorizationError",  # of SNS
    "AuthorizationErrorException",
}
# In each service's own words (GEN-3); LimitExceededException is a quota, not a throttle.
THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "SlowDown",
    "429",
}


# What another run at the same time causes, and what only takes long.
_PASSING = {
    "TimedOut",
    "ConflictException",
    "ResourceConflictException",
    "ConcurrentModification",
    "OperationAborted",
}


# HEAD's answers have no text that would name the action.
_UNNAMED = {"HeadObject": "s3:GetObject and s3:ListBucket", "HeadBucket": "s3:ListBucket"}
_POLICY = "python -m deployer policy prints the permissions that each command needs"


def advise(code: str, message: str, operation: str = "") -> str:
    """Return advice for an AWS error code, or "" if there is none."""
    if code in _EXPIRED:
        return (
            "the credentials have expired: sign in again (for example with aws sso login), "
            "then repeat the command"
        )
    if code in _INVALID:
        return (
            f"AWS does not know these credentials; check AWS_PROFILE or --profile; {LOCAL_ADVICE}"
        )
    if code in DENIED:
        return _denied_advice(message, operation)
    if code in THROTTLED:
        return (
            "AWS is throttling this account; repeat the command in a minute: it resumes where it "
            "left off"
        )
    if code in {
        "LimitExceededException",
        "LimitExceeded",
        "StateMachineLimitExceeded",
        "TooManyBuckets",
    }:
        return (
            "a quota of this account is used up; raise it in Service Quotas, or delete "
            "unused resources"
        )
    if code == "InvalidParameterValueException":
        return _concurrency_advice(message)
    if code == "BucketAlreadyExists":
        return (
            "another account owns a bucket of this name; choose another service or "  # S3-3
            "stage name"
        )
    return ""


def _denied_advice(message: str, operation: str) -> str:
    """Return advice for a call that the credentials may not make."""
    if "iam:PassRole" in message:
        return f"allow iam:PassRole on the service's roles for these credentials; {_POLICY}"
    if "lambda:InvokeFunction" in message:
        return (
            "allow lambda:InvokeFunction on the functions' versions for these credentials "
            f"({_POLICY}), or switch without the proof: python -m deployer ... --no-proof"
        )
    if operation in _UNNAMED:
        return f"these credentials may lack {_UNNAMED[operation]}; {_POLICY}"
    return f"these credentials may not do that; {_POLICY}"


def _concurrency_advice(message: str) -> str:
    """Return advice for what Lambda says of reserved and provisioned concurrency, else ""."""
    if "nreserved" in message:
        return (
            "AWS keeps a part of the account's concurrent executions for functions that reserve "
            "none: lower reserved_concurrency or provisioned_concurrency, or raise "  # Lambda-12
            "the quota"
        )
    if "rovisioned" in message and "eserved" in message:
        return (
            "provisioned concurrency lies within the reserved one, and during a deploy the live "
            "and the new version both hold it: to lower both, lower "  # Pc-9
            "provisioned_concurrency first, and reserved_concurrency with the next run"
        )
    return ""


def may_pass(error: Exception) -> bool:
    """Tell whether a second attempt may succeed with nothing changed."""
    if isinstance(error, (NotReached, Interrupted)):
        return True
    if isinstance(error, NoCredentials) or not isinstance(error, AwsError):
        return False
    return error.status >= 500 or error.code in THROTTLED or error.code in _PASSING
