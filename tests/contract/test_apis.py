"""One table of requests against both kinds of API, over real HTTP.

The workflow needs no functions: the request chooses how it ends. The HTTP API answers with its
execution record, the REST API with the statuses and bodies that docs/api.md promises.
"""

from __future__ import annotations

import copy
import gzip
import http.client
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from deployer.aws.access import Aws
from deployer.engine.plan import Action, Change, compare
from deployer.local import process, vtl
from deployer.project.settings import Settings
from deployer.resources.base import Resource
from deployer.service import declare
from deployer.service import rest_templates as templates
from tests.support.accounts import connect, reset
from tests.support.projects import ROOT

# Its tests share an account, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("both kinds of API")

JSON = {"Content-Type": "application/json"}
SECRET = "tr0ub4dor"  # stands in requests, and must not come back in an error
GOOD = {"model": "a", "version": "0123456789ab", "predictions": [1.5]}
FAILED = {"model": "b", "error": "Sandbox.Timedout"}
SKIPPED = {"model": "c", "skipped": "its features x are not given"}
TRACE = json.dumps(
    {
        "errorMessage": 'RM isn\'t a "number"',
        "errorType": "InvalidInput",
        "stackTrace": ["  File /var/task/predict.py"],
    }
)
LEAK = "arn:aws:lambda:us-east-1:123456789012:function:x Traceback /var/task/predict.py"


def ends(name: str, **state: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A rule of the workflow's Choice, and the state that it leads to."""
    return {"Variable": "$.case", "StringEquals": name, "Next": name}, {name: state}


ENDS = [
    ends("echo", Type="Pass", OutputPath="$.value", End=True),
    ends("refused", Type="Fail", Error="InvalidInput", CausePath="$.cause"),
    ends("wrapped", Type="Fail", Error="InvalidInput", Cause=TRACE),
    ends("none", Type="Fail", Error="NoModelAnswered", Cause=LEAK),
    ends("broken", Type="Fail", Error="Sandbox.Broken", Cause=LEAK),
    ends("named", Type="Fail", ErrorPath="$.error", Cause=LEAK),
    ends("nameless", Type="Fail"),
    ends("slow", Type="Wait", Seconds=30, End=True),
    ends("large", Type="Pass", Parameters={"a.$": "$", "b.$": "$"}, End=True),
]
WORKFLOW = {
    "StartAt": "choose",
    "TimeoutSeconds": 1,
    "States": {
        "choose": {
            "Type": "Choice",
            "Choices": [
                {"And": [{"Variable": "$.case", "IsPresent": True}, rule], "Next": rule.pop("Next")}
                for rule, _ in ENDS
            ],
            "Default": "input",
        },
        "input": {"Type": "Pass", "End": True},
        **{name: state for _, states in ENDS for name, state in states.items()},
    },
}


@dataclass(frozen=True)
class Apis:
    """Both kinds of API over one workflow."""

    aws: Aws
    settings: Settings
    kinds: Mapping[str, Resource]
    urls: Mapping[str, str]


@pytest.fixture(scope="module")
def apis(server: process.Server) -> Apis:
    reset(server)
    aws = connect(server)
    settings = Settings(project=ROOT).located(
        account="123456789012", partition="aws", region="us-east-1"
    )
    aws.call(
        "stepfunctions",
        "create_state_machine",
        name=settings.prefix,
        definition=json.dumps(WORKFLOW),
        roleArn=settings.role_arn("workflow"),
        type="EXPRESS",
    )
    kinds = {"http": declare.http_api(settings), "rest": declare.rest_api(settings)}
    urls = {}
    for name, kind in kinds.items():
        urls[name] = kind.create(aws, kind.fields)["endpoint"]
    return Apis(aws, settings, kinds, urls)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


def send(
    url: str,
    method: str = "POST",
    path: str = "/",
    body: Any = None,
    headers: Mapping[str, str] = JSON,
) -> Reply:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    chunked = not isinstance(body, (bytes, type(None)))
    try:
        connection.request(method, parts.path + path, body, dict(headers), encode_chunked=chunked)
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read())
    finally:
        connection.close()


@dataclass(frozen=True)
class Row:
    """A request, and what both kinds answer.

    Args:
        http: status, and the execution's status and error, the message, or None for no body.
        rest: status, and the whole body, the type of the error, or None for no body.
    """

    name: str
    http: tuple[int, Any]
    rest: tuple[int, Any]
    body: Any = None
    method: str = "POST"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)


