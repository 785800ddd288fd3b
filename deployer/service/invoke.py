"""Calling the deployed API, of either kind.

An HTTP API answers with the execution record, and a failed execution comes as HTTP 200, too
(Api-12). A REST API answers with the output, or with the one shape of error and its status.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from deployer.aws.access import Aws
from deployer.errors import InvocationFailed, Refusal
from deployer.project.answers import MEMBERS
from deployer.project.settings import Settings
from deployer.resources.apigateway.apis import Catalogue, Listed
from deployer.resources.apigateway.http_api import HTTP_APIS
from deployer.resources.apigateway.rest_api import REST_APIS
from deployer.service.credentials import Authorize, anonymous
from deployer.service.ownership import ownership
from deployer.service.rest_contract import REQUEST_ID

# API Gateway gives up after 30 s at the latest (Api-13); whoever waits must outlast it.
TIMEOUT_S = 35.0


@dataclass(frozen=True)
class Answer:
    """One answer of the API.

    Args:
        record: `status`, and `output` (a JSON string) or `error`, `cause`: the execution record, or
            what a REST API tells of it.
        seconds: from sending the request until the answer was read.
        http_status: tells how a REST API ends.
        request: the id that API Gateway gave the request; its execution has it for a name.
    """

    record: dict[str, Any]
    seconds: float
    http_status: int = 200
    request: str | None = None

    @property
    def succeeded(self) -> bool:
        return self.record.get("status") == "SUCCEEDED"

    @property
    def output(self) -> Any:
        """The output of the workflow, any JSON value."""
        return json.loads(self.record["output"])

    @property
    def results(self) -> list[dict[str, Any]] | None:
        """The output of the shipped workflow, one entry per model; None for an output of another
        shape.

        An entry is {"model", "version", "predictions"}, with further members such as
        "probabilities"; {"model", "version", "transformed"}; {"model", "error"}; or {"model",
        "skipped"} of a model whose features the request does not give.
        """
        output = self.output
        return output if _shaped(output) else None

    def failure(self) -> InvocationFailed:
        """Return the error of an execution that did not succeed; its advice is in `advice`."""
        status = self.record.get("status", "unknown")
        error = self.record.get("error") or "no error name"
        cause = self.record.get("cause") or "no cause given"
        if self.http_status != 200:
            ending = f"HTTP {self.http_status}"
        else:
            ending = f"the execution {status}"
        failure = InvocationFailed(f"{ending}: {error}: {cause}{_named(self.request)}")
        failure.refusal = Refusal(self.http_status, error, cause, self.request, started=True)
        failure.document = {
            "execution": {name: self.record.get(name) for name in ("status", "error", "cause")},
            "request": self.request,
        }
        return failure


def count_answered(answer: Answer) -> tuple[int, int]:
    """Return (models that answered, models asked).

    A model is asked if it was not skipped. An output of another shape counts no models.
    """
    asked = [entry for entry in answer.results or () if "skipped" not in entry]
    return sum("error" not in entry for entry in asked), len(asked)


def answered_models(answer: Answer) -> set[str]:
    """Return the models that an answer names as having answered or skipped."""
    return {str(entry["model"]) for entry in answer.results or () if "error" not in entry}


def _shaped(output: Any) -> bool:
    """Return whether an output has one entry per model."""
    return isinstance(output, list) and output != [] and all(_is_entry(entry) for entry in output)


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and "model" in entry
        and (
            "error" in entry
            or "skipped" in entry
            or any(isinstance(entry.get(name), list) for name in MEMBERS)
        )
    )


def find_url(aws: Aws, settings: Settings) -> str:
    """Return the URL of the deployed API; raises what `find_api` raises."""
    _, api = find_api(aws, settings)
    return f"{api.endpoint}/"


def find_api(aws: Aws, settings: Settings) -> tuple[Catalogue, Listed]:
    """Return the deployed API and its kind, found by its tags, whatever its kind.

    While both kinds stand, it is that of the kind that the settings name.

    Raises:
        InvocationFailed: there is none, or more than one.
    """
    kinds = [HTTP_APIS, REST_APIS] if settings.api == "http" else [REST_APIS, HTTP_APIS]
    apis: list[Listed] = []
    for kind in kinds:
        apis = kind.ours(aws, ownership(settings))
        if apis:
            break
    if len(apis) != 1:
        number = f"{len(apis)} APIs" if apis else "no API"
        raise InvocationFailed(
            f"{number} of service {settings.service}, stage {settings.stage}, "
            f"in account {settings.account}, {settings.region}",
            "delete all but one" if apis else "deploy it first: python -m deployer up",
        )
    return kind, apis[0]


class Client:
    """Posts to one URL over one connection, so that repeated calls measure no handshakes.

    Args:
        authorize: adds the caller's credentials to a request.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.perf_counter,
        authorize: Authorize = anonymous,
    ) -> None:
        self.url = url
        self._authorize = authorize
        self._clock = clock
        parts = urlsplit(url)
        make = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = make(parts.netloc, timeout=TIMEOUT_S)
        self._path = parts.path or "/"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()

    def post(self, body: bytes) -> Answer:
        """Post a JSON body; raise InvocationFailed unless the answer is an execution record."""
        started = self._clock()
        headers = self._authorize(self.url, body, {"content-type": "application/json"})
        try:
            self._connection.request("POST", self._path, body, dict(headers))
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            text = f"gave no answer: {type(error).__name__} {error}".rstrip()
            raise self._failed(text) from error
        seconds = self._clock() - started
        record = _record(response.status, response.getheader(REQUEST_ID), content)
        names = (REQUEST_ID, "apigw-requestid", "x-amzn-requestid")
        request = next(filter(None, map(response.getheader, names)), None)
        if record is None:
            reason = _described(response.getheader("www-authenticate"))
            message = f"{_message(content)}{reason}"
            failure = self._failed(f"answered HTTP {response.status}: {message}", _named(request))
            failure.refusal = Refusal(response.status, "", message, request, started=False)
            raise failure
        return Answer(record, seconds, response.status, request)

    def _failed(self, kind: str, named: str = "") -> InvocationFailed:
        error = InvocationFailed(f"{self.url} {kind}{named}")
        error.kind = kind
        return error


def _record(status: int, request_id: str | None, content: bytes) -> dict[str, Any] | None:
    """Return what an answer tells of its execution; None if it is no answer of the workflow's.

    Args:
        request_id: a header that only REST APIs set.
    """
    body = _parsed(content)
    if request_id is None:
        return body if status == 200 and isinstance(body, dict) else None
    if status == 200 and body is not _NOT_JSON:
        is_wrapped = (
            isinstance(body, dict) and set(body) == {"results"} and _shaped(body["results"])
        )
        output = json.dumps(body["results"]) if is_wrapped else content.decode()
        return {"status": "SUCCEEDED", "output": output}
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    ending = "TIMED_OUT" if status == 504 else "FAILED"
    return {"status": ending, "error": error.get("type"), "cause": error.get("message")}


def _named(request: str | None) -> str:
    return f" (request {request})" if request else ""


_NOT_JSON = object()


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return _NOT_JSON


def _message(content: bytes) -> Any:
    body = _parsed(content)
    if isinstance(body, dict):
        return body.get("message")
    return content[:200].decode(errors="replace")


def _described(challenge: str | None) -> str:
    """Return the reason for a refusal in the header www-authenticate."""
    match = re.search('error_description="([^"]*)"', challenge or "")
    return f" ({match[1]})" if match else ""
