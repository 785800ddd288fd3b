"""The route of an HTTP API, which targets its integration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

from deployer.aws.access import Aws
from deployer.engine.plan import Fields
from deployer.errors import AwsError
from deployer.resources.apigateway.calls import create, write
from deployer.resources.fields import Member, members, read_members, write_members


class RouteFields(TypedDict):
    """The fields of a route. `scopes` is a sorted set, of which a token must have one."""

    authorizer: str | None  # its name; AWS chooses its id

    key: Annotated[str, Member("RouteKey")]
    authorization: Annotated[str, Member("AuthorizationType", default="NONE")]
    scopes: Annotated[list[str], Member("AuthorizationScopes", default=[], parse=sorted)]


_MEMBERS = members(RouteFields)


def read_route(
    route: dict[str, Any] | None, authorizers: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Return a route's fields.

    Args:
        authorizers: those of the API, by their ids.
    """
    if not route:
        return None
    authorizer = authorizers.get(route.get("AuthorizerId") or "", {})
    return {"authorizer": authorizer.get("Name"), **read_members(_MEMBERS, route)}


def put_route(
    aws: Aws,
    api_id: str,
    existing: str | None,
    integration_id: str | None,
    authorizer_id: str | None,
    wanted: Fields,
) -> None:
    """Create or update the route.

    Args:
        existing: the route's id, or None to create it.
    """
    parameters = {
        "ApiId": api_id,
        "Target": f"integrations/{integration_id}",
        **write_members(_MEMBERS, wanted),
    }
    if existing is not None:
        # Api-22: an empty id, and an empty list of scopes, take away the former ones.
        parameters["AuthorizerId"] = authorizer_id or ""
        write(aws, "update_route", {**parameters, "RouteId": existing})
        return
    if authorizer_id is not None:
        parameters["AuthorizerId"] = authorizer_id
    if not wanted["scopes"]:
        del parameters["AuthorizationScopes"]
    key = wanted["key"]
    route = create(aws, "create_route", parameters, lambda: _find_route(aws, api_id, key))
    if route["Target"] != parameters["Target"]:
        # ConflictException is in `exists`, so the engine reads the API and finishes it.
        raise AwsError(
            "ConflictException",
            f"another run made the route {key} at the same time",
            operation="CreateRoute",
            advice="run the command again",
        )


def _find_route(aws: Aws, api_id: str, key: str) -> dict[str, Any] | None:
    routes = aws.pages("apigatewayv2", "get_routes", "Items", ApiId=api_id)
    return next((route for route in routes if route["RouteKey"] == key), None)
