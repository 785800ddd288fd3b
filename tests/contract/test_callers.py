"""Who may call: each value of `auth` over real HTTP, against both kinds of API.

The workflow answers with its input, so HTTP 200 means that the caller was let in.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from deployer.aws.access import Aws
from deployer.errors import InvocationFailed
from deployer.local import process
from deployer.project.settings import Settings, load_settings
from deployer.resources.apigateway.rest_keys import add_to_plan
from deployer.service import callers, declare
from deployer.service.advice import advice
from deployer.service.credentials import authorizing
from deployer.service.invoke import Client
from deployer.service.serving import guarded
from tests.contract.test_apis import JSON, Reply, send
from tests.support.accounts import connect, keys, reset
from tests.support.issuing import AUDIENCE, EC, OTHER_RSA, SCOPE, Issuer, issuing
from tests.support.projects import ROOT

# Its tests share an account, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("who may call")

BODY = b'{"x": 1}'
ECHO = {"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}}
KINDS = [("http", "none"), ("http", "iam"), ("http", "jwt"), ("rest", "none"), ("rest", "iam")]
KINDS += [("rest", "key")]


@dataclass
class World:
    """An API for each combination, all over one workflow."""

    aws: Aws
    server: process.Server
    issuer: Issuer
    settings: Mapping[tuple[str, str], Settings]
    urls: Mapping[tuple[str, str], str]
    plan_id: str = ""

    def key(self, **parameters: Any) -> dict[str, str]:
        """Make an API key without a usage plan; return its id and its value."""
        key = self.aws.call("apigateway", "create_api_key", **{"enabled": True, **parameters})
        return {"id": key["id"], "value": key["value"]}


@pytest.fixture(scope="module")
def world(server: process.Server) -> Iterator[World]:
    reset(server)
    aws = connect(server)
    with issuing() as issuer:
        base = Settings(
            project=ROOT,
            jwt_issuer=issuer.url,
            jwt_audience=(AUDIENCE, "other"),
            jwt_scopes=(SCOPE,),
        ).located(account="123456789012", partition="aws", region="us-east-1")
        aws.call(
            "stepfunctions",
            "create_state_machine",
            name=base.prefix,
            definition=json.dumps(ECHO),
            roleArn=base.role_arn("workflow"),
            type="EXPRESS",
        )
        world = World(aws, server, issuer, {}, {})
        settings, urls = {}, {}
        for api, auth in KINDS:
            one = replace(base, api=api, auth=auth, service=f"s-{api}-{auth}")
            # The workflow is that of the first service.
            kind: Any = declare.api(one)
            text = json.dumps(kind.fields).replace(one.workflow_arn, base.workflow_arn)
            outputs = kind.create(aws, json.loads(text))
            settings[api, auth], urls[api, auth] = one, f"{outputs['endpoint']}/"
            if auth == "key":
                plan: Any = callers.usage_plan(one)
                stages = [{"api_id": outputs["api_id"], "stage": "live"}]
                fields = {**plan.fields, "stages": stages}
                world.plan_id = plan.create(aws, fields)["usage_plan_id"]
        world.settings, world.urls = settings, urls
        yield world


def post(url: str, headers: Mapping[str, str] = {}, body: bytes = BODY) -> Reply:
    return send(url.removesuffix("/"), body=body, headers={**JSON, **headers})


def signature(world: World, url: str, body: bytes = BODY, **changes: Any) -> dict[str, str]:
    """Sign a request as botocore does, with some of it changed."""
    credentials = changes.get("credentials") or world.server.credentials
    request = AWSRequest("POST", url, data=body, headers=dict(JSON))
    signer = SigV4Auth(
        Credentials(*credentials),
        changes.get("service", "execute-api"),
        changes.get("region", "us-east-1"),
    )
    signer.add_auth(request)
    if "age" in changes:  # signed again, for another time
        stamp = datetime.now(timezone.utc) - changes["age"]
        request.context["timestamp"] = stamp.strftime("%Y%m%dT%H%M%SZ")
        request.headers.replace_header("X-Amz-Date", request.context["timestamp"])
        del request.headers["Authorization"]
        text = signer.string_to_sign(request, signer.canonical_request(request))
        request.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders="
            f"{signer.signed_headers(signer.headers_to_sign(request))}, "
            f"Signature={signer.signature(text, request)}"
        )
    return dict(request.headers.items())


def refused(reply: Reply, api: str) -> None:
    """The answer is a refusal as this kind of API gives it."""
    assert reply.status == 403, reply.content
    if api == "http":
        assert reply.json == {"message": "Forbidden"}
    else:
        assert reply.json["error"]["type"] == "Forbidden" and len(reply.json) == 1
        assert "x-request-id" in reply.headers


@pytest.mark.parametrize("api", ["http", "rest"])
def test_a_signed_request_is_let_in(world: World, api: str) -> None:
    url = world.urls[api, "iam"]
    assert post(url, signature(world, url)).status == 200
    assert post(url, signature(world, url, age=timedelta(minutes=4))).status == 200
    query = "?b=2&a=x%20y%2Fz&a=%C3%BC&c="
    headers = signature(world, f"{url}{query}")
    reply = send(url.removesuffix("/"), path=f"/{query}", body=BODY, headers=headers)
    assert reply.status == 200, reply.content


@pytest.mark.parametrize("api", ["http", "rest"])
@pytest.mark.parametrize(
    "change",
    [
        {"credentials": ("AKIDEXAMPLE", "secret")},
        {"service": "lambda"},
        {"region": "eu-west-1"},
        {"age": timedelta(minutes=6)},
        {"age": timedelta(minutes=-6)},
    ],
    ids=str,
)
def test_another_signature_is_refused(world: World, api: str, change: dict[str, Any]) -> None:
    url = world.urls[api, "iam"]
    refused(post(url, signature(world, url, **change)), api)


@pytest.mark.parametrize("api", ["http", "rest"])
def test_a_signature_holds_for_what_was_signed_alone(world: World, api: str) -> None:
    url = world.urls[api, "iam"]
    key, secret = world.server.credentials
    good = signature(world, url)
    names = good["Authorization"].replace("content-type;host;x-amz-date", "host")
    for headers, body in [
        ({}, BODY),
        (good, b'{"x": 2}'),
        ({**good, "Content-Type": "application/json; charset=utf-8"}, BODY),
        (signature(world, url, credentials=(key, f"{secret}x")), BODY),
        (signature(world, url, credentials=(key, secret, "of-no-session")), BODY),
        ({**good, "X-Amz-Security-Token": "of-no-session"}, BODY),
        (signature(world, f"{url}other"), BODY),
        (signature(world, f"{url}?a=1"), BODY),
        ({**good, "Authorization": names}, BODY),
        ({**good, "Authorization": good["Authorization"][:-1]}, BODY),
        ({**good, "Authorization": "AWS4-HMAC-SHA256 nonsense"}, BODY),
        ({**good, "Authorization": f"Bearer {secret}"}, BODY),
        ({name: text for name, text in good.items() if name != "X-Amz-Date"}, BODY),
    ]:
        refused(post(url, headers, body), api)


@pytest.mark.parametrize(("api", "auth"), KINDS)
def test_preflights_and_the_health_of_a_rest_api_are_open(
    world: World, api: str, auth: str
) -> None:
    url = world.urls[api, auth].removesuffix("/")
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    preflight = send(url, "OPTIONS", headers=asked)
    assert preflight.status == 204
    allowed = preflight.headers["Access-Control-Allow-Headers"].split(",")
    assert set(allowed) == {"content-type", *callers.HEADERS[auth]}
    if api == "rest":
        assert send(url, "GET", "/health", headers={}).json == {"status": "ok"}


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"aud": ["x", "other"]},
        {"aud": None, "client_id": AUDIENCE},
        {"aud": AUDIENCE, "client_id": "x"},
        {"scope": None, "scp": [SCOPE]},
        {"scope": SCOPE},
        {"nbf": None, "iat": None},
    ],
    ids=str,
)
def test_a_token_of_the_issuer_is_let_in(world: World, claims: dict[str, Any]) -> None:
    token = world.issuer.token(**claims)
    for header in (f"Bearer {token}", f"bearer {token}", token):
        reply = post(world.urls["http", "jwt"], {"Authorization": header})
        assert reply.status == 200, (reply.content, reply.headers["www-authenticate"])


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ({"later": {"exp": -1}}, "the token has expired"),
        ({"exp": None}, "the token's times"),
        ({"exp": "tomorrow"}, "the token's times"),
        ({"exp": float("nan")}, "the token's times"),
        ({"exp": float("inf")}, "the token's times"),
        ({"later": {"nbf": 600}}, "not valid yet (nbf)"),
        ({"later": {"iat": 600}}, "not valid yet (iat)"),
        ({"iss": "https://evil.example"}, "valid issuer"),
        ({"iss": None}, "valid issuer"),
        ({"aud": "x"}, "valid audience"),
        ({"aud": "x", "client_id": AUDIENCE}, "valid audience"),
        ({"aud": None}, "valid audience"),
        ({"aud": 7}, "valid audience"),
        ({"key": OTHER_RSA}, "signature is invalid"),
        ({"key": EC, "algorithm": "ES256"}, "no such key"),
        ({"header": {"kid": "unknown"}}, "no such key"),
        ({"header": {"kid": None}}, "names no key"),
    ],
)
def test_any_other_token_is_unauthorized(world: World, token: dict[str, Any], told: str) -> None:
    """Api-24: RSA alone, and a key that the issuer publishes."""
    header = {"Authorization": f"Bearer {world.issuer.token(**token)}"}
    reply = post(world.urls["http", "jwt"], header)
    assert (reply.status, reply.json) == (401, {"message": "Unauthorized"})
    challenge = reply.headers["www-authenticate"]
    assert challenge.startswith(f'Bearer scope="{SCOPE}" error="invalid_token"')
    assert told in challenge


@pytest.mark.parametrize("scopes", [{"scope": "other"}, {"scope": None}, {"scope": ["predictor"]}])
def test_a_token_without_a_scope_of_the_route_is_forbidden(world: World, scopes: Any) -> None:
    token = world.issuer.token(**scopes)
    reply = post(world.urls["http", "jwt"], {"Authorization": f"Bearer {token}"})
    assert (reply.status, reply.json) == (403, {"message": "Forbidden"})
    assert 'error="insufficient_scope"' in reply.headers["www-authenticate"]


def unsigned(token: str) -> str:
    """Return a token that says of itself that it has no signature."""
    import base64

    header = base64.urlsafe_b64encode(b'{"alg":"none","kid":"rsa"}').decode().rstrip("=")
    return f"{header}.{token.split('.')[1]}."


def test_what_is_no_token_is_unauthorized(world: World) -> None:
    token = world.issuer.token()
    url = world.urls["http", "jwt"]
    for text in ("x", "a.b.c", unsigned(token), f"{token}x", token.rpartition(".")[0]):
        reply = post(url, {"Authorization": f"Bearer {text}"})
        assert (reply.status, reply.json) == (401, {"message": "Unauthorized"}), text
    for headers in ({}, {"Authorization": f"Basic {token}"}, {"X-Token": token}):
        reply = post(url, headers)
        assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")


def test_the_keys_of_an_issuer_are_fetched_once(world: World) -> None:
    url = world.urls["http", "jwt"]
    header = {"Authorization": world.issuer.token()}
    assert post(url, header).status == 200
    world.issuer.asked.clear()
    assert [post(url, header).status for _ in range(3)] == [200] * 3
    assert world.issuer.asked == []


def test_a_key_of_the_usage_plan_is_let_in(world: World) -> None:
    url = world.urls["rest", "key"]
    key, loose, disabled = world.key(), world.key(), world.key(enabled=False)
    for one in (key, disabled):
        add_to_plan(world.aws, world.plan_id, one["id"])
        add_to_plan(world.aws, world.plan_id, one["id"])  # once more does no harm
    reply = post(url, {"X-Api-Key": key["value"]})
    assert (reply.status, reply.json) == (200, {"x": 1})
    refusals = ["", "x" * 40, loose["value"], disabled["value"], key["id"], f"{key['value']}x"]
    for value in refusals:
        refused(post(url, {"X-Api-Key": value}), "rest")
    refused(post(url), "rest")
    world.aws.call("apigateway", "delete_api_key", apiKey=key["id"])
    refused(post(url, {"X-Api-Key": key["value"]}), "rest")


def test_a_key_ends_at_the_limits_of_its_plan(world: World) -> None:
    """In the one shape of error, and each key by itself."""
    url = world.urls["rest", "key"]
    keys = [world.key(), world.key()]
    for key in keys:
        add_to_plan(world.aws, world.plan_id, key["id"])

    def patch(operation: str, **values: str) -> None:
        world.aws.call(
            "apigateway",
            "update_usage_plan",
            usagePlanId=world.plan_id,
            patchOperations=[
                {"op": operation, "path": f"/{path.replace('_', '/')}", "value": value}
                for path, value in values.items()
            ],
        )

    patch("add", quota_limit="2", quota_period="MONTH")
    for key in keys:
        replies = [post(url, {"X-Api-Key": key["value"]}) for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
    assert replies[2].json["error"] == {
        "type": "TooManyRequests",
        "message": "the quota is used up",
    }
    patch("replace", quota_limit="1000")
    patch("replace", throttle_rateLimit="0.001", throttle_burstLimit="1")
    try:
        replies = [post(url, {"X-Api-Key": keys[0]["value"]}) for _ in range(2)]
        assert [reply.status for reply in replies] == [200, 429]
        assert replies[1].json["error"]["type"] == "TooManyRequests"
    finally:
        patch("replace", throttle_rateLimit="50", throttle_burstLimit="100")


@pytest.mark.parametrize(("api", "auth"), KINDS)
def test_invoke_sends_what_each_api_asks_for(world: World, api: str, auth: str) -> None:
    key = world.key()
    add_to_plan(world.aws, world.plan_id, key["id"])
    secrets = {"DEPLOYER_TOKEN": world.issuer.token(), "DEPLOYER_API_KEY": key["value"]}
    authorize = authorizing(world.aws, world.settings[api, auth], {}, secrets)
    with Client(world.urls[api, auth], authorize=authorize) as client:
        answers = [client.post(BODY), client.post(b'{"y": 2}')]
    assert [answer.output for answer in answers] == [{"x": 1}, {"y": 2}]


def test_invoke_says_why_it_is_refused(world: World) -> None:
    secrets = {"DEPLOYER_TOKEN": world.issuer.token(aud="x"), "DEPLOYER_API_KEY": "x" * 30}
    for api, auth, told, hint in [
        ("http", "jwt", "valid audience", f"must be of {world.issuer.url}, for "),
        ("rest", "key", "access denied", "python -m deployer keys list"),
    ]:
        authorize = authorizing(world.aws, world.settings[api, auth], {}, secrets)
        with (
            Client(world.urls[api, auth], authorize=authorize) as client,
            pytest.raises(InvocationFailed, match=told) as caught,
        ):
            answer = client.post(BODY)
            raise answer.failure()
        assert caught.value.refusal
        own = advice(world.aws, world.settings[api, auth], caught.value.refusal)
        text = f"{caught.value.message} {own}"
        assert "HTTP 40" in text and hint in text and f"auth = {auth}" in text
        assert ("key" in own, "iam" in own) == (auth == "key", False)
        assert not any(secret in text for secret in secrets.values())


@pytest.mark.parametrize(
    ("api", "auth", "told"),
    [
        ("http", "none", None),
        ("http", "iam", "one that this caller signs is answered"),
        ("rest", "iam", "one that this caller signs is answered"),
        ("http", "jwt", "without a token is refused; with one it was not tried"),
        ("rest", "key", "without an API key is refused; with one it was not tried"),
    ],
)
def test_up_proves_that_a_request_without_credentials_is_refused(
    world: World, api: str, auth: str, told: str | None
) -> None:
    line = guarded(world.aws, world.settings[api, auth], world.urls[api, auth])
    assert line == told or (told and told in str(line))


PAGE = (ROOT / "docs" / "callers.md").read_text(encoding="utf-8")


def example(language: str, mark: str) -> str:
    """Return the one example of the page that has this text in it."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if mark in block]
    return found


