"""The credentials that a request to the API carries, by the setting `auth`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from deployer.aws.access import Aws
from deployer.errors import ConfigError
from deployer.project.settings import Settings

# Takes URL, body and headers of a POST; returns its headers with the caller's credentials.
Authorize = Callable[[str, bytes, Mapping[str, str]], Mapping[str, str]]
# By value of `auth`: the option and the variable of a secret that only the caller has.
SOURCES = {"jwt": ("--token", "DEPLOYER_TOKEN"), "key": ("--key", "DEPLOYER_API_KEY")}
_MAKING = {
    "jwt": "your issuer gives tokens",
    "key": "to make one: python -m deployer keys create NAME",
}


def anonymous(url: str, body: bytes, headers: Mapping[str, str]) -> Mapping[str, str]:
    """Add no credentials."""
    return headers


def authorizing(
    aws: Aws, settings: Settings, options: Mapping[str, str | None], environment: Mapping[str, str]
) -> Authorize:
    """Return what adds the caller's credentials to a request.

    Args:
        options: the values of --token and --key.

    Raises:
        ConfigError: a secret is missing, cannot be sent, or is not what the API asks for.
    """
    for auth, (option, _) in SOURCES.items():
        if options.get(option) is not None and settings.auth != auth:
            raise ConfigError([f"{option} is for auth = {auth}, but auth = {settings.auth}"])
    if settings.auth == "iam":
        return partial(aws.signed, "POST")
    if settings.auth not in SOURCES:
        return anonymous
    secret = _secret(settings.auth, options, environment)
    name, value = (
        ("authorization", f"Bearer {secret}") if settings.auth == "jwt" else ("x-api-key", secret)
    )
    return lambda url, body, headers: {**headers, name: value}


def _secret(auth: str, options: Mapping[str, str | None], environment: Mapping[str, str]) -> str:
    """Return the token or the key; no message shows it."""
    option, variable = SOURCES[auth]
    given = options.get(option)
    place, secret = (option, given) if given is not None else (variable, environment.get(variable))
    secret = (secret or "").strip()
    if not secret:
        raise ConfigError(
            [f"auth = {auth}, but neither {variable} nor {option} is given"], _MAKING[auth]
        )
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ConfigError(
            [f"{place} holds a blank, a line break or another character that cannot be sent"]
        )
    return secret
