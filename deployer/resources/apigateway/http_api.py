"""The HTTP API, its integration, route and stage.

They are one resource, because API Gateway serialises all writes below one API (Api-16), and because
it chooses all ids: an API is found by its tags (Api-1), an integration through the route that
targets it (Api-2).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Annotated, Any, TypedDict

from deployer.aws.access import Aws
from deployer.engine.compare import tags_from
from deployer.engine.exposure import gains
from deployer.engine.plan import Change, Fields, State
from deployer.errors import AwsError, DeployerError, ForeignResource
from deployer.resources.apigateway.calls import ABSENT, create, remove, write
from deployer.resources.apigateway.cors import CorsFields, put_cors, read_cors, write_cors
from deployer.resources.apigateway.integration import (
    IntegrationFields,
    put_integration,
    read_integration,
    starts_workflow,
    target,
)
from deployer.resources.apigateway.routes import RouteFields, put_route, read_route
from deployer.resources.apigateway.stage import StageFields, find_stage, put_stage, read_stage
from deployer.resources.base import LOG_DELIVERY, Ownership, Resource, Tags, changed
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
    route: RouteFields
    stage: StageFields
    stale_routes: list[str]  # keys of other routes that start the workflow; declared as none
    orphan_integrations: list[str]  # ids of integrations that no route targets; declared as none


_MEMBERS = members(HttpApiFields)


def find_apis(aws: Aws, ours: Ownership) -> list[dict[str, Any]]:
    """Return the APIs that carry our tags, oldest first."""
    apis = aws.pages("apigatewayv2", "get_apis", "Items")
    return sorted(_marked(apis, ours), key=lambda api: (api["CreatedDate"], api["ApiId"]))


def _marked(apis: Iterable[dict[str, Any]], ours: Ownership) -> list[dict[str, Any]]:
    return [api for api in apis if ours.marks(tags_from(api.get("Tags")))]


class HttpApi(Resource):
    """An HTTP API that starts a state machine and answers with its execution record.

    Outputs: `api_id`; `endpoint`, a URL without a slash at its end.
    """

    anew = "the service gets a new URL, which its clients must be told"
    replace_on = ("protocol",)
    exists = ("ConflictException",)
    reads = ("apigateway:GET",)
    # AWS calls the log delivery set on the caller's behalf, for the access log.
    writes = (
        "iam:PassRole",
        "apigateway:POST",
        "apigateway:PATCH",
        "apigateway:PUT",
        "apigateway:DELETE",
        *LOG_DELIVERY,
    )
    deletes = ("apigateway:DELETE",)

    def __init__(
        self,
        key: str,
        *,
        name: str,
        ours: Ownership,
        fields: HttpApiFields,
        needs: Collection[str] = (),
    ) -> None:
        super().__init__(key, fields, needs)
        self.name = name
        self.ours = ours

    def read(self, aws: Aws) -> State | None:
        api = self._find(aws)
        try:
            return self._read(aws, api) if api else None
        except AwsError as error:
            if error.code in ABSENT:  # deleted meanwhile, or still listed
                return None
            raise

    def find(self, aws: Aws) -> State | None:
        api = self._find(aws)
        if api is None:
            return None
        # A listing may lag behind.
        answer = aws.find(ABSENT, "apigatewayv2", "get_api", ApiId=api["ApiId"])
        return State({}) if answer else None

    def _read(self, aws: Aws, api: dict[str, Any]) -> State:
        api_id = api["ApiId"]
        listed, routes, stage = aws.together(
            lambda: list(aws.pages("apigatewayv2", "get_integrations", "Items", ApiId=api_id)),
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
        targets = {target(other) for other in routes if other["RouteKey"] not in stale}
        return State(
            {
                "tags": self.ours.among(tags_from(api.get("Tags"))),
                **read_members(_MEMBERS, api),
                "integration": read_integration(integrations.get(integration_id or "")),
                "route": read_route(route),
                "stage": read_stage(stage),
                "stale_routes": sorted(stale),
                "orphan_integrations": sorted(integrations.keys() - targets),
            },
            {
                "api_id": api_id,
                "endpoint": api["ApiEndpoint"].rstrip("/"),
                "route_id": route["RouteId"] if route else None,
                "stale_route_ids": [other["RouteId"] for other in stale.values()],
                "integration_id": integration_id if integration_id in integrations else None,
            },
        )

    def _find(self, aws: Aws) -> dict[str, Any] | None:
        """Return our API; raise ForeignResource if there are several, or one that is not ours."""
        every = list(aws.pages("apigatewayv2", "get_apis", "Items"))
        apis = _marked(every, self.ours)
        if not apis:
            apis = [api for api in every if api["Name"] == self.name]
            for api in apis:
                self.ours.check(
                    f"HTTP API {self.name} ({api['ApiId']})", tags_from(api.get("Tags"))
                )
        if len(apis) > 1:
            ids = ", ".join(sorted(api["ApiId"] for api in apis))
            raise ForeignResource(
                f"{len(apis)} HTTP APIs carry this service's tags or name: {ids}",
                "delete all but the one whose URL your clients use (aws apigatewayv2 delete-api "
                "--api-id ID)",
            )
        return apis[0] if apis else None

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters = {
            "Name": self.name,
            "Tags": desired["tags"],
            **write_members(_MEMBERS, given(desired)),
        }
        api = create(
            aws, "create_api", parameters, lambda: next(iter(find_apis(aws, self.ours)), None)
        )
        api_id = api["ApiId"]
        self._yield_to_other(aws, api_id, _is_served)
        # Api-15: the route needs its integration; Api-14: the stage comes after the route.
        integration_id = put_integration(aws, api_id, None, desired["integration"], {})
        put_route(aws, api_id, None, integration_id, desired["route"])
        put_stage(aws, api_id, None, desired["stage"], desired["tags"])
        self._yield_to_other(aws, api_id, lambda aws, other: False)
        return {"api_id": api_id, "endpoint": api["ApiEndpoint"].rstrip("/")}

    def _yield_to_other(self, aws: Aws, api_id: str, is_served: Callable[[Aws, str], bool]) -> None:
        """Give way to an API that another run created at the same time.

        Names are not unique here (Api-1). The older API stays. Dates are whole seconds, so of two
        of the same second the one with the smaller id stays, unless `is_served` says that the other
        is complete: its run has listed the APIs before ours was created.
        """
        ids = [api["ApiId"] for api in find_apis(aws, self.ours)]
        # A listing may not see the new one yet (GEN-8).
        older = ids[: ids.index(api_id)] if api_id in ids else []
        others = [
            other for other in ids if other != api_id and (other in older or is_served(aws, other))
        ]
        if others:
            remove(aws, "delete_api", {"ApiId": api_id})
            raise DeployerError(
                f"another run created the HTTP API {others[0]} at the same time",
                "run the command again: it goes on with that one",
            )

    def widens(self, before: Fields | None, after: Fields) -> Iterator[str]:
        yield from super().widens(before, after)
        if gains(before, after, "route", "authorization", "NONE"):
            yield f"anyone who knows the URL may call {after['route']['key']}"
        if gains(before, after, "cors", "origins", "*"):
            yield "pages of every origin may call it (CORS *)"

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        api_id = actual.outputs["api_id"]
        if changed(change, "tags"):
            arn = f"arn:{aws.identity.partition}:apigateway:{aws.region}::/apis/{api_id}"  # Api-4
            write(aws, "tag_resource", {"ResourceArn": arn, "Tags": desired["tags"]})
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
        if changed(change, "route") or integration_id != actual.outputs["integration_id"]:
            put_route(aws, api_id, actual.outputs["route_id"], integration_id, desired["route"])
        if changed(change, "stage"):
            put_stage(aws, api_id, actual.fields["stage"], desired["stage"], desired["tags"])
        self._remove_leftovers(aws, actual, integration_id)
        return {}

    @staticmethod
    def _remove_leftovers(aws: Aws, actual: State, integration_id: str | None) -> None:
        """Delete stale routes, then the integrations that they targeted (Api-15)."""
        api_id = actual.outputs["api_id"]
        for stale in actual.outputs["stale_route_ids"]:
            remove(aws, "delete_route", {"ApiId": api_id, "RouteId": stale})
        for orphan in actual.fields["orphan_integrations"]:
            if orphan != integration_id:
                remove(aws, "delete_integration", {"ApiId": api_id, "IntegrationId": orphan})

    def delete(self, aws: Aws) -> None:
        for api in find_apis(aws, self.ours):
            remove(aws, "delete_api", {"ApiId": api["ApiId"]})


def _is_served(aws: Aws, api_id: str) -> bool:
    return find_stage(aws, api_id) is not None