@pytest.mark.parametrize(
    ("mark", "api", "auth"),
    [
        ("--aws-sigv4", "http", "iam"),
        ("--aws-sigv4", "rest", "iam"),
        ("Bearer", "http", "jwt"),
        ("x-api-key", "rest", "key"),
    ],
)
def test_the_pages_curl_lines_are_let_in(world: World, mark: str, api: str, auth: str) -> None:
    key = world.key()
    add_to_plan(world.aws, world.plan_id, key["id"])
    environment = {
        **os.environ,
        **keys(world.server),
        "URL": world.urls[api, auth],
        "DEPLOYER_TOKEN": world.issuer.token(),
        "DEPLOYER_API_KEY": key["value"],
    }
    script = ["sh", "-euc", example("sh", mark)]
    done = subprocess.run(script, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "CRIM" in done.stdout  # the workflow answers with its input


@pytest.mark.parametrize("api", ["http", "rest"])
def test_the_pages_python_client_is_let_in(
    world: World, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in keys(world.server).items():
        monkeypatch.setenv(name, value)
    scope: dict[str, Any] = {}
    exec(example("python", "SigV4Auth"), scope)
    answer = scope["predict"](world.urls[api, "iam"], "us-east-1", [{"x": 1}])
    record = json.loads(answer["output"]) if api == "http" else answer
    assert record == {"instances": [{"x": 1}]}


@pytest.mark.parametrize("mark", ["auth = jwt", "auth = key"])
def test_the_pages_settings_are_taken(mark: str, tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text(example("ini", mark))
    assert load_settings(tmp_path, {}, {}).auth == mark.rpartition(" ")[2]
