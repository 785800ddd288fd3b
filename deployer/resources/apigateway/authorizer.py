"""The JWT authorizer of an HTTP API: which issuer's tokens its route takes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, TypedDict

from deployer.aws.access import Aws
from deployer.engine.plan import Fields
from deployer.errors import AwsError
from deployer.resources.apigateway.calls import create, remove, write
from deployer.resources.fields import Member, members, read_members, write_members

NAME = "jwt"


class AuthorizerFields(TypedDict):
    """The fields of an authorizer (Api-23: those of other types are not sent).

    `audience` is a sorted set. `sources` are the places of a request that may hold the token.
    """

    type: Annotated[str, Member("AuthorizerType")]
    issuer: Annotated[str, Member("JwtConfiguration.Issuer")]
    audience: Annotated[list[str], Member("JwtConfiguration.Audience", default=[], parse=sorted)]
    sources: Annotated[list[str], Member("IdentitySource", default=[])]


_MEMBERS = members(AuthorizerFields)


def read_authorizer(authorizer: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return read_members(_MEMBERS, authorizer) if authorizer else None


def ours(
    route: Mapping[str, Any] | None, authorizers: Mapping[str, Mapping[str, Any]]
) -> str | None:
    """Return the id of the authorizer that has our name; of several, that of the route (Api-2)."""
    named = [name for name, one in authorizers.items() if one.get("Name") == NAME]
    used = (route or {}).get("AuthorizerId")
    return str(used) if used in named else next(iter(named), None)


def put_authorizer(aws: Aws, api_id: str, existing: str | None, wanted: Fields) -> str:
    """Create or update the authorizer; return its id.

    Args:
        existing: the authorizer's id, or None to create one.
    """
    parameters = {"ApiId": api_id, "Name": NAME, **write_members(_MEMBERS, wanted)}
    if existing is None:
        find = partial(_find, aws, api_id)
        return str(create(aws, "create_authorizer", parameters, find)["AuthorizerId"])
    write(aws, "update_authorizer", {**parameters, "AuthorizerId": existing})
    return existing


def remove_authorizer(aws: Aws, api_id: str, authorizer_id: str) -> None:
    """Delete an authorizer that no route uses any more; succeeds when it does not exist."""
    parameters = {"ApiId": api_id, "AuthorizerId": authorizer_id}
    aws.retry(lambda: remove(aws, "delete_authorizer", parameters), when=_still_used)


def _still_used(error: AwsError) -> str | None:
    """Return why to wait: the route that used the authorizer is not seen changed yet (R-22)."""
    if error.code != "ConflictException":
        return None
    return "for API Gateway: a route still uses the authorizer"


def list_authorizers(aws: Aws, api_id: str) -> dict[str, dict[str, Any]]:
    """Return the authorizers of an API by their ids."""
    listed = aws.pages("apigatewayv2", "get_authorizers", "Items", ApiId=api_id)
    return {str(authorizer["AuthorizerId"]): authorizer for authorizer in listed}


def _find(aws: Aws, api_id: str) -> dict[str, Any] | None:
    authorizers = list_authorizers(aws, api_id).values()
    return next((one for one in authorizers if one.get("Name") == NAME), None)
