"""An issuer of tokens on this machine: its discovery document, its keys, and tokens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from tests.support.stub import Quiet, serve

AUDIENCE = "prices"
SCOPE = "predict"
RSA, OTHER_RSA, EC = (
    RSAKey.generate_key(2048, {"kid": "rsa"}),
    RSAKey.generate_key(2048, {"kid": "rsa"}),
    ECKey.generate_key("P-256", {"kid": "ec"}),
)


class Issuer:
    """Gives tokens, and counts the requests for its documents."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.documents: dict[str, Any] = {}

    def restore(self) -> None:
        """Serve the documents of an issuer in order."""
        self.documents = {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
            },
            "/keys": {"keys": [key.as_dict(private=False) for key in (EC, RSA)]},
        }

    def token(
        self,
        key: Any = RSA,
        algorithm: str = "RS256",
        header: Any = None,
        later: Mapping[str, int] | None = None,
        **claims: Any,
    ) -> str:
        """Return a token; claims that are None are left out.

        Args:
            later: claims that are times, in seconds from now.
        """
        now = int(time.time())
        times = {"iat": now, "nbf": now, "exp": now + 600}
        claims |= {name: now + seconds for name, seconds in (later or {}).items()}
        whole = {"iss": self.url, "aud": AUDIENCE, "scope": f"other {SCOPE}", **times, **claims}
        given = {name: value for name, value in whole.items() if value is not None}
        headers = {"alg": algorithm, "kid": key.kid, **(header or {})}
        headers = {name: value for name, value in headers.items() if value is not None}
        return jwt.encode(headers, given, key, algorithms=[algorithm])


@contextmanager
def issuing() -> Iterator[Issuer]:
    issuer = Issuer()

    class Documents(Quiet):
        def handle_any(self) -> None:
            issuer.asked.append(self.path)
            document = issuer.documents.get(self.path)
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            headers = {"Content-Type": "application/json"}
            self.answer(200 if document is not None else 404, content, headers)

    with serve(Documents) as url:
        issuer.url = url
        issuer.restore()
        yield issuer
