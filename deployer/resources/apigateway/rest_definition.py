"""The definition of a REST API: its methods and gateway responses, as one OpenAPI document.

One PutRestApi writes it in place of a call for each method, integration and response (Rest-1).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

_METHOD_HEADER = "method.response.header."
_GATEWAY_HEADER = "gatewayresponse.header."
# The name in the document of the security scheme that makes a method require an API key.
_KEY_SCHEME = "api_key"


class IntegrationResponseFields(TypedDict):
    """An answer for the statuses of the integration that match `pattern`; "" is for all others.

    Args:
        headers: name to expression, such as "context.requestId" or "'a constant'".
        templates: by content type.
    """

    pattern: str
    headers: Mapping[str, str]
    templates: Mapping[str, str]


class RestIntegrationFields(TypedDict):
    """The fields of an integration. `templates` are by content type, `responses` by status."""

    type: str
    uri: str | None
    http_method: str | None
    role_arn: str | None
    passthrough: str
    timeout_ms: int
    templates: Mapping[str, str]
    responses: Mapping[str, IntegrationResponseFields]


class MethodFields(TypedDict):
    """The fields of a method. `headers` are the names that its answers may hold, by status."""

    authorization: str
    api_key_required: bool
    headers: Mapping[str, list[str]]
    integration: RestIntegrationFields | None


class GatewayResponseFields(TypedDict):
    """An answer that API Gateway gives by itself. `status` is "" for AWS's own."""

    status: str
    headers: Mapping[str, str]
    templates: Mapping[str, str]


def version(methods: Mapping[str, Any], gateway_responses: Mapping[str, Any]) -> str:
    """Return the text that marks a deployment of this definition."""
    text = json.dumps([methods, gateway_responses], sort_keys=True)
    return f"definition {hashlib.sha256(text.encode()).hexdigest()[:32]}"


# Reading


def read_methods(resources: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the methods in the items of GetResources(embed=methods), by method and path."""
    return {
        f"{name} {resource['path']}": _read_method(method)
        for resource in resources
        for name, method in sorted((resource.get("resourceMethods") or {}).items())
    }


def _read_method(method: Mapping[str, Any]) -> dict[str, Any]:
    integration = method.get("methodIntegration")
    return {
        "authorization": method.get("authorizationType") or "NONE",
        "api_key_required": bool(method.get("apiKeyRequired")),
        "headers": {
            status: sorted(_unprefixed(response.get("responseParameters"), _METHOD_HEADER))
            for status, response in (method.get("methodResponses") or {}).items()
        },
        "integration": _read_integration(integration) if integration else None,
    }


def _read_integration(integration: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": str(integration.get("type")).upper(),
        "uri": integration.get("uri") or None,
        "http_method": integration.get("httpMethod") or None,
        "role_arn": integration.get("credentials") or None,
        "passthrough": str(integration.get("passthroughBehavior", "WHEN_NO_MATCH")).upper(),
        "timeout_ms": int(integration.get("timeoutInMillis") or 29000),
        "templates": dict(integration.get("requestTemplates") or {}),
        "responses": {
            status: {
                "pattern": response.get("selectionPattern") or "",
                "headers": _unprefixed(response.get("responseParameters"), _METHOD_HEADER),
                "templates": dict(response.get("responseTemplates") or {}),
            }
            for status, response in (integration.get("integrationResponses") or {}).items()
        },
    }


def read_gateway_responses(items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the gateway responses that are not AWS's defaults, by type."""
    return {
        item["responseType"]: {
            "status": str(item.get("statusCode") or ""),
            "headers": _unprefixed(item.get("responseParameters"), _GATEWAY_HEADER),
            "templates": dict(item.get("responseTemplates") or {}),
        }
        for item in items
        if not item.get("defaultResponse")
    }


def _unprefixed(parameters: Mapping[str, Any] | None, prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in (parameters or {}).items()}


# Writing


def document(
    title: str,
    description: str,
    methods: Mapping[str, MethodFields],
    gateway_responses: Mapping[str, GatewayResponseFields],
) -> dict[str, Any]:
    """Return the OpenAPI document that PutRestApi takes."""
    paths: dict[str, dict[str, Any]] = {}
    for name, method in methods.items():
        verb, _, path = name.partition(" ")
        paths.setdefault(path, {})[verb.lower()] = _write_method(method)
    return {
        "openapi": "3.0.1",
        "info": {"title": title, "description": description, "version": "1"},
        "paths": paths,
        "components": {
            "securitySchemes": {
                _KEY_SCHEME: {"type": "apiKey", "name": "x-api-key", "in": "header"}
            }
        },
        "x-amazon-apigateway-gateway-responses": {
            name: _write_gateway_response(response) for name, response in gateway_responses.items()
        },
    }


def _write_method(method: MethodFields) -> dict[str, Any]:
    integration = method["integration"]
    extension = (
        {"x-amazon-apigateway-integration": _write_integration(integration)} if integration else {}
    )
    key: dict[str, Any] = {"security": [{_KEY_SCHEME: []}]} if method["api_key_required"] else {}
    return {
        "x-amazon-apigateway-auth": {"type": method["authorization"]},
        **key,
        "responses": {
            status: {
                "description": f"status {status}",
                "headers": {name: {"schema": {"type": "string"}} for name in names},
            }
            for status, names in method["headers"].items()
        },
        **extension,
    }


def _write_integration(integration: RestIntegrationFields) -> dict[str, Any]:
    is_mock = integration["type"] == "MOCK"  # it waits for nobody
    written = {
        "type": integration["type"].lower(),
        "uri": integration["uri"],
        "httpMethod": integration["http_method"],
        "credentials": integration["role_arn"],
        "passthroughBehavior": integration["passthrough"].lower(),
        "timeoutInMillis": None if is_mock else integration["timeout_ms"],
        "requestTemplates": integration["templates"],
        "responses": {
            response["pattern"] or "default": {
                "statusCode": status,
                "responseParameters": _prefixed(response["headers"], _METHOD_HEADER),
                "responseTemplates": response["templates"],
            }
            for status, response in integration["responses"].items()
        },
    }
    return {name: value for name, value in written.items() if value is not None}


def _write_gateway_response(response: GatewayResponseFields) -> dict[str, Any]:
    written = {
        "statusCode": response["status"] or None,
        "responseParameters": _prefixed(response["headers"], _GATEWAY_HEADER),
        "responseTemplates": response["templates"],
    }
    return {name: value for name, value in written.items() if value is not None}


def _prefixed(headers: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {f"{prefix}{name}": expression for name, expression in headers.items()}
