"""`invoke`: what an answer of the API, of either kind, says of the models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployer.errors import InvocationFailed
from deployer.service.invoke import Answer, Client, count_answered
from tests.support.stub import Quiet, serve


def answer(output: Any) -> Answer:
    return Answer({"status": "SUCCEEDED", "output": json.dumps(output)}, 0.1)


GOOD = {"model": "a", "predictions": [1]}
FAILED = {"model": "b", "error": "Sandbox.Timedout"}
SKIPPED = {"model": "c", "skipped": "its features are not given"}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ([GOOD, GOOD], (2, 2)),
        ([GOOD, FAILED, GOOD, GOOD], (3, 4)),
        ([GOOD, SKIPPED], (1, 1)),
        ({"price": 1}, (0, 0)),
        (7, (0, 0)),
    ],
)
def test_the_models_that_answered_are_counted(output: Any, expected: tuple[int, int]) -> None:
    assert count_answered(answer(output)) == expected


def told(status: int, body: Any, headers: dict[str, str]) -> Answer:
    """Return what a client reads of an answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    class Api(Quiet):
        def handle_any(self) -> None:
            self.body()
            self.answer(status, content, headers)

    with serve(Api) as url, Client(f"{url}/live/") as client:
        return client.post(b"{}")


REST = {"x-request-id": "1"}
RECORD = {"status": "SUCCEEDED", "output": json.dumps([GOOD]), "executionArn": "arn"}


@pytest.mark.parametrize(
    ("body", "headers", "output", "results"),
    [
        (RECORD, {}, [GOOD], [GOOD]),
        ({"results": [GOOD, FAILED]}, REST, [GOOD, FAILED], [GOOD, FAILED]),
        ({"results": "mine"}, REST, {"results": "mine"}, None),
        ({"results": [GOOD], "more": 1}, REST, {"results": [GOOD], "more": 1}, None),
        (7, REST, 7, None),
        (RECORD, REST, RECORD, None),  # a workflow's own output
    ],
)
def test_both_kinds_of_success_are_read(
    body: Any, headers: dict[str, str], output: Any, results: Any
) -> None:
    answer = told(200, body, headers)
    assert answer.succeeded
    assert (answer.output, answer.results) == (output, results)


@pytest.mark.parametrize(
    ("status", "kind", "ending"), [(400, "InvalidInput", "FAILED"), (504, "TimedOut", "TIMED_OUT")]
)
def test_the_error_of_a_rest_api_is_read(status: int, kind: str, ending: str) -> None:
    answer = told(status, {"error": {"type": kind, "message": "RM: missing"}}, REST)
    assert not answer.succeeded
    assert answer.record == {"status": ending, "error": kind, "cause": "RM: missing"}
    assert answer.failure().message == f"HTTP {status}: {kind}: RM: missing (request 1)"


def test_an_answer_and_an_error_name_their_request() -> None:
    answer = told(200, {"status": "FAILED", "error": "E", "cause": "c"}, {"apigw-requestid": "a="})
    assert answer.request == "a="
    assert answer.failure().message == "the execution FAILED: E: c (request a=)"
    with pytest.raises(InvocationFailed, match=r"HTTP 500: no \(request 7\)"):
        told(500, {"message": "no"}, {"x-amzn-requestid": "7"})


@pytest.mark.parametrize(
    ("status", "body", "headers", "text"),
    [
        (404, {"message": "Not Found"}, {}, "HTTP 404: Not Found"),
        (403, {"message": "Forbidden"}, {}, "HTTP 403: Forbidden"),
        (200, b"<html>", {}, "HTTP 200: <html>"),
        (502, b"<html>", REST, "HTTP 502: <html>"),
        (200, b"<html>", REST, "HTTP 200: <html>"),
    ],
)
def test_what_is_no_answer_of_the_workflow_is_an_error(
    status: int, body: Any, headers: dict[str, str], text: str
) -> None:
    with pytest.raises(InvocationFailed, match=text):
        told(status, body, headers)
