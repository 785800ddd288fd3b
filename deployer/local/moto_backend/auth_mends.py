"""Mends of what moto knows of authorizers, usage plans and API keys, as those in `mends`.

tests/local/test_moto_mends.py has a test for each that fails once moto does the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deployer.local.moto_backend.patching import around

# The attributes of moto's objects that have tags, by the name in their ARNs.
TAGGED = {"restapis": "apis", "usageplans": "usage_plans", "apikeys": "keys"}


def apply() -> None:
    list_authorizers()
    refuse_to_delete_used_authorizers()
    clear_routes()
    refuse_stages_that_are_not_there()
    change_usage_plans()
    delete_usage_plans_and_keys()


def list_authorizers() -> None:
    """moto lacks GetAuthorizers."""
    from moto.apigatewayv2.responses import ApiGatewayV2Response

    def get_authorizers(self: Any) -> Any:
        api = self.apigatewayv2_backend.get_api(self.path.split("/")[-2])
        items = [authorizer.to_json() for authorizer in api.authorizers.values()]
        return 200, {}, json.dumps({"items": items})

    ApiGatewayV2Response.get_authorizers = get_authorizers


def refuse_to_delete_used_authorizers() -> None:
    """moto deletes an authorizer that a route uses (R-22)."""
    from moto.apigatewayv2.exceptions import APIGatewayV2Error
    from moto.apigatewayv2.models import Api

    @around(Api, "delete_authorizer")
    def delete(original: Any, self: Any, authorizer_id: str) -> None:
        if any(route.authorizer_id == authorizer_id for route in self.routes.values()):
            used = APIGatewayV2Error("ConflictException", "A route uses this authorizer")
            used.code = 409
            raise used
        self.get_authorizer(authorizer_id)
        original(self, authorizer_id)


def clear_routes() -> None:
    """moto keeps the scopes and the authorizer that an update of a route empties (Api-22)."""
    from moto.apigatewayv2.models import Route

    @around(Route, "update")
    def update(original: Any, self: Any, **changes: Any) -> None:
        original(self, **changes)
        if changes.get("authorization_scopes") == []:
            self.authorization_scopes = []
        if changes.get("authorizer_id") == "":
            self.authorizer_id = None


def refuse_stages_that_are_not_there() -> None:
    """moto lets a usage plan hold stages that do not exist (Key-3)."""
    from moto.apigateway.exceptions import NotFoundException
    from moto.apigateway.models import APIGatewayBackend

    def check(backend: Any, api_id: str, stage: str) -> None:
        if api_id not in backend.apis or stage not in backend.apis[api_id].stages:
            raise NotFoundException(f"API Stage not found: {api_id}:{stage}")

    @around(APIGatewayBackend, "create_usage_plan")
    def create(original: Any, self: Any, payload: Mapping[str, Any]) -> Any:
        for place in payload.get("apiStages") or ():
            check(self, place["apiId"], place["stage"])
        return original(self, payload)

    @around(APIGatewayBackend, "update_usage_plan")
    def update(original: Any, self: Any, usage_plan_id: str, operations: Any) -> Any:
        for operation in operations:
            if operation["op"] == "add" and operation["path"] == "/apiStages":
                check(self, *operation["value"].split(":"))
        return original(self, usage_plan_id, operations)


def change_usage_plans() -> None:
    """moto keeps the texts of a change of a quota, and takes a rate for a whole number."""
    from moto.apigateway.models import UsagePlan

    @around(UsagePlan, "apply_patch_operations")
    def change(original: Any, self: Any, operations: list[dict[str, Any]]) -> None:
        rate = "/throttle/rateLimit"
        original(self, [operation for operation in operations if operation["path"] != rate])
        for operation in operations:
            if operation["path"] == rate:
                self.throttle["rateLimit"] = float(operation["value"])
        for name in {"limit", "offset"} & self.quota.keys():
            self.quota[name] = int(self.quota[name])


def delete_usage_plans_and_keys() -> None:
    """moto deletes usage plans with stages, and remembers keys that are gone (Key-4)."""
    from moto.apigateway.exceptions import BadRequestException, ConflictException
    from moto.apigateway.models import APIGatewayBackend

    @around(APIGatewayBackend, "delete_usage_plan")
    def delete_plan(original: Any, self: Any, usage_plan_id: str) -> None:
        stages = self.get_usage_plan(usage_plan_id).api_stages
        if stages:
            shown = ", ".join(f"{place['apiId']}:{place['stage']}" for place in stages)
            raise BadRequestException(
                f"Cannot delete Usage Plan {usage_plan_id} because there are API Stages "
                f"associated with it, including {shown}"
            )
        original(self, usage_plan_id)
        self.usage_plan_keys.pop(usage_plan_id, None)

    @around(APIGatewayBackend, "delete_api_key")
    def delete_key(original: Any, self: Any, api_key_id: str) -> None:
        original(self, api_key_id)
        for keys in self.usage_plan_keys.values():
            keys.pop(api_key_id, None)

    @around(APIGatewayBackend, "create_usage_plan_key")
    def add_key(original: Any, self: Any, usage_plan_id: str, payload: Mapping[str, Any]) -> Any:
        self.get_usage_plan(usage_plan_id)
        if payload["keyId"] in self.usage_plan_keys.get(usage_plan_id, {}):
            raise ConflictException(f"Usage plan {usage_plan_id} has this key already")
        return original(self, usage_plan_id, payload)
