"""Every kind goes through the same ritual against the local AWS: create, nothing to do, each field,
drift, delete.

The resources are the service's own, from service.declare, so every declared property is covered.
Calls are real HTTP.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.engine.apply import Run, needs_of, plan_changes, read_all
from deployer.engine.graph import in_order
from deployer.engine.plan import UNKNOWN, Action, Plan
from deployer.project.settings import FunctionSettings, Settings, load_settings
from deployer.resources.base import Ownership, Resource
from deployer.service import callers, declare
from deployer.service.release import load_release
from tests.support.plans import places

SUBJECTS = (
    "bucket",
    "model/random_forest",
    "repository",
    "image",
    "logs/api",
    "role/workflow",
    "function/random_forest",
    "provisioned/random_forest",
    "workflow",
    "api",
    "api as rest",
    "api with tokens",
    "usage-plan",
)
# The settings that declare a subject whose name does not tell it.
SETTINGS: dict[str, dict[str, Any]] = {
    "api as rest": {"api": "rest"},
    "api with tokens": {
        "auth": "jwt",
        "jwt_issuer": "https://login.example.com/",
        "jwt_audience": ("prices", "admin"),
        "jwt_scopes": ("predict",),
    },
    "usage-plan": {"api": "rest", "auth": "key", "key_quota": "1000 per day"},
}
# On for this function alone: by default there is none of it.
CONCURRENCY = FunctionSettings(provisioned_concurrency=2, reserved_concurrency=10)

Edit = Callable[[dict[str, Any]], None]


def put(*path: str | int, value: Any) -> Edit:
    """An edit of the desired fields: set the value at a path."""

    def edit(fields: Any) -> None:
        for name in path[:-1]:
            fields = fields[name]
        fields[path[-1]] = value

    return edit


# By subject: what is desired instead, and the paths that the plan must show for it, exactly.
CHANGES: dict[str, list[tuple[Edit, set[str]]]] = {
    "bucket": [
        (put("encryption", value="aws:kms"), {"encryption"}),
        (
            put("public_access_block", "BlockPublicAcls", value=False),
            {"public_access_block.BlockPublicAcls"},
        ),
        (put("object_ownership", value="BucketOwnerPreferred"), {"object_ownership"}),
    ],
    "model/random_forest": [],
    "repository": [
        (put("tag_mutability", value="MUTABLE"), {"tag_mutability"}),
        (put("scan_on_push", value=False), {"scan_on_push"}),
        (
            put("lifecycle_policy", "rules", 0, "selection", "countNumber", value=5),
            {"lifecycle_policy.rules[1].selection.countNumber"},
        ),
        (put("encryption", value="KMS"), {"encryption"}),
    ],
    "image": [],
    "logs/api": [
        (put("retention_days", value=30), {"retention_days"}),
        (put("retention_days", value=None), {"retention_days"}),
    ],
    "role/workflow": [
        (put("description", value="other"), {"description"}),
        (
            put("policies", "logs", "Statement", 0, "Action", value=["logs:CreateLogDelivery"]),
            {"policies.logs.Statement[0].Action"},
        ),
        (lambda fields: fields["policies"].pop("logs"), {"policies.logs"}),
        (put("trust", "Statement", 0, "Sid", value="Named"), {"trust.Statement[0].Sid"}),
        (
            put("permissions_boundary", value="arn:aws:iam::aws:policy/PowerUserAccess"),
            {"permissions_boundary"},
        ),
    ],
    "function/random_forest": [
        (put("memory_mb", value=2048), {"memory_mb"}),
        (put("timeout_s", value=7), {"timeout_s"}),
        (put("ephemeral_storage_mb", value=1024), {"ephemeral_storage_mb"}),
        (put("environment", "MODEL", value="other"), {"environment.MODEL"}),
        (lambda fields: fields["environment"].pop("KEY"), {"environment.KEY"}),
        (
            put("environment", value={}),
            {f"environment.{name}" for name in ["BUCKET", "KEY", "MODEL", "SHA256"]}
            | {"environment.SIGNATURE_KEY", "environment.SIGNATURE_SHA256"},
        ),
        (put("tracing", value="Active"), {"tracing"}),
        (put("description", value=""), {"description"}),
        (put("command", value=["other.handler"]), {"command"}),
        (put("reserved_concurrency", value=0), {"reserved_concurrency"}),
        (put("reserved_concurrency", value=None), {"reserved_concurrency"}),
    ],
    "provisioned/random_forest": [(put("concurrency", value=3), {"concurrency"})],
    "workflow": [
        (put("definition", "TimeoutSeconds", value=5), {"definition.TimeoutSeconds"}),
        (put("definition", "Comment", value="other"), {"definition.Comment"}),
        (put("logging", "include_execution_data", value=True), {"logging.include_execution_data"}),
        (put("logging", value=None), {"logging"}),
        (put("tracing", value=True), {"tracing"}),
        (put("type", value="STANDARD"), {"type"}),
    ],
    "api": [
        (put("description", value="other"), {"description"}),
        (put("cors", "max_age_s", value=60), {"cors.max_age_s"}),
        (put("cors", "origins", value=["https://example.com"]), {"cors.origins[0]"}),
        (put("cors", value=None), {"cors"}),
        (put("integration", "timeout_ms", value=5000), {"integration.timeout_ms"}),
        (
            put("route", "key", value="POST /predict"),
            {"route", "stale_routes", "integration", "orphan_integrations"},
        ),
        (put("stage", "burst_limit", value=7), {"stage.burst_limit"}),
        (put("stage", "rate_limit", value=3), {"stage.rate_limit"}),
        (put("stage", "access_log", value=None), {"stage.access_log"}),
        (put("stage", "auto_deploy", value=False), {"stage.auto_deploy"}),
    ],
    "api as rest": [
        (put("description", value="other"), {"description"}),
        (put("endpoint_type", value="EDGE"), {"endpoint_type"}),
        (
            put("methods", "POST /", "integration", "timeout_ms", value=5000),
            {"methods.POST /.integration.timeout_ms", "deployed"},
        ),
        (
            put("methods", "POST /", "headers", "200", value=["x-other"]),
            {"methods.POST /.headers.200", "deployed"},
        ),
        (lambda fields: fields["methods"].pop("GET /health"), {"methods.GET /health", "deployed"}),
        (
            put("gateway_responses", "THROTTLED", "status", value="503"),
            {"gateway_responses.THROTTLED.status", "deployed"},
        ),
        (
            lambda fields: fields["gateway_responses"].pop("DEFAULT_5XX"),
            {"gateway_responses.DEFAULT_5XX", "deployed"},
        ),
        (put("stage", "burst_limit", value=7), {"stage.burst_limit"}),
        (put("stage", "rate_limit", value=3), {"stage.rate_limit"}),
        (put("stage", "detailed_metrics", value=True), {"stage.detailed_metrics"}),
        (
            put("methods", "POST /", "authorization", value="AWS_IAM"),
            {"methods.POST /.authorization", "deployed"},
        ),
        (
            put("methods", "POST /", "api_key_required", value=True),
            {"methods.POST /.api_key_required", "deployed"},
        ),
    ],
    "api with tokens": [
        (put("authorizer", "issuer", value="https://other.example.com"), {"authorizer.issuer"}),
        (put("authorizer", "audience", value=["prices"]), {"authorizer.audience"}),
        (
            put("authorizer", "sources", value=["$request.querystring.token"]),
            {"authorizer.sources[0]"},
        ),
        (put("route", "scopes", value=["admin", "predict"]), {"route.scopes"}),
        (put("route", "scopes", value=[]), {"route.scopes"}),
        (
            lambda fields: fields.update(
                authorizer=None,
                route={
                    **fields["route"],
                    "authorization": "NONE",
                    "authorizer": None,
                    "scopes": [],
                },
            ),
            {"authorizer", "route.authorization", "route.authorizer", "route.scopes"},
        ),
    ],
    "usage-plan": [
        (put("description", value="other"), {"description"}),
        (put("throttle", "rate_limit", value=2.5), {"throttle.rate_limit"}),
        (put("throttle", "burst_limit", value=7), {"throttle.burst_limit"}),
        (put("throttle", value=None), {"throttle"}),
        (put("quota", "limit", value=5), {"quota.limit"}),
        (put("quota", "period", value="MONTH"), {"quota.period"}),
        (put("quota", value=None), {"quota"}),
        (put("stages", value=[]), {"stages"}),
    ],
}

# By subject: what somebody does behind our back, with the resource at hand, and the paths that
# show.
Drift = tuple[Callable[[Aws, Any], Any], set[str]]
RATE = {"throttle.rate_limit"}
DRIFTS: dict[str, list[Drift]] = {
    "bucket": [
        (lambda aws, it: aws.call("s3", "delete_bucket_policy", Bucket=it.name), {"policy"}),
        (
            lambda aws, it: aws.call("s3", "delete_public_access_block", Bucket=it.name),
            {"public_access_block"},
        ),
        (
            lambda aws, it: aws.call("s3", "delete_bucket_ownership_controls", Bucket=it.name),
            {"object_ownership"},
        ),
    ],
    "model/random_forest": [],
    "repository": [
        (
            lambda aws, it: aws.call("ecr", "delete_repository_policy", repositoryName=it.name),
            {"policy"},
        ),
        (
            lambda aws, it: aws.call("ecr", "delete_lifecycle_policy", repositoryName=it.name),
            {"lifecycle_policy"},
        ),
    ],
    "image": [],
    "logs/api": [
        (
            lambda aws, it: aws.call("logs", "delete_retention_policy", logGroupName=it.name),
            {"retention_days"},
        ),
        (
            lambda aws, it: aws.call(
                "logs", "put_retention_policy", logGroupName=it.name, retentionInDays=1
            ),
            {"retention_days"},
        ),
    ],
    "role/workflow": [
        (
            lambda aws, it: aws.call(
                "iam",
                "put_role_policy",
                RoleName=it.name,
                PolicyName="more",
                PolicyDocument=json.dumps(
                    {
                        "Version": "2012-10-17",
                        "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
                    }
                ),
            ),
            {"policies.more"},
        ),
        (
            lambda aws, it: aws.call(
                "iam", "delete_role_policy", RoleName=it.name, PolicyName="invoke"
            ),
            {"policies.invoke"},
        ),
        (
            lambda aws, it: aws.call(
                "iam",
                "update_assume_role_policy",
                RoleName=it.name,
                PolicyDocument=json.dumps(
                    {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Action": "sts:AssumeRole",
                                "Principal": {"AWS": "*"},
                            }
                        ],
                    }
                ),
            ),
            {
                "trust.Statement[0].Condition",
                "trust.Statement[0].Principal.AWS",
                "trust.Statement[0].Principal.Service",
            },
        ),
    ],
    "function/random_forest": [
        (
            lambda aws, it: aws.call(
                "lambda", "update_function_configuration", FunctionName=it.name, MemorySize=512
            ),
            {"memory_mb", "published"},
        ),
        (lambda aws, it: delete_versions(aws, it), {"published"}),
        (
            lambda aws, it: aws.call("lambda", "delete_function_concurrency", FunctionName=it.name),
            {"reserved_concurrency"},
        ),
    ],
    "provisioned/random_forest": [
        (
            lambda aws, it: aws.call(
                "lambda",
                "put_provisioned_concurrency_config",
                FunctionName=it.function,
                Qualifier="1",
                ProvisionedConcurrentExecutions=4,
            ),
            {"concurrency", "status"},
        ),
        (
            lambda aws, it: aws.call(
                "lambda",
                "delete_provisioned_concurrency_config",
                FunctionName=it.function,
                Qualifier="1",
            ),
            {"version_arn", "concurrency", "status"},
        ),
    ],
    "workflow": [
        (
            lambda aws, it: aws.call(
                "stepfunctions",
                "update_state_machine",
                stateMachineArn=it.arn,
                loggingConfiguration={"level": "OFF"},
            ),
            {"logging"},
        ),
    ],
    "api": [
        (
            lambda aws, it: aws.call(
                "apigatewayv2", "delete_cors_configuration", ApiId=api_id(aws)
            ),
            {"cors"},
        ),
        (
            lambda aws, it: aws.call(
                "apigatewayv2", "delete_stage", ApiId=api_id(aws), StageName="$default"
            ),
            {"stage"},
        ),
        (
            lambda aws, it: aws.call(
                "apigatewayv2",
                "delete_route",
                ApiId=api_id(aws),
                RouteId=aws.call("apigatewayv2", "get_routes", ApiId=api_id(aws))["Items"][0][
                    "RouteId"
                ],
            ),
            {"route", "integration", "orphan_integrations"},
        ),
    ],
    "api as rest": [
        (lambda aws, it: put_timeout(aws), {"methods.POST /.integration.timeout_ms"}),
        (
            lambda aws, it: aws.call(
                "apigateway",
                "delete_gateway_response",
                restApiId=rest_api_id(aws),
                responseType="THROTTLED",
            ),
            {"gateway_responses.THROTTLED"},
        ),
        (
            lambda aws, it: aws.call("apigateway", "create_deployment", restApiId=rest_api_id(aws)),
            {"stale_deployments"},
        ),
        (lambda aws, it: deploy_another(aws), {"deployed", "stale_deployments"}),
        (
            lambda aws, it: aws.call(
                "apigateway", "delete_stage", restApiId=rest_api_id(aws), stageName="live"
            ),
            {"stage", "deployed", "stale_deployments"},
        ),
    ],
    "api with tokens": [
        (
            lambda aws, it: aws.call(
                "apigatewayv2",
                "update_authorizer",
                **authorizer(aws),
                JwtConfiguration={"Issuer": "https://evil.example.com", "Audience": ["prices"]},
            ),
            {"authorizer.issuer", "authorizer.audience"},
        ),
        (
            lambda aws, it: aws.call(
                "apigatewayv2", "update_route", **route(aws), AuthorizationScopes=[]
            ),
            {"route.scopes"},
        ),
        (lambda aws, it: open_route(aws), {"route.authorization", "route.authorizer"}),
        (
            lambda aws, it: aws.call(
                "apigatewayv2",
                "create_authorizer",
                ApiId=api_id(aws),
                AuthorizerType="JWT",
                IdentitySource=["$request.header.Authorization"],
                Name="mine",
                JwtConfiguration={"Issuer": "https://mine.example.com", "Audience": ["a"]},
            ),
            {"orphan_authorizers"},
        ),
        (
            lambda aws, it: (
                open_route(aws),
                aws.call("apigatewayv2", "delete_authorizer", **authorizer(aws)),
            ),
            {"authorizer", "route.authorization", "route.authorizer"},
        ),
    ],
    "usage-plan": [
        (lambda aws, it: patch_plan(aws, "replace", "/throttle/rateLimit", "9"), RATE),
        (lambda aws, it: patch_plan(aws, "replace", "/quota/limit", "9"), {"quota.limit"}),
        (lambda aws, it: patch_plan(aws, "remove", "/quota"), {"quota"}),
        (
            lambda aws, it: patch_plan(aws, "remove", "/apiStages", f"{rest_api_id(aws)}:live"),
            {"stages"},
        ),
        (
            lambda aws, it: aws.call(
                "apigateway", "create_api_key", name="a", enabled=True, tags=it.ours.tags
            ),
            {"loose_keys"},
        ),
        (lambda aws, it: add_foreign_key(aws), {"foreign_keys[mine]"}),
    ],
}


def authorizer(aws: Aws) -> dict[str, Any]:
    (found,) = aws.call("apigatewayv2", "get_authorizers", ApiId=api_id(aws))["Items"]
    return {"ApiId": api_id(aws), "AuthorizerId": found["AuthorizerId"]}


def route(aws: Aws) -> dict[str, Any]:
    (found,) = aws.call("apigatewayv2", "get_routes", ApiId=api_id(aws))["Items"]
    return {"ApiId": api_id(aws), "RouteId": found["RouteId"]}


def open_route(aws: Aws) -> None:
    """Let everybody call the route."""
    aws.call(
        "apigatewayv2", "update_route", **route(aws), AuthorizationType="NONE", AuthorizerId=""
    )


def patch_plan(aws: Aws, operation: str, path: str, value: str | None = None) -> None:
    (plan,) = aws.call("apigateway", "get_usage_plans")["items"]
    patch = {"op": operation, "path": path, **({"value": value} if value else {})}
    aws.call("apigateway", "update_usage_plan", usagePlanId=plan["id"], patchOperations=[patch])


def add_foreign_key(aws: Aws) -> None:
    (plan,) = aws.call("apigateway", "get_usage_plans")["items"]
    key = aws.call("apigateway", "create_api_key", name="mine", enabled=True)
    aws.call(
        "apigateway",
        "create_usage_plan_key",
        usagePlanId=plan["id"],
        keyId=key["id"],
        keyType="API_KEY",
    )


def delete_versions(aws: Aws, function: Any) -> None:
    for each in aws.call("lambda", "list_versions_by_function", FunctionName=function.name)[
        "Versions"
    ][1:]:
        aws.call("lambda", "delete_function", FunctionName=function.name, Qualifier=each["Version"])


def rest_api_id(aws: Aws) -> str:
    return str(aws.call("apigateway", "get_rest_apis")["items"][0]["id"])


def put_timeout(aws: Aws) -> None:
    """Define another timeout, and do not deploy it."""
    below = {"restApiId": rest_api_id(aws)}
    resources = aws.call("apigateway", "get_resources", **below, embed=["methods"])["items"]
    (root,) = (one for one in resources if one["path"] == "/")
    method = {"resourceId": root["id"], "httpMethod": "POST"}
    found = aws.call("apigateway", "get_integration", **below, **method)
    kept = {
        name: found[name] for name in ("type", "uri", "requestTemplates", "passthroughBehavior")
    }
    aws.call(
        "apigateway", "put_integration", **below, **method, **kept,
        credentials=found["credentials"], integrationHttpMethod="POST", timeoutInMillis=77,
    )  # fmt: skip
    for status, response in found["integrationResponses"].items():
        parameters = {name: response[name] for name in response if name != "statusCode"}
        aws.call(
            "apigateway", "put_integration_response", **below, **method, **parameters,
            statusCode=status,
        )  # fmt: skip


def deploy_another(aws: Aws) -> None:
    """Let the stage serve another deployment, as the console does."""
    parameters = {"restApiId": rest_api_id(aws), "stageName": "live", "description": "mine"}
    aws.call("apigateway", "create_deployment", **parameters)


def api_id(aws: Aws) -> str:
    return str(aws.call("apigatewayv2", "get_apis")["Items"][0]["ApiId"])


class World:
    """An account in which the subject's dependencies exist, and the means to plan and apply the
    subject alone.
    """

    def __init__(self, aws: Aws, resources: list[Resource], name: str) -> None:
        self.aws = aws
        self.name = name
        key = name.partition(" ")[0]
        needs = needs_of(resources)
        by_key = {resource.key: resource for resource in resources}
        wanted = {key}
        for each in reversed(in_order(needs)):
            if each in wanted:
                wanted |= set(needs[each])
        self.subject: Any = by_key[key]
        self.before = [by_key[each] for each in in_order(needs) if each in wanted - {key}]
        self.pool = ThreadPoolExecutor(4)
        assert self.apply(self.before).count(Action.CREATE) == len(self.before)
        # The subject alone changes: what it depends on is read once.
        self.found = read_all(self.aws, self.before, self.pool)

    def apply(self, resources: list[Resource]) -> Plan:
        """Read, plan and apply; raise the error of a step that failed."""
        return self._perform(resources, read_all(self.aws, resources, self.pool))

    def bring(self, subject: Resource) -> Plan:
        """Apply the subject, without reading what it depends on again."""
        return self._perform([*self.before, subject], self._read(subject))

    def _read(self, subject: Resource) -> dict[str, Any]:
        return {**self.found, **read_all(self.aws, [subject], self.pool)}

    def _perform(self, resources: list[Resource], actual: dict[str, Any]) -> Plan:
        plan = plan_changes(resources, actual)
        result = Run(self.aws, lambda event: None, self.pool).up(plan, resources, actual, [])
        errors = [outcome.error for outcome in result.outcomes.values() if outcome.error]
        if errors:
            raise errors[0]
        return plan

    def of(self, fields: dict[str, Any]) -> Resource:
        """The subject with other desired fields."""
        edited = copy.copy(self.subject)
        edited.fields = fields
        return edited

    def plan(self, subject: Resource) -> Plan:
        return plan_changes([*self.before, subject], self._read(subject))


def located(project: Any) -> Settings:
    settings = load_settings(project, {}, {}).located(
        account="123456789012", partition="aws", region="us-east-1"
    )
    per_function = {"random_forest": CONCURRENCY}
    # The proof's invocations are not part of a kind, and take a process each.
    return replace(settings, bare=True, per_function=per_function, proof=False)


@pytest.fixture
def world(request: pytest.FixtureRequest, aws: Aws, project: Any) -> Any:
    settings = replace(located(project), **SETTINGS.get(request.param, {}))
    world = World(aws, declare.declare(settings, load_release(settings)), request.param)
    yield world
    world.pool.shutdown()


def change_of(plan: Plan, key: str) -> Any:
    return next(change for change in plan.changes if change.key == key)


def paths(plan: Plan, key: str) -> set[str]:
    return places(change_of(plan, key))


subjects = pytest.mark.parametrize("world", SUBJECTS, indirect=True)


def test_every_kind_is_in_the_ritual(aws: Aws, project: Any) -> None:
    settings = located(project)
    resources = declare.declare(settings, load_release(settings))
    declared = {resource.key: type(resource) for resource in resources}
    declared["api as rest"] = type(declare.rest_api(settings))
    declared["api with tokens"] = declared["api"]
    declared["usage-plan"] = type(callers.usage_plan(settings))
    assert {declared[key] for key in SUBJECTS} == set(declared.values())
    assert set(CHANGES) == set(DRIFTS) == set(SUBJECTS)


@pytest.mark.slow(every=3)
@subjects
def test_a_created_resource_needs_nothing_more(world: World, calls: Any) -> None:
    first = world.plan(world.subject)
    assert change_of(first, world.subject.key).action is Action.CREATE
    world.bring(world.subject)
    calls.clear()
    assert world.apply([*world.before, world.subject]).is_empty
    assert calls and not calls.writing()


@pytest.mark.slow(every=3)
@subjects
def test_each_changed_field_is_shown_exactly_and_applied(world: World) -> None:
    key = world.subject.key
    world.bring(world.subject)
    for edit, expected in CHANGES[world.name]:
        fields = copy.deepcopy(dict(world.subject.fields))
        edit(fields)
        edited = world.of(fields)
        plan = world.plan(edited)
        shown = change_of(plan, key)
        assert places(shown) == expected, expected
        forced = any(field.forces_replace for field in shown.fields)
        assert shown.action is (Action.REPLACE if forced else Action.UPDATE)
        assert forced == bool(
            {field.name for field in shown.fields} & set(world.subject.replace_on)
        )
        world.bring(edited)
        assert world.plan(edited).is_empty, expected
        world.bring(world.subject)
        assert world.plan(world.subject).is_empty, expected


@pytest.mark.slow(every=3)
@subjects
def test_drift_is_shown_and_put_right(world: World) -> None:
    key = world.subject.key
    world.bring(world.subject)
    for act, expected in DRIFTS[world.name]:
        act(world.aws, world.subject)
        assert paths(world.plan(world.subject), key) == expected
        world.bring(world.subject)
        assert world.plan(world.subject).is_empty, expected


@pytest.mark.slow(every=3)
@subjects
def test_a_deleted_resource_is_gone_and_may_be_deleted_again(world: World) -> None:
    assert world.subject.find(world.aws) is None
    world.bring(world.subject)
    assert world.subject.find(world.aws) is not None
    world.subject.delete(world.aws)
    if world.subject.key != "image":  # images go with their repository
        assert world.subject.read(world.aws) is None
        assert world.subject.find(world.aws) is None
    world.subject.delete(world.aws)


@pytest.mark.parametrize("world", ["role/functions"], indirect=True)
def test_a_role_goes_with_the_policies_that_somebody_added_to_it(world: World) -> None:
    """Iam-9: the declared ones are deleted without looking; what else is there is looked for when
    IAM says so.
    """
    world.bring(world.subject)
    allow = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}],
    }
    name = world.subject.name
    world.aws.call(
        "iam",
        "put_role_policy",
        RoleName=name,
        PolicyName="added",
        PolicyDocument=json.dumps(allow),
    )
    world.subject.delete(world.aws)
    assert world.subject.read(world.aws) is None


@pytest.mark.slow(every=3)
@pytest.mark.parametrize(
    "world",
    [key for key in SUBJECTS if key.partition("/")[0] not in ("model", "image", "provisioned")],
    indirect=True,
)
def test_a_resource_without_our_tags_is_refused_by_name(world: World) -> None:
    from deployer.errors import ForeignResource

    world.bring(world.subject)
    stranger = copy.copy(world.subject)
    tags = {**world.subject.ours.tags, "deployer:service": "other"}
    stranger.ours = Ownership(tags, adopt=True)
    for look in (stranger.read, stranger.find):
        with pytest.raises(ForeignResource, match="already exists and belongs to") as error:
            look(world.aws)
        assert stranger.name in error.value.message


def version_arn(aws: Aws, function: Any) -> str:
    state = function.read(aws)
    return str(state.outputs["version_arn"])


@pytest.mark.parametrize("world", ["api"], indirect=True)
def test_two_apis_with_our_tags_are_an_error_that_lists_both(world: World) -> None:
    from deployer.errors import ForeignResource

    world.bring(world.subject)
    tags = world.subject.ours.tags
    world.aws.call("apigatewayv2", "create_api", Name="other", ProtocolType="HTTP", Tags=tags)
    with pytest.raises(ForeignResource, match="2 HTTP APIs") as error:
        world.subject.read(world.aws)
    assert api_id(world.aws) in error.value.message


@pytest.mark.parametrize("world", ["api"], indirect=True)
def test_an_api_that_another_run_created_at_the_same_time_is_the_one_that_stays(
    world: World,
) -> None:
    from deployer.errors import DeployerError

    world.bring(world.subject)
    first = api_id(world.aws)
    created = int(time.time())
    while (
        int(time.time()) == created
    ):  # within one second, ids would decide which of the two is older
        time.sleep(0.02)
    with pytest.raises(DeployerError, match=f"another run created the HTTP API {first}"):
        world.subject.create(world.aws, world.subject.fields)
    assert api_id(world.aws) == first and world.plan(world.subject).is_empty


@pytest.mark.parametrize("world", ["workflow"], indirect=True)
def test_a_function_that_is_still_to_change_makes_the_pinned_version_unknown(world: World) -> None:
    world.bring(world.subject)
    function = next(each for each in world.before if each.key == "function/random_forest")
    function.fields = {**function.fields, "memory_mb": 2048}
    change = change_of(world.plan(world.subject), "workflow")
    assert [field.after for field in change.fields] == [UNKNOWN]
    assert change.fields[0].path.endswith("random_forest.Resource")


@pytest.mark.parametrize("world", ["bucket"], indirect=True)
def test_a_bucket_that_was_only_just_created_is_finished(world: World) -> None:
    """The run died between CreateBucket and PutBucketTagging: empty and untagged, it is taken for
    ours.
    """
    world.aws.call("s3", "create_bucket", Bucket=world.subject.name)
    change = change_of(world.plan(world.subject), "bucket")
    assert change.action is Action.UPDATE and "tags" in {field.name for field in change.fields}
    world.bring(world.subject)
    assert world.plan(world.subject).is_empty
