"""Invocations of type Event are tried again after an error, as Lambda does (Lambda-37)."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from deployer.local.events import Events
from deployer.local.functions import Functions
from deployer.local.invocation import Response, Version
from deployer.local.lambda_api import LambdaApi
from deployer.local.moto_backend.account import Function, MotoAccount
from deployer.local.telemetry import Telemetry

ERROR, ANSWER = Response(b"{}", is_error=True), Response(b"1")


@pytest.mark.parametrize(
    ("responses", "retries", "delays"),
    [
        ([ERROR, ERROR, ERROR], 2, [60, 120]),
        ([ERROR, ERROR], 1, [60]),
        ([ERROR], 0, []),
        ([ANSWER], 2, []),
        ([ERROR, ANSWER], 2, [60]),
        ([ERROR, None], 2, [60]),  # deleted meanwhile
    ],
)
def test_an_error_is_tried_again_after_one_and_two_minutes(
    responses: list[Response | None], retries: int, delays: list[float]
) -> None:
    left, waits, ids = list(responses), list[float](), list[str]()

    def attempt(request_id: str) -> Response | None:
        ids.append(request_id)
        return left.pop(0)

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    Events(wait).start(attempt, retries).join(10)
    assert (left, waits) == ([], delays)
    assert len(set(ids)) == 1 and len(ids[0]) == 36


def test_nothing_is_tried_again_once_the_server_has_ended() -> None:
    events, attempts = Events(), list[str]()
    events.close()

    def attempt(request_id: str) -> Response:
        attempts.append(request_id)
        return ERROR

    events.start(attempt, 2).join(10)
    assert len(attempts) == 1


class OneFunction:
    """An account of one function, whose events are tried again once, and its environments."""

    def __init__(self) -> None:
        self.invoked: list[tuple[bytes, str]] = []
        self.twice = threading.Event()
        self.counted: list[Any] = []

    def function(self, function: str, qualifier: str | None, region: str) -> Function:
        arn = f"arn:aws:lambda:{region}:123456789012:function:a:1"
        return Function(arn, "a", "1", "sha256:0", [], "app.main", {}, 3.0, 128)

    def has_function(self, name: str, qualifier: str | None, region: str) -> bool:
        return (name, qualifier) == ("a", "1")

    def is_stopped(self, function: str, region: str) -> bool:
        return False

    def event_retries(self, arn: str) -> int:
        return 1

    def put_metrics(self, *put: Any) -> None:
        self.counted.append(put)

    def unpack(self, digest: str, layers: list[bytes]) -> Path:
        return Path()

    def invoke(self, version: Version, payload: bytes, request_id: str) -> Response:
        self.invoked.append((payload, request_id))
        if len(self.invoked) == 2:
            self.twice.set()
        return ERROR


def test_an_event_is_answered_at_once_and_tried_as_often_as_its_function_says() -> None:
    one, waits = OneFunction(), list[float]()
    wait = cast("Callable[[float], bool]", lambda seconds: bool(waits.append(seconds)))
    telemetry = Telemetry(cast("MotoAccount", one))
    api = LambdaApi(cast("MotoAccount", one), cast("Functions", one), telemetry, Events(wait))
    environ: dict[str, Any] = {
        "PATH_INFO": "/2015-03-31/functions/a/invocations",
        "REQUEST_METHOD": "POST",
        "HTTP_X_AMZ_INVOCATION_TYPE": "Event",
        "CONTENT_LENGTH": "2",
        "wsgi.input": io.BytesIO(b"[]"),
    }
    assert api.answer(environ) == (202, {}, b"")
    assert one.twice.wait(10)
    (first, second) = one.invoked
    assert first == second and first[0] == b"[]" and waits == [60]
