"""The HTTP API's own answers, and Invoke, against the local AWS."""

from __future__ import annotations

import base64
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from deployer.errors import AwsError
from deployer.local import process
from deployer.local.throttling import TokenBucket
from tests.support.accounts import connect
from tests.support.command_line import deployer

# Its tests share a server, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("local gateway")

SAMPLE = (Path(__file__).parents[2] / "samples" / "boston_housing.json").read_bytes()


def send(
    url: str, method: str, body: bytes | None = None, headers: Mapping[str, str] = {}
) -> tuple[int, Any, Any]:
    request = urllib.request.Request(url, body, dict(headers), method=method)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


@pytest.fixture(scope="module")
def url(deployed: Path) -> str:
    return str(deployer(deployed, "plan", "--local", "--json").json["outputs"]["url"])


def account(folder: Path) -> Any:
    server = process.find(folder)
    assert server is not None
    return connect(server)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("PUT", ""), ("POST", "other"), ("DELETE", "")]
)
def test_another_method_or_path_is_not_found(url: str, method: str, path: str) -> None:
    status, _, content = send(url + path, method, b"{}")
    assert (status, json.loads(content)) == (404, {"message": "Not Found"})


def test_an_unknown_api_is_not_found(url: str) -> None:
    assert send(url.replace(url.split("/")[-2], "zzzzzzzz"), "POST", b"{}")[0] == 404


def test_more_than_ten_megabytes_are_too_large(url: str) -> None:
    status, _, content = send(url, "POST", b" " * (10 * 1024 * 1024 + 1))
    assert (status, json.loads(content)) == (413, {"message": "Request Entity Too Large"})


def test_a_page_of_any_origin_may_call(url: str) -> None:
    status, headers, content = send(url, "OPTIONS", None, {"Origin": "https://example.com"})
    assert (status, content) == (204, b"")
    assert (
        headers["Access-Control-Allow-Origin"] == "*"
        and "POST" in headers["Access-Control-Allow-Methods"]
    )
    assert (
        send(url, "POST", SAMPLE, {"Origin": "https://example.com"})[1][
            "Access-Control-Allow-Origin"
        ]
        == "*"
    )
    assert send(url, "POST", SAMPLE)[1]["Access-Control-Allow-Origin"] is None


def test_cors_that_is_removed_is_really_gone(
    deployed: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOYER_CORS_ORIGINS", "https://one.example")
    deployer(deployed, "up", "--local")
    assert (
        send(url, "POST", SAMPLE, {"Origin": "https://one.example"})[1][
            "Access-Control-Allow-Origin"
        ]
        == "https://one.example"
    )
    assert (
        send(url, "POST", SAMPLE, {"Origin": "https://two.example"})[1][
            "Access-Control-Allow-Origin"
        ]
        is None
    )
    monkeypatch.setenv("DEPLOYER_CORS_ORIGINS", "")
    deployer(deployed, "up", "--local")
    assert send(url, "OPTIONS", None, {"Origin": "https://one.example"})[0] == 404
    monkeypatch.delenv("DEPLOYER_CORS_ORIGINS")
    deployer(deployed, "up", "--local")


def test_requests_beyond_rate_and_burst_are_refused(
    deployed: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOYER_RATE_LIMIT", "1")
    monkeypatch.setenv("DEPLOYER_BURST_LIMIT", "2")
    deployer(deployed, "up", "--local")
    answers = [send(url, "POST", SAMPLE) for _ in range(12)]
    refused = [answer for answer in answers if answer[0] == 429]
    assert refused and json.loads(refused[0][2]) == {"message": "Too Many Requests"}
    assert {answer[0] for answer in answers} == {200, 429}
    monkeypatch.delenv("DEPLOYER_RATE_LIMIT")
    monkeypatch.delenv("DEPLOYER_BURST_LIMIT")
    deployer(deployed, "up", "--local")
    assert {send(url, "POST", SAMPLE)[0] for _ in range(12)} == {200}


def test_a_token_bucket_refills_with_time() -> None:
    now = [0.0]
    bucket = TokenBucket(2, 3, clock=lambda: now[0])
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    now[0] = 0.5
    assert [bucket.take() for _ in range(2)] == [True, False]
    now[0] = 100
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_a_workflow_that_outlasts_the_integration_is_unavailable(deployed: Path, url: str) -> None:
    aws = account(deployed)
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:inference-dev"
    definition = aws.call("stepfunctions", "describe_state_machine", stateMachineArn=machine)[
        "definition"
    ]
    slow = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3, "End": True}}}
    aws.call(
        "stepfunctions",
        "update_state_machine",
        stateMachineArn=machine,
        definition=json.dumps(slow),
    )
    api = aws.call("apigatewayv2", "get_apis")["Items"][0]["ApiId"]
    integration = aws.call("apigatewayv2", "get_integrations", ApiId=api)["Items"][0][
        "IntegrationId"
    ]
    aws.call(
        "apigatewayv2",
        "update_integration",
        ApiId=api,
        IntegrationId=integration,
        TimeoutInMillis=200,
    )
    status, _, content = send(url, "POST", SAMPLE)
    assert (status, json.loads(content)) == (503, {"message": "Service Unavailable"})
    aws.call(
        "stepfunctions", "update_state_machine", stateMachineArn=machine, definition=definition
    )
    deployer(deployed, "up", "--local")
    assert send(url, "POST", SAMPLE)[0] == 200


