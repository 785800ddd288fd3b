"""Cross-origin resource sharing of an HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

from deployer.aws.access import Aws
from deployer.resources.apigateway.calls import remove, write
from deployer.resources.fields import Member, members, read_members, write_members


def _lower(texts: list[str]) -> list[str]:
    return sorted(text.lower() for text in texts)


def _upper(texts: list[str]) -> list[str]:
    return [text.upper() for text in texts]


class CorsFields(TypedDict):
    """CORS settings; the lists are sorted sets of lower-case texts (Api-18)."""

    origins: Annotated[list[str], Member("AllowOrigins", default=[], parse=_lower)]
    methods: Annotated[list[str], Member("AllowMethods", default=[], parse=_lower, write_as=_upper)]
    headers: Annotated[list[str], Member("AllowHeaders", default=[], parse=_lower)]
    exposed_headers: Annotated[list[str], Member("ExposeHeaders", default=[], parse=_lower)]
    max_age_s: Annotated[int | None, Member("MaxAge")]


_MEMBERS = members(CorsFields)


def read_cors(configuration: Mapping[str, Any]) -> dict[str, Any] | None:
    return read_members(_MEMBERS, configuration) if configuration else None


def write_cors(cors: CorsFields) -> dict[str, Any]:
    return write_members(_MEMBERS, {name: value for name, value in cors.items() if value != []})


def put_cors(aws: Aws, api_id: str, cors: CorsFields | None) -> None:
    if cors is None:  # Api-17: an empty object in UpdateApi would clear nothing
        remove(aws, "delete_cors_configuration", {"ApiId": api_id})
    else:
        write(aws, "update_api", {"ApiId": api_id, "CorsConfiguration": write_cors(cors)})
