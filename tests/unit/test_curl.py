"""The curl command that `up` shows: a shell reads it as it is meant, and it holds no secret.

tests/local/test_callers.py runs it against an API.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deployer.project.samples import sample_request
from deployer.project.settings import Settings
from deployer.service.curl import credentials_advice, curl_words

URL = "https://a1b2.execute-api.eu-central-1.amazonaws.com/"
SECRETS = {
    "DEPLOYER_TOKEN": "to ken$",
    "DEPLOYER_API_KEY": "ke'y",
    "AWS_ACCESS_KEY_ID": "AKIA",
    "AWS_SECRET_ACCESS_KEY": "sec/ret+",
}
CONTENT = ["-H", "content-type: application/json"]
CREDENTIALS = {
    "none": [],
    "jwt": ["-H", "authorization: Bearer to ken$"],
    "key": ["-H", "x-api-key: ke'y"],
    "iam": ["--aws-sigv4", "aws:amz:eu-central-1:execute-api", "--user", "AKIA:sec/ret+"],
}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a project with a sample, below the current folder."""
    samples = tmp_path / "my shop" / "samples"
    samples.mkdir(parents=True)
    (samples / "it's one.json").write_text('{"a": 1}')
    monkeypatch.chdir(tmp_path)
    return Settings(tmp_path / "my shop", region="eu-central-1")


def read_by(shell: str, words: list[str], environment: dict[str, str]) -> list[str]:
    """Return the arguments that a shell makes of the command, continued after each word."""
    command = " \\\n  ".join(words).replace("curl ", "printf '%s\\0' ", 1)
    done = subprocess.run(
        [shell, "-c", command], env={"PATH": "/usr/bin:/bin", **environment}, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("auth", CREDENTIALS)
def test_a_shell_puts_the_secrets_in_from_the_environment(
    settings: Settings, auth: str, shell: str
) -> None:
    words = curl_words(replace(settings, auth=auth), URL)
    data = ["-d", "@my shop/samples/it's one.json"]
    assert read_by(shell, words, SECRETS) == ["-sS", URL, *CONTENT, *CREDENTIALS[auth], *data]
    for secret in SECRETS.values():
        assert secret not in " ".join(words)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_temporary_credentials_have_a_header_more(settings: Settings, shell: str) -> None:
    words = curl_words(replace(settings, auth="iam"), URL)
    header = "-Hx-amz-security-token: a b"
    assert header in read_by(shell, words, {**SECRETS, "AWS_SESSION_TOKEN": "a b"})


def test_what_the_environment_lacks_is_told(settings: Settings) -> None:
    def advice(auth: str, environment: dict[str, str], exporting: str = "") -> str:
        return credentials_advice(replace(settings, auth=auth), environment, exporting)

    assert advice("none", {}, "export") == ""
    for auth, variable in (("jwt", "DEPLOYER_TOKEN"), ("key", "DEPLOYER_API_KEY")):
        assert advice(auth, {}).endswith(f" in {variable}")
        assert advice(auth, {variable: "x"}) == ""
    assert advice("iam", {}, "aws export") == 'after eval "$(aws export)"'
    assert advice("iam", {}) == ""


def test_without_a_sample_the_record_stands_in_the_command(settings: Settings) -> None:
    (path,) = (settings.project / "samples").iterdir()
    path.unlink()
    models = settings.project / "models"
    models.mkdir()
    feature = {"name": "it's", "type": "number"}
    entry = {"sha256": "0" * 64, "features": [feature]}
    manifest = {"format": 2, "libraries": {}, "models": {"one": entry}}
    (models / "manifest.json").write_text(json.dumps(manifest))
    record = read_by("sh", curl_words(settings, URL), {})[-1]
    assert record == sample_request(settings.project).decode() and "it's" in record