def ask(**values: Any) -> bytes:
    return json.dumps({"secret": SECRET, **values}).encode()


def ok(name: str, output: Any, body: Any = None, **parts: Any) -> Row:
    """An execution that succeeds; the REST API shows its output, or what `shown` says."""
    body = ask(case="echo", value=output) if body is None else body
    shown = parts.pop("shown", output)
    return Row(name, (200, ("SUCCEEDED", output)), (200, shown), body, **parts)


def fails(name: str, status: int, kind: str, recorded: str, **values: Any) -> Row:
    """An execution that fails, which the HTTP API answers with 200 (Api-12)."""
    return Row(name, (200, ("FAILED", recorded)), (status, kind), ask(**values))


def refuses(name: str, body: Any, **parts: Any) -> Row:
    """A body that Step Functions itself refuses."""
    return Row(name, (400, "InvalidExecutionInput"), (400, "InvalidInput"), body, **parts)


def not_found(method: str, path: str) -> Row:
    absent = None if method == "HEAD" else "Not Found"
    shown = None if method == "HEAD" else "NotFound"
    return Row(f"{method} {path}", (404, absent), (404, shown), b"{}", method, path)


def typed(content_type: str, rest: tuple[int, Any]) -> Row:
    return Row(
        f"content type {content_type}",
        (200, ("SUCCEEDED", [GOOD])),
        rest,
        ask(case="echo", value=[GOOD]),
        headers={"Content-Type": content_type} if content_type else {},
    )


