"""The table of contents: every resource of the service, in the order of deployment."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from deployer.aws.access import Aws, Tell
from deployer.engine.compare import canonical_lifecycle
from deployer.engine.plan import Ref
from deployer.project.canary import compose
from deployer.project.provenance import caller, of_folder
from deployer.project.settings import Settings
from deployer.project.workflow import INTEGRATION_TIMEOUT_S, fill
from deployer.resources.apigateway.apis import OwnedApi
from deployer.resources.apigateway.cors import CorsFields
from deployer.resources.apigateway.http_api import HTTP_APIS, HttpApi, HttpApiFields
from deployer.resources.apigateway.integration import IntegrationFields
from deployer.resources.apigateway.rest_api import REST_APIS, RestApi, RestApiFields
from deployer.resources.apigateway.rest_stage import RestStageFields
from deployer.resources.apigateway.stage import AccessLogFields, StageFields
from deployer.resources.base import Owned, Resource
from deployer.resources.ecr import Image, ImageFields, Repository, RepositoryFields
from deployer.resources.iam import Role, RoleFields
from deployer.resources.lambda_ import Function, FunctionFields
from deployer.resources.logs import LogGroup, LogGroupFields
from deployer.resources.provisioned import ProvisionedConcurrency, ProvisionedFields
from deployer.resources.s3 import Bucket, BucketFields, ModelFile, ModelFileFields, OwnedBucket
from deployer.resources.stepfunctions import LoggingFields, StateMachine, StateMachineFields
from deployer.service import callers, rest_contract
from deployer.service.alarms import alarm_resources
from deployer.service.ownership import ownership
from deployer.service.permissions import (
    ROLES,
    api_policies,
    functions_policies,
    policy,
    workflow_policies,
)
from deployer.service.provisioning import cost
from deployer.service.release import Release, ServedFunction


@dataclass(frozen=True)
class Trial:
    """A release that is tried as a canary.

    Args:
        percent: its share of the requests.
        live: the definition that answers the others.
        number: the release of that definition.
    """

    percent: int
    live: Mapping[str, Any]
    number: int


def declare(
    settings: Settings,
    release: Release,
    kept: Collection[str] = (),
    trial: Trial | None = None,
) -> list[Resource]:
    """Declare every resource of a release, with all of its fields.

    Args:
        kept: functions of former releases, which the roles go on to name.
        trial: how the release is tried; None makes it live at once.
    """
    functions, names = release.functions, release.names
    return [
        bucket(settings),
        *(model(settings, served) for served in functions),
        repository(settings),
        *(image(settings, release, key) for key in release.contexts),
        *(logs(settings, user) for user in (*names, "workflow", "api")),
        *roles(settings, (*names, *kept)),
        *(function(settings, served) for served in functions),
        *(provisioned(settings, served) for served in kept_ready(settings, release)),
        workflow(settings, release, trial),
        api(settings),
        *([callers.usage_plan(settings)] if settings.auth == "key" else []),
        *alarm_resources(settings, names, ownership(settings)),
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
    remark = (
        f"the models of former releases stay in the bucket {settings.other_bucket}, which they read"
    )
    return Bucket(
        "bucket",
        name=settings.bucket,
        regional=settings.bucket_namespace == "account-regional",
        remark=remark if settings.former_bucket else "",
        account=settings.account,
        ours=ownership(settings),
        fields=BucketFields(
            tags=settings.all_tags,
            encryption="AES256",
            public_access_block={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
            object_ownership="BucketOwnerEnforced",
            policy=policy(tls_only),
        ),
    )


def former_bucket(settings: Settings) -> Owned:
    """Return the bucket that was declared before `bucket_namespace` was changed.

    In the shared namespace its name may be anybody's.
    """
    return OwnedBucket(
        "bucket/former",
        name=settings.other_bucket,
        account=settings.account,
        ours=ownership(settings),
        alien=True,
    )


def model(settings: Settings, served: ServedFunction) -> Resource:
    return ModelFile(
        f"model/{served.name}",
        name=served.name,
        bucket=settings.bucket,
        account=settings.account,
        path=served.model.path,
        signature=served.model.signature,
        fields=ModelFileFields(
            key=served.model.key,
            sha256=served.model.sha256,
            signature=served.model.signature_key,
        ),
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
        "Condition": {"StringLike": {"aws:SourceArn": settings.function_arn("*")}},
    }
    # ECR-6, ECR-12: expiry does not know which images functions use, so no rule counts images.
    # Every deploy tags its image; one without a tag is left by a push that Lambda would refuse.
    rule = {
        "rulePriority": 1,
        "description": "images without a tag, which no function uses",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": 14,
        },
        "action": {"type": "expire"},
    }
    return Repository(
        "repository",
        name=settings.repository,
        ours=ownership(settings),
        fields=RepositoryFields(
            tags=settings.all_tags,
            encryption="AES256",
            tag_mutability="IMMUTABLE",
            scan_on_push=True,
            policy=policy(pull),
            lifecycle_policy=canonical_lifecycle({"rules": [rule]}),
        ),
    )


def image(settings: Settings, release: Release, key: str) -> Resource:
    context = release.contexts[key]

    def build(aws: Aws, tell: Tell) -> str:
        # Most runs build nothing: do not import it then.
        from deployer.images.build import build_and_push

        models = release.model_files(key)
        return build_and_push(context, aws, settings.repository, settings.builder, tell, models)

    return Image(
        key,
        repository=settings.repository,
        build=build,
        fields=ImageFields(tag=context.image_tag),
        needs=["repository"],
    )


def logs(settings: Settings, user: str) -> Resource:
    return LogGroup(
        f"logs/{user}",
        name=settings.log_group(user),
        prefix="" if user in ("workflow", "api") else settings.log_group(""),
        ours=ownership(settings),
        fields=LogGroupFields(tags=settings.all_tags, retention_days=settings.log_retention_days),
    )


def roles(settings: Settings, functions: Collection[str]) -> list[Resource]:
    return [
        role(settings, "functions", functions_policies(settings, functions)),
        role(settings, "workflow", workflow_policies(settings, functions)),
        role(settings, "api", api_policies(settings)),
    ]


def role(settings: Settings, user: str, policies: dict[str, Any]) -> Resource:
    trust: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": ROLES[user]},
        "Action": "sts:AssumeRole",
    }
    # Lambda-34: only in this account. Of API Gateway, AWS documents no such condition.
    if user != "api":
        trust["Condition"] = {"StringEquals": {"aws:SourceAccount": settings.account}}
    # Iam-15: only this state machine, not another one that knows the role's name.
    if user == "workflow":
        trust["Condition"]["ArnLike"] = {"aws:SourceArn": settings.workflow_arn}
    return Role(
        f"role/{user}",
        name=settings.role_name(user),
        ours=ownership(settings),
        fields=RoleFields(
            tags=settings.all_tags,
            description=f"{settings.prefix}: {user}",
            trust=policy(trust),
            policies=policies,
            permissions_boundary=settings.permissions_boundary,
        ),
    )


def function(settings: Settings, served: ServedFunction) -> Resource:
    name = served.name
    limits = settings.function(name)
    return Function(
        f"function/{name}",
        name=settings.function_name(name),
        ours=ownership(settings),
        repository_uri=settings.repository_uri,
        fields=FunctionFields(
            tags=settings.all_tags,
            package_type="Image",
            description=served.model.description,
            image_digest=served.image,
            architecture=settings.architecture,
            role_arn=settings.role_arn("functions"),
            memory_mb=limits.memory_mb,
            timeout_s=limits.timeout_s,
            ephemeral_storage_mb=limits.ephemeral_storage_mb,
            environment=served.model.environment(
                settings.bucket,
                log_inputs=settings.log_inputs,
                log_level=limits.log_level,
                own=limits.environment,
            ),
            tracing="Active" if settings.tracing else "PassThrough",
            command=None,
            reserved_concurrency=limits.reserved_concurrency,
            published=True,
            failure=None,
        ),
        needs=["role/functions", f"model/{name}", f"logs/{name}", "repository"],
    )


def kept_ready(settings: Settings, release: Release) -> list[ServedFunction]:
    """Return the functions that have provisioned concurrency."""
    return [
        served
        for served in release.functions
        if settings.function(served.name).provisioned_concurrency is not None
    ]


def provisioned(settings: Settings, served: ServedFunction) -> Resource:
    name = served.name

    def prove(aws: Aws, version: str) -> None:
        from deployer.service import proof

        proof.prove(aws, settings, {version: served.model})

    return ProvisionedConcurrency(
        f"provisioned/{name}",
        function=settings.function_name(name),
        fields=ProvisionedFields(
            version_arn=Ref(f"function/{name}", "version_arn"),
            concurrency=settings.function(name).provisioned_concurrency or 0,
            status="READY",
        ),
        prove=prove if settings.proof else None,
        remark=cost(settings, name),
    )


def workflow(settings: Settings, release: Release, trial: Trial | None = None) -> Resource:
    functions = [f"function/{name}" for name in release.names]
    # What is provisioned is ready before the switch.
    ready = [f"provisioned/{served.name}" for served in kept_ready(settings, release)]
    versions = {name: Ref(f"function/{name}", "version_arn") for name in release.names}
    definition = fill(release.definition, versions)
    if trial is not None:
        definition = compose(trial.live, definition, trial.percent)
    models = {f"function/{served.name}": served.model for served in release.functions}

    def prove(aws: Aws, new: Mapping[str, str]) -> None:
        # Most runs switch nothing: do not import it then.
        from deployer.service import proof

        proof.prove(
            aws, settings, {version: models[key] for version, key in new.items() if key in models}
        )

    return StateMachine(
        "workflow",
        arn=settings.workflow_arn,
        ours=ownership(settings),
        fields=StateMachineFields(
            tags=settings.all_tags,
            type="EXPRESS",
            definition=definition,
            role_arn=settings.role_arn("workflow"),
            logging=LoggingFields(
                # Sfn-6: an express execution leaves no other trace
                level="ALL" if settings.workflow_log == "all" else "ERROR",
                include_execution_data=False,
                destination=f"{settings.log_group_arn('workflow')}:*",  # Logs-5
            ),
            tracing=settings.tracing,
            published=True,
        ),
        describe=lambda: described(settings, trial),
        prove=prove if settings.proof else None,
        needs=["role/workflow", "logs/workflow", *functions, *ready],
    )


def described(settings: Settings, trial: Trial | None) -> str:
    """Return the description of the release that a run makes of the project's folder."""
    provenance = replace(of_folder(settings.project), by=caller(settings.caller))
    if trial is not None:
        provenance = replace(provenance, canary=trial.percent, beside=trial.number)
    return provenance.to_text()


