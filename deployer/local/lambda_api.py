"""Lambda's data plane: Invoke, and the same for the tasks of workflows."""

from __future__ import annotations

import base64
import json
import re
import uuid
from typing import Any
from urllib.parse import unquote

from deployer.local.answers import Answer, Environ, answer_json, read_body
from deployer.local.enforcement import Denied
from deployer.local.events import Events
from deployer.local.functions import Functions
from deployer.local.guard import credential_scope
from deployer.local.invocation import PAYLOAD_LIMIT, Response, Version
from deployer.local.moto_backend.account import MotoAccount
from deployer.local.process import REGION
from deployer.local.telemetry import Telemetry

_PATH = re.compile(r"/2015-03-31/functions/(?P<function>[^/]+)/invocations$")
DENIED = "AccessDeniedException"
THROTTLED = "Rate Exceeded."  # whatever the limit was
_LOG_LIMIT = 4096  # bytes of the log's end in an answer
_QUALIFIER = re.compile(r"(?:^|&)Qualifier=([^&]+)")


class LambdaApi:
    """Invokes functions by name or ARN."""

    def __init__(
        self,
        account: MotoAccount,
        functions: Functions,
        telemetry: Telemetry,
        events: Events | None = None,
    ) -> None:
        self._account = account
        self._functions = functions
        self._telemetry = telemetry
        self._events = events or Events()

    def answer(self, environ: Environ) -> Answer | None:
        """Answer Invoke; None for another operation."""
        match = _PATH.match(environ["PATH_INFO"])
        if not match or environ["REQUEST_METHOD"] != "POST":
            return None
        function = unquote(match["function"])
        qualifier = _QUALIFIER.search(environ.get("QUERY_STRING", ""))
        payload = read_body(environ)
        region = credential_scope(environ)[0] or REGION
        if self._account.is_stopped(function, region):
            self._telemetry.throttled(function, region)
            return _refuse(429, "TooManyRequestsException", THROTTLED)
        version = self._version(function, unquote(qualifier[1]) if qualifier else None, region)
        if version is None:
            text = f"Function not found: {function}"
            return _refuse(404, "ResourceNotFoundException", text)
        if len(payload) > PAYLOAD_LIMIT:
            text = (
                f"Request must be smaller than {PAYLOAD_LIMIT} bytes for the InvokeFunction "
                f"operation"
            )
            return _refuse(413, "RequestTooLargeException", text)
        kind = environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "RequestResponse")
        if kind == "DryRun":
            return 204, {}, b""
        problem = _no_json(payload or b"{}")
        if problem:
            text = f"Could not parse request body into json: {problem}"
            return _refuse(400, "InvalidRequestContentException", text)
        if kind == "Event":
            self._start_event(version, payload or b"{}")
            return 202, {}, b""
        return self._respond(version, payload or b"{}", environ, kind)

    def _respond(self, version: Version, payload: bytes, environ: Environ, kind: str) -> Answer:
        """Invoke a version and answer with its response."""
        request_id = str(uuid.uuid4())
        try:
            response = self._invoke(version, payload, request_id)
        except Denied as denied:
            return _refuse(403, DENIED, str(denied))
        headers = {
            "Content-Type": "application/json",
            "X-Amz-Executed-Version": version.version,
            "x-amzn-RequestId": request_id,
        }
        if environ.get("HTTP_X_AMZ_LOG_TYPE") == "Tail" and kind == "RequestResponse":
            log = "".join(f"{line}\n" for line in response.log).encode()[-_LOG_LIMIT:]
            headers["X-Amz-Log-Result"] = base64.b64encode(log).decode()
        if response.is_error:
            headers["X-Amz-Function-Error"] = "Unhandled"
        return 200, headers, response.payload

    def _start_event(self, version: Version, payload: bytes) -> None:
        def attempt(request_id: str) -> Response | None:
            if not self._exists(version):
                return None
            return self._invoke(version, payload, request_id)

        self._events.start(attempt, self._account.event_retries(version.arn))

    def close(self) -> None:
        """End the environments, and try no event again."""
        self._events.close()
        self._functions.close()

    def check_task(self, role: str, arn: str) -> None:
        """Raise what the interpreter of workflows expects unless a role may invoke a function."""
        try:
            self._account.enforcement.check_task(role, arn)
        except Denied as denied:
            raise _client_error(403, DENIED, str(denied)) from denied

    def invoke_for_workflow(self, arn: str, payload: bytes) -> tuple[bytes, str | None]:
        """Invoke a function for a task; return the payload and the kind of its error."""
        region = arn.split(":")[3]
        if self._account.is_stopped(arn, region):
            self._telemetry.throttled(arn, region)
            raise _client_error(429, "TooManyRequestsException", THROTTLED)
        version = self._version(arn, None, region)
        if version is None:
            text = f"Function not found: {arn}"
            raise _client_error(404, "ResourceNotFoundException", text)
        try:
            response = self._invoke(version, payload, str(uuid.uuid4()))
        except Denied as denied:
            raise _client_error(403, DENIED, str(denied)) from denied
        return response.payload, "Unhandled" if response.is_error else None

    def _invoke(self, version: Version, payload: bytes, request_id: str) -> Response:
        with self._telemetry.invocation(version) as invocation:
            invocation.response = self._functions.invoke(version, payload, request_id)
        return invocation.response

    def end_deleted(self) -> None:
        """End the environments of versions that are deleted."""
        self._functions.keep(self._exists)

    def _version(self, function: str, qualifier: str | None, region: str) -> Version | None:
        """Look a function up, and unpack its image."""
        model = self._account.function(function, qualifier, region)
        if model is None:
            return None
        return Version(
            arn=model.arn,
            name=model.name,
            version=model.version,
            code=self._functions.unpack(model.digest, model.layers),
            command=model.command,
            environment=model.environment,
            timeout_s=model.timeout_s,
            memory_mb=model.memory_mb,
        )

    def _exists(self, version: Version) -> bool:
        region = version.arn.split(":")[3]
        qualifier = None if version.version == "$LATEST" else version.version
        return self._account.has_function(version.name, qualifier, region)


def _no_json(payload: bytes) -> str | None:
    """Say why a request is not JSON; None if it is."""
    try:
        json.loads(payload, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return str(error)
    return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"Unrecognized token '{name}'")  # Python takes NaN, JSON does not


def _client_error(status: int, code: str, text: str) -> Exception:
    """Return the error that the interpreter of workflows expects of a refused invocation."""
    from botocore.exceptions import ClientError

    details: Any = {
        "Error": {"Code": code, "Message": text},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "local"},
    }
    error: Exception = ClientError(details, "Invoke")
    return error


def _refuse(status: int, code: str, text: str) -> Answer:
    return answer_json(status, {"Message": text}, {"X-Amzn-ErrorType": code})
