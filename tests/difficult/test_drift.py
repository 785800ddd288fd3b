"""Drift: every field of every kind is changed outside of the tool, one at a time. The plan shows
exactly this change, and `up` undoes it.

The cases are generated from the declaration: every leaf of every resource's fields gets another
value, written with AWS's own calls. Fields that AWS does not let change are listed with the reason,
so that a new field without a case fails a test.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.engine.apply import Run, plan_changes, read_all
from deployer.engine.compare import canonical_json
from deployer.engine.plan import Change, resolve
from deployer.project.settings import FunctionSettings
from deployer.resources.base import Resource
from deployer.service.declare import declare
from deployer.service.release import read_release
from tests.support import plans
from tests.support.deployments import Service
from tests.support.picture import differences, picture
from tests.support.serial import SerialExecutor

Path = tuple[str | int, ...]
OTHER_ROLE = "arn:aws:iam::123456789012:role/other"
SUBJECTS = (
    "bucket",
    "repository",
    "logs/api",
    "role/functions",
    "role/workflow",
    "role/api",
    "function/random_forest",
    "provisioned/random_forest",
    "workflow",
    "api",
)

# Leaves that nobody can change while the thing stays the same thing, or that other tests cover, and
# why.
NOT_CHANGEABLE: dict[str, str] = {
    r".*/tags\..*": "without its tags a thing is not ours: test_ownership.py",
    r"repository/encryption": "fixed at creation (ECR-2)",
    r"function/.*/package_type": "fixed at creation (Lambda-7)",
    r"workflow/type": "fixed at creation (Sfn-3)",
    r"api/protocol": "fixed at creation (Api-6)",
    r"api/integration\.(type|payload_format)": "Step Functions takes no other value (Api-7)",
    r"api/stage\.deployment_failure": "AWS's own word on what it did (Api-26): test_catalogue.py",
    r"api/(stale_routes|orphan_integrations)": "made by cases of their own below",
    r"api/(authorizer|orphan_authorizers|route\.authorizer)": "with tokens alone: test_ritual.py",
    r"role/.*\.Version": "IAM as moto has it takes no older version",
    r"function/.*/published": "follows from the other fields; a deleted version has a case of "
    "its own below",
    r"workflow/published": "follows from the definition; a version that is gone: test_releases.py",
    r"function/.*/failure": "AWS's own word on what it did (ECR-12): test_deleted_images.py",
    r"function/.*/image_digest": "an image of its own is pushed for it below",
    r"provisioned/.*/version_arn": "a version of its own: test_provisioning.py",
    r"provisioned/.*/status": "AWS's own word on what it did (Pc-2): test_provisioning.py",
}

# By the end of a leaf's path: what it becomes. Everything else becomes another value of its type.
VALUES: list[tuple[str, Any]] = [
    (r"bucket/encryption", "aws:kms"),
    (r"bucket/object_ownership", "BucketOwnerPreferred"),
    (r"repository/tag_mutability", "MUTABLE"),
    (r".*\.Version", "2008-10-17"),
    (r".*\.Effect", lambda value: "Deny" if value == "Allow" else "Allow"),
    (r".*\.Principal\.Service", ["ecs.amazonaws.com"]),
    (r".*\.Principal\.AWS", ["123456789012"]),
    (r"role/.*/trust.*\.Action", ["sts:AssumeRoleWithWebIdentity"]),
    (r"role/.*\.Action", ["s3:ListBucket"]),
    (r"role/.*\.Resource", ["arn:aws:s3:::other"]),
    (r".*policy\..*Action", ["s3:GetBucketTagging"]),
    (r".*lifecycle_policy\.rules\[0\]\.selection\.tagStatus", "any"),
    (r".*lifecycle_policy\.rules\[0\]\.selection\.countNumber", 7),
    (
        r".*lifecycle_policy\.rules\[0\]\.(action\.type|selection\.count(Type|Unit)|rulePriority)",
        None,
    ),
    (r"logs/.*/retention_days", 30),
    (r"role/.*/permissions_boundary", "arn:aws:iam::aws:policy/PowerUserAccess"),
    (r"function/.*/architecture", "arm64"),
    (r"function/.*/tracing", "Active"),
    (r"function/.*/command", ["other.handler"]),
    (r".*role_arn", OTHER_ROLE),
    (r"workflow/logging\.level", "ALL"),
    (r"workflow/logging\.destination", "arn:aws:logs:us-east-1:123456789012:log-group:other:*"),
    (r"api/cors\.(origins)", ["https://other.example"]),
    (r"api/cors\.methods", ["get", "options"]),
    (r"api/cors\.headers", ["x-other"]),
    (r"api/integration\.subtype", "StepFunctions-StartExecution"),
    (r"api/integration\.timeout_ms", 5000),
    (r"api/route\.key", "POST /other"),
    (r"api/route\.authorization", "AWS_IAM"),
]
# The members of a workflow's states whose change leaves a valid definition.
DEFINITION = (
    r"workflow/definition.*\.(TimeoutSeconds|Comment|IntervalSeconds|MaxAttempts|BackoffRate"
    r"|MaxDelaySeconds|Resource)"
)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the path of every leaf of a value; a list of texts is one leaf."""
    if isinstance(value, Mapping) and value:
        for name in sorted(value):
            yield from leaves(value[name], (*path, name))
    elif isinstance(value, list) and any(isinstance(each, (Mapping, list)) for each in value):
        for number, each in enumerate(value):
            yield from leaves(each, (*path, number))
    else:
        yield path, value


