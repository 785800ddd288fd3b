"""Every way in which botocore finds credentials works, and its failures are one line each."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from botocore.response import StreamingBody

from deployer.aws.access import Aws
from deployer.aws.translation import translated
from deployer.errors import NoCredentials, NotReached
from tests.support.clock import Clock
from tests.support.stub import Quiet, serve

LATER = (datetime.now(timezone.utc) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
EARLIER = "2020-01-01T00:00:00Z"


def credentials_xml(action: str, key: str, expiration: str = LATER) -> str:
    inner = (
        f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        f"<SessionToken>t</SessionToken><Expiration>{expiration}</Expiration>"
    )
    arn = "<Arn>arn:aws:sts::1:assumed-role/r/s</Arn>"
    user = f"<AssumedRoleUser><AssumedRoleId>a:b</AssumedRoleId>{arn}</AssumedRoleUser>"
    result = f"<Credentials>{inner}</Credentials>{user}"
    return f"<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"


class Cloud(Quiet):
    """All servers that credential providers call, and STS, which answers with the caller's key."""

    def handle_any(self) -> None:
        body = self.body().decode()
        action = parse_qs(body).get("Action", [""])[0]
        key = self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        if action == "GetCallerIdentity":
            arn = f"arn:aws:iam::123456789012:user/{key}"
            result = f"<Account>123456789012</Account><Arn>{arn}</Arn><UserId>x</UserId>"
            response = (
                f"<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"
            )
            return self.answer(200, response.encode(), {"Content-Type": "text/xml"})
        if action in ("AssumeRole", "AssumeRoleWithWebIdentity"):
            given = key if action == "AssumeRole" else parse_qs(body)["WebIdentityToken"][0]
            made = credentials_xml(action, f"FROM.{given}")
            return self.answer(200, made.encode(), {"Content-Type": "text/xml"})
        return self._http(body)

    def _http(self, body: str) -> None:
        path = self.path.partition("?")[0]
        credentials = {
            "AccessKeyId": "PLACE",
            "SecretAccessKey": "s",
            "Token": "t",
            "Expiration": LATER,
            "Code": "Success",
        }
        if path == "/federation/credentials":
            role = {
                "accessKeyId": "SSO",
                "secretAccessKey": "s",
                "sessionToken": "t",
                "expiration": 4102444800000,
            }
            assert self.headers["x-amz-sso_bearer_token"] in ("token", "renewed")
            return self._json({"roleCredentials": role})
        if path == "/token":
            return self._json(
                {
                    "accessToken": "renewed",
                    "expiresIn": 3600,
                    "tokenType": "Bearer",
                    "refreshToken": "r",
                }
            )
        if path == "/container":
            return self._json({**credentials, "AccessKeyId": "CONTAINER"})
        if path == "/latest/api/token":
            return self.answer(200, b"imds", {})
        if path == "/latest/meta-data/iam/security-credentials/":
            return self.answer(200, b"machine", {})
        if path == "/latest/meta-data/iam/security-credentials/machine":
            return self._json({**credentials, "AccessKeyId": "MACHINE"})
        return self.answer(404, b"{}", {})

    def _json(self, value: Any) -> None:
        self.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    with serve(Cloud) as url:
        yield url


class Home:
    """A user's home with an AWS configuration."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, cloud: str) -> None:
        self.folder = folder
        self.patch = patch
        self.patch.setenv("HOME", str(folder))
        self.patch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
        self.patch.setenv("AWS_ENDPOINT_URL", cloud)
        self.patch.setenv("AWS_REGION", "us-east-1")

    def config(self, text: str) -> None:
        (self.folder / "config").write_text(textwrap.dedent(text))

    def token(self, name: str, expires: str = LATER, **more: str) -> None:
        cache = self.folder / ".aws" / "sso" / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        document = {
            "startUrl": "https://x.example/start",
            "region": "us-east-1",
            "accessToken": "token",
            "expiresAt": expires,
        }
        (cache / f"{hashlib.sha1(name.encode()).hexdigest()}.json").write_text(
            json.dumps({**document, **more})
        )

    def who_afresh(self, profile: str) -> str:
        """In a new process: the folder of SSO's tokens is fixed when botocore is imported."""
        program = (
            "import sys; from deployer.aws.access import Aws; "
            "print(Aws(profile=sys.argv[1]).identity.arn)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, profile], capture_output=True, text=True
        )
        return done.stdout.strip().rpartition("/")[2] or done.stderr

    def who(self, profile: str | None = None) -> str:
        clock = Clock()
        aws = Aws(profile=profile, clock=clock, sleep=clock.sleep)
        return aws.identity.arn.rpartition("/")[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cloud: str) -> Home:
    return Home(tmp_path, monkeypatch, cloud)