def api(settings: Settings) -> Resource:
    return rest_api(settings) if settings.api == "rest" else http_api(settings)


def other_api(settings: Settings) -> Owned:
    """Return the APIs of the other kind: one that stands was declared before `api` was changed."""
    other = "http" if settings.api == "rest" else "rest"
    return OwnedApi(
        f"api/{other}",
        catalogue={"http": HTTP_APIS, "rest": REST_APIS}[other],
        ours=ownership(settings),
        needs=["role/api", "workflow", "logs/api"],
    )


def rest_api(settings: Settings) -> Resource:
    return RestApi(
        "api",
        name=settings.prefix,
        ours=ownership(settings),
        fields=RestApiFields(
            tags=settings.all_tags,
            description=f"{settings.prefix}: predictions of every model",
            endpoint_type="REGIONAL",
            methods=rest_contract.methods(settings),
            gateway_responses=rest_contract.gateway_responses(settings),
            stage=RestStageFields(
                burst_limit=settings.burst_limit,
                rate_limit=settings.rate_limit,
                detailed_metrics=False,
                access_log=AccessLogFields(
                    destination=settings.log_group_arn("api"),
                    format=access_log_format(integration_error="integration.error"),
                ),
            ),
            stage_tags=settings.all_tags,
            deployed=True,
            stale_deployments=[],
        ),
        needs=["role/api", "workflow", "logs/api"],
        follows="api/http",
    )


