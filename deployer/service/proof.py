"""The proof: new function versions answer their models' examples before the workflow names them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from deployer.aws.access import Aws
from deployer.aws.translation import translated
from deployer.aws.waiting import connection_lost, server_error
from deployer.errors import AwsError, NoCredentials, ProofFailed
from deployer.project.answers import THERE, difference, refuses_values
from deployer.project.models import Model
from deployer.project.settings import Settings

# An init may take 10 s; the rest is for the image, which Lambda loads in parts while it runs.
_COLD_START_S = 30.0
_IAM_DEADLINE_S = 60.0
_FAILURE_DEADLINE_S = 60.0
_STATE_DEADLINE_S = 300.0
_LOG_LINES = 10
# Lambda's own lines, and the handler's line about a request (lambda_src/predict.py).
_NOISE = ("START RequestId", "END RequestId", "REPORT RequestId", "INIT_START", "INIT_REPORT") + (
    '{"execution": ',
)
# How lambda_src/storage.py says that S3 answered 403 or 404.
_NOT_READABLE = "is missing or forbidden"

# Invoke refuses a version that is Pending or Inactive with one of these (Lambda-1, Lambda-5).
_BEING_PREPARED = (
    "ResourceConflictException",
    "ResourceNotReadyException",
    "CodeArtifactUserPendingException",
    "SnapStartNotReadyException",
    "ENINotReadyException",
    "EC2ThrottledException",
)
# Invoke answers these with 502, but a second attempt cannot succeed.
_FINAL = (
    "InvalidRuntimeException",
    "InvalidZipFileException",
    "InvalidSecurityGroupIDException",
    "InvalidSubnetIDException",
    "SubnetIPAddressLimitReachedException",
    "ENILimitReachedException",
    "EC2AccessDeniedException",
    "KMSDisabledException",
    "KMSInvalidStateException",
    "KMSNotFoundException",
)


class FunctionFailed(AwsError):
    """The function itself failed: errorType and errorMessage of its answer, and its log's end."""

    def __init__(self, code: str, message: str, log: str) -> None:
        super().__init__(code, message)
        self.log = log


@dataclass(frozen=True)
class _Refusal:
    """A version that refused the values of a record that was made for it."""

    model: str
    reason: str


@dataclass(frozen=True)
class _Failure:
    """A version that was asked and did not answer as it must."""

    model: Model
    version: str
    reason: str
    log: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.model.name}, version {self.version.rpartition(':')[2]}"


def prove(aws: Aws, settings: Settings, models: Mapping[str, Model]) -> None:
    """Ask versions their models' examples, all at once, and compare the answers.

    A function that the settings stop cannot be asked (Lambda-12).

    Args:
        models: by the ARN of the version that serves them.

    Raises:
        ProofFailed: a version failed, timed out or answered otherwise.
        AwsError: a version could not be asked.
    """
    stopped = {
        model.name
        for model in models.values()
        if settings.function(model.name).reserved_concurrency == 0
    }
    for name in sorted(stopped):
        aws.tell(f"{name} is not proved: its reserved_concurrency is 0", lasting=True)
    models = {arn: model for arn, model in models.items() if model.name not in stopped}
    if models:
        _prove(aws, settings, models)


def _prove(aws: Aws, settings: Settings, models: Mapping[str, Model]) -> None:
    several = f"{len(models)} new versions their models' examples"
    aws.tell(f"asking {'1 new version its example' if len(models) == 1 else several}")
    longest = max(settings.function(model.name).timeout_s for model in models.values())
    # An init that took too long is repeated within the function's timeout.
    patient = aws.patient(_COLD_START_S + 2 * longest)
    outcomes = patient.together(
        *(partial(_outcome, patient, version, model) for version, model in models.items())
    )
    failures = [outcome for outcome in outcomes if isinstance(outcome, _Failure)]
    errors = [outcome for outcome in outcomes if isinstance(outcome, AwsError)]
    if failures:
        raise _failed(settings, failures, errors, len(models))
    if errors:
        raise errors[0]
    refusals = [outcome for outcome in outcomes if isinstance(outcome, _Refusal)]
    for refusal in refusals:
        aws.tell(
            f"{refusal.model} refuses a made record, so it is not proved: {refusal.reason}",
            lasting=True,
        )
    refused = {refusal.model for refusal in refusals}
    answered = [model for model in models.values() if model.name not in refused]
    if answered:
        aws.tell(_proved(answered), lasting=True)


