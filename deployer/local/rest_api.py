"""API Gateway's data plane: the deployed REST APIs themselves.

An API answers from the mapping templates and gateway responses of its deployment, as moto holds
them. Nothing here knows the deployer's contract.
"""

from __future__ import annotations

import json
import re
import sys
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl

from deployer.local import sigv4, vtl
from deployer.local.access_log import Request
from deployer.local.answers import Answer, Environ, answer_json, message, read_body
from deployer.local.enforcement import Denied
from deployer.local.executions import Busy, Executions, TimedOut
from deployer.local.http_api import BODY_LIMIT
from deployer.local.moto_backend.account import MotoAccount
from deployer.local.moto_backend.rest_definition import (
    IntegrationResponse,
    RestDefinition,
    RestIntegration,
    RestMethod,
)
from deployer.local.process import Credentials
from deployer.local.telemetry import Telemetry
from deployer.local.throttling import Quotas, Throttles

PREFIX = "/_aws/execute-api/"  # LocalStack's, and with it moto's
_JSON = "application/json"
# By type of gateway response: AWS's own status and message.
_OWN: dict[str, tuple[int, str]] = {
    "ACCESS_DENIED": (403, "The security token included in the request is invalid."),
    "INVALID_API_KEY": (403, "Forbidden"),
    "INVALID_SIGNATURE": (403, "The request signature we calculated does not match"),
    "MISSING_AUTHENTICATION_TOKEN": (403, "Missing Authentication Token"),
    "REQUEST_TOO_LARGE": (413, "Request Too Long"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "Unsupported Media Type"),
    "QUOTA_EXCEEDED": (429, "Limit Exceeded"),
    "THROTTLED": (429, "Too Many Requests"),
    "API_CONFIGURATION_ERROR": (500, "Internal server error"),
    "INTEGRATION_TIMEOUT": (504, "Endpoint request timed out"),
}


_FAULTS = {
    sigv4.MISSING: "MISSING_AUTHENTICATION_TOKEN",  # as for a method that is not there (Rest-12)
    sigv4.UNKNOWN_KEY: "ACCESS_DENIED",
    sigv4.INVALID: "INVALID_SIGNATURE",
}


class _Refused(Exception):
    """API Gateway answers by itself, with a gateway response of this type."""


@dataclass(frozen=True)
class _Request:
    """A request to a method: variables of its context, headers, query and body."""

    context: dict[str, Any]
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: str

    def source(self, body: str) -> vtl.Input:
        return vtl.Input(body, self.headers, self.query)


class RestApis:
    """Answers requests to all REST APIs of the account.

    Args:
        credentials: those that sign requests to methods with AWS_IAM.
    """

    def __init__(
        self,
        account: MotoAccount,
        executions: Executions,
        throttles: Throttles,
        telemetry: Telemetry,
        credentials: Credentials,
    ) -> None:
        self._credentials = credentials
        self._quotas = Quotas()
        self._account = account
        self._executions = executions
        self._throttles = throttles
        self._telemetry = telemetry

    def answer(self, environ: Environ) -> Answer:
        """Answer a request whose path is `/_aws/execute-api/ID/STAGE/PATH`."""
        return self._answer(environ["PATH_INFO"], environ["REQUEST_METHOD"], environ)

    def too_large(self, path: str) -> Answer:
        """Answer a request whose body the server did not read."""
        return self._answer(path, "POST", {"CONTENT_LENGTH": BODY_LIMIT + 1})

    def _answer(self, whole_path: str, method: str, environ: Environ) -> Answer:
        api_id, stage_name, path = f"{whole_path.removeprefix(PREFIX)}//".split("/", 2)
        path = f"/{path.strip('/')}"
        request_id = str(uuid.uuid4())
        own = {"x-amzn-RequestId": request_id}
        stage = self._account.rest_stage(api_id, stage_name)
        if stage is None:  # Rest-4: also what a new stage answers for some seconds
            status, headers, content = message(403, "Forbidden")
            return status, {**headers, **own, "x-amzn-ErrorType": "ForbiddenException"}, content
        context = {
            "apiId": api_id,
            "stage": stage_name,
            "requestId": request_id,
            "httpMethod": method,
            "path": f"/{stage_name}{path}",
            "responseOverride": {"header": {}},
        }
        entry = Request(environ, f"/{stage_name}{path}", request_id, apiId=api_id, stage=stage_name)
        try:
            if int(environ.get("CONTENT_LENGTH") or 0) > BODY_LIMIT:
                raise _Refused("REQUEST_TOO_LARGE")
            called = _method(stage.definition, method, path)
            self._check_caller(called, (api_id, stage_name), stage.region, environ)
            if not self._throttles.let_pass(api_id, stage.throttle):
                raise _Refused("THROTTLED")
            request = _Request(context, *_parameters(environ), _body(environ))
            with entry.integration():
                answer = self._integrate(called.integration, request)
        except _Refused as refused:
            kind = str(refused)
            entry.error = _OWN[kind][1]
            entry.integration_error = entry.error if kind == "INTEGRATION_TIMEOUT" else ""
            answer = _gateway_response(stage.definition, kind, context, _parameters(environ)[0])
        self._telemetry.requested_rest(stage, stage_name, entry, answer)
        status, headers, content = answer
        return status, {**headers, **own}, content

    def _check_caller(
        self, called: RestMethod, stage: tuple[str, str], region: str, environ: Environ
    ) -> None:
        """Raise _Refused for a caller who may not call a method."""
        if called.authorization != "NONE":
            now = datetime.now(timezone.utc)
            fault = sigv4.fault(environ, self._credentials, region, now)
            if called.authorization != "AWS_IAM" or fault:
                raise _Refused(_FAULTS.get(fault or "", "ACCESS_DENIED"))
        if not called.needs_key:
            return
        key = self._account.metered_key(environ.get("HTTP_X_API_KEY", ""), *stage)
        if key is None:
            raise _Refused("INVALID_API_KEY")
        if not self._throttles.let_pass(key.key_id, key.throttle):
            raise _Refused("THROTTLED")
        if not self._quotas.let_pass(key.key_id, key.quota):
            raise _Refused("QUOTA_EXCEEDED")

    def _integrate(self, integration: RestIntegration, request: _Request) -> Answer:
        """Ask the integration with its request template, and map its answer."""
        content_type = request.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
        template = integration.templates.get(content_type)
        if template is None and integration.passes_unmatched:
            rendered = request.body
        elif template is None:
            raise _Refused("UNSUPPORTED_MEDIA_TYPE")
        else:
            rendered = _render(template, request.source(request.body), request.context)
        status, content = self._ask(integration, rendered)
        for response in integration.responses:
            if re.fullmatch(response.pattern, str(status)):
                return _mapped(response, content, request)
        default = next((one for one in integration.responses if not one.pattern), None)
        if default is None:
            raise _Refused("API_CONFIGURATION_ERROR")
        return _mapped(default, content, request)

    def _ask(self, integration: RestIntegration, rendered: str) -> tuple[int, bytes]:
        """Return status and body of the integration's own answer."""
        if integration.type == "MOCK":
            try:
                return int(json.loads(rendered)["statusCode"]), b""
            except (ValueError, KeyError, TypeError):
                raise _Refused("API_CONFIGURATION_ERROR") from None
        if not integration.uri.endswith(":states:action/StartSyncExecution"):
            raise _Refused("API_CONFIGURATION_ERROR")
        try:
            asked = json.loads(rendered)
        except ValueError:
            status, _, content = answer_json(400, {"__type": "SerializationException"})
            return status, content
        try:
            workflow = str(asked.get("stateMachineArn"))
            self._account.enforcement.check_start(integration.role, workflow)
            status, _, content = self._executions.start(asked, integration.timeout_s)
        except Denied as denied:
            denial = {"__type": "AccessDeniedException", "Message": str(denied)}
            status, _, content = answer_json(400, denial)
        except Busy:
            raise _Refused("THROTTLED") from None
        except TimedOut:
            raise _Refused("INTEGRATION_TIMEOUT") from None
        return status, content


