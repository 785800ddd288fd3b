"""The API as its clients meet it: what a plan tells of it, and waiting until it is served."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from deployer.aws.access import Aws
from deployer.engine.plan import Action, Plan
from deployer.errors import AwsError
from deployer.project.settings import Settings
from deployer.resources.apigateway.rest_api import UNLOGGED

_DEADLINE_S = 60.0
_TIMEOUT_S = 10.0
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


def _health(url: str) -> int | None:
    """Return the status of GET /health, None if there is no way to the API from here."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", f"{parts.path}health")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