def test_the_environment(home: Home) -> None:
    home.patch.setenv("AWS_ACCESS_KEY_ID", "ENVIRONMENT")
    home.patch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert home.who() == "ENVIRONMENT"


def test_the_files(home: Home) -> None:
    home.config("[profile mine]\naws_access_key_id = CONFIG\naws_secret_access_key = s\n")
    assert home.who("mine") == "CONFIG"
    shared = home.folder / "credentials"
    shared.write_text("[other]\naws_access_key_id = SHARED\naws_secret_access_key = s\n")
    home.patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    assert home.who("other") == "SHARED"
    home.patch.setenv("AWS_PROFILE", "other")
    assert home.who() == "SHARED"


def test_a_role_by_source_profile(home: Home) -> None:
    home.config(
        """
        [profile base]
        aws_access_key_id = BASE
        aws_secret_access_key = s
        [profile role]
        role_arn = arn:aws:iam::123456789012:role/deploy
        source_profile = base
        """
    )
    assert home.who("role") == "FROM.BASE"


CORPORATE = """
[profile work]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = dev
[sso-session corp]
sso_start_url = https://x.example/start
sso_region = us-east-1
[profile role]
role_arn = arn:aws:iam::123456789012:role/deploy
source_profile = work
"""


def test_sso_by_session(home: Home) -> None:
    """cases: the list of known services cut off sso and sso-oidc."""
    home.config(CORPORATE)
    home.token("corp")
    assert home.who_afresh("work") == "SSO"
    assert home.who_afresh("role") == "FROM.SSO"


def test_sso_by_session_renews_its_token(home: Home) -> None:
    home.config(CORPORATE)
    soon = (datetime.now(timezone.utc) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    home.token(
        "corp", soon, refreshToken="r", clientId="c", clientSecret="s", registrationExpiresAt=LATER
    )
    assert home.who_afresh("work") == "SSO"


def test_sso_as_it_was_before_sessions(home: Home) -> None:
    home.config(
        """
        [profile old]
        sso_start_url = https://x.example/start
        sso_region = us-east-1
        sso_account_id = 123456789012
        sso_role_name = dev
        """
    )
    home.token("https://x.example/start")
    assert home.who_afresh("old") == "SSO"


def test_a_program_of_the_users_own(home: Home) -> None:
    document = {
        "Version": 1,
        "AccessKeyId": "PROGRAM",
        "SecretAccessKey": "s",
        "SessionToken": "t",
        "Expiration": LATER,
    }
    (home.folder / "said.json").write_text(json.dumps(document))
    home.config(f"[profile own]\ncredential_process = cat {home.folder / 'said.json'}\n")
    assert home.who("own") == "PROGRAM"


def test_a_web_identity(home: Home) -> None:
    (home.folder / "token").write_text("IDENTITY")
    home.patch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(home.folder / "token"))
    home.patch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/ci")
    assert home.who() == "FROM.IDENTITY"


def test_a_container(home: Home, cloud: str) -> None:
    home.patch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{cloud}/container")
    assert home.who() == "CONTAINER"


def test_the_machines_metadata(home: Home, cloud: str) -> None:
    home.patch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    home.patch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", cloud)
    assert home.who() == "MACHINE"