def spelled(path: Path) -> str:
    """As the plan spells it; a step may be a label of an element already."""
    steps = (f"[{step}]" if isinstance(step, int) else str(step) for step in path)
    return "".join(step if step.startswith("[") else f".{step}" for step in steps).removeprefix(".")


def another(place: str, value: Any) -> Any:
    """Return another value for a leaf; None when it has none."""
    for pattern, other in VALUES:
        if re.fullmatch(pattern, place):
            return other(value) if callable(other) else other
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, list):
        return [*value, "other"]
    return f"{value}x" if isinstance(value, str) else "other"


def leaf(fields: Any, path: Path) -> Any:
    for name in path:
        fields = fields[name]
    return fields


def labelled(fields: Any, path: Path) -> Path:
    """Return a path in which elements of lists have their names, as in the plan."""
    labels: list[str | int] = []
    for step in path:
        inner = fields[step]
        labels.append(f"[{name_of(inner, step)}]" if isinstance(step, int) else step)
        fields = inner
    return tuple(labels)


def name_of(element: Any, number: int) -> Any:
    members = element if isinstance(element, Mapping) else {}
    if "ErrorEquals" in members:
        first, *others = members["ErrorEquals"]
        return f"{first}, +{len(others)}" if others else first
    names = (members[name] for name in ("Sid", "StartAt", "rulePriority") if name in members)
    return next(names, number)


def places(path: Path, before: Any, after: Any) -> set[str]:
    """Where the plan shows the change of a leaf: at the only element that differs, if it is one."""
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        differing = [number for number, one in enumerate(before) if one != after[number]]
        if len(differing) == 1:
            return {spelled((*path, differing[0]))}
    return {spelled(path)}


def mutated(fields: Any, path: Path, value: Any) -> dict[str, Any]:
    """Return a copy of the fields with another value at one place."""
    copied: Any = copy.deepcopy(dict(fields))
    place = copied
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return dict(copied)


# How each field is written with AWS's own calls: (access, resource, its state, the mutated fields).
Write = Callable[[Aws, Any, Any, dict[str, Any]], Any]


def put_api_integration(aws: Aws, it: Any, state: Any, fields: dict[str, Any]) -> None:
    wanted = fields["integration"]
    aws.call(
        "apigatewayv2",
        "update_integration",
        ApiId=state.outputs["api_id"],
        IntegrationId=state.outputs["integration_id"],
        IntegrationSubtype=wanted["subtype"],
        CredentialsArn=wanted["role_arn"],
        RequestParameters=wanted["parameters"],
        TimeoutInMillis=wanted["timeout_ms"],
    )


def put_api_stage(aws: Aws, it: Any, state: Any, fields: dict[str, Any]) -> None:
    wanted = fields["stage"]
    settings = {
        "ThrottlingBurstLimit": wanted["burst_limit"],
        "ThrottlingRateLimit": wanted["rate_limit"],
        "DetailedMetricsEnabled": wanted["detailed_metrics"],
    }
    log = {
        "DestinationArn": wanted["access_log"]["destination"],
        "Format": wanted["access_log"]["format"],
    }
    aws.call(
        "apigatewayv2",
        "update_stage",
        ApiId=state.outputs["api_id"],
        StageName="$default",
        AutoDeploy=wanted["auto_deploy"],
        DefaultRouteSettings=settings,
        AccessLogSettings=log,
    )


