"""API Gateway's data plane: the deployed HTTP APIs themselves."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from deployer.local import sigv4
from deployer.local.access_log import Request
from deployer.local.answers import Answer, Environ, message, read_body
from deployer.local.enforcement import Denied
from deployer.local.executions import Busy, Executions, TimedOut
from deployer.local.moto_backend.account import HttpApi, Integration, MotoAccount, Route
from deployer.local.process import Credentials
from deployer.local.telemetry import Telemetry
from deployer.local.throttling import Throttles
from deployer.local.tokens import Authorizer, Tokens

PREFIX = "/_apis/"
BODY_LIMIT = 10 * 1024 * 1024  # Api-10


class HttpApis:
    """Answers requests to all HTTP APIs of the account.

    Args:
        credentials: those that sign requests to routes with AWS_IAM.
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
        self._tokens = Tokens()
        self._account = account
        self._executions = executions
        self._throttles = throttles
        self._telemetry = telemetry

    def answer(self, environ: Environ) -> Answer:
        """Answer a request whose path is `/_apis/ID/PATH`."""
        api_id, _, path = environ["PATH_INFO"].removeprefix(PREFIX).partition("/")
        method = environ["REQUEST_METHOD"]
        request_id = f"{secrets.token_urlsafe(12)[:15]}="
        api = self._account.http_api(api_id)
        if api is None:
            status, headers, content = message(404, "Not Found")
            return status, {**headers, "apigw-requestid": request_id}, content
        cors = _cors_headers(api.cors, environ.get("HTTP_ORIGIN", ""))
        cors["apigw-requestid"] = request_id
        if method == "OPTIONS" and api.cors:
            return 204, cors, b""  # Api-18: the gateway answers it, without the integration
        request = Request(environ, f"/{path}", request_id, apiId=api_id, stage="$default")
        answer = self._route(api, method, f"/{path}", environ, request)
        self._telemetry.requested_http(api, request, answer)
        status, headers, content = answer
        return status, {**headers, **cors}, content

    def _route(
        self, api: HttpApi, method: str, path: str, environ: Environ, request: Request
    ) -> Answer:
        keys = (f"{method} {path}", f"ANY {path}", "$default")
        key = next((key for key in keys if key in api.routes), None)
        if key is None:
            return _own(request, 404, "Not Found")
        request.route_key = key
        if not self._throttles.let_pass(api.api_id, api.throttle):
            return _own(request, 429, "Too Many Requests")
        if int(environ.get("CONTENT_LENGTH") or 0) > BODY_LIMIT:
            return _own(request, 413, "Request Entity Too Large")
        refusal = self._refusal(api.routes[key], api.region, environ)
        if refusal is not None:
            request.error = json.loads(refusal[2])["message"]
            return refusal
        integration = api.routes[key].integration
        if integration is None or integration.subtype != "StepFunctions-StartSyncExecution":
            return _own(request, 500, "Internal Server Error")
        with request.integration():
            return self._start_execution(integration, environ, request)

    def _refusal(self, route: Route, region: str, environ: Environ) -> Answer | None:
        """Return the answer to a caller who may not call a route, None for one who may."""
        if route.authorization == "NONE":
            return None
        if route.authorization == "JWT":
            authorizer = Authorizer(route.issuer, route.audience, route.scopes)
            return self._tokens.refusal(environ.get("HTTP_AUTHORIZATION", ""), authorizer)
        now = datetime.now(timezone.utc)
        if route.authorization == "AWS_IAM" and not sigv4.fault(
            environ, self._credentials, region, now
        ):
            return None
        return message(403, "Forbidden")

    def _start_execution(
        self, integration: Integration, environ: Environ, request: Request
    ) -> Answer:
        body = read_body(environ).decode("utf-8", errors="replace")
        named = integration.parameters.get("Name") == "$context.requestId"
        execution = {
            "name": request.id if named else None,
            "stateMachineArn": integration.parameters.get("StateMachineArn"),
            "input": body if integration.parameters.get("Input") == "$request.body" else "{}",
        }
        try:
            workflow = str(execution["stateMachineArn"])
            self._account.enforcement.check_start(integration.role, workflow)
            return self._executions.start(execution, integration.timeout_s)
        except Denied as denied:
            request.integration_error = str(denied)
            return _own(request, 500, "Internal Server Error")  # Api-32
        except Busy:
            return _own(request, 429, "Too Many Requests")
        except TimedOut:
            request.integration_error = "Endpoint request timed out"
            return _own(request, 503, "Service Unavailable")


def _own(request: Request, status: int, text: str) -> Answer:
    """Answer by the gateway itself."""
    request.error = text
    return message(status, text)


def _cors_headers(settings: Mapping[str, Any] | None, origin: str) -> dict[str, str]:
    if not settings or not origin:
        return {}
    allowed = [str(name).lower() for name in settings.get("allowOrigins", ())]
    if "*" not in allowed and origin.lower() not in allowed:
        return {}
    exposed = {"Access-Control-Expose-Headers": ",".join(settings.get("exposeHeaders") or ())}
    return {
        **{name: value for name, value in exposed.items() if value},
        "Access-Control-Allow-Origin": "*" if "*" in allowed else origin,
        "Access-Control-Allow-Methods": ",".join(settings.get("allowMethods", ())),
        "Access-Control-Allow-Headers": ",".join(settings.get("allowHeaders", ())),
        "Access-Control-Max-Age": str(settings.get("maxAge", 0)),
    }
