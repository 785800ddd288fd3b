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
_SOURCES = {
    "jwt": "a token of your issuer",
    "key": "a key of python -m deployer keys create NAME",
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


def credentials_advice(settings: Settings, environment: Mapping[str, str], exporting: str) -> str:
    """Say how the environment gets the credentials that the command needs; "" if it has them.

    Args:
        exporting: the command that prints the caller's AWS credentials for a shell; "" if they
            stand in the environment.
    """
    if settings.auth in SOURCES:
        _, variable = SOURCES[settings.auth]
        return "" if environment.get(variable) else f"with {_SOURCES[settings.auth]} in {variable}"
    return f'after eval "$({exporting})"' if settings.auth == "iam" and exporting else ""