RESULTS = {"results": [GOOD]}
UNSUPPORTED = (415, "UnsupportedMediaType")
TEXTS = {
    "double quotes": 'say "yes"',
    "apostrophes": "it's 'so'",
    "backslashes": "C:\\new\\table",
    "a backslash before an apostrophe": "\\'",
    "two backslashes before an apostrophe": "\\\\'",
    "variables and directives": "$input.body #set($a = 1) ${context} #end $!x #foreach",
    "comments": "## not a comment #* nor this *#",
    "lines and tabs": "a\nb\r\nc\td\b\f",
    "control characters": "\x00\x01\x1f\x7f",
    "umlauts": "Größe, été",
    "a character beyond 16 bits": "🏠 𝒳",
    "separators of lines": "\u2028\u2029",
    "slashes and markup": "</script><b>&amp;</b>",
    "a template's braces": "{{value}} %s {0}",
}
ROWS = [
    ok("one model", [GOOD], shown=RESULTS),
    ok("a skipped model", [GOOD, SKIPPED], shown={"results": [GOOD, SKIPPED]}),
    ok("no entries", []),
    ok("an object of the user's own", {"price": 1, "results": "mine"}),
    ok("a number of the user's own", 12.5),
    ok("a text of the user's own", "arn of nothing"),
    ok("null", None),
    ok("a list that is not of entries", [GOOD, 7]),
    ok("a list of lists", [[GOOD]]),
    ok("a model without an answer", [{"model": "a"}]),
    ok("1,200 entries", [GOOD] * 1200, shown={"results": [GOOD] * 1200}),
    ok("many digits", [12345678901234567890, 0.1, 1e-7, -0.0]),
    ok("the whole input", {"x": 1}, b'{"x": 1}'),
    ok("white space around it", {"x": 1}, b' \r\n\t{"x" : 1}\n '),
    ok("a number alone", 7, b"7"),
    ok("a list alone", [1, 2], b"[1, 2]"),
    *(ok(f"a value with {name}", {"v": text}) for name, text in TEXTS.items()),
    *(ok(f"a name with {name}", {text: 1}) for name, text in TEXTS.items()),
    fails("a refused input", 400, "InvalidInput", "InvalidInput", case="refused", cause="RM: no"),
    fails("a refused input in Lambda's words", 400, "InvalidInput", "InvalidInput", case="wrapped"),
    fails("no model answered", 502, "NoModelAnswered", "NoModelAnswered", case="none"),
    fails("a workflow's own failure", 500, "Sandbox.Broken", "Sandbox.Broken", case="broken"),
    fails("an error's name in quotes", 500, 'a "b\' $c', 'a "b\' $c', case="named",
          error='a "b\' $c'),
    fails("an output that is too large", 500, "States.DataLimitExceeded",
          "States.DataLimitExceeded", case="large", more="x" * 200_000),
    Row("a failure without a name", (200, ("FAILED", None)), (500, "WorkflowFailed"),
        ask(case="nameless")),
    Row("a workflow that timed out", (200, ("TIMED_OUT", "States.Timeout")), (504, "TimedOut"),
        ask(case="slow")),
    refuses("not JSON", b"RM=6"),
    refuses("half of a JSON text", b'{"a": '),
    refuses("two JSON texts", b"{}{}"),
    refuses("single quotes", b"{'a': 1}"),
    refuses("UTF-16", '{"a": 1}'.encode("utf-16")),
    refuses("a gzipped body", gzip.compress(b"{}"), headers={**JSON, "Content-Encoding": "gzip"}),
    Row("300 KB", (400, "ValidationException"), (413, "TooLarge"), b'"' + b"x" * 300_000 + b'"'),
    Row("10 MB", (400, "ValidationException"), (413, "TooLarge"),
        b'"' + b"x" * (10 * 2**20 - 2) + b'"'),
    Row("10 MB and a byte", (413, "Request Entity Too Large"), (413, "TooLarge"),
        b" " * (10 * 2**20 + 1)),
    Row("11 MB", (413, "Request Entity Too Large"), (413, "TooLarge"), b" " * (11 * 2**20)),
    ok("a chunked body", {"x": 1}, [b'{"x"', b": 1}"]),
    ok("a query", [GOOD], shown=RESULTS, path="/?a=1&b='%22$x"),
    ok("no slash at the end", [GOOD], shown=RESULTS, path=""),
    typed("application/json; charset=utf-8", (200, RESULTS)),
    typed("APPLICATION/JSON", (200, RESULTS)),
    typed("", (200, RESULTS)),
    typed("text/plain", UNSUPPORTED),
    typed("application/x-www-form-urlencoded", UNSUPPORTED),
    typed("application/xml", UNSUPPORTED),
    not_found("GET", "/"),
    not_found("PUT", "/"),
    not_found("DELETE", "/"),
    not_found("PATCH", "/"),
    not_found("HEAD", "/"),
    not_found("POST", "/health"),
    not_found("POST", "/predict"),
    not_found("POST", "/%2e%2e/"),
    not_found("GET", "/favicon.ico"),
    Row("GET /health", (404, "Not Found"), (200, {"status": "ok"}), None, "GET", "/health", {}),
    Row("GET /health/", (404, "Not Found"), (200, {"status": "ok"}), None, "GET", "/health/", {}),
    Row("a preflight", (204, None), (204, None), None, "OPTIONS", "/",
        {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}),
]  # fmt: skip
by_name = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def request(row: Row, url: str) -> Reply:
    body = iter(row.body) if isinstance(row.body, list) else row.body
    return send(url, row.method, row.path, body, row.headers)


@by_name
def test_the_http_api_answers_with_the_execution_record(apis: Apis, row: Row) -> None:
    reply = request(row, apis.urls["http"])
    status, expected = row.http
    assert reply.status == status, reply.content
    if expected is None:
        assert reply.content == b""
    elif isinstance(expected, tuple):
        record = reply.json
        assert None not in record.values()
        ended, outcome = expected
        assert record["status"] == ended
        assert (json.loads(record["output"]) if "output" in record else record.get("error")) == (
            outcome
        )
    else:
        assert expected in (reply.json.get("message"), reply.json.get("__type"))


@by_name
def test_the_rest_api_answers_with_status_and_plain_json(apis: Apis, row: Row) -> None:
    reply = request(row, apis.urls["rest"])
    status, expected = row.rest
    assert reply.status == status, reply.content
    if status == 200:
        assert reply.json == expected
    elif expected is None:
        assert reply.content == b""
    else:
        assert list(reply.json) == ["error"]
        assert sorted(reply.json["error"]) == ["message", "type"]
        assert reply.json["error"]["type"] == expected and reply.json["error"]["message"]
        assert not re.search(rf"arn:|123456789012|{SECRET}|Traceback|/var/task", str(reply.json))
    assert re.fullmatch(r"[0-9a-f-]{36}", reply.headers["x-request-id"])
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    if reply.content:
        assert reply.headers["Content-Type"] == "application/json"


