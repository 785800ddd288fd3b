"""The whole content of an account as one value, without the ids and times that AWS chooses.

Two accounts are equal if their pictures are.
"""

from __future__ import annotations

import json
import re
from typing import Any

from deployer.aws.access import Aws
from deployer.resources.apigateway.rest_definition import read_gateway_responses, read_methods

_VOLATILE = {
    "ResponseMetadata",
    "CreatedDate",
    "LastUpdatedDate",
    "LastModified",
    "RevisionId",
    "creationDate",
    "creationTime",
    "createdAt",
    "updateDate",
    "CreateDate",
    "RoleId",
    "RoleLastUsed",
    "ApiId",
    "ApiEndpoint",
    "IntegrationId",
    "RouteId",
    "Target",
    "DeploymentId",
    "storedBytes",
    "imagePushedAt",
    "LastStatus",
    "Location",
    "arn",
    "logGroupArn",
    "label",
    "lastEvaluatedAt",
    "revisionId",
}


def picture(aws: Aws) -> dict[str, Any]:
    """Return everything in an account that a service could have touched."""
    return {
        "buckets": {
            bucket["Name"]: _bucket(aws, bucket["Name"])
            for bucket in aws.call("s3", "list_buckets")["Buckets"]
        },
        "repositories": {
            each["repositoryName"]: _repository(aws, each)
            for each in aws.pages("ecr", "describe_repositories", "repositories")
        },
        "groups": {
            group["logGroupName"]: {
                **_steady(group),
                "tags": aws.call(
                    "logs", "list_tags_for_resource", resourceArn=group["arn"].removesuffix(":*")
                )["tags"],
            }
            for group in aws.pages("logs", "describe_log_groups", "logGroups")
        },
        "roles": {
            role["RoleName"]: _role(aws, role["RoleName"])
            for role in aws.pages("iam", "list_roles", "Roles")
        },
        "functions": _functions(aws),
        "machines": {
            each["name"]: {
                **_machine(aws, each["stateMachineArn"]),
                "versions": [
                    _machine(aws, version["stateMachineVersionArn"])
                    for version in aws.call(
                        "stepfunctions",
                        "list_state_machine_versions",
                        stateMachineArn=each["stateMachineArn"],
                    )["stateMachineVersions"]
                ],
                "tags": aws.call(
                    "stepfunctions", "list_tags_for_resource", resourceArn=each["stateMachineArn"]
                )["tags"],
            }
            for each in aws.pages("stepfunctions", "list_state_machines", "stateMachines")
        },
        "apis": sorted(
            (
                {**_steady(api), **_below(aws, api["ApiId"])}
                for api in aws.pages("apigatewayv2", "get_apis", "Items")
            ),
            key=lambda api: json.dumps(api, sort_keys=True, default=str),
        ),
        "rest_apis": [
            _rest_api(aws, api) for api in aws.pages("apigateway", "get_rest_apis", "items")
        ],
        "usage_plans": [
            {name: plan.get(name) for name in ("name", "throttle", "quota", "tags")}
            for plan in aws.pages("apigateway", "get_usage_plans", "items")
        ],
        "api_keys": [
            {name: key.get(name) for name in ("name", "enabled", "tags")}
            for key in aws.pages("apigateway", "get_api_keys", "items")
        ],
    }


def _machine(aws: Aws, arn: str) -> dict[str, Any]:
    described = aws.call("stepfunctions", "describe_state_machine", stateMachineArn=arn)
    steady: dict[str, Any] = _steady(described)
    return steady


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _steady(each) for key, each in value.items() if key not in _VOLATILE}
    return [_steady(each) for each in value] if isinstance(value, list) else value


def _bucket(aws: Aws, name: str) -> dict[str, Any]:
    absent = (
        "NoSuchTagSet",
        "NoSuchBucketPolicy",
        "NoSuchPublicAccessBlockConfiguration",
        "OwnershipControlsNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
    )
    asked = ("tagging", "encryption", "ownership_controls", "policy", "versioning")
    found = {
        what: _steady(aws.find(absent, "s3", f"get_bucket_{what}", Bucket=name)) for what in asked
    }
    found["access"] = _steady(aws.find(absent, "s3", "get_public_access_block", Bucket=name))
    versions = aws.pages("s3", "list_object_versions", "Versions", Bucket=name)
    return {**found, "objects": sorted((each["Key"], each["ETag"]) for each in versions)}


