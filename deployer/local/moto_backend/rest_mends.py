"""Mends of moto's REST APIs, as those in `mends`: what moto drops of a definition, and forgets.

tests/local/test_moto_mends.py has a test for each that fails once moto does the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.local.moto_backend.patching import around
from deployer.local.moto_backend.rest_definition import definition_of

_EXTENSION = "x-amazon-apigateway-"


def apply() -> None:
    import_whole_definitions()
    keep_deployed_definitions()
    delete_deployments_that_no_stage_serves()
    keep_stages_that_are_deployed_to()
    refuse_logs_without_role()
    say_that_an_api_is_not_found()


def import_whole_definitions() -> None:
    """moto's PutRestApi drops gateway responses, headers and who may call, and the root's id.

    It also takes a mock integration without a URI for a fault.
    """
    from moto.apigateway.models import APIGatewayBackend

    @around(APIGatewayBackend, "put_rest_api")
    def put(
        original: Any,
        self: Any,
        function_id: str,
        api_doc: dict[str, Any],
        fail_on_warnings: bool,
        mode: str = "merge",
    ) -> Any:
        if mode != "overwrite" or not str(api_doc.get("openapi", "")).startswith("3"):
            return original(self, function_id, api_doc, fail_on_warnings, mode)
        api = self.get_rest_api(function_id)
        info = api_doc.get("info", {})
        api.name = info.get("title", api.name)
        api.description = info.get("description", api.description)
        api.default.resource_methods = {}
        api.resources = {api.default.id: api.default}
        for path, methods in sorted(api_doc["paths"].items()):
            resource = _resource(self, api, path)
            for verb, method in methods.items():
                _put_method(self, api, resource, verb.upper(), method, _key_schemes(api_doc))
        api.gateway_responses = {}
        responses = api_doc.get(f"{_EXTENSION}gateway-responses", {})
        for name, response in responses.items():
            api.put_gateway_response(
                name,
                response.get("statusCode"),
                response.get("responseParameters") or {},
                response.get("responseTemplates") or {},
            )
        return api


def _resource(backend: Any, api: Any, path: str) -> Any:
    """Return the resource of a path, after making it and those above it."""
    resource = api.default
    for part in filter(None, path.split("/")):
        below = (one for one in api.resources.values() if one.parent_id == resource.id)
        found = next((one for one in below if one.path_part == part), None)
        resource = found or backend.create_resource(api.id, resource.id, part)
    return resource


def _key_schemes(document: Mapping[str, Any]) -> set[str]:
    """Return the security schemes that ask for an API key in API Gateway's header."""
    schemes = document.get("components", {}).get("securitySchemes", {})
    key = ("apiKey", "x-api-key", "header")
    return {
        name
        for name, scheme in schemes.items()
        if (scheme.get("type"), str(scheme.get("name")).lower(), scheme.get("in")) == key
    }


def _put_method(
    backend: Any,
    api: Any,
    resource: Any,
    verb: str,
    method: Mapping[str, Any],
    key_schemes: set[str],
) -> None:
    place = (api.id, resource.id, verb)
    asked = {name for schemes in method.get("security", ()) for name in schemes}
    authorization = str(method.get(f"{_EXTENSION}auth", {}).get("type", "NONE")).upper()
    backend.put_method(*place, authorization, api_key_required=bool(asked & key_schemes))
    for status, response in method.get("responses", {}).items():
        headers = {f"method.response.header.{name}": False for name in response.get("headers", {})}
        backend.put_method_response(
            *place, status, response_models=None, response_parameters=headers or None
        )
    integration = method.get(f"{_EXTENSION}integration")
    if integration is None:
        return
    resource.add_integration(
        verb,
        str(integration["type"]).upper(),
        integration.get("uri"),
        request_templates=integration.get("requestTemplates"),
        passthrough_behavior=str(integration.get("passthroughBehavior", "when_no_match")).upper(),
        integration_method=integration.get("httpMethod"),
        timeout_in_millis=integration.get("timeoutInMillis", 29000),
        request_parameters=integration.get("requestParameters"),
        credentials=integration.get("credentials"),
    )
    for pattern, response in integration.get("responses", {}).items():
        backend.put_integration_response(
            *place,
            status_code=str(response["statusCode"]),
            selection_pattern=None if pattern == "default" else pattern,
            response_templates=dict(response.get("responseTemplates") or {}),
            response_parameters=response.get("responseParameters"),
            content_handling=None,
        )


def keep_deployed_definitions() -> None:
    """moto's deployments hold nothing; AWS's keep the definition of their moment."""
    from moto.apigateway.models import APIGatewayBackend

    @around(APIGatewayBackend, "create_deployment")
    def create(original: Any, self: Any, function_id: str, *args: Any, **kwargs: Any) -> Any:
        deployment = original(self, function_id, *args, **kwargs)
        deployment.definition = definition_of(self.get_rest_api(function_id))
        return deployment


def delete_deployments_that_no_stage_serves() -> None:
    """moto asks whether the stage still stands that came with a deployment (Rest-3).

    So it deletes a deployment that another stage serves, and none that its own stage has left.
    """
    from moto.apigateway.exceptions import StageStillActive
    from moto.apigateway.models import RestAPI

    @around(RestAPI, "delete_deployment")
    def delete(original: Any, self: Any, deployment_id: str) -> Any:
        if any(stage.deployment_id == deployment_id for stage in self.stages.values()):
            raise StageStillActive
        if deployment_id in self.deployments:
            self.deployments[deployment_id].stage_name = None
        return original(self, deployment_id)


def keep_stages_that_are_deployed_to() -> None:
    """moto makes the stage of CreateDeployment anew, without its settings and tags."""
    from moto.apigateway.models import RestAPI

    @around(RestAPI, "create_deployment")
    def create(
        original: Any, self: Any, name: str, description: str, stage_variables: Any = None
    ) -> Any:
        stage = self.stages.get(name)
        deployment = original(self, name, description, stage_variables)
        if stage is not None:
            stage.deployment_id = deployment.id
            stage.variables = stage_variables or stage.variables
            self.stages[name] = stage
        return deployment


def refuse_logs_without_role() -> None:
    """moto lets a stage log without the account's role for it (Rest-13)."""
    from moto.apigateway.exceptions import BadRequestException
    from moto.apigateway.models import APIGatewayBackend

    @around(APIGatewayBackend, "update_stage")
    def update(
        original: Any,
        self: Any,
        function_id: str,
        stage_name: str,
        patch_operations: list[dict[str, Any]],
    ) -> Any:
        logs = any(
            operation["op"] == "replace" and operation["path"].startswith("/accessLogSettings")
            for operation in patch_operations
        )
        if logs and not self.account.cloudwatch_role_arn:
            raise BadRequestException(
                "CloudWatch Logs role ARN must be set in account settings to enable logging"
            )
        return original(self, function_id, stage_name, patch_operations)


def say_that_an_api_is_not_found() -> None:
    """moto answers 500 to the deletion of an API that is gone."""
    from moto.apigateway.models import APIGatewayBackend

    @around(APIGatewayBackend, "delete_rest_api")
    def delete(original: Any, self: Any, function_id: str) -> Any:
        self.get_rest_api(function_id)
        return original(self, function_id)