def test_a_workflow_beyond_its_own_timeout_is_timed_out_in_the_record(
    deployed: Path, url: str
) -> None:
    aws = account(deployed)
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:inference-dev"
    slow = {
        "StartAt": "Wait",
        "TimeoutSeconds": 1,
        "States": {"Wait": {"Type": "Wait", "Seconds": 3, "End": True}},
    }
    aws.call(
        "stepfunctions",
        "update_state_machine",
        stateMachineArn=machine,
        definition=json.dumps(slow),
    )
    record = json.loads(send(url, "POST", SAMPLE)[2])
    assert (record["status"], "output" in record) == ("TIMED_OUT", False)
    assert "TIMED_OUT" in deployer(deployed, "invoke", "--sample", "--local", code=1).err
    deployer(deployed, "up", "--local")


def test_one_model_that_fails_leaves_the_others_answers(deployed: Path, url: str) -> None:
    """The model's file is gone from S3: its function cannot start, the two others answer."""
    manifest = json.loads((deployed / "models" / "manifest.json").read_text())
    key = f"models/support_vector/{manifest['models']['support_vector']['sha256']}.joblib"
    aws = account(deployed)
    aws.call("s3", "delete_object", Bucket="inference-dev-123456789012-us-east-1", Key=key)
    # A changed setting makes a new version, and with it a process that has to load the model.
    name = "inference-dev-support-vector"
    aws.call("lambda", "update_function_configuration", FunctionName=name, MemorySize=2000)
    version = aws.call("lambda", "publish_version", FunctionName=name)["FunctionArn"]
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:inference-dev"
    found = aws.call("stepfunctions", "describe_state_machine", stateMachineArn=machine)[
        "definition"
    ]
    definition = json.loads(found)
    definition["States"]["Predict"]["Branches"][2]["States"]["support_vector"]["Resource"] = version
    aws.call(
        "stepfunctions",
        "update_state_machine",
        stateMachineArn=machine,
        definition=json.dumps(definition),
    )
    failed = deployer(deployed, "invoke", "--sample", "--local", "--json", code=1)
    assert failed.err == "2 of 3 models answered\n"
    ran = failed.json
    assert [sorted(entry) for entry in ran] == [["model", "predictions", "version"]] * 2 + [
        ["error", "model"]
    ]
    assert ran[2] == {"model": "support_vector", "error": "ModelError"}
    assert "failed: ModelError" in deployer(deployed, "invoke", "--sample", "--local", code=1).out
    allowed = deployer(deployed, "invoke", "--sample", "--local", "--allow-partial")
    assert "failed: ModelError" in allowed.out and allowed.err == ""
    lines = [
        each["message"]
        for each in aws.pages(
            "logs", "filter_log_events", "events", logGroupName=f"/aws/lambda/{name}"
        )
    ]
    assert any("is missing or forbidden" in line for line in lines)
    deployer(deployed, "up", "--local")
    assert all(
        "predictions" in entry
        for entry in deployer(deployed, "invoke", "--sample", "--local", "--json").json
    )


def test_invoke_of_a_function_answers_as_lambda_does(deployed: Path) -> None:
    aws = account(deployed)
    answer = aws.call(
        "lambda", "invoke", FunctionName="inference-dev-random-forest", Payload=SAMPLE
    )
    assert answer["StatusCode"] == 200 and "FunctionError" not in answer
    assert json.loads(answer["Payload"].read())["model"] == "random_forest"
    answer = aws.call(
        "lambda", "invoke", FunctionName="inference-dev-random-forest", Qualifier="1", Payload=b"{}"
    )
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorType"] == "InvalidInput"
    for name, qualifier in (("no-such-function", "1"), ("inference-dev-random-forest", "99")):
        with pytest.raises(AwsError) as error:
            aws.call("lambda", "invoke", FunctionName=name, Qualifier=qualifier, Payload=b"{}")
        assert error.value.code == "ResourceNotFoundException"


def test_invoke_returns_the_end_of_its_own_log_where_it_is_asked_for(deployed: Path) -> None:
    """START, END and REPORT lines included; with DryRun nothing runs."""
    name = "inference-dev-random-forest"

    def invoke(**parameters: str) -> Any:
        """Call, and read the whole answer: a body left unread leaves a connection open."""
        aws = account(deployed)
        answer = aws.call("lambda", "invoke", FunctionName=name, Payload=SAMPLE, **parameters)
        return {**answer, "Payload": answer["Payload"].read()}

    first, second = (invoke(LogType="Tail") for _ in range(2))
    lines = base64.b64decode(second["LogResult"]).decode().splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["START", '{"execution":', "END", "REPORT"]
    assert first["LogResult"] != second["LogResult"]
    assert "LogResult" not in invoke()
    dry = {"InvocationType": "DryRun", "LogType": "Tail"}
    answer = invoke(**dry)
    assert answer["StatusCode"] == 204 and "LogResult" not in answer
    with pytest.raises(AwsError) as error:
        account(deployed).call("lambda", "invoke", FunctionName=f"{name}x", Payload=SAMPLE, **dry)
    assert error.value.code == "ResourceNotFoundException"