def _method(definition: RestDefinition, method: str, path: str) -> RestMethod:
    called = definition.methods.get(f"{method} {path}")
    if called is None:
        raise _Refused("MISSING_AUTHENTICATION_TOKEN")  # Rest-12
    return called


def _parameters(environ: Environ) -> tuple[dict[str, str], dict[str, str]]:
    """Return headers, by lower-case name, and query of a request."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name == "CONTENT_TYPE" and value)
    }
    return headers, dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))


def _body(environ: Environ) -> str:
    return read_body(environ).decode("utf-8", errors="replace")


def _render(template: str, source: vtl.Input, context: dict[str, Any]) -> str:
    try:
        return vtl.render(template, source, context)
    except Exception:  # whatever a template may do: AWS answers 500
        traceback.print_exc(file=sys.stderr)  # the server's log
        raise _Refused("API_CONFIGURATION_ERROR") from None


def _mapped(response: IntegrationResponse, content: bytes, request: _Request) -> Answer:
    """Map an integration's answer; the template's overrides come last."""
    template = response.templates.get(_JSON)
    if template is not None:
        source = request.source(content.decode("utf-8", errors="replace"))
        content = _render(template, source, request.context).encode()
    override = request.context["responseOverride"]
    status = int(override.get("status") or response.status)
    headers = {
        "Content-Type": _JSON,
        **_evaluated(response.headers, request.context, request.headers),
        **{name: str(value) for name, value in override["header"].items()},
    }
    return status, headers, b"" if status == 204 else content


def _evaluated(
    expressions: Mapping[str, str], context: Mapping[str, Any], headers: Mapping[str, str]
) -> dict[str, str]:
    """Return the headers that have a value."""
    values = {name: _value(text, context, headers) for name, text in expressions.items()}
    return {name: value for name, value in values.items() if value}


def _value(expression: str, context: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """Return the value of a parameter mapping, "" for one that this server does not know."""
    if expression.startswith("'"):
        return expression[1:-1]
    place, _, name = expression.partition(".")
    if place == "context":
        return str(vtl.value_at(context, f"$.{name}") or "")
    if expression.startswith("method.request.header."):
        return headers.get(expression.removeprefix("method.request.header.").lower(), "")
    return ""


def _gateway_response(
    definition: RestDefinition, kind: str, context: Mapping[str, Any], headers: Mapping[str, str]
) -> Answer:
    """Answer as the API says of this type, or else of its class, or else as AWS does.

    In these templates variables are replaced, and nothing else is evaluated.
    """
    status, text = _OWN[kind]
    declared = definition.gateway_responses
    response = declared.get(kind) or declared.get(f"DEFAULT_{status // 100}XX")
    if response is None:
        return message(status, text)
    error = {"responseType": kind, "message": text, "messageString": json.dumps(text)}
    variables = {**context, "error": error}
    template = response.templates.get(_JSON, '{"message":$context.error.messageString}')
    content = re.sub(
        r"\$context((?:\.\w+)+)",
        lambda match: str(vtl.value_at(variables, f"${match[1]}") or ""),
        template,
    )
    mapped = _evaluated(response.headers, variables, headers)
    return int(response.status or status), {"Content-Type": _JSON, **mapped}, content.encode()