EXPIRED = json.dumps(
    {
        "Version": 1,
        "AccessKeyId": "A",
        "SecretAccessKey": "s",
        "SessionToken": "t",
        "Expiration": EARLIER,
    }
)
FAILING: dict[str, tuple[str, str]] = {
    "a program that is missing": (
        "credential_process = no-such-program",
        "No such file or directory: no-such-program",
    ),
    "a program that may not run": (
        "credential_process = /etc/passwd",
        "Permission denied: /etc/passwd",
    ),
    "a program that fails": (
        "credential_process = false",
        "Error when retrieving credentials from custom-process",
    ),
    "a program that says no JSON": ("credential_process = echo hello", "holds no JSON"),
    "a program that says nothing": ("credential_process = true", "holds no JSON"),
    "a program that says a list": ("credential_process = echo []", ""),
    "a program that says a number": ("credential_process = echo 5", ""),
    "a program of another version": ("""credential_process = echo '{"Version":9}'""", "version"),
    "a program that leaves out the key": (
        """credential_process = echo '{"Version":1}'""",
        "AccessKeyId",
    ),
    "a program with half a quote": ("credential_process = echo 'x", "No closing quotation"),
    "expired credentials": (f"credential_process = echo '{EXPIRED}'", "still expired"),
    "half a key": ("aws_access_key_id = A", "partial credentials"),
    "a source that is missing": (
        "role_arn = arn:aws:iam::1:role/x\nsource_profile = nobody",
        "nobody",
    ),
    "a role of itself without keys": (
        "role_arn = arn:aws:iam::1:role/x\nsource_profile = mine",
        "",
    ),
    "a role of no source": ("role_arn = arn:aws:iam::1:role/x", "credential_source"),
    "a source that does not exist": (
        "role_arn = arn:aws:iam::1:role/x\ncredential_source = Moon",
        "Moon",
    ),
    "a device that gives codes": (
        "role_arn = arn:aws:iam::1:role/x\nsource_profile = keys\nmfa_serial = "
        "arn:aws:iam::1:mfa/me",
        "a code of an MFA device is asked for, and there is no terminal",
    ),
    "sso without a token": (
        "sso_session = corp\nsso_account_id = 1\nsso_role_name = r\n"
        "[sso-session corp]\nsso_start_url = https://x\nsso_region = us-east-1",
        "Token for corp does not exist",
    ),
    "sso of no session": ("sso_session = gone\nsso_account_id = 1\nsso_role_name = r", "gone"),
    "a token file that is missing": (
        "web_identity_token_file = /no/token\nrole_arn = arn:aws:iam::1:role/x",
        "/no/token",
    ),
}


@pytest.mark.parametrize("what", FAILING)
def test_what_fails_in_signing_in_is_one_line_that_names_the_profile(home: Home, what: str) -> None:
    lines, expected = FAILING[what]
    home.config(
        f"[profile mine]\n{lines}\n[profile keys]\naws_access_key_id = A\naws_secret_access_key "
        f"= s\n"
    )
    with pytest.raises(NoCredentials) as error:
        home.who("mine")
    assert expected in error.value.message and "\n" not in error.value.message
    assert "profile mine" in error.value.message or "mine" in error.value.message


@pytest.mark.parametrize(
    "config", ["[profile", "x = 1\n[y", "[profile a]\nno value\n", "\xff\xfe[\x00"]
)
def test_a_configuration_that_cannot_be_read_is_one_line(home: Home, config: str) -> None:
    (home.folder / "config").write_bytes(config.encode("latin1"))
    with pytest.raises(NoCredentials) as error:
        home.who("a")
    assert "\n" not in error.value.message


