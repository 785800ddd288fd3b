"""What the REST API answers: its methods and its gateway responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.project.settings import Settings
from deployer.project.workflow import INTEGRATION_TIMEOUT_S
from deployer.resources.apigateway.rest_definition import (
    GatewayResponseFields,
    IntegrationResponseFields,
    MethodFields,
    RestIntegrationFields,
)
from deployer.service import callers
from deployer.service import rest_templates as templates

JSON = "application/json"
REQUEST_ID = "x-request-id"
MODELS_FAILED = "x-models-failed"
# The statuses that the templates of POST / answer with.
STATUSES = ("200", "400", "413", "429", "500", "502", "503", "504")

# By gateway response: status ("" for AWS's own), type and message. AWS's own messages are not used:
# they name accounts and repeat parts of the request (Rest-11).
GATEWAY_RESPONSES = {
    "ACCESS_DENIED": ("403", "Forbidden", "access denied"),
    "DEFAULT_4XX": ("", "BadRequest", "the request is refused"),
    "DEFAULT_5XX": ("", "InternalError", templates.INTERNAL),
    "EXPIRED_TOKEN": ("403", "Forbidden", "the credentials have expired"),
    "INTEGRATION_FAILURE": ("504", "TimedOut", "the models gave no answer; try again later"),
    "INTEGRATION_TIMEOUT": ("504", "TimedOut", "the models did not answer in time"),
    "INVALID_API_KEY": ("403", "Forbidden", "access denied"),
    "INVALID_SIGNATURE": ("403", "Forbidden", "the signature is not valid"),
    # What AWS says of a path or method that the API does not have (Rest-12).
    "MISSING_AUTHENTICATION_TOKEN": ("404", "NotFound", "no such path or method"),
    "QUOTA_EXCEEDED": ("429", "TooManyRequests", "the quota is used up"),
    "REQUEST_TOO_LARGE": ("413", "TooLarge", templates.TOO_LARGE),
    "RESOURCE_NOT_FOUND": ("404", "NotFound", "no such path or method"),
    "THROTTLED": ("429", "TooManyRequests", templates.BUSY),
    "UNAUTHORIZED": ("401", "Unauthorized", "credentials are required"),
    "UNSUPPORTED_MEDIA_TYPE": ("415", "UnsupportedMediaType", f"the content type must be {JSON}"),
    "WAF_FILTERED": ("403", "Forbidden", "access denied"),
}


# Unsigned requests get the same answer as paths and methods that the API does not have.
_UNSIGNED = ("403", "Forbidden", "the request is not signed, or there is no such path or method")


def methods(settings: Settings) -> dict[str, MethodFields]:
    """Return the methods, by method and path."""
    found = {"POST /": _predict(settings), "GET /health": _health(settings)}
    if settings.cors_origins:
        found["OPTIONS /"] = _preflight(settings)
    return found


def gateway_responses(settings: Settings) -> dict[str, GatewayResponseFields]:
    """Return the answers that API Gateway gives by itself, in the one shape of error."""
    # They cannot choose among origins: with several, pages read none of them.
    headers = {REQUEST_ID: "context.requestId"} if _chosen(settings) else _headers(settings)
    unsigned = {"MISSING_AUTHENTICATION_TOKEN": _UNSIGNED} if settings.auth == "iam" else {}
    return {
        name: GatewayResponseFields(
            status=status,
            headers=headers,
            templates={JSON: templates.error(kind, message)},
        )
        for name, (status, kind, message) in {**GATEWAY_RESPONSES, **unsigned}.items()
    }


def _predict(settings: Settings) -> MethodFields:
    """Start the workflow, and map the execution record to an HTTP status and plain JSON."""
    answers = {
        "200": ("", templates.execution()),
        "400": ("4\\d{2}", templates.refusal()),
        "503": ("5\\d{2}", templates.UNAVAILABLE),
    }
    headers = _headers(settings)
    states = f"arn:{settings.partition}:apigateway:{settings.region}:states"
    return MethodFields(
        authorization=callers.AUTHORIZATIONS[settings.auth],
        api_key_required=settings.auth == "key",
        headers={
            status: sorted({*headers, *_chosen(settings), MODELS_FAILED}) for status in STATUSES
        },
        integration=RestIntegrationFields(
            type="AWS",
            uri=f"{states}:action/StartSyncExecution",
            http_method="POST",
            role_arn=settings.role_arn("api"),
            passthrough="NEVER",  # another content type is 415
            timeout_ms=INTEGRATION_TIMEOUT_S * 1000,
            templates={JSON: templates.request(settings.workflow_arn)},
            responses={
                status: _response(settings, pattern, headers, template)
                for status, (pattern, template) in answers.items()
            },
        ),
    )


def _health(settings: Settings) -> MethodFields:
    headers = _headers(settings)
    return _mock(settings, 200, headers, '{"status": "ok"}')


def _preflight(settings: Settings) -> MethodFields:
    headers = {
        **_headers(settings),
        "Access-Control-Allow-Headers": f"'{','.join(callers.allowed_headers(settings))}'",
        "Access-Control-Allow-Methods": "'OPTIONS,POST'",
        "Access-Control-Max-Age": "'86400'",  # Api-18
    }
    return _mock(settings, 204, headers, "")


def _mock(
    settings: Settings, status: int, headers: Mapping[str, str], template: str
) -> MethodFields:
    """Return a method that API Gateway answers by itself, always in the same way."""
    return MethodFields(
        authorization="NONE",
        api_key_required=False,
        headers={str(status): sorted({*headers, *_chosen(settings)})},
        integration=RestIntegrationFields(
            type="MOCK",
            uri=None,
            http_method=None,
            role_arn=None,
            passthrough="NEVER",
            timeout_ms=INTEGRATION_TIMEOUT_S * 1000,
            templates={JSON: f'{{"statusCode": {status}}}'},
            responses={str(status): _response(settings, "", headers, template)},
        ),
    )


def _response(
    settings: Settings, pattern: str, headers: Mapping[str, str], template: str
) -> IntegrationResponseFields:
    if _chosen(settings):
        template = templates.allowing(_origins(settings), template)
    return IntegrationResponseFields(
        pattern=pattern, headers=headers, templates={JSON: template} if template else {}
    )


def _headers(settings: Settings) -> dict[str, str]:
    """Return the headers of every answer of an integration, each with its expression."""
    return {REQUEST_ID: "context.requestId", **_cors_headers(settings)}


def _cors_headers(settings: Settings) -> dict[str, Any]:
    """Return the CORS headers that are the same for every request."""
    if not settings.cors_origins:
        return {}
    exposed = ",".join(sorted({REQUEST_ID, MODELS_FAILED, *settings.cors_exposed_headers}))
    headers = {"Access-Control-Expose-Headers": f"'{exposed}'"}
    if _chosen(settings):
        return {**headers, "Vary": "'Origin'"}
    return {**headers, "Access-Control-Allow-Origin": f"'{_origins(settings)[0]}'"}


def _chosen(settings: Settings) -> list[str]:
    """Return the headers that a template sets, because they depend on the request's origin."""
    return ["Access-Control-Allow-Origin"] if len(_origins(settings)) > 1 else []


def _origins(settings: Settings) -> list[str]:
    """Return the allowed origins; * stands for all others."""
    origins = sorted({origin.lower() for origin in settings.cors_origins})
    return ["*"] if "*" in origins else origins
