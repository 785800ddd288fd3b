"""A request to the deployed API as a curl command that works when copied; it holds no secret."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping

from deployer.project.samples import sample_file, sample_request
from deployer.project.settings import Settings
from deployer.service.credentials import SOURCES

# By value of `auth`; the shell puts in the secrets, which stand in the caller's environment.
_HEADERS = {
    "jwt": '-H "authorization: Bearer $DEPLOYER_TOKEN"',
    "key": '-H "x-api-key: $DEPLOYER_API_KEY"',
}
_USER = '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"'
# Temporary credentials alone have a token, and curl would sign an empty header, too.
_SESSION = '${AWS_SESSION_TOKEN:+"-Hx-amz-security-token: $AWS_SESSION_TOKEN"}'


def curl_words(settings: Settings, url: str) -> list[str]:
    """Return the command in words for a POSIX shell; it may be continued after each of them.

    Raises:
        ConfigError: there is neither a sample that fits nor a manifest.
    """
    path = sample_file(settings.project)
    data = f"@{os.path.relpath(path)}" if path else sample_request(settings.project).decode()
    return [
        f"curl -sS {shlex.quote(url)}",
        "-H 'content-type: application/json'",
        *_credentials(settings),
        f"-d {shlex.quote(data)}",
    ]


def _credentials(settings: Settings) -> Iterator[str]:
    if settings.auth in _HEADERS:
        yield _HEADERS[settings.auth]
    elif settings.auth == "iam":
        yield f'--aws-sigv4 "aws:amz:{settings.region}:execute-api"'
        yield _USER
        yield _SESSION


def credentials_advice(
    settings: Settings, environment: Mapping[str, str], profile: str | None, *, local: bool
) -> str:
    """Say how to put the credentials that the command needs into the environment; "" if it has
    them.
    """
    if settings.auth in SOURCES:
        _, variable = SOURCES[settings.auth]
        if environment.get(variable):
            return ""
        source = (
            "a key of python -m deployer keys create NAME"
            if settings.auth == "key"
            else "a token of your issuer"
        )
        return f"with {source} in {variable}"
    if settings.auth != "iam":
        return ""
    if local:
        return 'after: eval "$(python -m deployer env)"'
    if environment.get("AWS_ACCESS_KEY_ID") and profile is None:
        return ""
    named = f" --profile {shlex.quote(profile)}" if profile else ""
    return f'after: eval "$(aws configure export-credentials --format env{named})"'
