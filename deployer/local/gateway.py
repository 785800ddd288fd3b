"""The server's WSGI application: it routes requests to the parts that answer them.

The data plane is answered by `http_api`, `rest_api`, `lambda_api` and `workflow`, the operations
that moto lacks by `control_plane`, and everything else by moto.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from deployer.local import control_plane, signed, workflow
from deployer.local.answers import Answer, Environ, answer_json, message, read_body
from deployer.local.enforcement import Denied
from deployer.local.executions import Executions
from deployer.local.functions import Functions
from deployer.local.guard import Guard, access_key
from deployer.local.http_api import BODY_LIMIT, PREFIX, HttpApis
from deployer.local.lambda_api import LambdaApi
from deployer.local.moto_backend import alarm_mends, mends, metrics
from deployer.local.moto_backend.account import MotoAccount
from deployer.local.moto_backend.application import Application
from deployer.local.process import ACCOUNT, ENFORCEMENT, HEALTH, RESET, Credentials
from deployer.local.rest_api import PREFIX as REST_PREFIX
from deployer.local.rest_api import RestApis
from deployer.local.telemetry import Telemetry
from deployer.local.throttling import Throttles

_CONTROL_BODY_LIMIT = 1024**3  # of the control plane: a model's file is one body
# Of the control plane without its key: such a request is refused, whatever its body.
_STRANGERS_BODY_LIMIT = 64 * 1024
_LAYERS = "/_layers/"


class Gateway:
    """Checks who asks, and routes the request.

    Args:
        application: moto's server.
        pid: what the health check tells, with the project's folder.
    """

    def __init__(
        self, application: Application, project: Path, pid: int, port: int, credentials: Credentials
    ) -> None:
        endpoint = f"http://127.0.0.1:{port}"
        self._health = {"project": str(project), "pid": pid}
        self._account = account = MotoAccount(application)
        self._enforcement = account.enforcement
        self._guard = Guard(port, credentials.access_key, self._enforcement.has_session)
        code = project / ".deployer" / "local" / "code"
        self._functions = Functions(
            code,
            endpoint,
            account.write_log,
            credentials,
            sign=self._enforcement.credentials_for,
        )
        self._telemetry = telemetry = Telemetry(account)
        self._lambda = LambdaApi(account, self._functions, telemetry)
        self._executions = Executions(telemetry)
        throttles = Throttles()
        self._http_apis = HttpApis(account, self._executions, throttles, telemetry, credentials)
        self._rest_apis = RestApis(account, self._executions, throttles, telemetry, credentials)
        metrics.mend(account.metrics)
        alarm_mends.mend(account.metrics)
        mends.apply(
            account.layers,
            endpoint,
            credentials.access_key,
            self._lambda.invoke_for_workflow,
            self._lambda.check_task,
        )

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            answer = self._route(environ)
        except Exception:
            traceback.print_exc(file=sys.stderr)  # the server's log
            answer = message(500, "Internal Server Error")
        if answer is None:
            body = self._account.answer(environ, start_response)
            if environ["REQUEST_METHOD"] == "DELETE" and "/functions/" in environ["PATH_INFO"]:
                self._lambda.end_deleted()
            return body
        status, headers, content = answer
        headers = {"Content-Length": str(len(content)), **headers}
        start_response(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [content]

    def refusal(self, path: str, status: int, reason: str) -> Answer:
        """Answer a request that the server does not read to its end."""
        if status == 413 and path.startswith(REST_PREFIX):
            return self._rest_apis.too_large(path)
        return message(status, reason)

    def largest_body(self, path: str, headers: Mapping[str, str]) -> int:
        """Return the number of bytes below which a body is read.

        `headers` are in upper case with underscores.
        """
        if path.startswith((PREFIX, REST_PREFIX)):
            return BODY_LIMIT + 1
        key = access_key({"HTTP_AUTHORIZATION": headers.get("AUTHORIZATION", "")})
        return _CONTROL_BODY_LIMIT if self._guard.knows(key) else _STRANGERS_BODY_LIMIT

    def close(self) -> None:
        self._lambda.close()

    def finished(self) -> int:
        """Return how many requests to APIs have ended."""
        return self._executions.finished

    def _route(self, environ: Environ) -> Answer | None:
        """Answer a request; None if it is for moto."""
        if environ["PATH_INFO"].startswith(PREFIX):
            return self._http_apis.answer(environ)
        if environ["PATH_INFO"].startswith(REST_PREFIX):
            return self._rest_apis.answer(environ)
        return (
            self._guard.refusal(environ)
            or self._denial(environ)
            or self._answer_own(environ)
            or self._lambda.answer(environ)
            or self._start_sync_execution(environ)
            or control_plane.answer(self._account, environ)
        )

    def _start_sync_execution(self, environ: Environ) -> Answer | None:
        if environ.get("HTTP_X_AMZ_TARGET") != "AWSStepFunctions.StartSyncExecution":
            return None
        return workflow.answer(ACCOUNT, json.loads(read_body(environ)), self._telemetry)

    def _denial(self, environ: Environ) -> Answer | None:
        """Refuse a request of a function that its role does not allow."""
        key = access_key(environ)
        if not self._enforcement.has_session(key):
            return None
        try:
            self._enforcement.check_session(key, signed.asked(environ))
        except Denied as denied:
            return signed.refusal(environ, str(denied))
        return None

    def _switch_enforcement(self, environ: Environ) -> Answer:
        """Turn the enforcement of IAM on or off; functions start anew with other credentials."""
        changed = self._enforcement.switch(json.loads(read_body(environ))["enforce"])
        if changed:
            self._functions.close()
        return answer_json(200, {"changed": changed})

    def _answer_own(self, environ: Environ) -> Answer | None:
        """Answer the deployer's own requests, and those for a pushed layer's bytes."""
        path = environ["PATH_INFO"]
        if path == HEALTH:
            return answer_json(200, {**self._health, "resources": self._account.count_resources()})
        if path == RESET and environ["REQUEST_METHOD"] == "POST":
            self._reset()
            return answer_json(200, {})
        if path == ENFORCEMENT and environ["REQUEST_METHOD"] == "POST":
            return self._switch_enforcement(environ)
        if path.startswith(_LAYERS):
            layer = self._account.layers.get(path.removeprefix(_LAYERS))
            return message(404, "no such layer") if layer is None else (200, {}, layer)
        return None

    def _reset(self) -> None:
        """Empty the account: for tests and benchmarks, which need many and start few servers."""
        self._account.reset()
        self._enforcement.switch(False)
        self._functions.close()