def test_invoke_refuses_what_is_no_json_and_answers_an_event_at_once(deployed: Path) -> None:
    aws, name = account(deployed), "inference-dev-linear-regression"
    for payload in (b"{", b"NaN", b"\xff", b"[" * 100_000):
        with pytest.raises(AwsError) as error:
            aws.call("lambda", "invoke", FunctionName=name, Payload=payload)
        assert (error.value.code, error.value.status) == ("InvalidRequestContentException", 400)
    event = {"InvocationType": "Event", "LogType": "Tail"}
    answer = aws.call("lambda", "invoke", FunctionName=name, Payload=SAMPLE, **event)
    assert answer["StatusCode"] == 202 and answer["Payload"].read() == b""
    assert "LogResult" not in answer


def test_every_answer_of_an_api_has_its_request_id_and_a_real_reason(url: str) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    nowhere = parts.path.replace(parts.path.split("/")[2], "zzzzzzzz")
    for method, path, reason in (
        ("POST", nowhere, "Not Found"),
        ("GET", parts.path, "Not Found"),
        ("OPTIONS", parts.path, "No Content"),
    ):
        connection.request(method, path)
        response = connection.getresponse()
        response.read()
        assert response.reason == reason and response.headers["apigw-requestid"]
    connection.close()


def test_a_payload_beyond_six_megabytes_is_refused(deployed: Path) -> None:
    with pytest.raises(AwsError) as error:
        account(deployed).call(
            "lambda",
            "invoke",
            FunctionName="inference-dev-random-forest",
            Payload=b'"' + b"x" * 6 * 1024 * 1024 + b'"',
        )
    assert (error.value.code, error.value.status) == ("RequestTooLargeException", 413)


def test_start_sync_execution_answers_to_boto3(deployed: Path) -> None:
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:inference-dev"
    answer = account(deployed).call(
        "stepfunctions", "start_sync_execution", stateMachineArn=machine, input=SAMPLE.decode()
    )
    assert answer["status"] == "SUCCEEDED" and len(json.loads(answer["output"])) == 3
    with pytest.raises(AwsError) as error:
        account(deployed).call(
            "stepfunctions", "start_sync_execution", stateMachineArn=machine + "x", input="{}"
        )
    assert error.value.code == "StateMachineDoesNotExist"


def test_a_log_that_never_ends_is_cut_at_its_beginning(deployed: Path) -> None:
    """A process that prints for ever would fill the memory of the local AWS."""
    handler = deployed / "lambda_src" / "predict.py"
    source = handler.read_text()
    handler.write_text(source + "\n\nfor number in range(6000):\n    print('line', number)\n")
    deployer(deployed, "up", "--local")
    deployer(deployed, "invoke", "--sample", "--local")
    lines: list[str] = []
    deadline = time.monotonic() + 60
    while (
        "line 5999" not in lines and time.monotonic() < deadline
    ):  # lines arrive behind the answer, as on AWS
        events = account(deployed).pages(
            "logs",
            "filter_log_events",
            "events",
            logGroupName="/aws/lambda/inference-dev-linear-regression",
        )
        lines = [event["message"] for event in events]
    assert "line 0" not in lines and "line 5999" in lines and len(lines) < 6000
    handler.write_text(source)
    deployer(deployed, "up", "--local")


@pytest.mark.parametrize(
    ("end", "shape"),
    [({"OutputPath": "$.predictions[0]"}, float), ({}, dict), ({"ResultPath": "$.answer"}, dict)],
    ids=["a number", "an object", "the input with the answer"],
)
def test_a_workflow_of_another_shape_is_printed_as_json(
    deployed: Path, end: dict[str, str], shape: type
) -> None:
    workflow = deployed / "state_machine.json"
    kept = workflow.read_text()
    ask = {
        "Type": "Task",
        "Resource": "${linear_regression}",
        "TimeoutSeconds": 25,
        "End": True,
        **end,
    }
    workflow.write_text(
        json.dumps({"TimeoutSeconds": 28, "StartAt": "Ask", "States": {"Ask": ask}})
    )
    deployer(deployed, "up", "--local", "--yes")
    assert isinstance(deployer(deployed, "invoke", "--sample", "--local", "--json").json, shape)
    shown = deployer(deployed, "invoke", "--sample", "--local")
    assert (
        isinstance(json.loads(shown.out.rpartition("\n\n")[0]), shape)
        and "answered in" in shown.out
    )
    workflow.write_text(kept)
    deployer(deployed, "up", "--local")
