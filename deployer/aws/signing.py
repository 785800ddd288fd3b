"""Signatures of requests to deployed APIs whose callers are IAM's (Api-33)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def signed(
    session: Any, region: str, method: str, url: str, body: bytes, headers: Mapping[str, str]
) -> dict[str, str]:
    """Return the headers of a request, with those that sign it for `execute-api`.

    Args:
        session: boto3's, whose credentials sign; they are renewed when that is due.
    """
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
    credentials = session.get_credentials().get_frozen_credentials()
    SigV4Auth(credentials, "execute-api", region).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}