def test_the_message_of_a_refused_input_is_handed_on_and_nothing_else(apis: Apis) -> None:
    url = apis.urls["rest"]
    cause = 'RM: isn\'t "a" number; $input.body\n#end 🏠'
    assert send(url, body=ask(case="refused", cause=cause)).json["error"]["message"] == cause
    wrapped = send(url, body=ask(case="wrapped")).json["error"]["message"]
    assert wrapped == 'RM isn\'t a "number"'


def test_digits_are_not_rewritten_on_their_way(apis: Apis) -> None:
    """Rest-6: `$input.json` would."""
    body = '{"a": 10.00, "b": 1E2, "c": 12345678901234567890.5}'
    source = vtl.Input(body, {}, {})
    sent = json.loads(vtl.render(templates.request("arn"), source, {"requestId": "1"}))
    assert sent == {"stateMachineArn": "arn", "name": "1", "input": body}
    content = send(apis.urls["rest"], body=b'{"a": 12345678901234567890.5, "b": 10}').content
    record = send(apis.urls["http"], body=b'{"a": 12345678901234567890.5, "b": 10}').json
    assert content.decode().strip() == record["output"]


def test_failed_models_are_counted_in_a_header(apis: Apis) -> None:
    url = apis.urls["rest"]
    replies = {
        number: send(url, body=ask(case="echo", value=[GOOD, *[FAILED] * number]))
        for number in (0, 1, 2)
    }
    found = {number: reply.headers["x-models-failed"] for number, reply in replies.items()}
    assert found == {0: None, 1: "1", 2: "2"}
    assert replies[1].json == {"results": [GOOD, FAILED]}


def test_the_request_id_names_the_execution(apis: Apis) -> None:
    """One id in the logs of all services."""
    reply = send(apis.urls["rest"], body=ask(case="echo", value=1))
    assert reply.headers["x-request-id"] == reply.headers["x-amzn-RequestId"]
    fields: Any = apis.kinds["rest"].fields
    (template,) = fields["methods"]["POST /"]["integration"]["templates"].values()
    assert '"name": "$context.requestId"' in template


def test_a_stage_that_is_not_there_is_forbidden(apis: Apis) -> None:
    """Rest-4: so answers a new stage for some seconds, and so does an API that is gone."""
    url = apis.urls["rest"].removesuffix("live")
    assert send(f"{url}other", body=b"{}").status == 403


@contextmanager
def served(apis: Apis, kind: Resource) -> Iterator[str]:
    """Let the REST API be as a kind says for the block; yield its URL."""
    for wanted in (kind, apis.kinds["rest"]):
        state: Any = wanted.read(apis.aws)
        change = Change("api", Action.UPDATE, compare(wanted.fields, state.fields))
        wanted.update(apis.aws, wanted.fields, state, change)
        if wanted is kind:
            yield apis.urls["rest"]


ORIGINS = ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        (("*",), "https://c.example", ("*", "*", None)),
        (ORIGINS[:1], "https://c.example", (ORIGINS[0], ORIGINS[0], None)),
        (ORIGINS, ORIGINS[1], (ORIGINS[1], None, "Origin")),
        (ORIGINS, "https://c.example", (None, None, "Origin")),
        (ORIGINS, "https://a.example.evil", (None, None, "Origin")),
        ((), ORIGINS[0], (None, None, None)),
    ],
)
def test_pages_of_the_settings_origins_may_read_answers(
    apis: Apis, allowed: tuple[str, ...], origin: str, expected: tuple[Any, Any, Any]
) -> None:
    sent = {**JSON, "Origin": origin}
    settings = replace(
        apis.settings,
        cors_origins=allowed,
        cors_headers=("content-type", "x-api-key"),
        cors_exposed_headers=("x-amzn-requestid",),
    )
    with served(apis, declare.rest_api(settings)) as url:
        preflight = send(url, "OPTIONS", headers=sent)
        answers = [send(url, body=ask(case="none"), headers=sent), send(url, "GET", "/health")]
        refused = send(url, "PUT", headers=sent)
    name = "Access-Control-Allow-Origin"
    of_answers, of_refusals, vary = expected
    assert answers[0].headers[name] == of_answers and answers[0].headers["Vary"] == vary
    assert refused.headers[name] == of_refusals
    if not allowed:
        assert preflight.status == 404
        return
    assert (preflight.status, preflight.headers[name]) == (204, of_answers)
    assert preflight.headers["Access-Control-Allow-Headers"] == "content-type,x-api-key"
    assert preflight.headers["Access-Control-Allow-Methods"] == "OPTIONS,POST"
    exposed = "x-amzn-requestid,x-models-failed,x-request-id"
    assert {one.headers["Access-Control-Expose-Headers"] for one in answers} == {exposed}


