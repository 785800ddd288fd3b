"""The definition of a REST API that a deployment holds, from which the data plane answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class IntegrationResponse:
    """An answer for the statuses that match `pattern`; "" is for all others."""

    status: str
    pattern: str
    headers: Mapping[str, str]
    templates: Mapping[str, str]


@dataclass(frozen=True)
class RestMethod:
    """A method: who may call it, and its integration. `authorization` is NONE or AWS_IAM."""

    authorization: str
    needs_key: bool
    integration: RestIntegration


@dataclass(frozen=True)
class RestIntegration:
    """The integration of a method. `passes_unmatched`: content types without a template, too."""

    type: str
    uri: str
    timeout_s: float
    passes_unmatched: bool
    templates: Mapping[str, str]
    responses: tuple[IntegrationResponse, ...]
    role: str | None = None


@dataclass(frozen=True)
class GatewayResponse:
    """An answer that API Gateway gives by itself."""

    status: str
    headers: Mapping[str, str]
    templates: Mapping[str, str]


@dataclass(frozen=True)
class RestDefinition:
    """The methods, by method and path, and the gateway responses, by type."""

    methods: Mapping[str, RestMethod]
    gateway_responses: Mapping[str, GatewayResponse]


@dataclass(frozen=True)
class AccessLog:
    """The ARN of the log group that a stage's requests are written to, and the lines' format."""

    destination: str
    format: str


@dataclass(frozen=True)
class RestStage:
    """A stage: its API's region and name, and what it serves; `throttle` is rate and burst."""

    region: str
    api_name: str
    definition: RestDefinition
    throttle: tuple[float, int] | None
    access_log: AccessLog | None


def definition_of(api: Any) -> RestDefinition:
    """Return the definition of moto's API as it is now."""
    return RestDefinition(
        methods={
            f"{name} {resource.get_path()}": RestMethod(
                str(method.authorization_type or "NONE"),
                bool(method.api_key_required),
                _integration(method.method_integration),
            )
            for resource in api.resources.values()
            for name, method in resource.resource_methods.items()
            if method.method_integration is not None
        },
        gateway_responses={
            name: GatewayResponse(
                str(response.status_code or ""),
                _unprefixed(response.response_parameters),
                dict(response.response_templates or {}),
            )
            for name, response in api.gateway_responses.items()
        },
    )


def _integration(integration: Any) -> RestIntegration:
    templates = dict(integration.request_templates or {})
    passthrough = str(integration.passthrough_behaviour or "WHEN_NO_MATCH").upper()
    return RestIntegration(
        type=str(integration.integration_type).upper(),
        uri=str(integration.uri or ""),
        timeout_s=int(integration.timeout_in_millis or 29000) / 1000,
        passes_unmatched=passthrough == "WHEN_NO_MATCH"
        or (passthrough == "WHEN_NO_TEMPLATES" and not templates),
        templates=templates,
        responses=tuple(
            IntegrationResponse(
                str(response.status_code),
                response.selection_pattern or "",
                _unprefixed(response.response_parameters),
                {name: text or "" for name, text in (response.response_templates or {}).items()},
            )
            for response in (integration.integration_responses or {}).values()
        ),
        role=integration.credentials,
    )


def _unprefixed(parameters: Mapping[str, str] | None) -> dict[str, str]:
    """Return header expressions by header: `method.response.header.x` is x."""
    return {name.partition(".header.")[2]: text for name, text in (parameters or {}).items()}
