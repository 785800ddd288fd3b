"""The stage of an HTTP API: throttling and the access log."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, TypedDict

from deployer.aws.access import Aws
from deployer.engine.plan import Fields
from deployer.resources.apigateway.calls import ABSENT, create, remove, write
from deployer.resources.base import Tags
from deployer.resources.fields import Member, given, members, read_members, write_members

STAGE = "$default"


class AccessLogFields(TypedDict):
    """Where the access log goes, and the format of its lines."""

    destination: Annotated[str, Member("DestinationArn")]
    format: Annotated[str, Member("Format")]


_LOG = members(AccessLogFields)


def _read_log(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    return read_members(_LOG, settings) if settings else None


def _write_log(log: AccessLogFields) -> dict[str, Any]:
    return write_members(_LOG, log)


def _failure(message: str) -> str | None:
    return message if "fail" in message.lower() else None


class StageFields(TypedDict):
    """The fields of a stage.

    Api-27: both limits are sent or none; a limit of 0 would refuse every request.
    """

    auto_deploy: Annotated[bool, Member("AutoDeploy", default=False)]
    burst_limit: Annotated[int, Member("DefaultRouteSettings.ThrottlingBurstLimit")]
    rate_limit: Annotated[float, Member("DefaultRouteSettings.ThrottlingRateLimit")]
    detailed_metrics: Annotated[
        bool, Member("DefaultRouteSettings.DetailedMetricsEnabled", default=False)
    ]
    # Api-26: the only trace of a deployment that failed; never sent.
    deployment_failure: Annotated[None, Member("LastDeploymentStatusMessage", parse=_failure)]
    access_log: Annotated[
        AccessLogFields | None,
        Member("AccessLogSettings", parse=_read_log, write_as=_write_log),
    ]


_MEMBERS = members(StageFields)


def find_stage(aws: Aws, api_id: str) -> dict[str, Any] | None:
    stage: dict[str, Any] | None = aws.find(
        ABSENT, "apigatewayv2", "get_stage", ApiId=api_id, StageName=STAGE
    )
    return stage


def read_stage(stage: dict[str, Any] | None) -> dict[str, Any] | None:
    return read_members(_MEMBERS, stage) if stage else None


def put_stage(aws: Aws, api_id: str, existing: Fields | None, wanted: Fields, tags: Tags) -> None:
    """Create or update the stage.

    Args:
        existing: the stage's fields, or None to create it with the tags.
    """
    stage = {"ApiId": api_id, "StageName": STAGE}
    parameters = {**stage, **write_members(_MEMBERS, given(wanted))}
    if existing is None:
        find = partial(find_stage, aws, api_id)
        created = create(aws, "create_stage", {**parameters, "Tags": tags}, find)
        if read_stage(created) == wanted:
            return
    write(aws, "update_stage", parameters)
    if wanted["access_log"] is None and existing and existing.get("access_log"):  # Api-21
        remove(aws, "delete_access_log_settings", stage)