def put_cors(aws: Aws, it: Any, state: Any, fields: dict[str, Any]) -> None:
    cors = fields["cors"]
    found = {
        "AllowOrigins": cors["origins"],
        "AllowMethods": [each.upper() for each in cors["methods"]],
        "AllowHeaders": cors["headers"],
        "ExposeHeaders": cors["exposed_headers"],
        "MaxAge": cors["max_age_s"],
    }
    aws.call("apigatewayv2", "update_api", ApiId=state.outputs["api_id"], CorsConfiguration=found)


def put_policies(aws: Aws, it: Any, state: Any, fields: dict[str, Any]) -> None:
    for name, document in fields["policies"].items():
        aws.call(
            "iam",
            "put_role_policy",
            RoleName=it.name,
            PolicyName=name,
            PolicyDocument=json.dumps(document),
        )


def put_logging(aws: Aws, it: Any, state: Any, fields: dict[str, Any]) -> None:
    logging = fields["logging"]
    group = {"cloudWatchLogsLogGroup": {"logGroupArn": logging["destination"]}}
    aws.call(
        "stepfunctions",
        "update_state_machine",
        stateMachineArn=it.arn,
        loggingConfiguration={
            "level": logging["level"],
            "includeExecutionData": logging["include_execution_data"],
            "destinations": [group],
        },
    )


def configure(**names: str) -> dict[str, Write]:
    """Fields of a function, with the parameter of UpdateFunctionConfiguration for each."""

    def write(field: str, parameter: str) -> Write:
        wrap: dict[str, Callable[[Any], Any]] = {
            "EphemeralStorage": lambda value: {"Size": value},
            "Environment": lambda value: {"Variables": value},
            "TracingConfig": lambda value: {"Mode": value},
            "ImageConfig": lambda value: {"Command": value},
        }
        shape = wrap.get(parameter, lambda value: value)
        return lambda aws, it, state, fields: aws.call(
            "lambda",
            "update_function_configuration",
            FunctionName=it.name,
            **{parameter: shape(fields[field])},
        )

    return {field: write(field, parameter) for field, parameter in names.items()}


