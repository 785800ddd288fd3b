"""The table of contents: every resource of the service, in the order of deployment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import Any

from deployer.aws.access import Aws, Tell
from deployer.engine.compare import canonical_lifecycle, canonical_policy
from deployer.engine.plan import Ref
from deployer.project.settings import Settings
from deployer.resources.apigateway import HttpApi
from deployer.resources.base import Ownership, Resource
from deployer.resources.ecr import Image, Repository
from deployer.resources.iam import Role
from deployer.resources.lambda_ import Function, our_function_names
from deployer.resources.logs import LogGroup, our_group_names
from deployer.resources.s3 import Bucket, ModelFile, model_names
from deployer.resources.stepfunctions import StateMachine
from deployer.service.release import (
    INTEGRATION_TIMEOUT_S,
    Project,
    fill,
    model_environment,
    model_key,
)

_ROOM_FOR_ARNS = 8_000  # characters, of the 10,240 that a role's inline policies may have


def ours(settings: Settings) -> Ownership:
    return Ownership(settings.tags, settings.adopt)


def declare(settings: Settings, project: Project) -> list[Resource]:
    """Declare every resource with all that is desired of it."""
    return [
        bucket(settings),
        *(model(settings, project, name) for name in project.functions),
        repository(settings),
        *(image(settings, project, key) for key in project.images),
        *(logs(settings, user) for user in (*project.functions, "workflow", "api")),
        role(settings, "functions", "lambda", functions_policies(settings, project.functions)),
        role(settings, "workflow", "states", workflow_policies(settings, project.functions)),
        role(
            settings,
            "api",
            "apigateway",
            {"start": allow(["states:StartSyncExecution"], [settings.workflow_arn])},
        ),
        *(function(settings, project, name) for name in project.functions),
        workflow(settings, project),
        api(settings),
    ]


def bucket(settings: Settings) -> Resource:
    everything = [settings.bucket_arn, f"{settings.bucket_arn}/*"]
    tls_only = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": everything,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return Bucket(
        "bucket",
        name=settings.bucket,
        account=settings.account,
        ours=ours(settings),
        fields={
            "tags": settings.tags,
            "encryption": "AES256",
            "public_access_block": {
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
            "object_ownership": "BucketOwnerEnforced",
            "policy": policy(tls_only),
        },
    )


def model(settings: Settings, project: Project, name: str) -> Resource:
    found = project.models.get(name)
    return ModelFile(
        f"model/{name}",
        name=name,
        bucket=settings.bucket,
        account=settings.account,
        path=found.path if found else None,
        fields={"key": model_key(name, found), "sha256": found.sha256} if found else None,
        needs=["bucket"],
    )


def repository(settings: Settings) -> Resource:
    # ECR-8: without this statement Lambda writes one itself, which the next whole replace would
    # remove.
    pull = {
        "Sid": "LambdaECRImageRetrievalPolicy",
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        "Condition": {"StringLike": {"aws:SourceArn": settings.arn("lambda", "function:*")}},
    }
    # ECR-6: expiry does not know which images functions use; twenty are far more than their kept
    # versions need.
    rule = {
        "rulePriority": 1,
        "description": "keep the last twenty images",
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 20},
        "action": {"type": "expire"},
    }
    return Repository(
        "repository",
        name=settings.repository,
        ours=ours(settings),
        fields={
            "tags": settings.tags,
            "encryption": "AES256",
            "tag_mutability": "IMMUTABLE",
            "scan_on_push": True,
            "policy": policy(pull),
            "lifecycle_policy": canonical_lifecycle({"rules": [rule]}),
        },
    )


def image(settings: Settings, project: Project, key: str) -> Resource:
    context = project.images[key]

    def build(aws: Aws, tell: Tell) -> str:
        from deployer.images.build import (
            build_and_push,
        )  # most runs build nothing, and need not wait for this import

        return build_and_push(
            context, aws, settings.repository, settings.builder, tell, project.served_by(key)
        )

    return Image(
        key,
        repository=settings.repository,
        build=build,
        fields={"tag": context.image_tag},
        needs=["repository"],
    )


def logs(settings: Settings, user: str) -> Resource:
    return LogGroup(
        f"logs/{user}",
        name=settings.log_group(user),
        prefix="" if user in ("workflow", "api") else settings.log_group(""),
        ours=ours(settings),
        fields={"tags": settings.tags, "retention_days": settings.log_retention_days},
    )


def role(settings: Settings, user: str, assumed_by: str, policies: dict[str, Any]) -> Resource:
    trust: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": f"{assumed_by}.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    if (
        assumed_by == "states"
    ):  # Iam-15: only this state machine, not another one that knows the role's name
        trust["Condition"] = {
            "ArnLike": {"aws:SourceArn": settings.workflow_arn},
            "StringEquals": {"aws:SourceAccount": settings.account},
        }
    return Role(
        f"role/{user}",
        name=settings.role_name(user),
        ours=ours(settings),
        fields={
            "tags": settings.tags,
            "description": f"{settings.prefix}: {user}",
            "trust": policy(trust),
            "policies": policies,
            "permissions_boundary": settings.permissions_boundary,
        },
    )


def functions_policies(settings: Settings, names: Iterable[str]) -> dict[str, Any]:
    streams = fitting(
        [f"{settings.log_group_arn(name)}:*" for name in names], f"{settings.log_group_arn('*')}:*"
    )
    policies = {
        # PERM-1: not CreateLogGroup, or a deleted group would come back without retention (Logs-9)
        "logs": allow(["logs:CreateLogStream", "logs:PutLogEvents"], streams),
        "models": allow(["s3:GetObject"], [f"{settings.bucket_arn}/models/*"]),
    }
    if settings.tracing:
        policies["tracing"] = allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"])
    return policies


def workflow_policies(settings: Settings, names: Iterable[str]) -> dict[str, Any]:
    # Lambda-23: a version's ARN is not covered by the function's
    arns = [
        arn
        for name in names
        for arn in (settings.function_arn(name), f"{settings.function_arn(name)}:*")
    ]
    # PERM-5: no scoping possible
    delivery = [
        "logs:CreateLogDelivery",
        "logs:GetLogDelivery",
        "logs:UpdateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:DescribeResourcePolicies",
        "logs:DescribeLogGroups",
    ]
    policies = {
        "invoke": allow(["lambda:InvokeFunction"], fitting(arns, settings.function_arn("*"))),
        "logs": allow(delivery, ["*"]),
    }
    if settings.tracing:
        sampling = ["xray:GetSamplingRules", "xray:GetSamplingTargets"]
        policies["tracing"] = allow(
            ["xray:PutTraceSegments", "xray:PutTelemetryRecords", *sampling], ["*"]
        )
    return policies


def function(settings: Settings, project: Project, name: str) -> Resource:
    found = project.models.get(name)
    own = settings.function(name)
    trained_with = project.libraries.get("scikit-learn", "")
    fields = (
        {
            "tags": settings.tags,
            "package_type": "Image",
            "description": f"{settings.prefix}: {name}",
            "image_digest": Ref(project.image_of[name], "digest"),
            "architecture": settings.architecture,
            "role_arn": settings.role_arn("functions"),
            "memory_mb": own.memory_mb,
            "timeout_s": own.timeout_s,
            "ephemeral_storage_mb": own.ephemeral_storage_mb,
            "environment": model_environment(name, found, trained_with, settings.bucket),
            "tracing": "Active" if settings.tracing else "PassThrough",
            "command": None,
            "published": True,
        }
        if found
        else None
    )
    return Function(
        f"function/{name}",
        name=settings.function_name(name),
        ours=ours(settings),
        repository_uri=settings.repository_uri,
        pinned_by=settings.workflow_arn,
        fields=fields,
        needs=["role/functions", f"model/{name}", f"logs/{name}", "repository"],
    )


def workflow(settings: Settings, project: Project) -> Resource:
    versions = {name: Ref(f"function/{name}", "version_arn") for name in project.functions}
    return StateMachine(
        "workflow",
        arn=settings.workflow_arn,
        ours=ours(settings),
        fields={
            "tags": settings.tags,
            "type": "EXPRESS",
            "definition": fill(project.definition, versions),
            "role_arn": settings.role_arn("workflow"),
            "logging": {
                "level": "ERROR",  # Sfn-6: an express execution leaves no other trace
                "include_execution_data": False,
                "destination": f"{settings.log_group_arn('workflow')}:*",  # Logs-5
            },
            "tracing": settings.tracing,
        },
        needs=[
            "role/workflow",
            "logs/workflow",
            *(f"function/{name}" for name in project.functions),
        ],
    )


def api(settings: Settings) -> Resource:
    cors = {
        "origins": sorted(origin.lower() for origin in settings.cors_origins),
        "methods": ["options", "post"],
        "headers": ["content-type"],
        "max_age_s": 86400,  # Api-18: the most that AWS takes
    }
    return HttpApi(
        "api",
        name=settings.prefix,
        ours=ours(settings),
        fields={
            "tags": settings.tags,
            "protocol": "HTTP",
            "description": f"{settings.prefix}: predictions of every model",
            "cors": cors if settings.cors_origins else None,
            "integration": {
                "type": "AWS_PROXY",
                "subtype": "StepFunctions-StartSyncExecution",
                "payload_format": "1.0",
                "role_arn": settings.role_arn("api"),
                "parameters": {"StateMachineArn": settings.workflow_arn, "Input": "$request.body"},
                "timeout_ms": INTEGRATION_TIMEOUT_S * 1000,
            },
            "route": {"key": "POST /", "authorization": "NONE"},
            "stage": {
                "auto_deploy": True,
                "burst_limit": settings.burst_limit,
                "rate_limit": settings.rate_limit,
                "detailed_metrics": False,
                "deployment_failure": None,
                "access_log": {
                    "destination": settings.log_group_arn("api"),
                    "format": access_log_format(),
                },
            },
            "stale_routes": [],
            "orphan_integrations": [],
        },
        needs=["role/api", "workflow", "logs/api"],
    )


def access_log_format() -> str:
    """One JSON line a request; the last three are the only trace of a role or integration that
    fails (Api-29).
    """
    names = {
        "requestId": "requestId",
        "time": "requestTime",
        "ip": "identity.sourceIp",
        "method": "httpMethod",
        "path": "path",
        "status": "status",
        "latencyMs": "responseLatency",
        "integrationStatus": "integration.status",
        "integrationError": "integrationErrorMessage",
        "error": "error.message",
    }
    return json.dumps(
        {name: f"$context.{variable}" for name, variable in names.items()}, separators=(",", ":")
    )


def fitting(arns: list[str], pattern: str) -> list[str]:
    """Name each ARN, or what all of them match where so many would not fit into a role's inline
    policies (Iam-11).
    """
    return arns if sum(map(len, arns)) <= _ROOM_FOR_ARNS else [pattern]


def policy(*statements: dict[str, Any]) -> Any:
    return canonical_policy({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: list[str], resources: list[str]) -> Any:
    return policy({"Effect": "Allow", "Action": actions, "Resource": resources})


def discover(
    aws: Aws, settings: Settings, pool: Executor, known: Iterable[str] = ()
) -> Callable[[], list[str]]:
    """Begin to look for functions of ours that exist in the account, in whole or in part, besides
    the known ones.

    Returns what waits for their names.
    """
    skip = set(known)
    prefix, log_prefix = settings.function_name(""), settings.log_group("")
    functions = {settings.function_name(name) for name in skip}
    groups = {settings.log_group(name) for name in skip}
    mark = ours(settings)
    found = [
        pool.submit(
            lambda: {
                _name(full, prefix) for full in our_function_names(aws, prefix, mark, functions)
            }
        ),
        pool.submit(
            lambda: {
                _name(full, log_prefix) for full in our_group_names(aws, log_prefix, mark, groups)
            }
        ),
        pool.submit(lambda: model_names(aws, settings.bucket, settings.account)),
    ]
    return lambda: sorted(set().union(*(each.result() for each in found)) - skip)


def live_functions(aws: Aws, settings: Settings) -> list[str]:
    """Return the names of this service's functions in the account, whatever the project declares."""
    prefix = settings.function_name("")
    return sorted(
        _name(full, prefix) for full in our_function_names(aws, prefix, ours(settings), ())
    )


def _name(full: str, prefix: str) -> str:
    return full.removeprefix(prefix).replace("-", "_")


def undeclared(settings: Settings, names: Iterable[str]) -> list[Resource]:
    """Return what belongs to functions that are no longer declared, in the order of deletion."""
    gone = Project(tuple(names), image_of=dict.fromkeys(names, "image"))
    parts = [
        [function(settings, gone, name), logs(settings, name), model(settings, gone, name)]
        for name in gone.functions
    ]
    return [each for part in parts for each in part]


def everything(settings: Settings, names: Iterable[str]) -> list[Resource]:
    """Return every resource that can exist, with these functions, as far as deleting needs it."""
    return declare(settings, Project(tuple(names), image_of=dict.fromkeys(names, "image")))