def _repository(aws: Aws, found: dict[str, Any]) -> dict[str, Any]:
    name = {"repositoryName": found["repositoryName"]}
    return {
        **_steady(found),
        "tags": aws.call("ecr", "list_tags_for_resource", resourceArn=found["repositoryArn"])[
            "tags"
        ],
        "policy": _steady(
            aws.find(("RepositoryPolicyNotFoundException",), "ecr", "get_repository_policy", **name)
        ),
        "lifecycle": _steady(
            aws.find(("LifecyclePolicyNotFoundException",), "ecr", "get_lifecycle_policy", **name)
        ),
        "images": sorted(
            (each["imageDigest"], each.get("imageTag", ""))
            for each in aws.pages("ecr", "list_images", "imageIds", **name)
        ),
    }


def _role(aws: Aws, name: str) -> dict[str, Any]:
    policies = aws.pages("iam", "list_role_policies", "PolicyNames", RoleName=name)
    return {
        **_steady(aws.call("iam", "get_role", RoleName=name)["Role"]),
        "policies": {
            each: aws.call("iam", "get_role_policy", RoleName=name, PolicyName=each)[
                "PolicyDocument"
            ]
            for each in policies
        },
        "attached": list(
            aws.pages("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=name)
        ),
    }


def _functions(aws: Aws) -> dict[str, Any]:
    names = sorted(
        {each["FunctionName"] for each in aws.pages("lambda", "list_functions", "Functions")}
    )
    return {
        name: {
            "tags": aws.call("lambda", "get_function", FunctionName=name).get("Tags"),
            "reserved": aws.call("lambda", "get_function", FunctionName=name).get("Concurrency"),
            "provisioned": {
                each["FunctionArn"]: each["RequestedProvisionedConcurrentExecutions"]
                for each in aws.pages(
                    "lambda",
                    "list_provisioned_concurrency_configs",
                    "ProvisionedConcurrencyConfigs",
                    FunctionName=name,
                )
            },
            "versions": [
                _steady(each)
                for each in aws.pages(
                    "lambda", "list_versions_by_function", "Versions", FunctionName=name
                )
            ],
        }
        for name in names
    }


def _below(aws: Aws, api_id: str) -> dict[str, Any]:
    def items(what: str) -> list[Any]:
        return [
            _steady(each)
            for each in aws.pages("apigatewayv2", f"get_{what}", "Items", ApiId=api_id)
        ]

    routes = aws.call("apigatewayv2", "get_routes", ApiId=api_id)["Items"]
    integrations = {
        each["IntegrationId"]
        for each in aws.call("apigatewayv2", "get_integrations", ApiId=api_id)["Items"]
    }
    return {
        "integrations": items("integrations"),
        "authorizers": items("authorizers"),
        "routes": items("routes"),
        "stages": items("stages"),
        "loose routes": [
            each["RouteKey"]
            for each in routes
            if re.sub("^integrations/", "", each.get("Target", "")) not in integrations
        ],
    }


def _rest_api(aws: Aws, api: dict[str, Any]) -> dict[str, Any]:
    below: dict[str, Any] = {"restApiId": api["id"]}
    resources = aws.pages("apigateway", "get_resources", "items", **below, embed=["methods"])
    responses = aws.pages("apigateway", "get_gateway_responses", "items", **below)
    deployments = list(aws.pages("apigateway", "get_deployments", "items", **below))
    return {
        **{name: api.get(name) for name in ("name", "description", "tags")},
        "type": api["endpointConfiguration"]["types"],
        "methods": read_methods(resources),
        "gateway_responses": read_gateway_responses(responses),
        "deployments": [deployment["description"] for deployment in deployments],
        "stages": [
            {name: stage.get(name) for name in ("stageName", "methodSettings", "tags")}
            for stage in aws.call("apigateway", "get_stages", **below)["item"]
        ],
    }


def differences(found: Any, expected: Any, path: str = "") -> list[str]:
    """Say where two pictures differ, a line for each place."""
    if isinstance(found, dict) and isinstance(expected, dict):
        names = sorted(found.keys() | expected.keys(), key=str)
        return [
            line
            for name in names
            for line in differences(found.get(name), expected.get(name), f"{path}.{name}")
        ]
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        return [
            line
            for number, (one, other) in pairs
            for line in differences(one, other, f"{path}[{number}]")
        ]
    return [] if found == expected else [f"{path}: {found!r} instead of {expected!r}"]
