"""The integration of an HTTP API: it starts the state machine for each request."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, TypedDict

from deployer.aws.access import Aws
from deployer.engine.plan import Fields
from deployer.resources.apigateway.calls import create, write
from deployer.resources.fields import Member, members, read_members, write_members


class IntegrationFields(TypedDict):
    """The fields of an integration; AWS's default timeout: Api-34."""

    type: Annotated[str, Member("IntegrationType")]
    subtype: Annotated[str, Member("IntegrationSubtype")]
    payload_format: Annotated[str, Member("PayloadFormatVersion")]
    role_arn: Annotated[str, Member("CredentialsArn")]
    parameters: Annotated[Mapping[str, str], Member("RequestParameters", default={})]
    timeout_ms: Annotated[int, Member("TimeoutInMillis", default=30000)]


_MEMBERS = members(IntegrationFields)


def read_integration(integration: dict[str, Any] | None) -> dict[str, Any] | None:
    return read_members(_MEMBERS, integration) if integration else None


def target(route: dict[str, Any] | None) -> str | None:
    """Return the id of the integration that a route targets."""
    if not route or not route.get("Target"):
        return None
    return str(route["Target"]).removeprefix("integrations/")


def starts_workflow(route: dict[str, Any], integrations: Mapping[str, dict[str, Any]]) -> bool:
    """Return whether a route targets an integration that starts a state machine."""
    integration = integrations.get(target(route) or "", {})
    return bool(integration.get("IntegrationSubtype") == "StepFunctions-StartSyncExecution")


def put_integration(
    aws: Aws,
    api_id: str,
    existing: str | None,
    wanted: Fields,
    former_parameters: Mapping[str, str],
) -> str:
    """Create or update the integration; return its id.

    An update repeats type, subtype and every parameter, and empties the former ones (Api-20).

    Args:
        existing: the integration's id, or None to create one.
    """
    request = {**dict.fromkeys(former_parameters, ""), **wanted["parameters"]}
    parameters = {
        "ApiId": api_id,
        **write_members(_MEMBERS, {**wanted, "parameters": request}),
    }
    if existing is None:
        find = partial(_unused_integration, aws, api_id, wanted)
        return str(create(aws, "create_integration", parameters, find)["IntegrationId"])
    write(aws, "update_integration", {**parameters, "IntegrationId": existing})
    return existing


def _unused_integration(aws: Aws, api_id: str, wanted: Fields) -> dict[str, Any] | None:
    """Return an integration as wanted that no route targets: its answer was lost."""
    routes = aws.pages("apigatewayv2", "get_routes", "Items", ApiId=api_id)
    used = {target(route) for route in routes}
    integrations: list[dict[str, Any]] = list(
        aws.pages("apigatewayv2", "get_integrations", "Items", ApiId=api_id)
    )
    unused = (one for one in integrations if one["IntegrationId"] not in used)
    return next((one for one in unused if read_integration(one) == wanted), None)
