"""API Gateway: an HTTP API with one integration, its route and its stage.

They are one resource, because API Gateway serialises all writes below one API (Api-16) and because
ids are its own choice: an API is found by its tags (Api-1), an integration through the route that
targets it (Api-2).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

from deployer.aws.access import Aws
from deployer.aws.waiting import connection_lost, server_error
from deployer.engine.compare import tags_from
from deployer.engine.plan import Change, Fields, State
from deployer.errors import AwsError, DeployerError, ForeignResource
from deployer.resources.base import Ownership, Resource, changed

_ABSENT = ("NotFoundException",)
STAGE = "$default"


def being_changed(error: AwsError) -> str | None:
    """Another change below the same API is under way (R-21); the same code also says that a name is
    taken.
    """
    texts = ("try again later", "concurrent modification")
    busy = error.code == "ConflictException" and any(each in error.aws_message for each in texts)
    return "for API Gateway: another change of this API is under way" if busy else None


def answer_lost(error: AwsError) -> str | None:
    """It cannot be told whether the call happened (Api-3)."""
    return connection_lost(error) or server_error(error)


def find_apis(aws: Aws, ours: Ownership) -> list[dict[str, Any]]:
    """Return the APIs that carry our tags, oldest first."""
    found = aws.pages("apigatewayv2", "get_apis", "Items")
    return sorted(_marked(found, ours), key=lambda api: (api["CreatedDate"], api["ApiId"]))


def _marked(apis: Iterable[dict[str, Any]], ours: Ownership) -> list[dict[str, Any]]:
    return [api for api in apis if ours.marks(tags_from(api.get("Tags")))]


class HttpApi(Resource):
    """An HTTP API that starts a state machine and answers with its execution record.

    Fields: `tags`, `protocol`, `description`; `cors`, `integration`, `route`, `stage`, each a
    mapping, or None for none; `stale_routes`, keys under which the integration is reached besides
    the declared one; `orphan_integrations`, ids of those that no other route targets. Outputs:
    `api_id`, `endpoint` (without a slash at its end).
    """

    anew = "the service gets a new URL, which its clients must be told"
    replace_on = ("protocol",)
    exists = ("ConflictException",)

    def __init__(
        self,
        key: str,
        *,
        name: str,
        ours: Ownership,
        fields: Fields,
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
            if error.code in _ABSENT:  # deleted meanwhile, or still listed
                return None
            raise

    def find(self, aws: Aws) -> State | None:
        api = self._find(aws)
        there = api and aws.find(
            _ABSENT, "apigatewayv2", "get_api", ApiId=api["ApiId"]
        )  # a listing may lag behind
        return State({}) if there else None

    def _read(self, aws: Aws, api: dict[str, Any]) -> State:
        below = {"ApiId": api["ApiId"]}
        found, routes, stage = aws.together(
            lambda: list(aws.pages("apigatewayv2", "get_integrations", "Items", **below)),
            lambda: list(aws.pages("apigatewayv2", "get_routes", "Items", **below)),
            lambda: aws.find(_ABSENT, "apigatewayv2", "get_stage", **below, StageName=STAGE),
        )
        integrations = {each["IntegrationId"]: each for each in found}
        route = self._our_route(routes)
        integration_id = _target(route)
        stale = {
            each["RouteKey"]: each
            for each in routes
            if each is not route and _starts_workflow(each, integrations)
        }
        targets = {_target(each) for each in routes if each["RouteKey"] not in stale}
        return State(
            {
                "tags": self.ours.among(tags_from(api.get("Tags"))),
                "protocol": api["ProtocolType"],
                "description": api.get("Description", ""),
                "cors": _read_cors(api.get("CorsConfiguration")),
                "integration": _read_integration(integrations.get(integration_id or "")),
                "route": {
                    "key": route["RouteKey"],
                    "authorization": route.get("AuthorizationType", "NONE"),
                }
                if route
                else None,
                "stage": _read_stage(stage),
                "stale_routes": sorted(stale),
                "orphan_integrations": sorted(integrations.keys() - targets),
            },
            {
                "api_id": api["ApiId"],
                "endpoint": api["ApiEndpoint"].rstrip("/"),
                "route_id": route["RouteId"] if route else None,
                "stale_route_ids": [each["RouteId"] for each in stale.values()],
                "integration_id": integration_id if integration_id in integrations else None,
            },
        )

    def _find(self, aws: Aws) -> dict[str, Any] | None:
        every = list(aws.pages("apigatewayv2", "get_apis", "Items"))
        found = _marked(every, self.ours)
        if not found:
            found = [api for api in every if api["Name"] == self.name]
            for api in found:
                self.ours.check(
                    f"HTTP API {self.name} ({api['ApiId']})", tags_from(api.get("Tags"))
                )
        if len(found) > 1:
            ids = ", ".join(sorted(api["ApiId"] for api in found))
            raise ForeignResource(
                f"{len(found)} HTTP APIs carry this service's tags or name: {ids}",
                "delete all but the one whose URL your clients use (aws apigatewayv2 delete-api "
                "--api-id ID)",
            )
        return found[0] if found else None

    def _our_route(self, routes: list[dict[str, Any]]) -> dict[str, Any] | None:
        wanted = (self.fields.get("route") or {}).get("key")
        return next((each for each in routes if each["RouteKey"] == wanted), None)

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters = {
            "Name": self.name,
            "ProtocolType": desired["protocol"],
            "Description": desired["description"],
            "Tags": desired["tags"],
        }
        if desired["cors"] is not None:
            parameters["CorsConfiguration"] = _write_cors(desired["cors"])
        api = self._create(
            aws, "create_api", parameters, lambda: next(iter(find_apis(aws, self.ours)), None)
        )
        api_id = api["ApiId"]
        self._yield_to_other(aws, api_id, self._is_served)
        # Api-15: the route needs its integration; Api-14: the stage comes after the route.
        integration_id = self._put_integration(aws, api_id, None, desired)
        self._put_route(aws, api_id, None, integration_id, desired)
        self._put_stage(aws, api_id, None, desired)
        self._yield_to_other(aws, api_id, lambda aws, other: False)
        return {"api_id": api_id, "endpoint": api["ApiEndpoint"].rstrip("/")}

    @staticmethod
    def _create(
        aws: Aws,
        operation: str,
        parameters: dict[str, Any],
        find: Callable[[], dict[str, Any] | None],
    ) -> dict[str, Any]:
        """Create what AWS would create a second time (Api-1, Api-2): when the answer is lost, look
        for it first (Api-3).
        """

        def attempt() -> Any:
            try:
                return aws.retry(
                    lambda: aws.call_once("apigatewayv2", operation, **parameters),
                    when=being_changed,
                )
            except AwsError as error:
                taken = error.code == "ConflictException"  # a route's key, a stage's name
                if not taken and not answer_lost(error):
                    raise
                try:  # a listing may not see it yet (GEN-8)
                    return aws.wait_until(
                        find, reason="for API Gateway: its answer was lost, looking", deadline_s=20
                    )
                except AwsError as lost:
                    raise error from lost

        return dict(aws.retry(attempt, when=answer_lost, deadline_s=120))

    def _yield_to_other(self, aws: Aws, api_id: str, is_served: Callable[[Aws, str], bool]) -> None:
        """Give way to an API that another run created at the same time: names are not unique here
        (Api-1).

        The older one stays. Dates are whole seconds, so of two of the same second the one with the
        smaller id stays, unless `is_served` says that the other is complete: then its run has
        looked round before ours was there.
        """
        found = [api["ApiId"] for api in find_apis(aws, self.ours)]
        older = (
            found[: found.index(api_id)] if api_id in found else []
        )  # a listing may not see the new one yet (GEN-8)
        others = [
            each for each in found if each != api_id and (each in older or is_served(aws, each))
        ]
        if others:
            self._remove(aws, "delete_api", {"ApiId": api_id})
            raise DeployerError(
                f"another run created the HTTP API {others[0]} at the same time",
                "run the command again: it goes on with that one",
            )

    @staticmethod
    def _is_served(aws: Aws, api_id: str) -> bool:
        return (
            aws.find(_ABSENT, "apigatewayv2", "get_stage", ApiId=api_id, StageName=STAGE)
            is not None
        )

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        api_id = actual.outputs["api_id"]
        if changed(change, "tags"):
            arn = f"arn:{aws.identity.partition}:apigateway:{aws.region}::/apis/{api_id}"  # Api-4
            self._write(aws, "tag_resource", {"ResourceArn": arn, "Tags": desired["tags"]})
        if changed(change, "description"):
            self._write(aws, "update_api", {"ApiId": api_id, "Description": desired["description"]})
        if changed(change, "cors"):
            self._put_cors(aws, api_id, desired)
        integration_id = actual.outputs["integration_id"]
        if changed(change, "integration"):
            before = (actual.fields["integration"] or {}).get("parameters", {})
            integration_id = self._put_integration(aws, api_id, integration_id, desired, before)
        if changed(change, "route") or integration_id != actual.outputs["integration_id"]:
            self._put_route(aws, api_id, actual.outputs["route_id"], integration_id, desired)
        if changed(change, "stage"):
            self._put_stage(aws, api_id, actual.fields["stage"], desired)
        for stale in actual.outputs[
            "stale_route_ids"
        ]:  # Api-15: routes before the integrations that they target
            self._remove(aws, "delete_route", {"ApiId": api_id, "RouteId": stale})
        for orphan in actual.fields["orphan_integrations"]:
            if orphan != integration_id:
                self._remove(aws, "delete_integration", {"ApiId": api_id, "IntegrationId": orphan})
        return {}

    @staticmethod
    def _remove(aws: Aws, operation: str, parameters: dict[str, Any]) -> None:
        aws.retry(
            lambda: aws.find(_ABSENT, "apigatewayv2", operation, **parameters), when=being_changed
        )

    @staticmethod
    def _write(aws: Aws, operation: str, parameters: dict[str, Any]) -> Any:
        return aws.retry(
            lambda: aws.call("apigatewayv2", operation, **parameters), when=being_changed
        )

    def _put_cors(self, aws: Aws, api_id: str, desired: Fields) -> None:
        if desired["cors"] is None:  # Api-17: an empty object in UpdateApi would clear nothing
            self._remove(aws, "delete_cors_configuration", {"ApiId": api_id})
        else:
            cors = _write_cors(desired["cors"])
            self._write(aws, "update_api", {"ApiId": api_id, "CorsConfiguration": cors})

    def _put_integration(
        self, aws: Aws, api_id: str, existing: str | None, desired: Fields, before: Fields = {}
    ) -> str:
        """Create or update; an update repeats type, subtype and every parameter, and empties what
        is gone (Api-20).
        """
        wanted = desired["integration"]
        parameters = {
            "ApiId": api_id,
            "IntegrationType": wanted["type"],
            "IntegrationSubtype": wanted["subtype"],
            "PayloadFormatVersion": wanted["payload_format"],
            "CredentialsArn": wanted["role_arn"],
            "RequestParameters": {**dict.fromkeys(before, ""), **wanted["parameters"]},
            "TimeoutInMillis": wanted["timeout_ms"],
        }
        if existing is None:
            find = partial(self._unused_integration, aws, api_id, wanted)
            return str(self._create(aws, "create_integration", parameters, find)["IntegrationId"])
        self._write(aws, "update_integration", {**parameters, "IntegrationId": existing})
        return existing

    def _put_route(
        self,
        aws: Aws,
        api_id: str,
        existing: str | None,
        integration_id: str | None,
        desired: Fields,
    ) -> None:
        parameters = {
            "ApiId": api_id,
            "RouteKey": desired["route"]["key"],
            "AuthorizationType": desired["route"]["authorization"],
            "Target": f"integrations/{integration_id}",
        }
        if existing is not None:
            self._write(aws, "update_route", {**parameters, "RouteId": existing})
            return
        key = parameters["RouteKey"]
        found = self._create(aws, "create_route", parameters, lambda: self._route(aws, api_id, key))
        if (
            found["Target"] != parameters["Target"]
        ):  # an error in `exists`: what is there is then read and finished
            message = f"another run made the route {key} at the same time"
            raise AwsError(
                "ConflictException",
                message,
                operation="CreateRoute",
                advice="run the command again",
            )

    @staticmethod
    def _route(aws: Aws, api_id: str, key: str) -> dict[str, Any] | None:
        routes = aws.pages("apigatewayv2", "get_routes", "Items", ApiId=api_id)
        return next((each for each in routes if each["RouteKey"] == key), None)

    @staticmethod
    def _unused_integration(aws: Aws, api_id: str, wanted: Fields) -> dict[str, Any] | None:
        """Return an integration as wanted that no route targets: one whose answer of creation was
        lost.
        """
        below = {"ApiId": api_id}
        used = {_target(each) for each in aws.pages("apigatewayv2", "get_routes", "Items", **below)}
        found: list[dict[str, Any]] = list(
            aws.pages("apigatewayv2", "get_integrations", "Items", **below)
        )
        unused = (each for each in found if each["IntegrationId"] not in used)
        return next((each for each in unused if _read_integration(each) == wanted), None)

    def _put_stage(self, aws: Aws, api_id: str, existing: Fields | None, desired: Fields) -> None:
        wanted = desired["stage"]
        stage = {"ApiId": api_id, "StageName": STAGE}
        parameters: dict[str, Any] = {
            **stage,
            "AutoDeploy": wanted["auto_deploy"],
            # Api-27: both limits or none; a limit of 0 would refuse every request
            "DefaultRouteSettings": {
                "ThrottlingBurstLimit": wanted["burst_limit"],
                "ThrottlingRateLimit": wanted["rate_limit"],
                "DetailedMetricsEnabled": wanted["detailed_metrics"],
            },
        }
        if wanted["access_log"] is not None:
            log = wanted["access_log"]
            parameters["AccessLogSettings"] = {
                "DestinationArn": log["destination"],
                "Format": log["format"],
            }
        if existing is None:
            find = partial(aws.find, _ABSENT, "apigatewayv2", "get_stage", **stage)
            if (
                _read_stage(
                    self._create(aws, "create_stage", {**parameters, "Tags": desired["tags"]}, find)
                )
                == wanted
            ):
                return
        self._write(aws, "update_stage", parameters)
        if wanted["access_log"] is None and existing and existing.get("access_log"):  # Api-21
            self._remove(aws, "delete_access_log_settings", stage)

    def delete(self, aws: Aws) -> None:
        for api in find_apis(aws, self.ours):
            self._remove(aws, "delete_api", {"ApiId": api["ApiId"]})


def _starts_workflow(route: dict[str, Any], integrations: dict[str, Any]) -> bool:
    found = integrations.get(_target(route) or "", {})
    return bool(found.get("IntegrationSubtype") == "StepFunctions-StartSyncExecution")


def _target(route: dict[str, Any] | None) -> str | None:
    return (
        str(route["Target"]).removeprefix("integrations/")
        if route and route.get("Target")
        else None
    )


_CORS = (("origins", "AllowOrigins"), ("methods", "AllowMethods"), ("headers", "AllowHeaders"))


def _read_cors(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return CORS settings with their lists as lower-case sets (Api-18), or None."""
    if not found:
        return None
    cors: dict[str, Any] = {
        name: sorted(str(each).lower() for each in found.get(key) or ()) for name, key in _CORS
    }
    return {**cors, "max_age_s": found.get("MaxAge")}