WRITES: dict[str, dict[str, Write]] = {
    "Bucket": {
        "encryption": lambda aws, it, state, fields: aws.call(
            "s3",
            "put_bucket_encryption",
            Bucket=it.name,
            ServerSideEncryptionConfiguration={
                "Rules": [
                    {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": fields["encryption"]}}
                ]
            },
        ),
        "public_access_block": lambda aws, it, state, fields: aws.call(
            "s3",
            "put_public_access_block",
            Bucket=it.name,
            PublicAccessBlockConfiguration=fields["public_access_block"],
        ),
        "object_ownership": lambda aws, it, state, fields: aws.call(
            "s3",
            "put_bucket_ownership_controls",
            Bucket=it.name,
            OwnershipControls={"Rules": [{"ObjectOwnership": fields["object_ownership"]}]},
        ),
        "policy": lambda aws, it, state, fields: aws.call(
            "s3", "put_bucket_policy", Bucket=it.name, Policy=json.dumps(fields["policy"])
        ),
    },
    "Repository": {
        "tag_mutability": lambda aws, it, state, fields: aws.call(
            "ecr",
            "put_image_tag_mutability",
            repositoryName=it.name,
            imageTagMutability=fields["tag_mutability"],
        ),
        "scan_on_push": lambda aws, it, state, fields: aws.call(
            "ecr",
            "put_image_scanning_configuration",
            repositoryName=it.name,
            imageScanningConfiguration={"scanOnPush": fields["scan_on_push"]},
        ),
        "policy": lambda aws, it, state, fields: aws.call(
            "ecr",
            "set_repository_policy",
            repositoryName=it.name,
            policyText=json.dumps(fields["policy"]),
        ),
        "lifecycle_policy": lambda aws, it, state, fields: aws.call(
            "ecr",
            "put_lifecycle_policy",
            repositoryName=it.name,
            lifecyclePolicyText=json.dumps(fields["lifecycle_policy"]),
        ),
    },
    "LogGroup": {
        "retention_days": lambda aws, it, state, fields: aws.call(
            "logs",
            "put_retention_policy",
            logGroupName=it.name,
            retentionInDays=fields["retention_days"],
        ),
    },
    "Role": {
        "description": lambda aws, it, state, fields: aws.call(
            "iam", "update_role", RoleName=it.name, Description=fields["description"]
        ),
        "trust": lambda aws, it, state, fields: aws.call(
            "iam",
            "update_assume_role_policy",
            RoleName=it.name,
            PolicyDocument=json.dumps(fields["trust"]),
        ),
        "policies": put_policies,
        "permissions_boundary": lambda aws, it, state, fields: aws.call(
            "iam",
            "put_role_permissions_boundary",
            RoleName=it.name,
            PermissionsBoundary=fields["permissions_boundary"],
        ),
    },
    "Function": {
        **configure(
            description="Description",
            role_arn="Role",
            memory_mb="MemorySize",
            timeout_s="Timeout",
            ephemeral_storage_mb="EphemeralStorage",
            environment="Environment",
            tracing="TracingConfig",
            command="ImageConfig",
        ),
        "architecture": lambda aws, it, state, fields: aws.call(
            "lambda",
            "update_function_code",
            FunctionName=it.name,
            Architectures=[fields["architecture"]],
            ImageUri=f"{it.repository_uri}@{fields['image_digest']}",
        ),
        "reserved_concurrency": lambda aws, it, state, fields: aws.call(
            "lambda",
            "put_function_concurrency",
            FunctionName=it.name,
            ReservedConcurrentExecutions=fields["reserved_concurrency"],
        ),
    },
    "ProvisionedConcurrency": {
        "concurrency": lambda aws, it, state, fields: aws.call(
            "lambda",
            "put_provisioned_concurrency_config",
            FunctionName=it.function,
            Qualifier=state.fields["version_arn"].rpartition(":")[2],
            ProvisionedConcurrentExecutions=fields["concurrency"],
        ),
    },
    "StateMachine": {
        "definition": lambda aws, it, state, fields: aws.call(
            "stepfunctions",
            "update_state_machine",
            stateMachineArn=it.arn,
            definition=canonical_json(fields["definition"]),
        ),
        "role_arn": lambda aws, it, state, fields: aws.call(
            "stepfunctions",
            "update_state_machine",
            stateMachineArn=it.arn,
            roleArn=fields["role_arn"],
        ),
        "logging": put_logging,
        "tracing": lambda aws, it, state, fields: aws.call(
            "stepfunctions",
            "update_state_machine",
            stateMachineArn=it.arn,
            tracingConfiguration={"enabled": fields["tracing"]},
        ),
    },
    "HttpApi": {
        "stage_tags": lambda aws, it, state, fields: aws.call(
            "apigatewayv2",
            "tag_resource",
            ResourceArn="arn:aws:apigateway:us-east-1::/apis/"
            f"{state.outputs['api_id']}/stages/$default",
            Tags=fields["stage_tags"],
        ),
        "description": lambda aws, it, state, fields: aws.call(
            "apigatewayv2",
            "update_api",
            ApiId=state.outputs["api_id"],
            Description=fields["description"],
        ),
        "cors": put_cors,
        "integration": put_api_integration,
        "route": lambda aws, it, state, fields: aws.call(
            "apigatewayv2",
            "update_route",
            ApiId=state.outputs["api_id"],
            RouteId=state.outputs["route_id"],
            RouteKey=fields["route"]["key"],
            AuthorizationType=fields["route"]["authorization"],
            AuthorizationScopes=fields["route"]["scopes"],
        ),
        "stage": put_api_stage,
    },
}


class Deployed:
    """A deployed service; its resources are read, compared and repaired one by one."""

    def __init__(self, service: Service) -> None:
        limits = FunctionSettings(provisioned_concurrency=2, reserved_concurrency=10)
        service.overrides = {"per_function": {"random_forest": limits}}
        service.up()
        self.service = service
        self.aws = service.account.aws()
        release = read_release(service.settings, service.events.append)
        resources = declare(service.settings, release)
        self.actual = read_all(self.aws, resources, SerialExecutor())
        self.resources = {each.key: self._alone(each) for each in resources}

    def _alone(self, resource: Resource) -> Resource:
        """The resource with every reference filled in, so that it can be planned by itself."""
        alone = copy.copy(resource)
        known: Any = self.actual
        alone.fields = resolve(resource.fields, lambda ref: known[ref.key].outputs[ref.output])
        alone.needs = ()
        return alone

    def change(self, key: str) -> Change:
        it = self.resources[key]
        return plan_changes([it], read_all(self.aws, [it], SerialExecutor())).changes[0]

    def paths(self, key: str) -> set[str]:
        return plans.places(self.change(key))

    def mend(self, key: str) -> None:
        it = self.resources[key]
        actual = read_all(self.aws, [it], SerialExecutor())
        plan = plan_changes([it], actual)
        result = Run(self.aws, lambda event: None, SerialExecutor()).up(plan, [it], actual, [])
        assert result.succeeded, [outcome.error for outcome in result.outcomes.values()]


@pytest.fixture
def deployed(service: Service) -> Deployed:
    return Deployed(service)


def cases(it: Resource) -> Iterator[tuple[Path, str, Any]]:
    """Yield (path, place, other value) of every leaf that can be changed outside of the tool."""
    for path, value in leaves(it.fields):
        place = f"{it.key}/{spelled(path)}"
        if any(re.fullmatch(pattern, place) for pattern in NOT_CHANGEABLE):
            continue
        if path[0] == "definition" and not re.fullmatch(DEFINITION, place):
            continue
        other = another(place, value)
        if other is not None:
            yield path, place, other


@pytest.mark.slow(every=3)
@pytest.mark.parametrize("key", SUBJECTS)
def test_each_field_changed_behind_our_back_is_shown_exactly_and_put_right(
    deployed: Deployed, key: str
) -> None:
    it = deployed.resources[key]
    before = picture(deployed.aws)
    tried = 0
    for path, place, other in cases(it):
        write = WRITES[type(it).__name__].get(str(path[0]))
        assert write is not None, (
            f"no way to change {place} behind our back: add it to WRITES, or say why not"
        )
        write(deployed.aws, it, it.read(deployed.aws), mutated(it.fields, path, other))
        expected = places(labelled(it.fields, path), leaf(it.fields, path), other)
        if path[-1] == "Sid":  # another name is another statement
            statements = spelled(path[:-2])
            expected = {f"{statements}[{name}]" for name in (leaf(it.fields, path), other)}
        unversioned = path[0] == "reserved_concurrency"
        if (type(it).__name__ == "Function" and not unversioned) or path[0] == "definition":
            expected.add("published")  # the newest version is not what is live any more
        if type(it).__name__ == "ProvisionedConcurrency":
            expected.add("status")  # another number is not ready at once (Pc-2)
        if place == "api/route.key":  # another key is another route, and ours is gone
            expected = {"route", "integration", "orphan_integrations", "stale_routes"}
        if place == "api/integration.subtype":
            expected = {"integration.subtype"}
        assert deployed.paths(key) == expected, place
        deployed.mend(key)
        assert deployed.paths(key) == set(), place
        tried += 1
    assert tried > 0
    # Of these, versions and ids move on.
    if type(it).__name__ not in ("Function", "StateMachine", "HttpApi"):
        assert differences(picture(deployed.aws), before) == []


def test_every_leaf_has_a_case_or_a_reason(deployed: Deployed) -> None:
    kinds = {type(it).__name__ for it in deployed.resources.values()}
    assert {type(deployed.resources[key]).__name__ for key in SUBJECTS} == kinds - {
        "ModelFile",
        "Image",
    }
    used = set()
    for it in deployed.resources.values():
        for path, _ in leaves(it.fields):
            place = f"{it.key}/{spelled(path)}"
            used |= {pattern for pattern in NOT_CHANGEABLE if re.fullmatch(pattern, place)}
    assert used == set(NOT_CHANGEABLE), "a reason that nothing needs any more"


def test_a_model_file_that_is_gone_or_another_is_put_back(deployed: Deployed) -> None:
    key = "model/random_forest"
    it: Any = deployed.resources[key]
    bucket = deployed.service.settings.bucket
    deployed.aws.call("s3", "delete_object", Bucket=bucket, Key=it.fields["key"])
    assert deployed.change(key).action.value == "create"
    deployed.mend(key)
    deployed.aws.call(
        "s3",
        "put_object",
        Bucket=bucket,
        Key=it.fields["key"],
        Body=b"another",
        Metadata={"sha256": "0"},
    )
    assert deployed.paths(key) == {"sha256"}
    deployed.mend(key)
    assert deployed.paths(key) == set()


def test_a_version_deleted_behind_our_back_is_published_anew(deployed: Deployed) -> None:
    key = "function/random_forest"
    it: Any = deployed.resources[key]
    deployed.aws.call("lambda", "delete_function", FunctionName=it.name, Qualifier="1")
    assert deployed.paths(key) == {"published"}
    deployed.service.up()
    assert deployed.service.plan().is_empty


def test_another_image_behind_our_back_is_shown_and_put_right(deployed: Deployed) -> None:
    key = "function/random_forest"
    it: Any = deployed.resources[key]
    digest = {"imageDigest": it.fields["image_digest"]}
    found = deployed.aws.call(
        "ecr", "batch_get_image", repositoryName="inference-dev", imageIds=[digest]
    )["images"][0]
    put = deployed.aws.call(
        "ecr",
        "put_image",
        repositoryName="inference-dev",
        imageManifest=found["imageManifest"] + " ",
        imageTag="theirs",
    )
    uri = f"{it.repository_uri}@{put['image']['imageId']['imageDigest']}"
    deployed.aws.call(
        "lambda",
        "update_function_code",
        FunctionName=it.name,
        ImageUri=uri,
        Architectures=["x86_64"],
    )
    assert deployed.paths(key) == {"image_digest", "published"}
    deployed.mend(key)
    assert deployed.paths(key) == set()


def test_routes_and_integrations_that_were_added_are_shown_and_removed(deployed: Deployed) -> None:
    state: Any = deployed.actual["api"]
    below = {"ApiId": state.outputs["api_id"]}
    orphan = deployed.aws.call(
        "apigatewayv2",
        "create_integration",
        **below,
        IntegrationType="HTTP_PROXY",
        IntegrationMethod="GET",
        IntegrationUri="https://example.com",
        PayloadFormatVersion="1.0",
    )["IntegrationId"]
    assert deployed.paths("api") == {"orphan_integrations"}
    deployed.mend("api")
    target = f"integrations/{state.outputs['integration_id']}"
    deployed.aws.call("apigatewayv2", "create_route", **below, RouteKey="POST /old", Target=target)
    assert deployed.paths("api") == {"stale_routes"}
    deployed.mend("api")
    assert deployed.paths("api") == set() and orphan


def test_fields_that_we_do_not_declare_are_left_alone(deployed: Deployed) -> None:
    """An `up` that changes the same resource leaves the users' own fields as they are."""
    aws, settings = deployed.aws, deployed.service.settings
    function = settings.function_name("random_forest")
    (api,) = aws.call("apigatewayv2", "get_apis")["Items"]
    aws.call(
        "s3",
        "put_bucket_versioning",
        Bucket=settings.bucket,
        VersioningConfiguration={"Status": "Enabled"},
    )
    described = {"Description": "inference-dev: api"}  # moto clears what is not sent, against Iam-8
    aws.call(
        "iam",
        "update_role",
        RoleName=settings.role_name("api"),
        MaxSessionDuration=7200,
        **described,
    )
    aws.call("lambda", "create_alias", FunctionName=function, Name="stable", FunctionVersion="1")
    aws.call("apigatewayv2", "update_api", ApiId=api["ApiId"], DisableExecuteApiEndpoint=True)
    assert deployed.service.plan().effective == ()
    deployed.service.up(tracing=True, log_retention_days=30, cors_origins=(), burst_limit=9)
    assert aws.call("s3", "get_bucket_versioning", Bucket=settings.bucket)["Status"] == "Enabled"
    assert (
        aws.call("iam", "get_role", RoleName=settings.role_name("api"))["Role"][
            "MaxSessionDuration"
        ]
        == 7200
    )
    assert (
        aws.call("lambda", "get_alias", FunctionName=function, Name="stable")["FunctionVersion"]
        == "1"
    )
    assert (
        aws.call("apigatewayv2", "get_api", ApiId=api["ApiId"])["DisableExecuteApiEndpoint"] is True
    )
