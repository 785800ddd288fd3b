"""Errors: what they say, and the advice that goes with them."""

from __future__ import annotations

import pytest

from deployer import errors
from deployer.errors import (
    AwsError,
    BuildError,
    ConfigError,
    DeployerError,
    ForeignResource,
    Interrupted,
    NoCredentials,
    NotReached,
    ProofFailed,
    advise,
    may_pass,
)


@pytest.mark.parametrize(
    "code, advice",
    [
        ("ExpiredToken", "the credentials have expired: sign in again"),
        ("ExpiredTokenException", "the credentials have expired: sign in again"),
        ("RequestExpired", "the credentials have expired: sign in again"),
        ("InvalidClientTokenId", "AWS does not know these credentials"),
        ("UnrecognizedClientException", "AWS does not know these credentials"),
        ("SignatureDoesNotMatch", "AWS does not know these credentials"),
        ("AccessDenied", "these credentials may not do that"),
        ("AccessDeniedException", "these credentials may not do that"),
        ("403", "these credentials may not do that"),
        ("Throttling", "AWS is throttling this account"),
        ("ThrottlingException", "AWS is throttling this account"),
        ("TooManyRequestsException", "AWS is throttling this account"),
        ("SlowDown", "AWS is throttling this account"),
        ("LimitExceeded", "a quota of this account is used up"),
        ("LimitExceededException", "a quota of this account is used up"),
        ("StateMachineLimitExceeded", "a quota of this account is used up"),
        ("TooManyBuckets", "a quota of this account is used up"),
        ("BucketAlreadyExists", "another account owns a bucket of this name"),
    ],
)
def test_a_code_that_the_user_can_do_something_about_comes_with_advice(code, advice):
    assert advise(code, "what AWS said").startswith(advice)
    assert AwsError(code, "what AWS said").advice.startswith(advice)


def test_a_missing_pass_role_is_told_from_other_denials():
    message = (
        "User: arn:aws:iam::1:user/x is not authorized to perform: iam:PassRole on "
        "resource: arn:aws:iam::1:role/y"
    )
    assert advise("AccessDeniedException", message).startswith(
        "allow iam:PassRole on the service's roles"
    )


def test_pass_role_in_another_error_is_no_denial():
    assert advise("ValidationException", "iam:PassRole") == ""


@pytest.mark.parametrize(
    "message, advice",
    [
        (
            "Specified ReservedConcurrentExecutions for function decreases account's "
            "UnreservedConcurrentExecution below its minimum value of [100].",
            "AWS keeps a part of the account's concurrent executions",
        ),
        (
            "Requested Provisioned Concurrency should not be greater than the "
            "reservedConcurrentExecution for function",
            "provisioned concurrency lies within the reserved one",
        ),
        ("The role defined for the function cannot be assumed by Lambda.", ""),
    ],
)
def test_what_lambda_says_of_concurrency_comes_with_the_order_that_works(message, advice):
    found = advise("InvalidParameterValueException", message)
    assert found.startswith(advice) and bool(found) is bool(advice)


def test_credentials_that_aws_does_not_know_lead_to_the_local_mode():
    assert "--local" in advise("InvalidClientTokenId", "")


def test_an_unknown_code_has_no_advice_and_one_line():
    assert str(AwsError("InternalFailure", "oops")) == "InternalFailure: oops"


def test_an_error_of_aws_tells_operation_code_message_and_request():
    error = AwsError("Conflict", "busy", operation="CreateApi", status=409, request_id="r-1")
    assert str(error) == "CreateApi: Conflict: busy (request r-1)"
    assert (error.code, error.aws_message, error.operation, error.status) == (
        "Conflict",
        "busy",
        "CreateApi",
        409,
    )


def test_advice_given_at_the_place_beats_the_general_one():
    assert AwsError("AccessDenied", "no", advice="ask Eve").advice == "ask Eve"


def test_advice_is_on_a_line_of_its_own():
    assert str(DeployerError("what", "do that")) == "what\ndo that"
    assert str(DeployerError("what")) == "what"


def test_what_is_added_to_the_message_later_shows():
    error = AwsError("Conflict", "busy")
    error.message = f"failed to create api: {error.message}"
    assert str(error) == "failed to create api: Conflict: busy"


