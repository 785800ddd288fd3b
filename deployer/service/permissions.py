"""The permissions of the three runtime roles: least privilege, as inline policies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from deployer.engine.compare import canonical_policy
from deployer.project.settings import Settings

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
