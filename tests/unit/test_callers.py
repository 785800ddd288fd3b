"""Who may call: headers, warnings, credentials, and the proof that others are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.errors import ConfigError, DeployerError, NotSettled
from deployer.project.settings import AUTHS, Settings
from deployer.service import callers, issuer
from deployer.service.credentials import authorizing
from deployer.service.keys import NewKey
from deployer.service.serving import guarded
from tests.support.clock import Clock
from tests.support.issuing import issuing
from tests.support.stub import Quiet, serve

SETTINGS = Settings(Path()).located(account="123456789012", partition="aws", region="eu-west-1")
NO_ENVIRONMENT: Mapping[str, str] = {}


def access(clock: Clock | None = None) -> Aws:
    clock = clock or Clock()
    return Aws(region="eu-west-1", credentials=("AKID", "secret"), sleep=clock.sleep, clock=clock)


def test_pages_may_send_the_headers_that_hold_credentials() -> None:
    found = {auth: callers.allowed_headers(replace(SETTINGS, auth=auth)) for auth in AUTHS}
    assert found["none"] == ["content-type"]
    assert found["key"] == ["content-type", "x-api-key"]
    assert found["jwt"] == ["content-type", "authorization"]
    assert {"authorization", "x-amz-date", "x-amz-security-token"} < set(found["iam"])
    given = replace(SETTINGS, auth="key", cors_headers=("x-api-key",))
    assert callers.allowed_headers(given) == ["x-api-key"]


@pytest.mark.parametrize(
    ("auth", "origins", "warned"),
    [
        ("iam", ("*",), True),
        ("jwt", ("https://a.example", "*"), True),
        ("jwt", ("https://a.example",), False),
        ("iam", (), False),
        ("key", ("*",), False),
        ("none", ("*",), False),
    ],
)
def test_every_origin_with_credentials_of_a_person_is_a_warning(
    auth: str, origins: tuple[str, ...], warned: bool
) -> None:
    lines = list(callers.warnings(replace(SETTINGS, auth=auth, cors_origins=origins)))
    assert [
        line.startswith(f"warning: with auth = {auth} and cors_origins = *") for line in lines
    ] == ([True] * warned)


def test_a_request_carries_what_the_api_asks_for() -> None:
    environment = {"DEPLOYER_TOKEN": " a.b.c\n", "DEPLOYER_API_KEY": "k" * 20}
    headers = {"content-type": "application/json"}

    def sent(auth: str, **options: str) -> Mapping[str, str]:
        given = {f"--{name}": value for name, value in options.items()}
        authorize = authorizing(access(), replace(SETTINGS, auth=auth), given, environment)
        return authorize("https://a.example/live/", b"{}", headers)

    assert sent("none") == headers
    assert sent("jwt") == {**headers, "authorization": "Bearer a.b.c"}
    assert sent("jwt", token="d.e.f")["authorization"] == "Bearer d.e.f"
    assert sent("key") == {**headers, "x-api-key": "k" * 20}
    signed = sent("iam")
    assert "/eu-west-1/execute-api/aws4_request" in signed["Authorization"]
    assert signed["content-type"] == "application/json" and "X-Amz-Date" in signed


@pytest.mark.parametrize(
    ("auth", "options", "environment", "told"),
    [
        ("jwt", {}, {}, "auth = jwt, but neither DEPLOYER_TOKEN nor --token is given"),
        ("key", {"--key": " "}, {}, "auth = key, but neither DEPLOYER_API_KEY nor --key is given"),
        ("none", {"--key": "s3cret"}, {}, "--key is for auth = key, but auth = none"),
        ("key", {"--token": "s3cret"}, {}, "--token is for auth = jwt, but auth = key"),
        ("key", {}, {"DEPLOYER_API_KEY": "s3cret\nx: y"}, "DEPLOYER_API_KEY holds a blank"),
        ("jwt", {"--token": "Bearer s3cret"}, {}, "--token holds a blank"),
        ("jwt", {"--token": "s3crét"}, {}, "--token holds a blank"),
    ],
)
def test_a_secret_that_is_missing_or_cannot_be_sent_is_told_and_not_shown(
    auth: str, options: dict[str, str | None], environment: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        authorizing(access(), replace(SETTINGS, auth=auth), options, environment)
    assert told in caught.value.message
    assert "s3cr" not in f"{caught.value.message} {caught.value.advice}"


def test_no_traceback_shows_a_new_key() -> None:
    assert "s3cret" not in repr(NewKey("alice", "id", "s3cret"))


class Answering:
    """An API whose answers depend on whether a request is signed, in turn."""

    def __init__(self, unsigned: list[int], signed: list[int]) -> None:
        self.statuses = {False: unsigned, True: signed}
        self.bodies: list[bytes] = []

    def server(self) -> type[Quiet]:
        outer = self

        class Api(Quiet):
            def handle_any(self) -> None:
                outer.bodies.append(self.body())
                statuses = outer.statuses["Authorization" in self.headers]
                self.answer(statuses.pop(0) if len(statuses) > 1 else statuses[0], b"{}", {})

        return Api


@pytest.mark.parametrize(
    ("auth", "unsigned", "signed", "told"),
    [
        ("iam", [403], [400], "one that this caller signs is answered"),
        ("iam", [200, 403], [403, 403, 400], "one that this caller signs is answered"),
        ("iam", [403], [403], "execute-api:Invoke is not allowed"),
        ("jwt", [401], [500], "only the issuer gives tokens"),
        ("key", [200, 200, 403], [500], "your clients'"),
    ],
)
def test_that_others_are_refused_is_proved_once_it_is_settled(
    auth: str, unsigned: list[int], signed: list[int], told: str
) -> None:
    api = Answering(unsigned, signed)
    with serve(api.server()) as url:
        line = guarded(access(), replace(SETTINGS, auth=auth), f"{url}/")
    assert told in str(line)
    assert set(api.bodies) == {b""}  # nothing was started


def test_an_api_that_goes_on_to_answer_everybody_is_an_error() -> None:
    with serve(Answering([400], [400]).server()) as url, pytest.raises(NotSettled) as caught:
        guarded(access(), replace(SETTINGS, auth="jwt"), f"{url}/")
    assert "answers a request without credentials with HTTP 400" in caught.value.message


def test_an_api_out_of_reach_is_told_and_an_open_one_is_not_asked() -> None:
    url = "http://127.0.0.1:9/"
    assert "cannot be reached" in str(guarded(access(), replace(SETTINGS, auth="key"), url))
    assert guarded(access(), SETTINGS, url) is None


CONFIGURATION = "/.well-known/openid-configuration"
RSA = {"kty": "RSA", "kid": "1"}


@pytest.mark.parametrize(
    ("configuration", "keys", "told"),
    [
        ({}, {"keys": [RSA]}, None),
        ({"issuer": "https://other.example"}, {}, "calls itself https://other.example"),
        ({"jwks_uri": None}, {}, "is no address"),
        (None, {}, "answers HTTP 404"),
        (b"<html>", {}, "is no JSON"),
        ([], {}, "it is no document of an OpenID provider"),
        ({}, {"keys": []}, "no RSA key with a kid"),
        ({}, {"keys": [{"kty": "EC", "kid": "1"}, {"kty": "RSA"}]}, "no RSA key with a kid"),
        ({}, {"keys": "x"}, "no RSA key with a kid"),
        ({}, {}, "has no keys"),
        ({}, b"x" * 150_001, "more than the 150000 bytes"),
    ],
)
def test_an_issuer_that_api_gateway_could_not_use_is_a_finding(
    configuration: Any, keys: Any, told: str | None
) -> None:
    """PRE-13."""
    with issuing() as server:
        whole = server.documents[CONFIGURATION]
        if isinstance(configuration, dict):
            configuration = {**whole, **configuration}
        server.documents = {CONFIGURATION: configuration, "/keys": keys}
        found = issuer.finding(server.url, on_aws=False)
    assert found is None if told is None else told in str(found)


def test_an_issuer_that_cannot_be_asked_from_here_may_be_right() -> None:
    with pytest.raises(DeployerError, match="cannot be asked from here"):
        issuer.finding("http://127.0.0.1:9", on_aws=False)


def test_an_issuer_on_this_machine_is_none_for_aws() -> None:
    found = issuer.finding("http://127.0.0.1:9", on_aws=True)
    assert "where API Gateway cannot reach it" in str(found)