def test_requests_beyond_the_rate_are_refused_in_the_same_shape(apis: Apis) -> None:
    settings = replace(apis.settings, rate_limit=1, burst_limit=2)
    with served(apis, declare.rest_api(settings)) as url:
        replies = [send(url, body=ask(case="echo", value=1)) for _ in range(8)]
    refused = [reply for reply in replies if reply.status != 200]
    assert {reply.status for reply in refused} == {429}
    assert {reply.json["error"]["type"] for reply in refused} == {"TooManyRequests"}


def test_a_workflow_that_outlasts_the_integration_is_a_gateway_timeout(apis: Apis) -> None:
    """Rest-16."""
    kind = copy.copy(apis.kinds["rest"])
    kind.fields = copy.deepcopy(dict(kind.fields))
    kind.fields["methods"]["POST /"]["integration"]["timeout_ms"] = 60
    with served(apis, kind) as url:
        reply = send(url, body=ask(case="slow"))
    assert (reply.status, reply.json["error"]["type"]) == (504, "TimedOut")


REFUSALS = [
    ("com.amazonaws.states#InvalidExecutionInput", None, "InvalidInput"),
    ("ThrottlingException", 429, "TooManyRequests"),
    ("KmsThrottlingException", 429, "TooManyRequests"),
    ("ExecutionLimitExceeded", 429, "TooManyRequests"),
    ("ValidationException", 413, "TooLarge"),
    ("AccessDeniedException", 500, "InternalError"),
    ("StateMachineDoesNotExist", 500, "InternalError"),
    ("", 500, "InternalError"),
]


@pytest.mark.parametrize(("code", "status", "kind"), REFUSALS)
def test_a_refusal_of_step_functions_is_told_by_its_name(
    code: str, status: int | None, kind: str
) -> None:
    """Rest-10: bad JSON, too large and throttling are all HTTP 400. Without an override, 400."""
    answer = {"__type": code, "message": LEAK} if code else {"message": LEAK}
    assert rendered(templates.refusal(), answer) == (status, {"error": kind})


ENDINGS = [
    ({"status": "FAILED", "error": "States.Timeout"}, 504, "TimedOut"),
    ({"status": "TIMED_OUT"}, 504, "TimedOut"),
    ({"status": "FAILED"}, 500, "WorkflowFailed"),
    ({"status": "FAILED", "error": "InvalidInput"}, 400, "InvalidInput"),
    ({"status": "FAILED", "error": "InvalidInput", "cause": '{"a": 1}'}, 400, "InvalidInput"),
]


@pytest.mark.parametrize(("record", "status", "kind"), ENDINGS)
def test_an_ending_that_the_local_aws_does_not_make_is_mapped_too(
    record: dict[str, str], status: int, kind: str
) -> None:
    assert rendered(templates.execution(), record) == (status, {"error": kind})


def rendered(template: str, answer: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the overridden status, None without one, and the type of the error."""
    context: dict[str, Any] = {"responseOverride": {"header": {}}}
    text = vtl.render(template, vtl.Input(json.dumps(answer), {}, {}), context)
    assert LEAK not in text
    return context["responseOverride"].get("status"), {"error": json.loads(text)["error"]["type"]}


def test_no_template_overrides_a_thing_twice() -> None:
    """Rest-7: API Gateway answers that with 500. At most one branch of a template is taken."""
    for template in (templates.execution(), templates.refusal()):
        branches = re.split(r"#(?:else|elseif)\b", template)
        assert all(branch.count("responseOverride.status =") <= 1 for branch in branches)
        assert template.count("responseOverride.header.x-models-failed") <= 1


def test_the_definition_names_no_release_and_is_small(apis: Apis) -> None:
    """Rest-14; and a switch or rollback of the workflow never waits for a deployment of the API."""
    text = json.dumps(apis.kinds["rest"].fields)
    assert re.findall(r"stateMachine:[^\\\"]+", text) == ["stateMachine:inference-dev"]
    assert "function:" not in text and len(text) < 100_000
