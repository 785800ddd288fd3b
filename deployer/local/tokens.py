"""Tokens of JWT authorizers: an issuer's keys are fetched, signature and claims are checked."""

from __future__ import annotations

import json
import math
import threading
import time
import urllib.request
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.local.answers import Answer, answer_json

# API Gateway waits for an issuer so long, and takes so much of it (Api-24).
FETCH_S = 1.5
FETCH_BYTES = 150_000
KEPT_S = 2 * 3600.0  # the keys of an issuer
_AGAIN_S = 10.0  # then an unknown key id is looked for once more
# RSA alone (Api-24): an issuer's elliptic curves are no keys to API Gateway.
ALGORITHMS = ["RS256", "RS384", "RS512"]
_DISCOVERY = "/.well-known/openid-configuration"


class Refused(Exception):
    """A token does not authorize a request; the text goes into www-authenticate."""


class OutOfScope(Refused):
    """The token is valid, and has none of the scopes that are asked."""


@dataclass(frozen=True)
class Authorizer:
    """Whose tokens a route takes. Without scopes, none is asked."""

    issuer: str
    audience: Collection[str]
    scopes: Collection[str]


class Tokens:
    """Checks tokens, and keeps the keys of their issuers.

    Args:
        now: the time of day, in seconds.
        fetch: gets a JSON document by its URL.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        fetch: Callable[[str], Any] | None = None,
    ) -> None:
        self._now = now
        self._fetch = fetch or fetched
        self._lock = threading.Lock()
        self._keys: dict[str, tuple[float, Any]] = {}

    def refusal(self, header: str, authorizer: Authorizer) -> Answer | None:
        """Return the answer that refuses an Authorization header, None if its token authorizes."""
        scheme, _, token = header.strip().rpartition(" ")
        if not token or scheme.strip().lower() not in ("", "bearer"):
            return _answer(401, "Unauthorized", "Bearer")
        asked = " ".join(authorizer.scopes)
        try:
            self.check(token, authorizer)
        except OutOfScope as error:
            told = f'Bearer scope="{asked}" error="insufficient_scope" error_description="{error}"'
            return _answer(403, "Forbidden", told)
        except Refused as error:
            told = f'Bearer scope="{asked}" error="invalid_token" error_description="{error}"'
            return _answer(401, "Unauthorized", told)
        return None

    def check(self, token: str, authorizer: Authorizer) -> None:
        """Raise Refused unless a token is signed by the issuer and its claims hold."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        try:
            key = self._key(authorizer.issuer, _header(token))
            claims = jwt.decode(token, key, algorithms=ALGORITHMS).claims
        except (JoseError, ValueError) as error:
            raise Refused("signing method or signature is invalid") from error
        _check_times(claims, self._now())
        if claims.get("iss") != authorizer.issuer:
            raise Refused("the token does not have a valid issuer")
        named = claims["aud"] if "aud" in claims else claims.get("client_id")
        if not _texts(named) & set(authorizer.audience):
            raise Refused("the token does not have a valid audience")
        granted = _texts(claims.get("scope")) | _texts(claims.get("scp"))
        if authorizer.scopes and not granted & set(authorizer.scopes):
            raise OutOfScope("the token does not have a scope of the route")

    def _key(self, issuer: str, header: Mapping[str, Any]) -> Any:
        """Return the issuer's key that a token names; look again if it is not known."""
        name = header.get("kid")
        if not isinstance(name, str):
            raise Refused("the token names no key (kid)")
        with self._lock:
            fetched_at, keys = self._keys.get(issuer, (0.0, {}))
            age = self._now() - fetched_at
            if age > KEPT_S or (name not in keys and age > _AGAIN_S):
                keys = self._fetched(issuer)
                self._keys[issuer] = (self._now(), keys)
        if name not in keys:
            raise Refused("the issuer has no such key")
        return keys[name]

    def _fetched(self, issuer: str) -> dict[str, Any]:
        """Return an issuer's RSA keys by their ids."""
        from joserfc.errors import JoseError
        from joserfc.jwk import RSAKey

        try:
            configuration = self._fetch(issuer.rstrip("/") + _DISCOVERY)
            listed = self._fetch(configuration["jwks_uri"])["keys"]
            return {
                str(key["kid"]): RSAKey.import_key(key)
                for key in listed
                if key.get("kty") == "RSA" and "kid" in key
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError, JoseError) as error:
            raise Refused("the keys of the issuer could not be fetched") from error


def fetched(url: str) -> Any:
    """Return a JSON document."""
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{url} is no address")
    with urllib.request.urlopen(url, timeout=FETCH_S) as response:
        content = response.read(FETCH_BYTES + 1)
    if len(content) > FETCH_BYTES:
        raise ValueError(f"{url} has more than {FETCH_BYTES} bytes")
    return json.loads(content)


def _header(token: str) -> Mapping[str, Any]:
    from joserfc.jws import extract_compact

    header: Mapping[str, Any] = extract_compact(token.encode()).headers()
    return header


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    if _time(claims.get("exp")) <= now:
        raise Refused("the token has expired")
    for name in ("nbf", "iat"):
        if _time(claims.get(name, 0)) > now:
            raise Refused(f"the token is not valid yet ({name})")


def _time(value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and math.isfinite(value):  # NaN compares with nothing, and JSON has none
        return float(value)
    raise Refused("the token's times (exp, nbf, iat) must be numbers")


def _texts(claim: Any) -> set[str]:
    """Return the members of a claim: a list, or a text with spaces between them."""
    if isinstance(claim, str):
        return set(claim.split())
    return {text for text in claim if isinstance(text, str)} if isinstance(claim, list) else set()


def _answer(status: int, text: str, told: str) -> Answer:
    return answer_json(status, {"message": text}, {"www-authenticate": told})
