"""Signatures of requests to deployed APIs (AWS Signature Version 4, in the header)."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, quote

from deployer.local.answers import Environ, read_body
from deployer.local.process import Credentials

_ALGORITHM = "AWS4-HMAC-SHA256"
_HEADER = re.compile(
    rf"{_ALGORITHM} Credential=(?P<key>[^/,\s]+)/(?P<date>[0-9]{{8}})/(?P<region>[^/,\s]+)"
    r"/(?P<service>[^/,\s]+)/aws4_request,\s*SignedHeaders=(?P<names>[a-z0-9;._-]+),"
    r"\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_LONGEST = 4000  # characters of a header
_SKEW = timedelta(minutes=5)
_TIME = "%Y%m%dT%H%M%SZ"

# What is wrong with a request, as API Gateway tells it apart. A key and a token that are not those
# of the same credentials are unknown.
MISSING, UNKNOWN_KEY, INVALID = "missing", "unknown key", "invalid"


def fault(environ: Environ, credentials: Credentials, region: str, now: datetime) -> str | None:
    """Return what is wrong with a request's signature, None if it is that of these credentials."""
    header = str(environ.get("HTTP_AUTHORIZATION", ""))
    if not header:
        return MISSING
    match = _HEADER.fullmatch(header) if len(header) <= _LONGEST else None
    if match is None:
        return INVALID
    # The credentials of this server are no session's.
    if match["key"] != credentials.access_key or environ.get("HTTP_X_AMZ_SECURITY_TOKEN"):
        return UNKNOWN_KEY
    stamp = str(environ.get("HTTP_X_AMZ_DATE", ""))
    names = match["names"].split(";")
    if (
        (match["region"], match["service"]) != (region, "execute-api")
        or not {"host", "x-amz-date"} <= set(names)
        or not _is_fresh(stamp, match["date"], now)
    ):
        return INVALID
    scope = f"{match['date']}/{region}/execute-api/aws4_request"
    hashed = hashlib.sha256(canonical(environ, names).encode()).hexdigest()
    text = "\n".join([_ALGORITHM, stamp, scope, hashed])
    expected = hmac.new(_key(credentials, scope), text.encode(), hashlib.sha256).hexdigest()
    return None if hmac.compare_digest(expected, match["signature"]) else INVALID


def _is_fresh(stamp: str, date: str, now: datetime) -> bool:
    try:
        signed = datetime.strptime(stamp, _TIME).replace(tzinfo=timezone.utc)
    except ValueError:
        return False
    return stamp.startswith(date) and abs(now - signed) <= _SKEW


def canonical(environ: Environ, names: list[str]) -> str:
    """Return the canonical request: the form of a request that is signed."""
    path = str(environ.get("REQUEST_URI", "")).partition("?")[0]
    query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query)
    return "\n".join(
        [
            environ["REQUEST_METHOD"],
            quote(path, safe="/-_.~"),  # of the path as it was sent: it is encoded twice
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{_value(environ, name)}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(read_body(environ)).hexdigest(),
        ]
    )


def _value(environ: Environ, name: str) -> str:
    variable = name.upper().replace("-", "_")
    is_plain = variable in ("CONTENT_TYPE", "CONTENT_LENGTH")
    return " ".join(str(environ.get(variable if is_plain else f"HTTP_{variable}", "")).split())


def _key(credentials: Credentials, scope: str) -> bytes:
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