def _write_cors(wanted: Fields) -> dict[str, Any]:
    cors: dict[str, Any] = {key: list(wanted[name]) for name, key in _CORS if wanted[name]}
    cors["AllowMethods"] = [method.upper() for method in wanted["methods"]]
    return {**cors, "MaxAge": wanted["max_age_s"]}


def _read_integration(found: dict[str, Any] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "type": found["IntegrationType"],
        "subtype": found.get("IntegrationSubtype"),
        "payload_format": found.get("PayloadFormatVersion"),
        "role_arn": found.get("CredentialsArn"),
        "parameters": found.get("RequestParameters", {}),
        "timeout_ms": found.get("TimeoutInMillis", 30000),  # Api-34
    }


def _read_stage(found: dict[str, Any] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    settings, log = found.get("DefaultRouteSettings", {}), found.get("AccessLogSettings")
    message = (
        found.get("LastDeploymentStatusMessage") or ""
    )  # Api-26: the only trace of a deployment that failed
    return {
        "auto_deploy": found.get("AutoDeploy", False),
        "burst_limit": settings.get("ThrottlingBurstLimit"),
        "rate_limit": settings.get("ThrottlingRateLimit"),
        "detailed_metrics": settings.get("DetailedMetricsEnabled", False),
        "deployment_failure": message if "fail" in message.lower() else None,
        "access_log": {"destination": log.get("DestinationArn"), "format": log.get("Format")}
        if log
        else None,
    }