def _outcome(aws: Aws, version: str, model: Model) -> _Failure | _Refusal | AwsError | None:
    """Ask one version; return what is wrong with its answer, or the error of the call."""
    request = model.example
    try:
        answer, log = _answer(aws, version, request)
    except FunctionFailed as error:
        if not model.entry.get("example") and refuses_values(error.code, error.aws_message):
            return _Refusal(model.name, error.aws_message)
        return _Failure(model, version, f"{error.code}: {error.aws_message}", _tail(error.log))
    except NoCredentials:
        raise
    except AwsError as error:
        return error.during(f"{model.name} could not be asked its example")
    reason = difference(answer, model.expected, len(request["instances"]), THERE)
    return _Failure(model, version, reason, _tail(log)) if reason else None


def _answer(aws: Aws, version: str, request: Any) -> tuple[Any, str]:
    """Return a version's answer and the end of its log, once it is ready to be asked."""
    ask = partial(_invoke, aws, version, request)
    allowed = partial(aws.retry, ask, when=not_readable, deadline_s=_IAM_DEADLINE_S)
    reached = partial(aws.retry, allowed, when=failed_to_answer, deadline_s=_FAILURE_DEADLINE_S)
    return aws.retry(reached, when=not_ready, deadline_s=_STATE_DEADLINE_S)


def _invoke(aws: Aws, version: str, request: Any) -> tuple[Any, str]:
    answer = aws.call_once(
        "lambda",
        "invoke",
        FunctionName=version,
        InvocationType="RequestResponse",
        LogType="Tail",
        Payload=json.dumps(request).encode(),
    )
    content = _parsed(translated("invoke", answer["Payload"].read))
    log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
    if "FunctionError" in answer:
        error = content if isinstance(content, Mapping) else {}
        message = str(error.get("errorMessage", content))
        raise FunctionFailed(str(error.get("errorType", answer["FunctionError"])), message, log)
    return content, log


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")


def not_readable(error: AwsError) -> str | None:
    """Recognise an init to which S3 refused the model: a new role or policy is not seen yet."""
    if isinstance(error, FunctionFailed) and _NOT_READABLE in error.aws_message + error.log:
        return "for IAM: the function's role may not read the model yet"
    return None


def failed_to_answer(error: AwsError) -> str | None:
    """Recognise a failure of AWS, or a lost connection: asking twice does no harm."""
    if isinstance(error, FunctionFailed) or error.code in _FINAL or not_ready(error):
        return None
    return server_error(error) or connection_lost(error)


def not_ready(error: AwsError) -> str | None:
    """Return why a version cannot be invoked yet (R-3, R-6, Lambda-1, Lambda-5)."""
    if isinstance(error, FunctionFailed):
        return None
    if error.code == "ResourceNotFoundException":
        return "for Lambda: the new version is not seen yet"
    if error.code in _BEING_PREPARED:
        return "for Lambda: the new version is being prepared"
    if error.code == "KMSAccessDeniedException":
        return "for IAM: the function's role may not decrypt its environment yet"
    return None


def _tail(log: str) -> tuple[str, ...]:
    """Return the last lines that the function itself wrote, without control characters."""
    lines = [
        "".join(character if character.isprintable() else " " for character in line).rstrip()
        for line in log.splitlines()
        if not line.startswith(_NOISE)
    ]
    return tuple(line for line in lines if line)[-_LOG_LINES:]


def _failed(
    settings: Settings, failures: list[_Failure], errors: list[AwsError], asked: int
) -> ProofFailed:
    versions = "new version does" if asked == 1 else "new versions do"
    message = [
        f"the workflow is not switched: {len(failures)} of {asked} {versions} not answer as trained"
    ]
    message += (f"  {failure.name}: {failure.reason}" for failure in failures)
    message += (f"  {error.message}" for error in errors)
    details = []
    for failure in failures:
        if failure.log:
            details += [f"the end of the log of {failure.name}:"]
            details += (f"  {line}" for line in failure.log)
    groups = ", ".join(settings.log_group(failure.model.name) for failure in failures)
    advice = (
        f"what was live stays live; the whole log is in {groups}\n"
        "to switch without this proof: python -m deployer ... --no-proof"
    )
    return ProofFailed("\n".join(message), advice, "\n".join(details))


def _proved(models: Sequence[Model]) -> str:
    compared = sum(model.expected is not None for model in models)
    versions = "1 new version answers" if len(models) == 1 else f"{len(models)} new versions answer"
    if compared == len(models):
        return f"{versions} as trained"
    if not compared:
        return f"{versions}; without an example, what they answer is not compared"
    return f"{versions}, {compared} of them compared with their examples"
