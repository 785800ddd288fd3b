"""The HTTP API, its integration, authorizer, route and stage.

They are one resource, because API Gateway serialises all writes below one API (Api-16), and because
it chooses all ids: an API is found by its tags (Api-1), an integration through the route that
targets it (Api-2).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Any, TypedDict

from deployer.aws.access import Aws
from deployer.engine.compare import tags_from
from deployer.engine.plan import Change, Fields, State
from deployer.resources.apigateway.apis import Access, Api, ApiMetrics, Catalogue, Listed
from deployer.resources.apigateway.authorizer import (
    AuthorizerFields,
    list_authorizers,
    ours,
    put_authorizer,
    read_authorizer,
    remove_authorizer,
)
from deployer.resources.apigateway.calls import (
    ABSENT,
    create,
    gateway_arn,
    remove,
    retag_part,
    write,
)
from deployer.resources.apigateway.cors import CorsFields, put_cors, read_cors, write_cors
from deployer.resources.apigateway.integration import (
    IntegrationFields,
    put_integration,
    read_integration,
    starts_workflow,
    target,
)
from deployer.resources.apigateway.routes import RouteFields, put_route, read_route
from deployer.resources.apigateway.stage import (
    STAGE,
    StageFields,
    find_stage,
    put_stage,
    read_stage,
)
from deployer.resources.base import Tags, changed
from deployer.resources.fields import Member, given, members, read_members, write_members


class HttpApiFields(TypedDict):
    """The fields of an HTTP API and its parts."""

    tags: Tags
    protocol: Annotated[str, Member("ProtocolType")]
    description: Annotated[str, Member("Description", default="")]
    cors: Annotated[
        CorsFields | None, Member("CorsConfiguration", parse=read_cors, write_as=write_cors)
    ]
    integration: IntegrationFields
    authorizer: AuthorizerFields | None
    route: RouteFields
    stage: StageFields
    stage_tags: Tags  # costs are counted by the stage's own tags (Api-35)
    stale_routes: list[str]  # keys of other routes that start the workflow; declared as none
    orphan_integrations: list[str]  # ids of integrations that no route targets; declared as none
    orphan_authorizers: list[str]  # ids of authorizers that no route uses; declared as none


_MEMBERS = members(HttpApiFields)
_ANYONE = "NONE"  # AWS's name of the authorization that asks for nothing


def _every(aws: Aws) -> Iterator[Listed]:
    for api in aws.pages("apigatewayv2", "get_apis", "Items"):
        yield Listed(
            api["ApiId"],
            api["Name"],
            tags_from(api.get("Tags")),
            api["CreatedDate"],
            api["ApiEndpoint"].rstrip("/"),
            api,
        )


def _exists(aws: Aws, api_id: str) -> bool:
    return aws.find(ABSENT, "apigatewayv2", "get_api", ApiId=api_id) is not None


def _is_served(aws: Aws, api_id: str) -> bool:
    return find_stage(aws, api_id) is not None


def _remove(aws: Aws, api_id: str) -> None:
    remove(aws, "delete_api", {"ApiId": api_id})


def _metrics(api: Listed) -> ApiMetrics:
    return ApiMetrics({"ApiId": api.api_id}, "4xx", "5xx")


def _read_access(aws: Aws, api: Listed) -> Access:
    routes = aws.pages("apigatewayv2", "get_routes", "Items", ApiId=api.api_id)
    cors = read_cors(api.answer.get("CorsConfiguration") or {})
    return Access(
        open=[
            route["RouteKey"]
            for route in routes
            if route.get("AuthorizationType", _ANYONE) == _ANYONE
        ],
        every_origin=_is_for_every_origin(cors),
    )


def _is_for_every_origin(cors: Any) -> bool:
    return bool(cors) and "*" in cors["origins"]


HTTP_APIS = Catalogue(
    "HTTP API",
    "aws apigatewayv2 delete-api --api-id",
    _every,
    _exists,
    _is_served,
    _remove,
    _metrics,
    _read_access,
)


class HttpApi(Api):
    """An HTTP API that starts a state machine and answers with its execution record."""

    catalogue = HTTP_APIS
    replace_on = ("protocol",)

    def read_parts(self, aws: Aws, api: Listed) -> State:
        api_id = api.api_id
        listed, authorizers, routes, stage = aws.together(
            lambda: list(aws.pages("apigatewayv2", "get_integrations", "Items", ApiId=api_id)),
            lambda: list_authorizers(aws, api_id),
            lambda: list(aws.pages("apigatewayv2", "get_routes", "Items", ApiId=api_id)),
            lambda: find_stage(aws, api_id),
        )
        integrations = {integration["IntegrationId"]: integration for integration in listed}
        key = self.fields["route"]["key"]
        route = next((route for route in routes if route["RouteKey"] == key), None)
        integration_id = target(route)
        stale = {
            other["RouteKey"]: other
            for other in routes
            if other is not route and starts_workflow(other, integrations)
        }
        kept = [other for other in routes if other["RouteKey"] not in stale]
        used = {other.get("AuthorizerId") for other in kept if other is not route}
        authorizer_id = ours(route, authorizers)
        if self.fields["authorizer"] is None and authorizer_id in used:
            authorizer_id = None  # it is somebody else's now
        return State(
            {
                "tags": self.ours.among(api.tags),
                **read_members(_MEMBERS, api.answer),
                "integration": read_integration(integrations.get(integration_id or "")),
                "authorizer": read_authorizer(authorizers.get(authorizer_id or "")),
                "route": read_route(route, authorizers),
                "stage": read_stage(stage),
                # A stage is created with its tags.
                "stage_tags": self.ours.among(tags_from(stage.get("Tags")))
                if stage
                else self.fields["stage_tags"],
                "stale_routes": sorted(stale),
                "orphan_integrations": sorted(integrations.keys() - set(map(target, kept))),
                "orphan_authorizers": sorted(authorizers.keys() - {*used, authorizer_id}),
            },
            {
                "api_id": api_id,
                "endpoint": api.endpoint,
                "route_id": route["RouteId"] if route else None,
                "stale_route_ids": [other["RouteId"] for other in stale.values()],
                "integration_id": integration_id if integration_id in integrations else None,
                "authorizer_id": authorizer_id,
                "used_authorizers": sorted(filter(None, used)),
            },
        )

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters = {
            "Name": self.name,
            "Tags": desired["tags"],
            **write_members(_MEMBERS, given(desired)),
        }
        api = create(aws, "create_api", parameters, lambda: self.newest(aws))
        api_id = api["ApiId"]
        self.yield_to_other(aws, api_id, complete=False)
        # Api-15: the route needs its integration; Api-14: the stage comes after the route.
        integration_id = put_integration(aws, api_id, None, desired["integration"], {})
        authorizer_id = self._put_authorizer(aws, api_id, None, desired)
        put_route(aws, api_id, None, integration_id, authorizer_id, desired["route"])
        put_stage(aws, api_id, None, desired["stage"], desired["stage_tags"])
        self.yield_to_other(aws, api_id, complete=True)
        return {"api_id": api_id, "endpoint": api["ApiEndpoint"].rstrip("/")}

    @staticmethod
    def access(fields: Fields) -> Access:
        route = fields.get("route") or {}
        return Access(
            open=[route["key"]] if route.get("authorization") == _ANYONE else [],
            every_origin=_is_for_every_origin(fields.get("cors")),
        )

    def admits(self, before: Fields, after: Fields, open: Collection[str]) -> Iterator[str]:
        if after["authorizer"] and after["route"]["key"] not in open:
            yield from _taken_tokens(before, after)

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        api_id = actual.outputs["api_id"]
        self._retag(aws, desired, actual)
        for name, member in _MEMBERS.items():
            if name != "cors" and changed(change, name):
                write(aws, "update_api", {"ApiId": api_id, **member.write(desired[name])})
        if changed(change, "cors"):
            put_cors(aws, api_id, desired["cors"])
        integration_id = actual.outputs["integration_id"]
        if changed(change, "integration"):
            former = (actual.fields["integration"] or {}).get("parameters", {})
            integration_id = put_integration(
                aws, api_id, integration_id, desired["integration"], former
            )
        authorizer_id = actual.outputs["authorizer_id"]
        if changed(change, "authorizer"):
            authorizer_id = self._put_authorizer(aws, api_id, authorizer_id, desired)
        if (
            changed(change, "route", "authorizer")
            or integration_id != actual.outputs["integration_id"]
        ):
            route_id = actual.outputs["route_id"]
            put_route(aws, api_id, route_id, integration_id, authorizer_id, desired["route"])
        if changed(change, "stage"):
            tags = desired["stage_tags"]
            put_stage(aws, api_id, actual.fields["stage"], desired["stage"], tags)
        self._remove_leftovers(aws, actual, integration_id, authorizer_id)
        return {}

    @staticmethod
    def _retag(aws: Aws, desired: Fields, actual: State) -> None:
        """Tag the API and its stage."""
        api = gateway_arn(aws, f"/apis/{actual.outputs['api_id']}")
        parts = {"tags": api, "stage_tags": f"{api}/stages/{STAGE}"}
        for name, arn in parts.items():
            retag_part(aws, arn, desired[name], actual.fields[name])

    @staticmethod
    def _put_authorizer(aws: Aws, api_id: str, existing: str | None, desired: Fields) -> str | None:
        """Create or update the authorizer; return its id, None if none is desired."""
        wanted = desired["authorizer"]
        return put_authorizer(aws, api_id, existing, wanted) if wanted else None

    @staticmethod
    def _remove_leftovers(
        aws: Aws, actual: State, integration_id: str | None, authorizer_id: str | None
    ) -> None:
        """Delete stale routes, then the integrations and authorizers that they used (Api-15)."""
        api_id = actual.outputs["api_id"]
        for stale in actual.outputs["stale_route_ids"]:
            remove(aws, "delete_route", {"ApiId": api_id, "RouteId": stale})
        for orphan in actual.fields["orphan_integrations"]:
            if orphan != integration_id:
                remove(aws, "delete_integration", {"ApiId": api_id, "IntegrationId": orphan})
        former = actual.outputs["authorizer_id"]
        left = {*actual.fields["orphan_authorizers"], former} - {
            None, authorizer_id, *actual.outputs["used_authorizers"],
        }  # fmt: skip
        for orphan in sorted(left):
            remove_authorizer(aws, api_id, orphan)


def _taken_tokens(before: Fields, after: Fields) -> Iterator[str]:
    """Yield how a change of the authorizer lets more tokens in than were let in before it."""
    former, wanted = before.get("authorizer"), after["authorizer"]
    if not former:
        audience = ", ".join(wanted["audience"])
        yield f"holders of tokens of {wanted['issuer']} for {audience} may call it"
        return
    if former["issuer"] != wanted["issuer"]:
        yield f"tokens of another issuer are taken: {wanted['issuer']}"
    more = sorted(set(wanted["audience"]) - set(former["audience"]))
    if more:
        yield f"tokens for another audience are taken: {', '.join(more)}"
    had, has = ((fields["route"] or {}).get("scopes", []) for fields in (before, after))
    if had and not has:
        yield "tokens without a scope are taken"
    elif had and set(has) - set(had):
        yield f"tokens with another scope are taken: {', '.join(sorted(set(has) - set(had)))}"
