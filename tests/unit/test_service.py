"""The table of contents: which resources there are, what needs what, and that AWS's limits allow
every declared value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.engine.apply import needs_of
from deployer.engine.compare import canonical_json
from deployer.engine.graph import in_order
from deployer.engine.plan import references
from deployer.project.parsers import HANDLERS_OWN
from deployer.project.settings import FunctionSettings, Settings, load_settings
from deployer.resources.base import Resource
from deployer.service import declare
from deployer.service.examples import _call
from deployer.service.inventory import everything
from deployer.service.rehearsal import limits, rehearse
from deployer.service.release import load_release
from tests.support.golden import golden

GOLDEN = Path(__file__).parent.parent / "cases" / "service.txt"


@pytest.fixture
def settings(project: Path) -> Settings:
    found = load_settings(project, {"region": "ap-southeast-2"}, {})
    return found.located(account="123456789012", partition="aws", region="ap-southeast-2")


@pytest.fixture
def resources(settings: Settings) -> list[Resource]:
    return declare.declare(settings, load_release(settings))


def field(resources: list[Resource], key: str, name: str) -> Any:
    return next(resource for resource in resources if resource.key == key).fields[name]


def test_keys_and_edges_are_the_reviewed_ones(
    request: pytest.FixtureRequest, resources: list[Resource]
) -> None:
    """A new edge is a decision: regenerate, and read the difference."""
    needs = needs_of(resources)
    text = "".join(
        f"{key} <- {' '.join(sorted(needs[key]))}".rstrip() + "\n" for key in in_order(needs)
    )
    golden(request, GOLDEN, text)


def test_the_api_cannot_come_before_its_role_nor_a_function_before_its_log_group(
    resources: list[Resource],
) -> None:
    order = in_order(needs_of(resources))
    for earlier, later in (
        ("role/api", "api"),
        ("workflow", "api"),
        ("logs/random_forest", "function/random_forest"),
        ("model/random_forest", "function/random_forest"),
        ("image", "function/random_forest"),
        ("function/support_vector", "workflow"),
        ("bucket", "model/random_forest"),
    ):
        assert order.index(earlier) < order.index(later)


def statements(resources: list[Resource], role: str, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = field(resources, f"role/{role}", "policies")[name]["Statement"]
    return found


def test_functions_may_read_models_and_write_their_own_logs_and_nothing_else(
    resources: list[Resource],
) -> None:
    assert set(field(resources, "role/functions", "policies")) == {"logs", "models"}
    (models,) = statements(resources, "functions", "models")
    assert models["Action"] == ["s3:GetObject"]
    assert models["Resource"] == ["arn:aws:s3:::inference-dev-123456789012-ap-southeast-2/models/*"]
    (logs,) = statements(resources, "functions", "logs")
    assert logs["Action"] == [
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    ]  # Logs-9: not CreateLogGroup
    assert all(
        re.fullmatch(r"arn:aws:logs:.+:log-group:/aws/lambda/inference-dev-[a-z-]+:\*", each)
        for each in logs["Resource"]
    )


def test_the_workflow_may_invoke_these_functions_with_and_without_a_version(
    resources: list[Resource],
) -> None:
    (invoke,) = statements(resources, "workflow", "invoke")
    prefix = "arn:aws:lambda:ap-southeast-2:123456789012:function:inference-dev-"
    names = ("linear-regression", "random-forest", "support-vector")
    assert invoke["Resource"] == sorted(
        [prefix + name for name in names] + [f"{prefix}{name}:*" for name in names]
    )
    (trust,) = field(resources, "role/workflow", "trust")["Statement"]
    assert trust["Condition"]["ArnLike"]["aws:SourceArn"] == [
        "arn:aws:states:ap-southeast-2:123456789012:stateMachine:inference-dev"
    ]


def test_the_workflow_may_deliver_its_logs_by_actions_that_allow_only_a_star(
    resources: list[Resource],
) -> None:
    (logs,) = statements(resources, "workflow", "logs")
    assert logs["Resource"] == ["*"]
    assert {"logs:CreateLogDelivery", "logs:DescribeLogGroups"} <= set(logs["Action"])


def test_the_api_may_start_this_workflow_and_nothing_else(resources: list[Resource]) -> None:
    assert set(field(resources, "role/api", "policies")) == {"start"}
    (start,) = statements(resources, "api", "start")
    assert start["Action"] == ["states:StartSyncExecution"]
    arn = "arn:aws:states:ap-southeast-2:123456789012:stateMachine:inference-dev"
    assert start["Resource"] == [arn]


def test_the_workflow_logs_its_errors(settings: Settings, resources: list[Resource]) -> None:
    """Sfn-6: an express execution leaves no other trace; data of users stays out of it."""
    logging = field(resources, "workflow", "logging")
    assert (logging["level"], logging["include_execution_data"]) == ("ERROR", False)
    release = load_release(settings)
    whole = declare.declare(replace(settings, workflow_log="all", log_inputs=True), release)
    assert field(whole, "workflow", "logging")["level"] == "ALL"
    assert field(whole, "function/random_forest", "environment")["LOG_INPUTS"] == "yes"
    assert "LOG_INPUTS" not in field(resources, "function/random_forest", "environment")


def test_a_functions_variables_and_level_are_in_its_environment_beside_the_handlers(
    settings: Settings, resources: list[Resource]
) -> None:
    release = load_release(settings)
    own = FunctionSettings(environment={"MODE": "exact"}, log_level="debug")
    changed = replace(
        settings,
        defaults=FunctionSettings(environment={"MODE": "fast"}),
        per_function={"random_forest": own},
    )
    whole = declare.declare(changed, release)
    before = field(resources, "function/random_forest", "environment")
    assert not {"MODE", "LOG_LEVEL"} & before.keys()
    after = field(whole, "function/random_forest", "environment")
    assert after == {**before, "MODE": "exact", "LOG_LEVEL": "debug"}
    other = field(whole, "function/linear_regression", "environment")
    assert other["MODE"] == "fast" and "LOG_LEVEL" not in other
    assert set(before) == set(HANDLERS_OWN) - {"LOG_INPUTS", "LOG_LEVEL"}
    # The example that is asked on this machine finds them, too.
    (forest,) = (served for served in release.functions if served.name == "random_forest")
    assert _call(changed, forest).environment["MODE"] == "exact"


def test_variables_beyond_lambdas_limit_are_a_finding_with_both_sizes(settings: Settings) -> None:
    """Lambda-38: names and values of all variables, in bytes."""
    release = load_release(settings)
    own = release.functions[0].model.environment(settings.bucket)
    used = sum(len(name + value) for name, value in own.items())
    nobody = Aws(region="us-east-1", credentials=("x", "y"))
    for room, excess in ((4096 - used, 0), (4096 - used + 1, 1)):
        text = "ä" * ((room - 4) // 2) + "x" * (room % 2)
        limits = FunctionSettings(environment={"LONG": text})
        changed = replace(settings, per_function={release.names[0]: limits})
        findings = rehearse(nobody, changed, [declare.function(changed, release.functions[0])])
        assert (
            findings
            == [
                f"function/{release.names[0]}: its environment variables have 4097 bytes together, "
                "those of the handler included; Lambda's limit is 4096"
            ][:excess]
        )


def test_only_this_account_uses_the_roles_and_only_its_functions_pull(
    resources: list[Resource],
) -> None:
    """Lambda-34, ECR-8. For API Gateway no such condition is documented."""
    account = {"aws:SourceAccount": ["123456789012"]}
    (functions,) = field(resources, "role/functions", "trust")["Statement"]
    (workflow,) = field(resources, "role/workflow", "trust")["Statement"]
    (api,) = field(resources, "role/api", "trust")["Statement"]
    assert functions["Condition"] == {"StringEquals": account}
    assert workflow["Condition"]["StringEquals"] == account
    assert "Condition" not in api
    (pull,) = field(resources, "repository", "policy")["Statement"]
    assert pull["Sid"] == "LambdaECRImageRetrievalPolicy"  # Lambda's own, or it adds another
    assert pull["Principal"] == {"Service": ["lambda.amazonaws.com"]}
    assert pull["Action"] == ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    ours = "arn:aws:lambda:ap-southeast-2:123456789012:function:inference-dev-*"
    assert pull["Condition"] == {"StringLike": {"aws:SourceArn": [ours]}}


def test_tracing_adds_its_permissions_to_both_roles(settings: Settings) -> None:
    traced = declare.declare(replace(settings, tracing=True), load_release(settings))
    put = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
    (functions,) = statements(traced, "functions", "tracing")
    (workflow,) = statements(traced, "workflow", "tracing")
    assert set(functions["Action"]) == put
    assert set(workflow["Action"]) == put | {"xray:GetSamplingRules", "xray:GetSamplingTargets"}
    assert field(traced, "workflow", "tracing") is True
    assert field(traced, "function/random_forest", "tracing") == "Active"


def test_log_destinations_have_the_form_that_each_service_wants(resources: list[Resource]) -> None:
    """Logs-5: with ":*" for Step Functions, without for API Gateway; Logs-6: both under
    /aws/vendedlogs/.
    """
    arn = "arn:aws:logs:ap-southeast-2:123456789012:log-group:/aws/vendedlogs"
    assert field(resources, "workflow", "logging")["destination"] == f"{arn}/states/inference-dev:*"
    assert (
        field(resources, "api", "stage")["access_log"]["destination"]
        == f"{arn}/apigateway/inference-dev"
    )


def test_the_access_log_format_is_one_short_json_line_with_what_is_needed() -> None:
    """Api-29: at most 3 KB, one line, $context.requestId, and errors of the integration."""
    text = declare.access_log_format()
    assert (
        len(text) < 3072
        and "\n" not in text
        and json.loads(text)["requestId"] == "$context.requestId"
    )
    for name in ("integrationErrorMessage", "integration.status", "error.message"):
        assert f"$context.{name}" in text


def test_policies_fit_into_iams_limits(settings: Settings) -> None:
    """Iam-11: 10,240 characters of inline policies for a role, 2,048 of trust; for ten models."""
    release = load_release(settings)
    names = [f"a_model_with_a_long_name_{number}" for number in range(10)]
    functions = tuple(replace(release.functions[0], name=name) for name in names)
    many = replace(release, definition={}, functions=functions)
    for role in ("functions", "workflow", "api"):
        resources = declare.declare(replace(settings, tracing=True), many)
        policies = field(resources, f"role/{role}", "policies")
        assert sum(len(canonical_json(policy)) for policy in policies.values()) < 10_240
        assert len(canonical_json(field(resources, f"role/{role}", "trust"))) < 2_048


def test_every_reference_is_to_a_declared_resource(resources: list[Resource]) -> None:
    keys = {resource.key for resource in resources}
    found = {ref for resource in resources for ref in references(resource.fields)}
    assert {ref.key for ref in found} <= keys
    assert {ref.output for ref in found} == {"digest", "version_arn"}


def test_an_own_folder_makes_an_own_image_in_the_same_repository(settings: Settings) -> None:
    own = settings.project / "lambda_src" / "random_forest"
    own.mkdir()
    (own / "Dockerfile").write_text('FROM x\nCMD ["other.handler"]\n')
    resources = declare.declare(settings, load_release(settings))
    tags = {
        resource.key: resource.fields["tag"]
        for resource in resources
        if resource.key.startswith("image")
    }
    assert set(tags) == {"image", "image/random_forest"} and len(set(tags.values())) == 2
    assert field(resources, "function/random_forest", "image_digest").key == "image/random_forest"
    assert field(resources, "function/support_vector", "image_digest").key == "image"


def test_everything_that_can_be_declared_can_be_deleted(
    settings: Settings, resources: list[Resource]
) -> None:
    deletable = {resource.key for resource in everything(settings, load_release(settings).names)}
    declared = {resource.key for resource in resources}
    # An image goes with its repository; other settings may have been declared before.
    former = {"api/rest", "usage-plan", "bucket/former"}
    assert deletable == declared - {"image"} | former


def test_every_value_that_is_sent_is_within_botocores_limits(project: Path, server: Any) -> None:
    """All parameters of all writing calls of a first up, held against the service models."""
    from concurrent.futures import ThreadPoolExecutor

    from deployer.service.up import plan_up
    from tests.support.accounts import connect, reset

    reset(server)
    aws = connect(server)
    broken: list[str] = []
    seen: set[str] = set()

    def check(params: Mapping[str, Any], model: Any, **_: Any) -> None:
        seen.add(model.name)
        broken.extend(limits(model.input_shape, params, model.name))

    for name in ("s3", "ecr", "iam", "logs", "lambda", "stepfunctions", "apigatewayv2"):
        aws.client(name).meta.events.register("before-parameter-build", check)
    settings = replace(
        load_settings(project, {}, {}).located(
            account="123456789012", partition="aws", region="us-east-1"
        ),
        bare=True,
        proof=False,
    )
    with ThreadPoolExecutor(4) as pool:
        plan_up(aws, settings, pool, lambda event: None).apply(lambda: False)
    assert {
        "CreateFunction",
        "CreateStateMachine",
        "CreateApi",
        "CreateRole",
        "CreateBucket",
        "PutImage",
    } <= seen
    assert broken == []