def http_api(settings: Settings) -> Resource:
    cors = CorsFields(
        origins=sorted(origin.lower() for origin in settings.cors_origins),
        methods=["options", "post"],
        headers=sorted(callers.allowed_headers(settings)),
        exposed_headers=sorted(settings.cors_exposed_headers),
        max_age_s=86400,  # Api-18: the most that AWS takes
    )
    return HttpApi(
        "api",
        name=settings.prefix,
        ours=ownership(settings),
        fields=HttpApiFields(
            tags=settings.all_tags,
            protocol="HTTP",
            description=f"{settings.prefix}: predictions of every model",
            cors=cors if settings.cors_origins else None,
            integration=IntegrationFields(
                type="AWS_PROXY",
                subtype="StepFunctions-StartSyncExecution",
                payload_format="1.0",
                role_arn=settings.role_arn("api"),
                parameters={
                    "StateMachineArn": settings.workflow_arn,
                    "Input": "$request.body",
                    "Name": "$context.requestId",  # one id in the logs of all services
                },
                timeout_ms=INTEGRATION_TIMEOUT_S * 1000,
            ),
            authorizer=callers.authorizer(settings),
            route=callers.route(settings),
            stage=StageFields(
                auto_deploy=True,
                burst_limit=settings.burst_limit,
                rate_limit=settings.rate_limit,
                detailed_metrics=False,
                deployment_failure=None,
                access_log=AccessLogFields(
                    destination=settings.log_group_arn("api"), format=access_log_format()
                ),
            ),
            stage_tags=settings.all_tags,
            stale_routes=[],
            orphan_integrations=[],
            orphan_authorizers=[],
        ),
        needs=["role/api", "workflow", "logs/api"],
        follows="api/rest",
    )


def access_log_format(integration_error: str = "integrationErrorMessage") -> str:
    """Return the access log's format: one JSON line per request.

    The last three members are the only trace of a role or an integration that fails (Api-29).

    Args:
        integration_error: the name of this variable, which differs between the kinds of API.
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
        "integrationError": integration_error,
        "error": "error.message",
    }
    return json.dumps(
        {name: f"$context.{variable}" for name, variable in names.items()}, separators=(",", ":")
    )
