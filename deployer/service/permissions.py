"""Permissions: of the three runtime roles, as inline policies, and of the caller, as actions.

`verb_policies` makes policies of the caller's actions, verb by verb.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from deployer.engine.compare import canonical_policy
from deployer.project.settings import Settings
from deployer.resources.alarms import Alarms
from deployer.resources.apigateway.http_api import HttpApi
from deployer.resources.apigateway.rest_api import RestApi
from deployer.resources.apigateway.rest_usage_plan import UsagePlan
from deployer.resources.base import LOG_DELIVERY, Resource
from deployer.resources.ecr import Image, Repository
from deployer.resources.iam import Role
from deployer.resources.lambda_ import Function
from deployer.resources.logs import LogGroup
from deployer.resources.metric_filters import MetricFilter
from deployer.resources.provisioned import ProvisionedConcurrency
from deployer.resources.s3 import Bucket, ModelFile
from deployer.resources.sns import Topic
from deployer.resources.stepfunctions import StateMachine

KINDS: tuple[type[Resource], ...] = (
    Bucket,
    ModelFile,
    Repository,
    Image,
    LogGroup,
    Role,
    Function,
    ProvisionedConcurrency,
    StateMachine,
    HttpApi,
    RestApi,
    UsagePlan,
    MetricFilter,
    Topic,
    Alarms,
)
# The roles, and the services that assume them.
ROLES = {
    "functions": "lambda.amazonaws.com",
    "workflow": "states.amazonaws.com",
    "api": "apigateway.amazonaws.com",
}
CENSUS = ("tag:GetResources",)
# `check` does without these, and says so; so does `up`, which asks the last two.
CHECK = (
    "iam:GetAccountSummary",
    "lambda:GetAccountSettings",
    "states:ValidateStateMachineDefinition",
    "sns:GetTopicAttributes",  # of a topic that the settings name
)
LOGS = ("logs:FilterLogEvents",)
# `status` does without these, and says so.
STATUS = ("cloudwatch:GetMetricData", "cloudwatch:DescribeAlarms", CHECK[-1], *LOGS)
_ROOM_FOR_ARNS = 8_000  # characters, of the 10,240 that a role's inline policies may have


def functions_policies(settings: Settings, names: Iterable[str]) -> dict[str, Any]:
    streams = fitting(
        [f"{settings.log_group_arn(name)}:*" for name in names], f"{settings.log_group_arn('*')}:*"
    )
    policies = {
        # PERM-1: not CreateLogGroup, or a deleted group would come back without retention (Logs-9)
        "logs": allow(["logs:CreateLogStream", "logs:PutLogEvents"], streams),
        "models": allow(["s3:GetObject"], [f"{arn}/models/*" for arn in settings.bucket_arns]),
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
    delivery = [*LOG_DELIVERY, "logs:DescribeLogGroups"]
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


def api_policies(settings: Settings) -> dict[str, Any]:
    """Return the inline policies of the API's role, by name."""
    return {"start": allow(["states:StartSyncExecution"], [settings.workflow_arn])}


def fitting(arns: list[str], pattern: str) -> list[str]:
    """Return the ARNs, or a pattern for all if they exceed an inline policy's size (Iam-11)."""
    return arns if sum(map(len, arns)) <= _ROOM_FOR_ARNS else [pattern]


def policy(*statements: dict[str, Any]) -> Any:
    return canonical_policy({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: list[str], resources: list[str]) -> Any:
    return policy({"Effect": "Allow", "Action": actions, "Resource": resources})


def to_read() -> list[str]:
    """Return the IAM actions that `plan`, `check` and `invoke` need, service by service."""
    return _ordered(kind.reads for kind in KINDS)


def to_write() -> list[str]:
    """Return the IAM actions that `up` needs besides those of `plan`.

    It deletes functions and alarms that are no longer declared.
    """
    undeclared = (Function, LogGroup, MetricFilter, Topic, Alarms)
    actions = (*(kind.writes for kind in KINDS), *(kind.deletes for kind in undeclared))
    return [action for action in _ordered([*actions, ModelFile.deletes]) if action not in to_read()]


def to_delete() -> list[str]:
    """Return the IAM actions that `down` needs, which finds a resource and does not read it."""
    finds = (kind.reads if kind.finds is None else kind.finds for kind in KINDS)
    return _ordered([*finds, *(kind.deletes for kind in KINDS), CENSUS])


def _ordered(groups: Iterable[Iterable[str]]) -> list[str]:
    """Return actions without repetition, those of one service together."""
    actions = list(dict.fromkeys(itertools.chain.from_iterable(groups)))
    services = list(dict.fromkeys(action.partition(":")[0] for action in actions))
    return sorted(actions, key=lambda action: services.index(action.partition(":")[0]))
