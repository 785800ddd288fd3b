"""A service that a former version of this tool deployed is moved by the next `up`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployer.errors import ApplyFailed
from tests.support.deployments import Service
from tests.support.wire import Answer

WRONG = Answer(200, {"X-Amz-Function-Error": "Unhandled"}, b'{"errorType": "E"}')


def as_before(service: Service) -> dict[str, dict[str, str]]:
    """Deploy, then give the functions the environment of a former version, and drop signatures.

    Returns the environments that the live versions have, by their ARN.
    """
    service.up()
    aws = service.account.aws()
    live: dict[str, dict[str, str]] = {}
    (machine,) = aws.call("stepfunctions", "list_state_machines")["stateMachines"]
    arn = machine["stateMachineArn"]
    text = aws.call("stepfunctions", "describe_state_machine", stateMachineArn=arn)["definition"]
    for function in aws.call("lambda", "list_functions")["Functions"]:
        name = function["FunctionName"]
        variables = dict(function["Environment"]["Variables"])
        key = variables.pop("SIGNATURE_KEY")
        del variables["SIGNATURE_SHA256"]
        variables |= {"FEATURES": '["CRIM"]', "SCIKIT_LEARN_VERSION": "1.7.2"}
        aws.call("s3", "delete_object", Bucket=service.settings.bucket, Key=key)
        aws.call(
            "lambda",
            "update_function_configuration",
            FunctionName=name,
            Environment={"Variables": variables},
        )
        version = aws.call("lambda", "publish_version", FunctionName=name)["FunctionArn"]
        text = text.replace(f"{function['FunctionArn']}:1", version)
        live[version] = variables
    aws.call("stepfunctions", "update_state_machine", stateMachineArn=arn, definition=text)
    assert all(version in text for version in live)
    return live


def environment(service: Service, version: str) -> dict[str, str]:
    answer: Any = service.account.aws().call("lambda", "get_function", FunctionName=version)
    variables: dict[str, str] = answer["Configuration"]["Environment"]["Variables"]
    return variables


def definition(service: Service) -> str:
    arn = service.settings.workflow_arn
    aws = service.account.aws()
    text: str = aws.call("stepfunctions", "describe_state_machine", stateMachineArn=arn)[
        "definition"
    ]
    return text


def test_the_next_up_moves_it_and_old_versions_keep_their_environment(service: Service) -> None:
    live = as_before(service)
    plan, _ = service.up()
    changed = {change.key.partition("/")[0]: change.action.value for change in plan.effective}
    assert changed == {"model": "update", "function": "update", "workflow": "update"}
    for version, variables in live.items():
        assert environment(service, version) == variables
        newer = f"{version.rpartition(':')[0]}:{int(version.rpartition(':')[2]) + 1}"
        assert newer in definition(service) and version not in definition(service)
        assert "SIGNATURE_KEY" in environment(service, newer)
        assert "FEATURES" not in environment(service, newer)
    assert service.plan().is_empty


def test_until_the_new_versions_are_proved_the_old_ones_serve(service: Service) -> None:
    live = as_before(service)
    service.account.functions = lambda call: WRONG
    with pytest.raises(ApplyFailed):
        service.up()
    assert all(version in definition(service) for version in live)
    assert all(environment(service, version) == variables for version, variables in live.items())
    assert json.loads(definition(service))["States"]
