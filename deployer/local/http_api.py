"""API Gateway's data plane: the deployed HTTP APIs themselves."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from deployer.local import workflow
from deployer.local.answers import Answer, Environ, message, read_body
from deployer.local.moto_backend.account import HttpApi, Integration, MotoAccount
from deployer.local.process import ACCOUNT

PREFIX = "/_apis/"
BODY_LIMIT = 10 * 1024 * 1024  # Api-10
# Executions at once: each holds its data several times over. The rest wait, as they would for the
# one environment of a function.
_MAX_EXECUTIONS = 16
# Requests at once to all APIs. The server has more threads, so that a function can reach S3 however
# many requests wait for it.
_MAX_REQUESTS = 128


class HttpApis:
    """Answers requests to all HTTP APIs of the account."""

    def __init__(self, account: MotoAccount) -> None:
        self._account = account
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, float, int], TokenBucket] = {}
        self._executions = ThreadPoolExecutor(_MAX_EXECUTIONS, thread_name_prefix="integration")
        self._requests = threading.BoundedSemaphore(_MAX_REQUESTS)
        self.finished = 0  # requests that have ended

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
        status, headers, content = self._route(api, method, f"/{path}", environ, request_id)
        return status, {**headers, **cors}, content

    def _route(
        self, api: HttpApi, method: str, path: str, environ: Environ, request_id: str
    ) -> Answer:
        keys = (f"{method} {path}", f"ANY {path}", "$default")
        key = next((key for key in keys if key in api.routes), None)
        if key is None:
            return message(404, "Not Found")
        if not self._is_within_rate(api):
            return message(429, "Too Many Requests")
        if int(environ.get("CONTENT_LENGTH") or 0) > BODY_LIMIT:
            return message(413, "Request Entity Too Large")
        integration = api.routes[key]
        if integration is None or integration.subtype != "StepFunctions-StartSyncExecution":
            return message(500, "Internal Server Error")
        return self._start_execution(integration, environ, request_id)

    def _start_execution(
        self, integration: Integration, environ: Environ, request_id: str
    ) -> Answer:
        body = read_body(environ).decode("utf-8", errors="replace")
        named = integration.parameters.get("Name") == "$context.requestId"
        request = {
            "name": request_id if named else None,
            "stateMachineArn": integration.parameters.get("StateMachineArn"),
            "input": body if integration.parameters.get("Input") == "$request.body" else "{}",
        }
        if not self._requests.acquire(blocking=False):
            return message(429, "Too Many Requests")
        execution = self._executions.submit(workflow.answer, ACCOUNT, request)
        try:
            return execution.result(timeout=integration.timeout_s)
        except FutureTimeout:
            execution.cancel()  # one that has begun goes on, as on AWS (Api-13)
            return message(503, "Service Unavailable")
        finally:
            self.finished += 1
            self._requests.release()

    def _is_within_rate(self, api: HttpApi) -> bool:
        if api.throttle is None:
            return True
        with self._lock:
            bucket = self._buckets.setdefault(
                (api.api_id, *api.throttle), TokenBucket(*api.throttle)
            )
            return bucket.take()


class TokenBucket:
    """API Gateway's throttle: `burst` tokens, refilled at `rate` a second, one a request."""

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst)
        self._last = clock()

    def take(self) -> bool:
        """Take a token; tell whether there was one."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._last) * self._rate)
        self._last = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _cors_headers(settings: Mapping[str, Any] | None, origin: str) -> dict[str, str]:
    if not settings or not origin:
        return {}
    allowed = [str(name).lower() for name in settings.get("allowOrigins", ())]
    if "*" not in allowed and origin.lower() not in allowed:
        return {}
    return {
        "Access-Control-Allow-Origin": "*" if "*" in allowed else origin,
        "Access-Control-Allow-Methods": ",".join(settings.get("allowMethods", ())),
        "Access-Control-Allow-Headers": ",".join(settings.get("allowHeaders", ())),
        "Access-Control-Max-Age": str(settings.get("maxAge", 0)),
    }