def test_a_role_that_sts_refuses_is_told_in_its_words(home: Home) -> None:
    class Refusing(Quiet):
        def handle_any(self) -> None:
            self.body()
            text = (
                "<Code>AccessDenied</Code><Message>not authorized to perform: "
                "sts:AssumeRole</Message>"
            )
            self.answer(
                403,
                f"<ErrorResponse><Error>{text}</Error></ErrorResponse>".encode(),
                {"Content-Type": "text/xml"},
            )

    home.config(
        "[profile keys]\naws_access_key_id = A\naws_secret_access_key = s\n"
        "[profile mine]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = keys\n"
    )
    with serve(Refusing) as url:
        home.patch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(NoCredentials) as error:
            home.who("mine")
    assert (error.value.code, error.value.aws_message) == (
        "AccessDenied",
        "profile mine: not authorized to perform: sts:AssumeRole",
    )


# Answers that do not come from AWS


def answering(
    status: int, content: bytes, headers: Mapping[str, str], length: int | None = None
) -> type[Quiet]:
    class Answering(Quiet):
        asked = 0

        def handle_any(self) -> None:
            type(self).asked += 1
            self.body()
            self.send_response(status)
            for name, value in {
                **headers,
                "Connection": "close",
                "Content-Length": str(len(content) if length is None else length),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = True

    return Answering


class Silent(http.server.BaseHTTPRequestHandler):
    def handle(self) -> None:
        """Close the connection without a word."""


PAGE = b"<!DOCTYPE html>\n<html><body>Sign in to the hotel's network</body></html>"
FOREIGN: dict[str, tuple[Any, str]] = {
    "a page": (answering(200, PAGE, {"Content-Type": "text/html"}), "an HTML page"),
    "a page that says it is XML": (
        answering(200, PAGE, {"Content-Type": "text/xml"}),
        "an HTML page",
    ),
    "a page with an error": (answering(502, PAGE, {"Content-Type": "text/html"}), "an HTML page"),
    "a refusal of a proxy": (answering(403, PAGE, {"Content-Type": "text/html"}), "an HTML page"),
    "a page in XHTML": (
        answering(
            200,
            b'<?xml version="1.0"?><!-- x --><html xmlns="x"><body/></html>',
            {"Content-Type": "text/xml"},
        ),
        "an HTML page",
    ),
    "a refusal in plain text": (
        answering(407, b"Proxy Authentication Required", {"Content-Type": "text/plain"}),
        "HTTP 407",
    ),
    "a redirect": (
        answering(302, b"", {"Location": "https://login.example/"}),
        "sends us to https://login.example/",
    ),
    "nothing": (answering(200, b"", {}), ""),
    "half an answer": (
        answering(200, b'{"logGroups": [', {"Content-Type": "application/x-amz-json-1.1"}),
        "",
    ),
    "less than it says": (answering(200, b'{"logGroups": []}', {}, length=500), ""),
    "something else": (answering(200, b"hello", {"Content-Type": "text/plain"}), ""),
    "silence": (Silent, ""),
}


def telling(url: str, clock: Clock, told: list[str]) -> Aws:
    """Return access to a server in place of AWS, which notes what a person would be told."""
    return Aws(
        region="us-east-1",
        endpoint_url=url,
        credentials=("A", "s"),
        clock=clock,
        sleep=clock.sleep,
        tell=lambda text, *, lasting=False: told.append(text),
    )


@pytest.mark.weekly(every=3)
@pytest.mark.slow(every=6)
@pytest.mark.parametrize(
    "operation",
    [("sts", "get_caller_identity"), ("logs", "describe_log_groups"), ("lambda", "list_functions")],
)
@pytest.mark.parametrize("what", FOREIGN)
def test_an_answer_that_is_not_awss_is_waited_out_and_then_told_in_one_line(
    what: str, operation: tuple[str, str]
) -> None:
    """botocore would take it for an answer which says that nothing exists."""
    handler, expected = FOREIGN[what]
    clock, told = Clock(), list[str]()
    with serve(handler) as url:
        aws = telling(url, clock, told)
        with pytest.raises(NotReached) as error:
            aws.call(*operation)
    assert expected in error.value.message and "\n" not in error.value.message
    assert "--endpoint-url" in error.value.advice
    assert told and told[0].startswith("waiting for AWS")
    if what == "a page with an error":
        assert sum(clock.slept) > 20


JSON = {"Content-Type": "application/x-amz-json-1.1"}
CUT_SHORT: dict[str, tuple[int, bytes]] = {
    "in the middle": (200, b'{"logGroups": ['),
    "behind an inner object": (200, b'{"logGroups": [{"logGroupName": "one"}'),
    "in a refusal": (400, b'{"__type": "ResourceNotFoundException", "mess'),
}


@pytest.mark.parametrize("place", CUT_SHORT)
def test_an_answer_that_is_cut_short_is_a_broken_connection(place: str) -> None:
    """The call is made again, and its whole answer counts."""
    answers = [CUT_SHORT[place], (200, b'{"logGroups": [{"logGroupName": "one"}]}')]

    class Once(Quiet):
        def handle_any(self) -> None:
            self.body()
            self.answer(*answers.pop(0), JSON)

    clock, told = Clock(), list[str]()
    with serve(Once) as url:
        aws = telling(url, clock, told)
        groups = aws.find(("ResourceNotFoundException",), "logs", "describe_log_groups")
    assert groups["logGroups"] == [{"logGroupName": "one"}]
    assert told == ["waiting for AWS: the connection broke"]


def test_a_functions_answer_that_is_cut_short_is_a_broken_connection() -> None:
    payload = StreamingBody(io.BytesIO(b'{"predictions": ['), 500)
    with pytest.raises(NotReached):
        translated("invoke", payload.read)


@pytest.mark.parametrize(
    ("account", "arn"), [("", "foo"), ("123456789012", "foo"), ("1", "arn:aws:iam::1:root")]
)
def test_an_identity_that_names_no_account_is_none_of_awss(account: str, arn: str) -> None:
    result = f"<Account>{account}</Account><Arn>{arn}</Arn><UserId>x</UserId>"
    name = "GetCallerIdentity"
    xml = f"<{name}Response><{name}Result>{result}</{name}Result></{name}Response>"
    with serve(answering(200, xml.encode(), {"Content-Type": "text/xml"})) as url:
        aws = Aws(region="us-east-1", endpoint_url=url, credentials=("A", "s"))
        with pytest.raises(NotReached, match="it names no account"):
            _ = aws.identity


@pytest.mark.parametrize(
    "name", ["AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
)
@pytest.mark.parametrize("value", ["PRECIOUS\r\nx", "PRECIOUS ", "PRECIOUS\x1b[0m"])
def test_a_secret_with_a_line_break_is_told_and_never_shown(
    home: Home, name: str, value: str
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        home.patch.setenv(variable, value if variable == name else "K")
    with pytest.raises(NoCredentials) as error:
        home.who()
    assert "holds a line break" in error.value.message and "PRECIOUS" not in str(error.value)


def test_the_way_to_sign_in_again_names_the_profile(home: Home) -> None:
    lines, _ = FAILING["sso without a token"]
    home.config(f"[profile mine]\n{lines}\n")
    with pytest.raises(NoCredentials) as error:
        home.who("mine")
    assert error.value.advice == "sign in: aws sso login --profile mine"


def test_a_setting_of_another_shape_is_told(home: Home) -> None:
    keys = "aws_access_key_id = A\naws_secret_access_key = s\nuse_dualstack_endpoint = maybe\n"
    home.config(f"[profile mine]\n{keys}s3 = bogus\n")
    with pytest.raises(
        NoCredentials, match="profile mine: its configuration, .* has the wrong shape"
    ):
        Aws(profile="mine").client("s3")


def test_an_answer_that_speaks_of_pages_is_none() -> None:
    """A name, a description, a variable of a function may hold anything."""
    content = json.dumps({"logGroups": [{"logGroupName": "<html >"}]}).encode()
    with serve(answering(200, content, {"Content-Type": "application/x-amz-json-1.1"})) as url:
        aws = Aws(region="us-east-1", endpoint_url=url, credentials=("A", "s"))
        assert aws.call("logs", "describe_log_groups")["logGroups"] == [{"logGroupName": "<html >"}]
