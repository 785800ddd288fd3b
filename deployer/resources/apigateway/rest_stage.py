"""The stage of a REST API, the deployment that it serves, throttling and the access log."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypedDict

from deployer.aws.access import Aws
from deployer.engine.plan import Fields
from deployer.resources.apigateway.calls import ABSENT
from deployer.resources.apigateway.rest_calls import create, remove, write
from deployer.resources.apigateway.stage import AccessLogFields
from deployer.resources.base import Tags

STAGE = "live"
_ALL = "*/*"  # every method, in the keys of a stage's method settings


class RestStageFields(TypedDict):
    """The fields of a stage. `access_log`: see `read_stage`."""

    burst_limit: int
    rate_limit: float
    detailed_metrics: bool
    access_log: AccessLogFields | None


def find_stage(aws: Aws, api_id: str) -> dict[str, Any] | None:
    stage: dict[str, Any] | None = aws.find(
        ABSENT, "apigateway", "get_stage", restApiId=api_id, stageName=STAGE
    )
    return stage


def account_may_log(aws: Aws) -> bool:
    """Tell whether the account has the role with which stages of REST APIs write access logs.

    There is one for the whole account and region, so this service does not set it (Rest-13).
    """
    return bool(aws.call("apigateway", "get_account").get("cloudwatchRoleArn"))


def read_stage(
    stage: Mapping[str, Any] | None, declared: Mapping[str, Any], may_log: bool
) -> dict[str, Any] | None:
    """Return a stage's fields.

    An access log that the account does not allow is read as declared: it is no difference that a
    deploy could settle. The output `may_log` of the API tells it.
    """
    if stage is None:
        return None
    settings = (stage.get("methodSettings") or {}).get(_ALL, {})
    log = stage.get("accessLogSettings") or {}
    actual = {"destination": log.get("destinationArn"), "format": log.get("format")}
    return {
        "burst_limit": settings.get("throttlingBurstLimit"),
        "rate_limit": settings.get("throttlingRateLimit"),
        "detailed_metrics": bool(settings.get("metricsEnabled")),
        "access_log": (actual if any(log.values()) else None)
        if may_log
        else declared["access_log"],
    }


def put_stage(
    aws: Aws, api_id: str, stage: Mapping[str, Any] | None, deployment: str, tags: Tags
) -> None:
    """Create the stage with this deployment, or let the existing one serve it.

    Args:
        stage: AWS's answer, None to create the stage.
    """
    below = {"restApiId": api_id, "stageName": STAGE}
    if stage is None:
        parameters = {**below, "deploymentId": deployment, "tags": tags}
        stage = create(aws, "create_stage", parameters, lambda: find_stage(aws, api_id))
    if stage.get("deploymentId") != deployment:
        operations = [_replace("/deploymentId", deployment)]
        write(aws, "update_stage", {**below, "patchOperations": operations})


def set_stage(
    aws: Aws, api_id: str, existing: Fields | None, wanted: Fields, may_log: bool
) -> None:
    """Set a stage's throttling and its access log (Api-27: both limits).

    Args:
        existing: the stage's fields, None for a new one.
    """
    operations = [
        _replace("/*/*/throttling/burstLimit", str(wanted["burst_limit"])),
        _replace("/*/*/throttling/rateLimit", str(wanted["rate_limit"])),
        _replace("/*/*/metrics/enabled", str(wanted["detailed_metrics"]).lower()),
    ]
    log = wanted["access_log"]
    if log is not None and may_log:
        operations += [
            _replace("/accessLogSettings/destinationArn", log["destination"]),
            _replace("/accessLogSettings/format", log["format"]),
        ]
    elif log is None and existing and existing["access_log"]:
        operations.append({"op": "remove", "path": "/accessLogSettings"})
    parameters = {"restApiId": api_id, "stageName": STAGE, "patchOperations": operations}
    write(aws, "update_stage", parameters)


def _replace(path: str, value: str) -> dict[str, str]:
    return {"op": "replace", "path": path, "value": value}


def deploy(aws: Aws, api_id: str, description: str, known: Collection[str]) -> str:
    """Make a deployment of the definition as it is now, and return its id.

    Args:
        known: ids of the deployments that were there before.
    """

    def find() -> dict[str, Any] | None:
        deployments = aws.pages("apigateway", "get_deployments", "items", restApiId=api_id)
        new = (one for one in deployments if one["id"] not in known)
        return next((one for one in new if one.get("description") == description), None)

    parameters = {"restApiId": api_id, "description": description}
    return str(create(aws, "create_deployment", parameters, find)["id"])


def remove_deployments(aws: Aws, api_id: str, ids: Collection[str]) -> None:
    """Delete deployments that no stage serves (Rest-3)."""
    for deployment in ids:
        remove(aws, "delete_deployment", {"restApiId": api_id, "deploymentId": deployment})
