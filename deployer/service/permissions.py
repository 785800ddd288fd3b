"""Permissions: of the three runtime roles, as inline policies, and of the caller of the verbs."""

from __future__ import annotations

import itertools
import textwrap
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
CENSUS = ("tag:GetResources",)
# `check` does without these, and says so; so does `up`, which asks the last.
CHECK = (
    "iam:GetAccountSummary",
    "lambda:GetAccountSettings",
    "states:ValidateStateMachineDefinition",
)
LOGS = ("logs:FilterLogEvents",)
_ROOM_FOR_ARNS = 8_000  # characters, of the 10,240 that a role's inline policies may have


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
    """Return the IAM actions that `down` needs besides those of `plan`."""
    actions = _ordered([*(kind.deletes for kind in KINDS), CENSUS])
    return [action for action in actions if action not in to_read()]


def _ordered(groups: Iterable[Iterable[str]]) -> list[str]:
    """Return actions without repetition, those of one service together."""
    actions = list(dict.fromkeys(itertools.chain.from_iterable(groups)))
    services = list(dict.fromkeys(action.partition(":")[0] for action in actions))
    return sorted(actions, key=lambda action: services.index(action.partition(":")[0]))


def rendered() -> str:
    """Return the section "Permissions" of docs/architecture.md."""
    return f"""## Permissions

The kinds of resource state these beside their code; `service/permissions.py` renders this section.

`plan` and `invoke` need:

{_listed(to_read())}

With `auth = iam`, callers need `execute-api:Invoke` on
`arn:aws:execute-api:REGION:ACCOUNT:API/*/POST/`: `invoke`, and `up` to prove that it may call (it
says so if it may not). `keys` needs `apigateway:GET`, `POST` and `DELETE` on `/apikeys` and
`/usageplans`.

`up` adds these. `iam:PassRole` is for the three roles; `ecr:GetAuthorizationToken` is on `*`, and
for `--builder docker` alone. `lambda:InvokeFunction` is for the versions that are proved before
the workflow is switched, so on `function:{{service}}-{{stage}}-*:*` (a function's own ARN does not
cover its versions, Lambda-23); `--no-proof` does without it. The actions on a configuration of
provisioned concurrency are on the same (PERM-20), the one that lists them on the function.

{_listed(to_write())}

`down` adds these to those of `plan`. `tag:GetResources` is for the census by tags; without it,
`down` says so.

{_listed(to_delete())}

`check` needs those of `plan`, and asks these if it may. `up` asks for the last, if it may, before
its first write:

{_listed(CHECK)}

`logs` and `trace` need `logs:DescribeLogGroups` and `states:DescribeStateMachine` of those of
`plan`, and add this, on the service's log groups:

{_listed(LOGS)}
"""


def _listed(actions: Iterable[str]) -> str:
    """Return a Markdown list of actions, one item per service."""
    by_service = itertools.groupby(actions, key=lambda action: action.partition(":")[0])
    items = ("- " + ", ".join(f"`{action}`" for action in group) for _, group in by_service)
    return "\n".join(textwrap.fill(item, 120, subsequent_indent="  ") for item in items)
