"""Every call of AWS that stands in the source is one that botocore's models know."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from deployer.resources.apigateway.authorizer import AuthorizerFields
from deployer.resources.apigateway.cors import CorsFields
from deployer.resources.apigateway.http_api import HttpApiFields
from deployer.resources.apigateway.integration import IntegrationFields
from deployer.resources.apigateway.rest_api import RestApiFields
from deployer.resources.apigateway.rest_limits import QuotaFields, ThrottleFields
from deployer.resources.apigateway.rest_usage_plan import MeteredStageFields, UsagePlanFields
from deployer.resources.apigateway.routes import RouteFields
from deployer.resources.apigateway.stage import AccessLogFields, StageFields
from deployer.resources.ecr import RepositoryFields
from deployer.resources.fields import Member, Setting, members, settings, write_members
from deployer.resources.iam import RoleFields
from deployer.resources.lambda_ import FunctionFields
from deployer.resources.logs import LogGroupFields
from deployer.resources.s3 import BucketFields
from deployer.resources.stepfunctions import LoggingFields, StateMachineFields
from tests.support.calls import literal_calls, operations, problems, wrappers_of
from tests.support.projects import ROOT

PACKAGE = ROOT / "deployer"
GATEWAY = PACKAGE / "resources" / "apigateway"
MODULES = [
    path
    for folder in ("resources", "service", "images")
    for path in sorted((PACKAGE / folder).rglob("*.py"))
]


def wrappers(path: Path) -> dict[str, Any]:
    """The functions that the module's neighbours offer for calling."""
    calls = GATEWAY / ("rest_calls.py" if path.name.startswith("rest_") else "calls.py")
    return wrappers_of(ast.parse(calls.read_text())) if path.parent == GATEWAY else {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_literal_call_is_one_that_botocore_knows(path: Path) -> None:
    assert problems(path.read_text(), wrappers(path)) == []


def test_the_calls_of_every_kind_are_seen() -> None:
    """Writing calls as well as reading ones, also where a function of the module makes them."""
    seen = {
        (call.service, call.operation)
        for path in MODULES
        for call in literal_calls(path.read_text(), wrappers(path))
    }
    assert {
        ("s3", "create_bucket"),
        ("s3", "put_object"),
        ("ecr", "create_repository"),
        ("ecr", "complete_layer_upload"),
        ("iam", "create_role"),
        ("iam", "get_role_policy"),
        ("logs", "create_log_group"),
        ("lambda", "update_function_configuration"),
        ("stepfunctions", "update_state_machine"),
        ("apigatewayv2", "create_stage"),
        ("apigatewayv2", "get_integrations"),
        ("apigateway", "create_stage"),
        ("apigateway", "get_resources"),
        ("resourcegroupstaggingapi", "get_resources"),
    } <= seen


WRAPPED = """
def _write(aws, operation, **parameters):
    aws.retry(lambda: aws.call("iam", operation, RoleName="x", **parameters))
"""


UNKNOWN = "there is no such parameter: "
MISSING = "a required parameter is missing: "
ASSIGNED = """
def f(aws):
    sent = {"Bucket": a}
    sent["Kye"] = b
    aws.call("s3", "put_object", **sent)
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('aws.call("s3", "put_object", Bucket=a, Key=b)', []),
        ('aws.call("s3", "put_object", Bucket=a, **more)', []),
        ('aws.call("s3", "put_object", Bucket=a)', [f"{MISSING}Key"]),
        ('aws.call("s3", "put_object", Bucket=a, Kye=b, **c)', [f"{UNKNOWN}Kye"]),
        ('aws.call("s4", "put_object")', ["there is no such service"]),
        ('aws.call_once("s3", "put_objekt")', ["there is no such operation"]),
        (
            'aws.find(gone, "iam", "get_role", Name=a)',
            [f"{UNKNOWN}Name", f"{MISSING}RoleName"],
        ),
        ('aws.pages("iam", "list_roles", "Roles", Prefix=a)', [f"{UNKNOWN}Prefix"]),
        ('partial(aws.find, gone, "iam", "get_role")', []),
        ('partial(aws.find, gone, "iam", "get_role", Rolename=a)', [f"{UNKNOWN}Rolename"]),
        (f'{WRAPPED}_write(aws, "update_role", Description=a)', []),
        (f'{WRAPPED}_write(aws, "update_role", Descripton=a)', [f"{UNKNOWN}Descripton"]),
        (ASSIGNED, [f"{UNKNOWN}Kye", f"{MISSING}Key"]),
    ],
)
def test_a_mistake_is_seen(source: str, expected: list[str]) -> None:
    assert [problem.split(": ", 2)[2] for problem in problems(source)] == expected


# The fields of a kind, with the call that writes its Members and the place of its fields in the
# answer that they are read from.
_LOGGING = "loggingConfiguration"
_CORS = "CorsConfiguration"
_LOG = "AccessLogSettings"
_PLAN = "create_usage_plan"
KINDS: list[tuple[type, str, str, str, str]] = [
    (FunctionFields, "lambda", "create_function", "get_function", "Configuration"),
    (StateMachineFields, "stepfunctions", "create_state_machine", "describe_state_machine", ""),
    (LoggingFields, "stepfunctions", f"create_state_machine.{_LOGGING}", "describe_state_machine",
     _LOGGING),
    (RepositoryFields, "ecr", "create_repository", "describe_repositories", "repositories[]"),
    (RoleFields, "iam", "create_role", "get_role", "Role"),
    (LogGroupFields, "logs", "put_retention_policy", "describe_log_groups", "logGroups[]"),
    (BucketFields, "s3", "", "", ""),
    (HttpApiFields, "apigatewayv2", "create_api", "get_apis", "Items[]"),
    (RestApiFields, "apigateway", "create_rest_api", "get_rest_apis", "items[]"),
    (CorsFields, "apigatewayv2", f"create_api.{_CORS}", "get_apis", f"Items[].{_CORS}"),
    (IntegrationFields, "apigatewayv2", "create_integration", "get_integrations", "Items[]"),
    (RouteFields, "apigatewayv2", "create_route", "get_routes", "Items[]"),
    (AuthorizerFields, "apigatewayv2", "create_authorizer", "get_authorizers", "Items[]"),
    (UsagePlanFields, "apigateway", "create_usage_plan", "get_usage_plans", "items[]"),
    (ThrottleFields, "apigateway", f"{_PLAN}.throttle", "get_usage_plans", "items[].throttle"),
    (QuotaFields, "apigateway", f"{_PLAN}.quota", "get_usage_plans", "items[].quota"),
    (MeteredStageFields, "apigateway", f"{_PLAN}.apiStages[]", "get_usage_plans",
     "items[].apiStages[]"),
    (StageFields, "apigatewayv2", "create_stage", "get_stage", ""),
    (AccessLogFields, "apigatewayv2", f"create_stage.{_LOG}", "get_stage", _LOG),
]  # fmt: skip
# Fields that are only read.
READ_ONLY = {"deployment_failure"}


def walk(shape: Any, path: str) -> Any:
    """Return the shape at a path in a shape; fail if there is none."""
    for part in filter(None, path.split(".")):
        assert part.removesuffix("[]") in shape.members, f"{shape.name} has no {part} ({path})"
        shape = shape.members[part.removesuffix("[]")]
        if part.endswith("[]"):
            assert shape.type_name == "list", path
            shape = shape.member
    return shape


@pytest.mark.parametrize(
    ("fields", "service", "writing", "reading", "place"), KINDS, ids=lambda value: str(value)[-40:]
)
def test_every_field_has_a_place_in_botocores_models(
    fields: type, service: str, writing: str, reading: str, place: str
) -> None:
    known = operations(service)
    table: dict[str, Member] = members(fields)
    assert table
    for name, member in table.items():
        setting = member if isinstance(member, Setting) else None
        operation, _, below = writing.partition(".")
        if setting and setting.put:
            operation, below = setting.put, ""
        if name not in READ_ONLY:
            walk(walk(known[operation].input_shape, below), member.path)
        answer = setting.get if setting and setting.get else reading
        prefix = "" if setting and setting.get else place
        walk(walk(known[answer].output_shape, prefix), member.answer or member.path)
    for setting in settings(fields).values():
        assert not setting.remove or setting.remove in known


def test_logging_that_is_gone_is_sent_as_off() -> None:
    """Sfn-10: left out, it would stay."""
    parameters = write_members(members(StateMachineFields), {"logging": None})
    off = {"level": "OFF", "includeExecutionData": False, "destinations": []}
    assert parameters == {"loggingConfiguration": off}
