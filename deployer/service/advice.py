"""The next step after an answer of the API that holds no predictions."""

from __future__ import annotations

import re
from datetime import timedelta

from deployer.aws.access import Aws, tell_nobody
from deployer.errors import AwsError, Refusal
from deployer.project.settings import Settings
from deployer.service.logs import VENDED, Reader, Source
from deployer.service.rest_contract import GATEWAY_RESPONSES

_DENIED = re.compile(
    r"User: \S+:assumed-role/(?P<role>[^/\s]+)/\S+ is not authorized to perform: (?P<action>\S+)"
)
_JUST_NOW = timedelta(minutes=2)
_DEPLOYED = "python -m deployer plan shows whether this is what is deployed"
_RAISE = "to raise it, change setup.cfg, then: python -m deployer up"
# REST APIs name their own failures so; an HTTP API gives them no name.
_GATEWAYS = ("", "InternalError", "ServiceUnavailable")


def advice(aws: Aws, settings: Settings, refusal: Refusal) -> str:
    """Return what to do about an answer; a role that is denied is looked for in its logs."""
    if refusal.status in (401, 403):
        return f"{_credentials(settings, refusal.status)}; auth = {settings.auth}, and {_DEPLOYED}"
    if refusal.status == 429:
        return _limits(settings, refusal.text)
    if refusal.status < 500 and not refusal.started:
        return ""
    denied = _denied(refusal.text) or (
        _denied(_logs(aws, settings, refusal.request)) if refusal.request else ""
    )
    if denied:
        return denied
    logged = (
        f"what was logged of it: python -m deployer logs --request={refusal.request}"
        if refusal.request
        else "see the API's log group"
    )
    if refusal.error in _GATEWAYS and refusal.status >= 500:
        return f"right after a deploy the API's role may take a minute to work; {logged}"  # Api-32
    return logged


def _credentials(settings: Settings, status: int) -> str:
    """Return what the API asks of a caller, by `auth`."""
    if settings.auth == "iam":
        return "the caller needs execute-api:Invoke on the API (python -m deployer policy invoke)"
    if settings.auth == "key":
        return (
            "the key must be one of the service's that works (python -m deployer keys list); a new "
            "one may take a minute"
        )
    if settings.auth == "jwt" and status == 403:
        return f"the token needs one of the scopes: {', '.join(settings.jwt_scopes) or 'none'}"
    if settings.auth == "jwt":
        audience = ", ".join(settings.jwt_audience)
        return f"the token must be of {settings.jwt_issuer}, for {audience}, and not have expired"
    return "the API asks for credentials"


def _limits(settings: Settings, text: str) -> str:
    """Return which limit a caller has reached, and how to go on."""
    if text == GATEWAY_RESPONSES["QUOTA_EXCEEDED"][2]:
        quota = settings.key_quota
        if quota is None:
            return f"this key has used up its quota; key_quota is not set, and {_DEPLOYED}"
        period = quota.rpartition(" ")[2]
        return (
            f"this key has used up its quota, key_quota = {quota}; AWS counts anew with the next "
            f"{period}; {_RAISE}"
        )
    together = f"rate_limit = {settings.rate_limit} or burst_limit = {settings.burst_limit}"
    if settings.auth == "key":
        own = (
            f"key_rate_limit = {settings.key_rate_limit} or "
            f"key_burst_limit = {settings.key_burst_limit} of this key"
        )
        return f"{own}, or {together} of all callers together, is reached: try again; {_RAISE}"
    return f"{together} is reached: try again; {_RAISE}"


def _denied(text: str) -> str:
    """Return how to give a role what it lacks, if a text says that it was denied something."""
    match = _DENIED.search(text)
    if match is None:
        return ""
    return (
        f"the role {match['role']} may not {match['action']}: python -m deployer plan shows how "
        "its policies differ, and python -m deployer up puts them right; after a change of them, "
        "wait a minute"
    )


def _logs(aws: Aws, settings: Settings, request: str) -> str:
    """Return what API and workflow have logged of a request by now.

    Nothing where their logs cannot be read: the failed request is what the user must see, and the
    advice then names the logs.
    """
    reader = Reader(aws, tell_nobody)
    sources = (Source(user, settings.log_group(user), None) for user in VENDED)
    try:
        return "\n".join(
            event.message
            for source in sources
            for event in reader.lines(source, aws.now - _JUST_NOW, containing=request)
        )
    except AwsError:
        return ""
