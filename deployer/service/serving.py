"""The API as its clients meet it: what a plan tells of it, and waiting until it is served."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from deployer.aws.access import Aws
from deployer.engine.plan import Action, Plan
from deployer.errors import AwsError, NotSettled
from deployer.project.settings import Settings
from deployer.resources.apigateway.rest_api import UNLOGGED
from deployer.service import callers
from deployer.service.credentials import Authorize, anonymous

_DEADLINE_S = 60.0
_TIMEOUT_S = 10.0
_REFUSALS = (401, 403)
_IN_SUCCESSION = 3  # while a stage is new, some of its hosts know it and others do not


def remarks(
    settings: Settings, plan: Plan, outputs: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Yield what a plan's changes of the API mean for its users, a line each."""
    actions = {change.key: change.action for change in plan.effective}
    is_new = actions.get("api") in (Action.CREATE, Action.REPLACE)
    if is_new and settings.api == "rest":
        yield "a call of a REST API costs 3.5 times one of an HTTP API (api = http)"
    if any(key.startswith("api/") for key in actions):
        yield (
            "the URL changes with the kind of the API: the former API is deleted last, once the "
            "new one stands; tell your clients the new URL"
            if is_new
            else "an API of the kind that was declared before is deleted; its URL ends"
        )
    if outputs.get("api", {}).get("may_log") is False:
        yield UNLOGGED
    widened = {sentence for change in plan.effective for sentence in change.widens}
    if settings.auth == "none" and not any("anyone who knows the URL" in one for one in widened):
        yield callers.PUBLIC
    yield from callers.warnings(settings)


def settle(aws: Aws, url: str) -> str | None:
    """Wait until a REST API's new stage is served (Rest-4); return why it may not be, if so.

    Args:
        url: ends with a slash.
    """
    found: list[int | None] = []

    def check() -> bool | None:
        found[:] = [_health(url) for _ in range(_IN_SUCCESSION)]
        return True if None in found or set(found) == {200} else None

    try:
        aws.wait_until(
            check, reason="for API Gateway: the new stage is not served yet", deadline_s=_DEADLINE_S
        )
    except AwsError as error:
        if error.code != "TimedOut":
            raise
        return f"{url}health answers HTTP {found[-1]} still; try again later"
    return f"{url} cannot be reached from here, so it was not tried" if None in found else None


# By value of `auth`: what a proof without the caller's secret cannot tell.
_UNTRIED = {
    "jwt": "a request without a token is refused; with one it was not tried, as only the issuer "
    "gives tokens",
    "key": "a request without an API key is refused; with one it was not tried, as the keys are "
    "your clients'",
}


def guarded(aws: Aws, settings: Settings, url: str) -> str | None:
    """Prove that the API refuses a request without credentials; return what that tells.

    With auth = iam it must also take a request that the caller signs. The requests have no body, so
    they start no execution.

    Args:
        url: ends with a slash.

    Raises:
        NotSettled: the API goes on to answer a request without credentials.
    """
    if settings.auth == "none":
        return None
    status = _settled(aws, url, anonymous, refused=True)
    if status is None:
        return f"{url} cannot be reached from here, so who may call it was not tried"
    if status not in _REFUSALS:
        raise NotSettled(
            f"everything was applied, but {url} answers a request without credentials with HTTP "
            f"{status}",
            "run the command again; if it stays so, look at the API in AWS's console",
        )
    if settings.auth in _UNTRIED:
        return _UNTRIED[settings.auth]
    status = _settled(aws, url, partial(aws.signed, "POST"), refused=False)
    if status in _REFUSALS:
        return (
            "a request without a signature is refused, and so is one that this caller signs: "
            "execute-api:Invoke is not allowed to it"  # Api-33
        )
    return "a request without a signature is refused, and one that this caller signs is answered"


def _settled(aws: Aws, url: str, authorize: Authorize, *, refused: bool) -> int | None:
    """Return the status of POST / once it is, or is not, a refusal; or else the last one.

    None if there is no way to the API from here.
    """
    found: list[int | None] = []

    def check() -> bool | None:
        headers = authorize(url, b"", {"content-type": "application/json"})
        found[:] = [_status(url, "POST", "", headers)]
        return True if found[0] is None or (found[0] in _REFUSALS) == refused else None

    try:
        reason = "for API Gateway: who may call is not settled yet"
        aws.wait_until(check, reason=reason, deadline_s=_DEADLINE_S)
    except AwsError as error:
        if error.code != "TimedOut":
            raise
    return found[0]


def _health(url: str) -> int | None:
    """Return the status of GET /health, None if there is no way to the API from here."""
    return _status(url, "GET", "health")


def _status(
    url: str, method: str, path: str, headers: Mapping[str, str] | None = None
) -> int | None:
    """Return the status of an answer, None if there is no way to the API from here."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=_TIMEOUT_S)
    try:
        body = b"" if method == "POST" else None
        connection.request(method, f"{parts.path}{path}", body, dict(headers or {}))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
