"""The issuer of tokens, asked before API Gateway asks it (PRE-13).

API Gateway takes an issuer as it is, and refuses every token if it cannot fetch its keys (Api-24).
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from deployer.errors import DeployerError

_TIMEOUT_S = 10.0
_MOST = 150_000  # bytes that API Gateway takes of a document (Api-24)
Fetch = Callable[[str], Any]


class Unknown(DeployerError):
    """The issuer could not be asked from here, which says nothing of API Gateway."""


class _Wrong(Exception):
    """An answer that API Gateway cannot use; the text says why."""


def finding(issuer: str, *, on_aws: bool, fetch: Fetch | None = None) -> str | None:
    """Return what is wrong with the issuer, if something is.

    Args:
        on_aws: whether API Gateway itself will ask it, and not an emulator on this machine.

    Raises:
        Unknown: it could not be asked from here.
    """
    if on_aws and not issuer.startswith("https://"):
        return f"jwt_issuer: {issuer} is on this machine, where API Gateway cannot reach it"
    fetch = fetch or _fetched
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        document = fetch(url)
        named = _member(document, "issuer", url)
        if named != issuer:
            return f"jwt_issuer: {issuer} calls itself {named}, and its tokens name it so"
        keys_url = _member(document, "jwks_uri", url)
        keys = _member(fetch(keys_url), "keys", keys_url)
    except _Wrong as error:
        return f"jwt_issuer: {error}"
    if not any(_is_usable(key) for key in (keys if isinstance(keys, list) else ())):
        return f"jwt_issuer: {keys_url} has no RSA key with a kid, and API Gateway takes no other"
    return None


def _is_usable(key: Any) -> bool:
    return isinstance(key, Mapping) and key.get("kty") == "RSA" and "kid" in key


def _member(document: Any, name: str, url: str) -> Any:
    if not isinstance(document, Mapping) or name not in document:
        raise _Wrong(f"{url} has no {name}: it is no document of an OpenID provider")
    return document[name]


def _fetched(url: str) -> Any:
    """Return a JSON document."""
    if not str(url).startswith(("https://", "http://")):
        raise _Wrong(f"{url} is no address")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
            content = response.read(_MOST + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise _Wrong(f"{url} answers HTTP {error.code}") from error
    except OSError as error:
        raise Unknown(f"{url} cannot be asked from here: {error}") from error
    if len(content) > _MOST:
        raise _Wrong(f"{url} has more than the {_MOST} bytes that API Gateway takes")
    try:
        return json.loads(content)
    except ValueError as error:
        raise _Wrong(f"{url} is no JSON") from error