def test_a_config_error_has_a_line_for_each_problem():
    error = ConfigError((f"models[{number}]: bad" for number in range(2)), "read the README")
    assert error.problems == ("models[0]: bad", "models[1]: bad")
    assert str(error) == "models[0]: bad\nmodels[1]: bad\nread the README"


def test_a_call_that_was_never_made_is_an_error_of_aws_to_whoever_catches():
    assert isinstance(NoCredentials("NoCredentials", ""), AwsError)
    assert isinstance(NotReached("ConnectTimeoutError", ""), AwsError)
    assert not isinstance(ForeignResource(""), AwsError)


def test_the_tree_in_the_docstring_is_the_real_one():
    described = {
        line.split("+-- ")[1].split()[0] for line in errors.__doc__.splitlines() if "+-- " in line
    }
    defined = {
        name
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, DeployerError) and each is not DeployerError
    }
    assert described == defined


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (NotReached("ConnectTimeoutError", ""), True),
        (Interrupted("by the user"), True),
        (AwsError("ServiceException", "", status=500), True),
        (AwsError("ThrottlingException", "", status=400), True),
        (AwsError("TimedOut", ""), True),
        (AwsError("ConcurrentModification", "", status=409), True),
        (AwsError("AccessDenied", "", status=403), False),
        (AwsError("LimitExceededException", "", status=400), False),
        (NoCredentials("ExpiredToken", ""), False),
        (BuildError("no wheel"), False),
        (ZeroDivisionError(), False),
    ],
)
def test_only_what_may_pass_is_worth_another_run(error, passes):
    assert may_pass(error) is passes


def test_a_failure_of_aws_is_worth_another_run_and_says_so():
    assert (
        AwsError("ServiceUnavailable", "", status=503).advice
        == "AWS failed to answer; run the command again"
    )
    assert AwsError("Other", "", status=400).advice == ""


@pytest.mark.parametrize(
    "error",
    [
        AwsError(
            "Throttling", "slow", operation="GetRole", status=429, request_id="r", advice="wait"
        ),
        NoCredentials("ExpiredToken", "gone"),
        NotReached("ForeignAnswer", "a page", status=502),
        ConfigError(["one", "two"], "mend it"),
        BuildError("no Dockerfile", "write one"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_with_its_context_is_a_copy(error: DeployerError) -> None:
    error.document = {"seconds": 1}
    before = dict(vars(error))
    copy = error.during("failed to create api")
    assert type(copy) is type(error) and vars(error) == before
    assert vars(copy) == {**before, "message": f"failed to create api: {error.message}"}
    assert str(copy) == f"failed to create api: {error}"
    assert copy.args == (copy.message,)


def test_a_refused_invocation_names_the_permission_and_the_way_around() -> None:
    message = "User: x is not authorized to perform: lambda:InvokeFunction on resource: y"
    advice = advise("AccessDeniedException", message)
    assert advice.startswith("allow lambda:InvokeFunction on the functions' versions")
    assert advice.endswith("--no-proof")


def test_a_failed_proof_keeps_the_end_of_the_log_apart() -> None:
    error = ProofFailed("the workflow is not switched", "what was live stays live", "the log")
    assert (error.message, error.details) == ("the workflow is not switched", "the log")
    assert DeployerError("a").details == ""


@pytest.mark.parametrize(
    ("message", "operation", "advice"),
    [
        ("not authorized to perform: iam:PassRole", "CreateFunction", "allow iam:PassRole on"),
        ("not authorized to perform: lambda:InvokeFunction", "Invoke", "or switch without the"),
        ("Forbidden", "HeadObject", "may lack s3:GetObject and s3:ListBucket"),
        ("Forbidden", "HeadBucket", "may lack s3:ListBucket"),
        ("no identity-based policy allows it", "ListRoles", "these credentials may not do that"),
    ],
)
def test_advice_on_a_denial_names_the_action_and_the_command_that_prints_policies(
    message: str, operation: str, advice: str
) -> None:
    given = advise("AccessDenied", message, operation)
    assert advice in given and "python -m deployer policy prints the permissions" in given
