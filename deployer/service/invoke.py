"""Calling the deployed API. A failed execution comes as HTTP 200, too (Api-12)."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from deployer.aws.access import Aws
from deployer.errors import InvocationFailed
from deployer.project.answers import MEMBERS
from deployer.project.settings import Settings
from deployer.resources.apigateway.http_api import HTTP_APIS
from deployer.resources.base import Ownership

# API Gateway gives up after 30 s at the latest (Api-13); whoever waits must outlast it.
TIMEOUT_S = 35.0


@dataclass(frozen=True)
class Answer:
    """One answer of the API.

    Args:
        record: the execution record: `status`, and `output` (a JSON string) or `error`, `cause`.
        seconds: from sending the request until the answer was read.
    """

    record: dict[str, Any]
    seconds: float

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
        shaped = isinstance(output, list) and output and all(_is_entry(entry) for entry in output)
        return output if shaped else None

    def failure(self) -> InvocationFailed:
        """Return the error of an execution that did not succeed."""
        status = self.record.get("status", "unknown")
        error = self.record.get("error") or "no error name"
        cause = self.record.get("cause") or "no cause given"
        return InvocationFailed(f"the execution {status}: {error}: {cause}")


def fewest_answered(answers: Sequence[Answer]) -> tuple[int, int]:
    """Return (models that answered, models asked) of the answer in which most of them failed.

    A model is asked if it was not skipped. An output of another shape counts no models.
    """
    counts = []
    for answer in answers:
        asked = [entry for entry in answer.results or () if "skipped" not in entry]
        counts.append((sum("error" not in entry for entry in asked), len(asked)))
    return max(counts, key=lambda count: count[1] - count[0])


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
    """Return the URL of the deployed API, found by its tags.

    Raises:
        InvocationFailed: there is none, or more than one.
    """
    apis = HTTP_APIS.ours(aws, Ownership(settings.tags))
    if len(apis) != 1:
        number = "no HTTP API" if not apis else f"{len(apis)} HTTP APIs"
        raise InvocationFailed(
            f"{number} of service {settings.service}, stage {settings.stage}, "
            f"in account {settings.account}, {settings.region}",
            "deploy it first: python -m deployer up" if not apis else "delete all but one",
        )
    return f"{apis[0].endpoint}/"


class Client:
    """Posts to one URL over one connection, so that repeated calls measure no handshakes."""

    def __init__(self, url: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self.url = url
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
        try:
            self._connection.request("POST", self._path, body, {"content-type": "application/json"})
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise InvocationFailed(
                f"{self.url} gave no answer: {type(error).__name__} {error}".rstrip()
            ) from error
        seconds = self._clock() - started
        try:
            record = json.loads(content)
        except ValueError:
            record = None
        if response.status != 200 or not isinstance(record, dict):
            text = (
                record.get("message")
                if isinstance(record, dict)
                else content[:200].decode(errors="replace")
            )
            raise InvocationFailed(
                f"{self.url} answered HTTP {response.status}: {text}", _advice(response.status)
            )
        return Answer(record, seconds)


def _advice(status: int) -> str:
    if status == 429:
        return "the API's rate_limit or burst_limit is reached (README.md, settings)"
    if status >= 500:
        return (
            "right after a deploy the API's role may take a minute to work (Api-32); "
            "otherwise see the API's log group"
        )
    return ""
