"""The thin layer in front of moto: what is data plane is answered here, everything else is moto's."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from deployer.local import moto_gaps
from deployer.local.door import Answer, Door, Environ, access_key, credential_scope
from deployer.local.door import answer_json as _json
from deployer.local.door import message as _message
from deployer.local.functions import PAYLOAD_LIMIT, Functions, Response, Version
from deployer.local.process import ACCOUNT, HEALTH, REGION, RESET, Credentials
from deployer.local.workflow import Refused, start_sync_execution

_BODY_LIMIT = 10 * 1024 * 1024  # of an HTTP API (Api-10)
_CONTROL_BODY_LIMIT = 1024**3  # of the control plane: a model's file is one body
_STRANGERS_BODY_LIMIT = (
    64 * 1024
)  # of the control plane without its key, which is refused whatever the body says
_INVOKE = re.compile(r"/2015-03-31/functions/(?P<function>[^/]+)/invocations$")
_APIS = "/_apis/"
_REASONS = {200: "OK", 204: "No Content"}

_LOG_LINES = (
    5000  # that are kept of each process of a function; AWS keeps all until their retention ends
)
# Executions at once: each holds its data several times over. The rest wait, as they would for the
# one process of a function.
_EXECUTIONS = 16
# Requests at once to all APIs; the server has more threads, for a function must reach S3 whatever
# waits for it.
_REQUESTS = 128

StartResponse = Callable[..., Any]
Headers = dict[str, str]


class Gateway:
    """The server's WSGI application."""

    def __init__(
        self,
        moto: Callable[[Environ, StartResponse], Iterable[bytes]],
        project: Path,
        pid: int,
        port: int,
        credentials: Credentials,
    ) -> None:
        self.endpoint = endpoint = f"http://127.0.0.1:{port}"
        self._door = Door(port, credentials.access_key)
        self._moto = moto
        self._health = {"project": str(project), "pid": pid}
        self._layers: moto_gaps.Layers = {}
        self._lock = threading.RLock()  # moto's backends are not made for threads
        self._buckets: dict[tuple[str, float, int], TokenBucket] = {}
        self._waiting = ThreadPoolExecutor(_EXECUTIONS, thread_name_prefix="integration")
        self._requests = threading.BoundedSemaphore(_REQUESTS)
        self._finished = 0
        self.functions = Functions(
            project / ".deployer" / "local" / "code", endpoint, REGION, self._write_log, credentials
        )
        moto_gaps.mend(
            self._layers, f"{endpoint}/_layers/{{}}?AWSAccessKeyId={credentials.access_key}", self
        )

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            answer = self._answer(environ)
        except Exception:
            traceback.print_exc(file=sys.stderr)  # the server's log
            answer = _message(500, "Internal Server Error")
        if answer is None:
            environ["RAW_URI"] = environ.get("REQUEST_URI", "")  # as moto knows it
            with self._lock:
                body = list(self._moto(environ, start_response))
            if environ["REQUEST_METHOD"] == "DELETE" and "/functions/" in environ["PATH_INFO"]:
                self.functions.keep(self._exists)
            return body
        status, headers, content = answer
        headers = {"Content-Length": str(len(content)), **headers}
        start_response(f"{status} {_REASONS.get(status, 'Error')}", list(headers.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [content]

    def close(self) -> None:
        self.functions.close()

    def finished(self) -> int:
        """Return how many requests to APIs have ended."""
        return self._finished

    def _reset(self) -> None:
        """Empty the account: for tests and benchmarks, which need many and start few servers."""
        from moto.moto_api._internal.models import moto_api_backend

        with self._lock:
            moto_api_backend.reset()
        self.functions.close()

    def _answer(self, environ: Environ) -> Answer | None:
        """Answer what is not moto's; None for the rest."""
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path.startswith(_APIS):
            api, _, below = path.removeprefix(_APIS).partition("/")
            return self._http_api(api, method, f"/{below}", environ)
        refusal = self._door.refusal(environ)
        if refusal is not None:
            return refusal
        if path == HEALTH:
            return _json(200, {**self._health, "resources": self._count()})
        if (method, path) == ("POST", RESET):
            self._reset()
            return _json(200, {})
        if path.startswith("/_layers/"):
            layer = self._layers.get(path.removeprefix("/_layers/"))
            return _json(404, {"message": "no such layer"}) if layer is None else (200, {}, layer)
        match = _INVOKE.match(path)
        if match and method == "POST":
            return self._invoke(unquote(match["function"]), environ)
        if environ.get("HTTP_X_AMZ_TARGET") == "AWSStepFunctions.StartSyncExecution":
            try:
                return _json(200, start_sync_execution(ACCOUNT, json.loads(_body(environ))))
            except Refused as error:
                return _json(400, {"__type": error.code, "message": str(error)})
        with self._lock:
            found = moto_gaps.missing_operation(
                method, path, lambda: _body(environ), _region(environ), ACCOUNT
            )
        return None if found is None else _json(200, found)

    # Lambda

    def _invoke(self, function: str, environ: Environ) -> Answer:
        query = environ.get("QUERY_STRING", "")
        qualifier = re.search(r"(?:^|&)Qualifier=([^&]+)", query)
        payload = _body(environ)
        version = self._version(
            function, unquote(qualifier[1]) if qualifier else None, _region(environ)
        )
        if version is None:
            return _json(
                404,
                {"Message": f"Function not found: {function}"},
                _aws_error("ResourceNotFoundException"),
            )
        if len(payload) > PAYLOAD_LIMIT:
            text = (
                f"Request must be smaller than {PAYLOAD_LIMIT} bytes for the InvokeFunction "
                f"operation"
            )
            return _json(413, {"Message": text}, _aws_error("RequestTooLargeException"))
        response = self.functions.invoke(version, payload or b"{}")
        headers = {"Content-Type": "application/json", "X-Amz-Executed-Version": version.version}
        if response.is_error:
            headers["X-Amz-Function-Error"] = "Unhandled"
        return 200, headers, response.payload

    def invoke_for_workflow(self, arn: str, payload: bytes) -> tuple[bytes, str | None]:
        from botocore.exceptions import ClientError

        version = self._version(arn, None, arn.split(":")[3])
        if version is None:
            details: Any = {
                "Error": {
                    "Code": "ResourceNotFoundException",
                    "Message": f"Function not found: {arn}",
                },
                "ResponseMetadata": {"HTTPStatusCode": 404, "RequestId": "local"},
            }
            raise ClientError(details, "Invoke")
        response = self.functions.invoke(version, payload)
        return response.payload, "Unhandled" if response.is_error else None

    def _version(self, function: str, qualifier: str | None, region: str) -> Version | None:
        """Look a function up by name or ARN, with or without a qualifier, and unpack its image."""
        from moto.awslambda.exceptions import UnknownFunctionException
        from moto.awslambda.models import lambda_backends

        with self._lock:
            try:
                found = lambda_backends[ACCOUNT][region].get_function(function, qualifier)
            except UnknownFunctionException:
                return None
            digest, layers, config = self._image(found)
        environment = dict(each.split("=", 1) for each in config.get("Env", ()))
        command = (found.image_config.cmd or config.get("Cmd") or [""])[0]
        return Version(
            arn=found.function_arn,
            name=found.function_name,
            version=str(found.version),
            code=self.functions.unpack(digest, layers),
            command=command,
            environment={**environment, **found.environment_vars},
            timeout_s=float(found.timeout),
            memory_mb=int(found.memory_size),
        )

    def _image(self, function: Any) -> tuple[str, list[bytes], dict[str, Any]]:
        """Return a function's image as it was pushed: digest, layers, and the config's own part."""
        from moto.ecr.models import ecr_backends

        repository, _, digest = function.code["ImageUri"].partition("@")
        name = repository.partition("/")[2]
        backend = ecr_backends[function.account_id][function.region]
        image = backend.repositories[name]._get_image(None, digest)
        manifest = json.loads(image.image_manifest)
        config = json.loads(self._layers[manifest["config"]["digest"]])
        return (
            digest,
            [self._layers[layer["digest"]] for layer in manifest["layers"]],
            config["config"],
        )

    def _exists(self, version: Version) -> bool:
        region = version.arn.split(":")[3]
        qualifier = None if version.version == "$LATEST" else version.version
        from moto.awslambda.exceptions import UnknownFunctionException
        from moto.awslambda.models import lambda_backends

        with self._lock:
            try:
                lambda_backends[ACCOUNT][region].get_function(version.name, qualifier)
            except UnknownFunctionException:
                return False
        return True

    def _write_log(self, group: str, stream: str, lines: list[str]) -> None:
        """Put lines into a log group. Without the group they are lost, as on AWS without
        logs:CreateLogGroup (Logs-9).
        """
        from moto.logs.models import logs_backends

        with self._lock:
            groups = logs_backends[ACCOUNT][self.functions.region].groups
            if group not in groups:
                return
            if stream not in groups[group].streams:
                groups[group].create_log_stream(stream)
            now = int(1000 * time.time())
            groups[group].put_log_events(
                stream, [{"timestamp": now, "message": line} for line in lines]
            )
            del groups[group].streams[stream].events[:-_LOG_LINES]

    # HTTP APIs

    def _http_api(self, api_id: str, method: str, path: str, environ: Environ) -> Answer:
        api = self._find_api(api_id)
        if api is None or "$default" not in api.stages:
            return _message(404, "Not Found")
        origin = environ.get("HTTP_ORIGIN", "")
        cors = _cors_headers(api.cors_configuration, origin)
        if method == "OPTIONS" and api.cors_configuration:
            return 204, cors, b""  # Api-18: the gateway answers it, without the integration
        status, headers, content = self._request(api, method, path, environ)
        return status, {**headers, **cors}, content

    def _find_api(self, api_id: str) -> Any:
        from moto.apigatewayv2.models import apigatewayv2_backends

        with self._lock:
            for backend in apigatewayv2_backends[ACCOUNT].values():
                if api_id in backend.apis:
                    return backend.apis[api_id]
        return None

    def _request(self, api: Any, method: str, path: str, environ: Environ) -> Answer:
        routes = {route.route_key: route for route in api.routes.values()}
        route = (
            routes.get(f"{method} {path}") or routes.get(f"ANY {path}") or routes.get("$default")
        )
        if route is None:
            return _message(404, "Not Found")
        if not self._let_through(api):
            return _message(429, "Too Many Requests")
        if int(environ.get("CONTENT_LENGTH") or 0) > _BODY_LIMIT:
            return _message(413, "Request Entity Too Large")
        integration = api.integrations.get(str(route.target).removeprefix("integrations/"))
        if (
            integration is None
            or integration.integration_subtype != "StepFunctions-StartSyncExecution"
        ):
            return _message(500, "Internal Server Error")
        body = _body(environ).decode("utf-8", errors="replace")
        request = {
            "stateMachineArn": integration.request_parameters.get("StateMachineArn"),
            "input": body
            if integration.request_parameters.get("Input") == "$request.body"
            else "{}",
        }
        if not self._requests.acquire(blocking=False):
            return _message(429, "Too Many Requests")
        execution = self._waiting.submit(start_sync_execution, ACCOUNT, request)
        try:
            return _json(
                200, execution.result(timeout=int(integration.timeout_in_millis or 30000) / 1000)
            )
        except FutureTimeout:
            execution.cancel()  # one that has begun goes on, as on AWS (Api-13)
            return _message(503, "Service Unavailable")
        except Refused as error:
            return _json(400, {"__type": error.code, "message": str(error)})
        finally:
            self._finished += 1
            self._requests.release()

    def _let_through(self, api: Any) -> bool:
        settings = api.stages["$default"].default_route_settings or {}
        rate, burst = settings.get("throttlingRateLimit"), settings.get("throttlingBurstLimit")
        if rate is None or burst is None:
            return True
        with self._lock:
            bucket = self._buckets.setdefault((api.api_id, rate, burst), TokenBucket(rate, burst))
            return bucket.take()

    def _count(self) -> int:
        """How much still lives here that a service consists of; what ends with its owner does not
        count.
        """
        from moto.apigatewayv2.models import apigatewayv2_backends
        from moto.awslambda.models import lambda_backends
        from moto.ecr.models import ecr_backends
        from moto.iam.models import iam_backends
        from moto.logs.models import logs_backends
        from moto.s3.models import s3_backends
        from moto.stepfunctions.parser.models import stepfunctions_parser_backends

        with self._lock:
            total = 0
            for region in list(apigatewayv2_backends[ACCOUNT].values()):
                total += len(region.apis)
            for functions in list(lambda_backends[ACCOUNT].values()):
                total += len(list(functions.list_functions()))
            for registry in list(ecr_backends[ACCOUNT].values()):
                total += len(registry.repositories)
            for machines in list(stepfunctions_parser_backends[ACCOUNT].values()):
                total += len(machines.state_machines)
            for logs in list(logs_backends[ACCOUNT].values()):
                total += len(logs.groups)
            total += len(s3_backends[ACCOUNT]["aws"].buckets) + len(
                iam_backends[ACCOUNT]["aws"].roles
            )
            return total


def largest_body(path: str, headers: Mapping[str, str], key: str) -> int:
    """Return below how many bytes a body is read, by the request's path and headers."""
    if path.startswith(_APIS):
        return _BODY_LIMIT + 1
    given = access_key({"HTTP_AUTHORIZATION": headers.get("AUTHORIZATION", "")})
    return _CONTROL_BODY_LIMIT if given == key else _STRANGERS_BODY_LIMIT


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
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._last) * self._rate)
        self._last = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _cors_headers(settings: Mapping[str, Any] | None, origin: str) -> Headers:
    if not settings or not origin:
        return {}
    allowed = [str(each).lower() for each in settings.get("allowOrigins", ())]
    if "*" not in allowed and origin.lower() not in allowed:
        return {}
    return {
        "Access-Control-Allow-Origin": "*" if "*" in allowed else origin,
        "Access-Control-Allow-Methods": ",".join(settings.get("allowMethods", ())),
        "Access-Control-Allow-Headers": ",".join(settings.get("allowHeaders", ())),
        "Access-Control-Max-Age": str(settings.get("maxAge", 0)),
    }


def _body(environ: Environ) -> bytes:
    """Read the body, and put it back for whoever reads it next."""
    content: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(content)
    return content


def _region(environ: Environ) -> str:
    """The region that a request is signed for."""
    return credential_scope(environ)[0] or REGION


def _aws_error(code: str) -> Headers:
    return {"X-Amzn-ErrorType": code}


__all__ = ["Gateway", "Response", "TokenBucket"]
