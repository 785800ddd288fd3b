"""API Gateway: an HTTP API with one integration, its route and its stage.

They are one resource, because API Gateway serialises all writes below one API (Api-16) and because ids are its own choice:
an API is found by its tags (Api-1), an integration through the route that targets it (Api-2).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from deployer.aws import Aws
from deployer.compare import tags_from
from deployer.errors import AwsError, DeployerError, ForeignResource
from deployer.plan import Change, Fields, State
from deployer.resources.base import Resource, Tags, changed, must_be_ours

_ABSENT = ("NotFoundException",)
STAGE = "$default"


def _busy(error: AwsError) -> str | None:
    """Another change below the same API is under way (R-21), or the control plane throttles (R-23)."""
    if error.code == "ConflictException":
        return "for API Gateway: another change of this API is under way"
    return "for API Gateway: too many calls in this account" if error.code == "TooManyRequestsException" else None


def find_apis(aws: Aws, ours: Tags) -> list[dict[str, Any]]:
    """Return the APIs that carry our tags."""
    return _carrying(aws.pages("apigatewayv2", "get_apis", "Items"), ours)


def _carrying(apis: Iterable[dict[str, Any]], ours: Tags) -> list[dict[str, Any]]:
    return [api for api in apis if ours.items() <= tags_from(api.get("Tags")).items()]


class HttpApi(Resource):
    """An HTTP API that starts a state machine and answers with its execution record.

    Fields: `protocol`, `description`; `cors`, `integration`, `route`, `stage`, each a mapping, or None where there is none;
    `stale_routes`, keys under which the integration is reached besides the declared one; `orphan_integrations`, ids of
    those that no other route targets. Outputs: `api_id`, `endpoint` (without a slash at its end).
    """

    replace_on = ("protocol",)

    def __init__(
        self, key: str, *, name: str, ours: Tags, fields: Fields | None = None, needs: Collection[str] = ()
    ) -> None:
        super().__init__(key, fields, needs)
        self.name = name
        self.ours = ours

    def read(self, aws: Aws) -> State | None:
        api = self._find(aws)
        if api is None:
            return None
        below = {"ApiId": api["ApiId"]}
        integrations = {
            each["IntegrationId"]: each for each in aws.pages("apigatewayv2", "get_integrations", "Items", **below)
        }
        routes = list(aws.pages("apigatewayv2", "get_routes", "Items", **below))
        stage = aws.find(_ABSENT, "apigatewayv2", "get_stage", **below, StageName=STAGE)
        route = self._our_route(routes)
        integration_id = _target(route)
        stale = {
            each["RouteKey"]: each for each in routes if each is not route and _starts_workflow(each, integrations)
        }
        targets = {_target(each) for each in routes if each["RouteKey"] not in stale}
        return State(
            {
                "protocol": api["ProtocolType"],
                "description": api.get("Description", ""),
                "cors": _read_cors(api.get("CorsConfiguration")),
                "integration": _read_integration(integrations.get(integration_id or "")),
                "route": {"key": route["RouteKey"], "authorization": route.get("AuthorizationType", "NONE")}
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
        ours = _carrying(every, self.ours)
        if len(ours) > 1:
            ids = ", ".join(sorted(api["ApiId"] for api in ours))
            raise ForeignResource(
                f"{len(ours)} HTTP APIs carry this service's tags: {ids}",
                "delete all but the one whose URL your clients use (aws apigatewayv2 delete-api --api-id ID)",
            )
        if not ours:
            for api in every:
                if api["Name"] == self.name:
                    must_be_ours(f"HTTP API {self.name} ({api['ApiId']})", tags_from(api.get("Tags")), self.ours)
        return ours[0] if ours else None

    def _our_route(self, routes: list[dict[str, Any]]) -> dict[str, Any] | None:
        wanted = (self.fields.get("route") or {}).get("key")
        return next((each for each in routes if each["RouteKey"] == wanted), None)

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters = {
            "Name": self.name,
            "ProtocolType": desired["protocol"],
            "Description": desired["description"],
            "Tags": dict(self.ours),
        }
        if desired["cors"] is not None:
            parameters["CorsConfiguration"] = _write_cors(desired["cors"])
        api = self._write(aws, "create_api", parameters)
        api_id = api["ApiId"]
        self._yield_to_older(aws, api_id)
        # Api-15: the route needs its integration; Api-14: the stage comes after the route.
        integration_id = self._put_integration(aws, api_id, None, desired)
        self._put_route(aws, api_id, None, integration_id, desired)
        self._put_stage(aws, api_id, None, desired)
        return {"api_id": api_id, "endpoint": api["ApiEndpoint"].rstrip("/")}

    def _yield_to_older(self, aws: Aws, api_id: str) -> None:
        """Give way to an API that another run created at the same time: names are not unique here (Api-1)."""
        found = sorted((api["CreatedDate"], api["ApiId"]) for api in find_apis(aws, self.ours))
        oldest = found[0][1] if found else api_id  # a listing may not see the new one yet (GEN-8)
        if oldest != api_id:
            self._remove(aws, "delete_api", {"ApiId": api_id})
            raise DeployerError(
                f"another run created the HTTP API {oldest} at the same time",
                "run the command again: it goes on with that one",
            )

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        api_id = actual.outputs["api_id"]
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
        for stale in actual.outputs["stale_route_ids"]:  # Api-15: routes before the integrations that they target
            self._remove(aws, "delete_route", {"ApiId": api_id, "RouteId": stale})
        for orphan in actual.fields["orphan_integrations"]:
            if orphan != integration_id:
                self._remove(aws, "delete_integration", {"ApiId": api_id, "IntegrationId": orphan})
        return {}

    @staticmethod
    def _remove(aws: Aws, operation: str, parameters: dict[str, Any]) -> None:
        aws.retry(lambda: aws.find(_ABSENT, "apigatewayv2", operation, **parameters), when=_busy)

    @staticmethod
    def _write(aws: Aws, operation: str, parameters: dict[str, Any]) -> Any:
        return aws.retry(lambda: aws.call("apigatewayv2", operation, **parameters), when=_busy)

    def _put_cors(self, aws: Aws, api_id: str, desired: Fields) -> None:
        if desired["cors"] is None:  # Api-17: an empty object in UpdateApi would clear nothing
            self._write(aws, "delete_cors_configuration", {"ApiId": api_id})
        else:
            cors = _write_cors(desired["cors"])
            self._write(aws, "update_api", {"ApiId": api_id, "CorsConfiguration": cors})

    def _put_integration(
        self, aws: Aws, api_id: str, existing: str | None, desired: Fields, before: Fields = {}
    ) -> str:
        """Create or update; an update repeats type, subtype and every parameter, and empties what is gone (Api-20)."""
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
            return str(self._write(aws, "create_integration", parameters)["IntegrationId"])
        self._write(aws, "update_integration", {**parameters, "IntegrationId": existing})
        return existing

    def _put_route(
        self, aws: Aws, api_id: str, existing: str | None, integration_id: str | None, desired: Fields
    ) -> None:
        parameters = {
            "ApiId": api_id,
            "RouteKey": desired["route"]["key"],
            "AuthorizationType": desired["route"]["authorization"],
            "Target": f"integrations/{integration_id}",
        }
        if existing is None:
            self._write(aws, "create_route", parameters)
        else:
            self._write(aws, "update_route", {**parameters, "RouteId": existing})

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
            parameters["AccessLogSettings"] = {"DestinationArn": log["destination"], "Format": log["format"]}
        if existing is None:
            self._write(aws, "create_stage", {**parameters, "Tags": dict(self.ours)})
            return
        self._write(aws, "update_stage", parameters)
        if wanted["access_log"] is None and existing.get("access_log") is not None:  # Api-21
            self._write(aws, "delete_access_log_settings", stage)

    def delete(self, aws: Aws) -> None:
        for api in find_apis(aws, self.ours):
            self._remove(aws, "delete_api", {"ApiId": api["ApiId"]})


def _starts_workflow(route: dict[str, Any], integrations: dict[str, Any]) -> bool:
    found = integrations.get(_target(route) or "", {})
    return bool(found.get("IntegrationSubtype") == "StepFunctions-StartSyncExecution")


def _target(route: dict[str, Any] | None) -> str | None:
    return str(route["Target"]).removeprefix("integrations/") if route and route.get("Target") else None


_CORS = (("origins", "AllowOrigins"), ("methods", "AllowMethods"), ("headers", "AllowHeaders"))


def _read_cors(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return CORS settings with their lists as lower-case sets (Api-18), or None."""
    if not found:
        return None
    cors: dict[str, Any] = {name: sorted(str(each).lower() for each in found.get(key) or ()) for name, key in _CORS}
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
    return {
        "auto_deploy": found.get("AutoDeploy", False),
        "burst_limit": settings.get("ThrottlingBurstLimit"),
        "rate_limit": settings.get("ThrottlingRateLimit"),
        "detailed_metrics": settings.get("DetailedMetricsEnabled", False),
        "access_log": {"destination": log.get("DestinationArn"), "format": log.get("Format")} if log else None,
    }
