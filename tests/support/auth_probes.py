"""Probes of the mends of moto's authorizers, usage plans and keys, for test_moto_mends.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from deployer.aws.access import Aws
from deployer.errors import AwsError
from deployer.resources.apigateway.rest_definition import read_methods
from tests.support import rest_probes
from tests.support.rest_probes import code

JWT = {"Issuer": "https://a.example", "Audience": ["a"]}


def guarded_route(aws: Aws) -> dict[str, dict[str, Any]]:
    """Make a route with an authorizer; return what names both, in calls."""
    api = {
        "ApiId": aws.call("apigatewayv2", "create_api", Name="probe", ProtocolType="HTTP")["ApiId"]
    }
    authorizer = aws.call(
        "apigatewayv2", "create_authorizer", **api, AuthorizerType="JWT", Name="probe",
        IdentitySource=["$request.header.Authorization"], JwtConfiguration=JWT,
    )["AuthorizerId"]  # fmt: skip
    route = aws.call(
        "apigatewayv2", "create_route", **api, RouteKey="POST /", AuthorizationType="JWT",
        AuthorizerId=authorizer, AuthorizationScopes=["a"],
    )["RouteId"]  # fmt: skip
    return {
        "api": api,
        "authorizer": {**api, "AuthorizerId": authorizer},
        "route": {**api, "RouteId": route},
    }


def lists_authorizers(aws: Aws) -> bool:
    made = guarded_route(aws)
    try:
        listed = aws.call_once("apigatewayv2", "get_authorizers", **made["api"])["Items"]
    except AwsError:
        return False
    shown = [(one["AuthorizerId"], one["JwtConfiguration"]) for one in listed]
    return shown == [(made["authorizer"]["AuthorizerId"], JWT)]


def refuses_to_delete_a_used_authorizer(aws: Aws) -> bool:
    made = guarded_route(aws)
    return (
        code(lambda: aws.call_once("apigatewayv2", "delete_authorizer", **made["authorizer"]))
        == "ConflictException"
    )


def empties_what_a_route_asks(aws: Aws) -> bool:
    made = guarded_route(aws)
    aws.call(
        "apigatewayv2", "update_route", **made["route"], AuthorizationType="NONE",
        AuthorizerId="", AuthorizationScopes=[],
    )  # fmt: skip
    (route,) = aws.call("apigatewayv2", "get_routes", **made["api"])["Items"]
    return route["AuthorizationScopes"] == [] and "AuthorizerId" not in route


def takes_who_may_call_from_definitions(aws: Aws) -> bool:
    document = json.loads(rest_probes.document())
    scheme = {"type": "apiKey", "name": "x-api-key", "in": "header"}
    document["components"] = {"securitySchemes": {"mine": scheme}}
    method = document["paths"]["/health"]["get"]
    method |= {"security": [{"mine": []}], "x-amazon-apigateway-auth": {"type": "aws_iam"}}
    below = {"restApiId": rest_probes.api(aws)}
    body = json.dumps(document).encode()
    if code(lambda: aws.call("apigateway", "put_rest_api", **below, mode="overwrite", body=body)):
        return False
    resources = aws.call("apigateway", "get_resources", **below, embed=["methods"])["items"]
    method = read_methods(resources)["GET /health"]
    return (method["authorization"], method["api_key_required"]) == ("AWS_IAM", True)


def served_stage(aws: Aws) -> dict[str, str]:
    below = rest_probes.defined(aws)
    aws.call("apigateway", "create_deployment", **below, stageName="live")
    return {"apiId": below["restApiId"], "stage": "live"}


def refuses_usage_plans_of_stages_that_are_not_there(aws: Aws) -> bool:
    stage = served_stage(aws)
    absent = {**stage, "stage": "other"}
    plan = aws.call("apigateway", "create_usage_plan", name="probe", apiStages=[stage])["id"]
    value = f"{stage['apiId']}:other"
    operation = {"op": "add", "path": "/apiStages", "value": value}
    calls: list[Callable[[], Any]] = [
        lambda: aws.call("apigateway", "create_usage_plan", name="p", apiStages=[absent]),
        lambda: aws.call(
            "apigateway", "update_usage_plan", usagePlanId=plan, patchOperations=[operation]
        ),
    ]
    return [code(call) for call in calls] == ["NotFoundException"] * 2


def changes_the_numbers_of_usage_plans(aws: Aws) -> bool:
    throttle = {"rateLimit": 5.0, "burstLimit": 5}
    quota = {"limit": 5, "period": "DAY"}
    plan = aws.call(
        "apigateway", "create_usage_plan", name="probe", throttle=throttle, quota=quota
    )["id"]
    operations = [
        {"op": "replace", "path": "/throttle/rateLimit", "value": "0.5"},
        {"op": "replace", "path": "/quota/limit", "value": "7"},
    ]
    try:
        aws.call_once(
            "apigateway", "update_usage_plan", usagePlanId=plan, patchOperations=operations
        )
    except AwsError:
        return False
    changed = aws.call("apigateway", "get_usage_plan", usagePlanId=plan)
    return (changed["throttle"]["rateLimit"], changed["quota"]["limit"]) == (0.5, 7)


def refuses_to_delete_a_usage_plan_with_stages(aws: Aws) -> bool:
    stage = served_stage(aws)
    plan = aws.call("apigateway", "create_usage_plan", name="probe", apiStages=[stage])["id"]
    refused = code(lambda: aws.call_once("apigateway", "delete_usage_plan", usagePlanId=plan))
    gone = code(lambda: aws.call_once("apigateway", "delete_usage_plan", usagePlanId="x"))
    return (refused, gone) == ("BadRequestException", "NotFoundException")


def forgets_a_key_that_is_deleted(aws: Aws) -> bool:
    plan = {"usagePlanId": aws.call("apigateway", "create_usage_plan", name="probe")["id"]}
    key = aws.call("apigateway", "create_api_key", name="probe", enabled=True)["id"]
    member = {**plan, "keyId": key, "keyType": "API_KEY"}
    aws.call("apigateway", "create_usage_plan_key", **member)
    twice = code(lambda: aws.call_once("apigateway", "create_usage_plan_key", **member))
    aws.call("apigateway", "delete_api_key", apiKey=key)
    left = aws.call("apigateway", "get_usage_plan_keys", **plan)["items"]
    return twice == "ConflictException" and left == []


def tags_usage_plans_and_keys(aws: Aws) -> bool:
    plan = aws.call("apigateway", "create_usage_plan", name="probe", tags={"a": "1"})["id"]
    key = aws.call("apigateway", "create_api_key", name="probe", tags={"a": "1"})["id"]
    arn = "arn:aws:apigateway:us-east-1::"
    try:
        for path in (f"/usageplans/{plan}", f"/apikeys/{key}"):
            aws.call_once("apigateway", "tag_resource", resourceArn=arn + path, tags={"b": "2"})
    except AwsError:
        return False
    shown = [
        aws.call("apigateway", "get_usage_plan", usagePlanId=plan)["tags"],
        aws.call("apigateway", "get_api_key", apiKey=key)["tags"],
    ]
    return shown == [{"a": "1", "b": "2"}] * 2


def tags_stages_of_http_apis(aws: Aws) -> bool:
    api = {
        "ApiId": aws.call("apigatewayv2", "create_api", Name="probe", ProtocolType="HTTP")["ApiId"]
    }
    stage = {**api, "StageName": "$default"}
    aws.call("apigatewayv2", "create_stage", **stage, Tags={"a": "1", "b": "2"})
    arn = f"arn:aws:apigateway:us-east-1::/apis/{api['ApiId']}/stages/$default"
    try:
        aws.call_once("apigatewayv2", "tag_resource", ResourceArn=arn, Tags={"c": "3"})
        aws.call_once("apigatewayv2", "untag_resource", ResourceArn=arn, TagKeys=["a"])
        found = aws.call_once("apigatewayv2", "get_tags", ResourceArn=arn)["Tags"]
    except AwsError:
        return False
    shown = aws.call("apigatewayv2", "get_stage", **stage)["Tags"]
    return bool(found == shown == {"b": "2", "c": "3"})


PROBES: list[Callable[[Aws], bool]] = [
    lists_authorizers,
    refuses_to_delete_a_used_authorizer,
    empties_what_a_route_asks,
    takes_who_may_call_from_definitions,
    refuses_usage_plans_of_stages_that_are_not_there,
    changes_the_numbers_of_usage_plans,
    refuses_to_delete_a_usage_plan_with_stages,
    forgets_a_key_that_is_deleted,
    tags_usage_plans_and_keys,
    tags_stages_of_http_apis,
]
