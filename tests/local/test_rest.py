"""A service with a REST API on the local AWS, by the command line, from `up` to `down`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deployer.local import process
from tests.contract.test_apis import send
from tests.local.test_telemetry import metric
from tests.support.accounts import connect
from tests.support.command_line import deployer

# Its test shares a server, so one worker runs them all.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("local rest")]

REST = {"DEPLOYER_API": "rest"}


def test_a_service_answers_by_a_rest_api_and_goes_back_to_an_http_api(live: Path) -> None:
    told = deployer(live, "up", "--local", environment=REST)
    url = told.out.strip()
    assert url.endswith("/live/") and "3.5 times" in told.err and "not logged" in told.err
    deployer(live, "plan", "--local", "--exit-code", environment=REST)
    sample = json.loads((live / "samples" / "boston_housing.json").read_text())
    reply = send(url.rstrip("/"), body=json.dumps(sample).encode())
    assert reply.status == 200 and reply.headers["x-models-failed"] is None
    assert send(url.rstrip("/"), "GET", "/nothing").status == 404
    server = process.find(live)
    assert server is not None
    for stage in ({}, {"Stage": "live"}):
        own = {"ApiName": "inference-dev", **stage}
        names = ("Count", "4XXError", "5XXError")
        counts = [metric(connect(server), "AWS/ApiGateway", name, "Sum", **own) for name in names]
        assert counts[0] > counts[1] == 1 and counts[2] == 0
    results = deployer(live, "invoke", "--sample", "--local", "--json", environment=REST).json
    assert results == reply.json["results"] and len(results) == 3
    traced = deployer(live, "invoke", "--sample", "--local", "--trace", environment=REST).out
    assert "requests are not logged" in traced and "has not arrived" not in traced
    refused = deployer(live, "invoke", "--data", "{}", "--local", environment=REST, code=1)
    assert "HTTP 400: InvalidInput: " in refused.err
    record = deployer(
        live, "invoke", "--data", "{}", "--local", "--json", environment=REST, code=1
    ).json
    assert record["execution"]["error"] == "InvalidInput"

    deployer(live, "up", "--local", code=1)  # it deletes, so it asks
    back = deployer(live, "up", "--local", "--yes")
    assert "the URL changes" in back.err and "delete  api/rest" in back.err
    assert send(url.rstrip("/"), "GET", "/health").status == 403
    assert deployer(live, "invoke", "--sample", "--local", "--json").json == results
    deployer(live, "down", "--local", "--yes", environment=REST)
