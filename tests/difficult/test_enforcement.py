"""IAM enforced by the local AWS: the roles of the API and of the workflow, in this process.

The functions' role, which takes their processes, is in tests/local/test_enforcement.py.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployer.local.process import ENFORCEMENT
from deployer.service.invoke import find_url
from tests.support.deployments import Service
from tests.support.wire import Answer

ROLE = "inference-dev-us-east-1-{}"
WORKFLOW = "arn:aws:states:us-east-1:123456789012:stateMachine:inference-dev"


@pytest.fixture(params=["http", "rest"])
def enforced(service: Service, request: pytest.FixtureRequest) -> Service:
    service.overrides = {"api": request.param}
    service.up()
    service.account._ask(
        "POST",
        f"{service.account.endpoint}{ENFORCEMENT}",
        b'{"enforce": true}',
        {"Authorization": "AWS4-HMAC-SHA256 Credential=local/"},
    )
    return service


def ask(service: Service) -> Answer:
    """Send a request that Step Functions refuses, so that no function's process has to start."""
    url = find_url(service.account.aws(), service.settings)
    return service.account._ask("POST", url, b"no JSON", {"Content-Type": "application/json"})


def take(service: Service, user: str, policy: str) -> None:
    role = {"RoleName": ROLE.format(user), "PolicyName": policy}
    service.account.aws().call("iam", "delete_role_policy", **role)


def trust(service: Service, user: str, principal: str, **condition: Any) -> None:
    """Let another service, or one on other conditions, assume a role."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": principal},
        "Action": "sts:AssumeRole",
        **({"Condition": condition} if condition else {}),
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    service.account.aws().call(
        "iam", "update_assume_role_policy", RoleName=ROLE.format(user), PolicyDocument=document
    )


def is_refused(service: Service, answer: Answer) -> bool:
    """Tell whether the API could not start an execution (Api-32)."""
    if service.settings.api == "http":
        return (answer.status, answer.json) == (500, {"message": "Internal Server Error"})
    error = answer.json.get("error", {})
    return (answer.status, error.get("type")) == (500, "InternalError")


def test_the_api_starts_executions_with_roles_that_trust_it_and_allow_it(
    enforced: Service,
) -> None:
    """PERM-7, Iam-15, Lambda-34."""
    assert not is_refused(enforced, ask(enforced))
    own = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    other = {"ArnLike": {"aws:SourceArn": f"{WORKFLOW}-other"}}
    trust(enforced, "workflow", "states.amazonaws.com", **own, **other)
    assert is_refused(enforced, ask(enforced))
    trust(enforced, "workflow", "states.amazonaws.com", **own)
    assert not is_refused(enforced, ask(enforced))
    trust(enforced, "api", "lambda.amazonaws.com")
    assert is_refused(enforced, ask(enforced))
    trust(enforced, "api", "apigateway.amazonaws.com")
    take(enforced, "api", "start")
    assert is_refused(enforced, ask(enforced))


@pytest.mark.parametrize("enforced", ["http"], indirect=True)
def test_the_workflow_invokes_functions_with_its_own_role(enforced: Service) -> None:
    """PERM-4: the execution fails as on AWS, and its cause names role, action and function."""
    take(enforced, "workflow", "invoke")
    aws = enforced.account.aws()
    definition = enforced.definition()
    branch = definition["States"]["Predict"]["Branches"][0]["States"]["linear_regression"]
    task = {"Type": "Task", "Resource": branch["Resource"], "End": True}
    machine = json.dumps({"StartAt": "Task", "States": {"Task": task}})
    aws.call("stepfunctions", "update_state_machine", stateMachineArn=WORKFLOW, definition=machine)
    record = aws.call("stepfunctions", "start_sync_execution", stateMachineArn=WORKFLOW, input="{}")
    assert (record["status"], record["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert record["cause"].startswith(
        "User: arn:aws:sts::123456789012:assumed-role/inference-dev-us-east-1-workflow/"
    )
    for part in (
        f"is not authorized to perform: lambda:InvokeFunction on resource: {branch['Resource']} "
        "because no identity-based policy allows the lambda:InvokeFunction action",
        "Status Code: 403; Error Code: AccessDeniedException",
    ):
        assert part in record["cause"]
