"""Probes of the mends of moto's REST APIs, for tests/local/test_moto_mends.py."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from deployer.aws.access import Aws
from deployer.errors import AwsError
from deployer.resources.apigateway.rest_definition import read_gateway_responses, read_methods

LOG = "arn:aws:logs:us-east-1:123456789012:log-group:probe"


def document(text: str = "{}") -> bytes:
    """A definition of GET /health, which a mock answers with this text."""
    integration = {
        "type": "mock",
        "passthroughBehavior": "never",
        "requestTemplates": {"application/json": '{"statusCode": 200}'},
        "responses": {
            "default": {"statusCode": "200", "responseTemplates": {"application/json": text}}
        },
    }
    method = {
        "responses": {"200": {"description": "", "headers": {"x-a": {"schema": {}}}}},
        "x-amazon-apigateway-integration": integration,
    }
    responses = {"THROTTLED": {"statusCode": "429", "responseTemplates": {"a/b": "{}"}}}
    return json.dumps(
        {
            "openapi": "3.0.1",
            "info": {"title": "probe", "description": "other", "version": "1"},
            "paths": {"/health": {"get": method}},
            "x-amazon-apigateway-gateway-responses": responses,
        }
    ).encode()


def api(aws: Aws, **more: Any) -> str:
    return str(aws.call("apigateway", "create_rest_api", name="probe", **more)["id"])


def defined(aws: Aws, text: str = "{}") -> dict[str, Any]:
    """Make an API with a definition by single calls, which moto alone takes; return its id."""
    below = {"restApiId": api(aws)}
    define(aws, below, text)
    return below


def define(aws: Aws, below: dict[str, Any], text: str) -> None:
    (root,) = aws.call("apigateway", "get_resources", **below)["items"]
    method = {**below, "resourceId": root["id"], "httpMethod": "GET"}
    aws.call("apigateway", "put_method", **method, authorizationType="NONE")
    template = {"application/json": '{"statusCode": 200}'}
    aws.call("apigateway", "put_integration", **method, type="MOCK", requestTemplates=template)
    aws.call("apigateway", "put_method_response", **method, statusCode="200")
    aws.call(
        "apigateway",
        "put_integration_response",
        **method,
        statusCode="200",
        responseTemplates={"application/json": text},
    )


def code(call: Callable[[], Any]) -> str:
    """Return the error's code of a call, "" if it succeeds."""
    try:
        call()
    except AwsError as error:
        return error.code
    return ""


def takes_whole_definitions_of_rest_apis(aws: Aws) -> bool:
    below = {"restApiId": api(aws)}
    root = aws.call("apigateway", "get_rest_api", **below)["rootResourceId"]
    for _ in range(2):  # the second one replaces the first
        if code(lambda: aws.call("apigateway", "put_rest_api", **below, mode="overwrite",
                                 body=document())):  # fmt: skip
            return False
    resources = aws.call("apigateway", "get_resources", **below, embed=["methods"])["items"]
    methods = read_methods(resources)
    responses = aws.call("apigateway", "get_gateway_responses", **below)["items"]
    return (
        [one["path"] for one in resources] == ["/", "/health"]
        and resources[0]["id"] == root
        and list(methods) == ["GET /health"]
        and methods["GET /health"]["headers"] == {"200": ["x-a"]}
        and methods["GET /health"]["integration"]["passthrough"] == "NEVER"
        and read_gateway_responses(responses)["THROTTLED"]["status"] == "429"
        and aws.call("apigateway", "get_rest_api", **below)["description"] == "other"
    )


def serves_what_was_deployed(aws: Aws) -> bool:
    """And not what was defined since then."""
    below = defined(aws, '{"a": 1}')
    aws.call("apigateway", "create_deployment", **below, stageName="live")
    define(aws, below, '{"a": 2}')
    url = f"{aws.endpoint}/_aws/execute-api/{below['restApiId']}/live/"
    try:
        return bool(urllib.request.urlopen(url).read() == b'{"a": 1}')
    except urllib.error.HTTPError as error:
        error.close()
        return False


def refuses_to_delete_a_served_deployment(aws: Aws) -> bool:
    below = defined(aws)
    deployment = aws.call("apigateway", "create_deployment", **below)["id"]
    aws.call("apigateway", "create_stage", **below, stageName="live", deploymentId=deployment)
    refused = code(
        lambda: aws.call("apigateway", "delete_deployment", **below, deploymentId=deployment)
    )
    return refused == "BadRequestException"


def deletes_a_deployment_that_its_stage_has_left(aws: Aws) -> bool:
    below = defined(aws)
    former = aws.call("apigateway", "create_deployment", **below, stageName="live")["id"]
    deployment = aws.call("apigateway", "create_deployment", **below)["id"]
    operations = [{"op": "replace", "path": "/deploymentId", "value": deployment}]
    aws.call("apigateway", "update_stage", **below, stageName="live", patchOperations=operations)
    gone = code(lambda: aws.call("apigateway", "delete_deployment", **below, deploymentId=former))
    return gone == ""


def keeps_a_stage_that_is_deployed_to(aws: Aws) -> bool:
    below = defined(aws)
    stage = {**below, "stageName": "live"}
    aws.call("apigateway", "create_deployment", **stage)
    operations = [{"op": "replace", "path": "/*/*/throttling/burstLimit", "value": "7"}]
    aws.call("apigateway", "update_stage", **stage, patchOperations=operations)
    deployment = aws.call("apigateway", "create_deployment", **stage)["id"]
    found = aws.call("apigateway", "get_stage", **stage)
    settings = found.get("methodSettings", {}).get("*/*", {})
    return (found["deploymentId"], settings.get("throttlingBurstLimit")) == (deployment, 7)


def refuses_an_access_log_without_the_accounts_role(aws: Aws) -> bool:
    below = defined(aws)
    aws.call("apigateway", "create_deployment", **below, stageName="live")
    operations = [{"op": "replace", "path": "/accessLogSettings/destinationArn", "value": LOG}]
    stage = {**below, "stageName": "live", "patchOperations": operations}
    return code(lambda: aws.call("apigateway", "update_stage", **stage)) == "BadRequestException"


def says_that_a_rest_api_is_not_found(aws: Aws) -> bool:
    gone = code(lambda: aws.call_once("apigateway", "delete_rest_api", restApiId="0123456789"))
    return gone == "NotFoundException"


def tags_rest_apis(aws: Aws) -> bool:
    below = {"restApiId": api(aws, tags={"a": "1", "b": "2"})}
    arn = f"arn:aws:apigateway:us-east-1::/restapis/{below['restApiId']}"
    try:
        aws.call("apigateway", "tag_resource", resourceArn=arn, tags={"c": "3"})
        aws.call("apigateway", "untag_resource", resourceArn=arn, tagKeys=["a"])
        found = aws.call("apigateway", "get_tags", resourceArn=arn)["tags"]
    except AwsError:
        return False
    shown = aws.call("apigateway", "get_rest_api", **below)["tags"]
    return bool(found == shown == {"b": "2", "c": "3"})


PROBES: list[Callable[[Aws], bool]] = [
    takes_whole_definitions_of_rest_apis,
    serves_what_was_deployed,
    refuses_to_delete_a_served_deployment,
    deletes_a_deployment_that_its_stage_has_left,
    keeps_a_stage_that_is_deployed_to,
    refuses_an_access_log_without_the_accounts_role,
    says_that_a_rest_api_is_not_found,
    tags_rest_apis,
]
