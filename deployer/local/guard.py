"""Access control: which requests the local AWS answers.

It listens on a developer's machine, where web pages and other users could reach it. A deployed API
answers everybody, as on AWS. Everything else is control plane, and answers only requests that are
meant for this server and carry its access key. The signature is not checked: a client that knows
the key may do everything here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.local.answers import Answer, Environ, message, refused, speaks_xml

# AWS's headers have a few hundred characters. The patterns below would take too long on many more.
_MAX_AUTHORIZATION = 2000
_HEADER_KEY = re.compile(r"Credential=([^/,\s]+)/")
_SCOPE = re.compile(r"Credential=[^/,\s]+/[0-9]*/([^/,\s]*)/([a-z0-9-]+)/")
_PRESIGNED_KEY = re.compile(r"(?:^|&)(?:X-Amz-Credential|AWSAccessKeyId)=([^&/%]+)")


@dataclass(frozen=True)
class Guard:
    """The port that the server listens on, and the access key id that opens the control plane.

    Args:
        has_session: tells whether a key is of a function, while IAM is enforced.
    """

    port: int
    access_key: str
    has_session: Callable[[str | None], bool] = lambda key: False

    def refusal(self, environ: Environ) -> Answer | None:
        """Return the answer that refuses a control-plane request, or None if it may go on."""
        if not is_own_host(self.port, environ.get("HTTP_HOST")):
            # A page whose own name was rebound to 127.0.0.1 sends that name.
            return message(421, "this server answers to 127.0.0.1 and localhost alone")
        if not is_own_origin(self.port, environ.get("HTTP_ORIGIN")):
            return message(403, "no page may call the control plane")
        if environ["PATH_INFO"].startswith("/moto-api"):
            return message(404, "Not Found")
        return None if self.knows(access_key(environ)) else _refuse_key(environ)

    def knows(self, key: str | None) -> bool:
        return key == self.access_key or self.has_session(key)


def is_own_host(port: int, host: str | None) -> bool:
    """Tell whether a Host header names this machine and port.

    Clients put `sync-` before the name for StartSyncExecution (Sfn-22).
    """
    return (host or "").removeprefix("sync-") in (f"127.0.0.1:{port}", f"localhost:{port}")


def is_own_origin(port: int, origin: str | None) -> bool:
    """Tell whether an Origin header is absent, or that of the server itself."""
    return origin in (None, f"http://127.0.0.1:{port}", f"http://localhost:{port}")


def access_key(environ: Mapping[str, Any]) -> str | None:
    """Return the access key id of a request, from its header or a presigned URL."""
    query = environ.get("QUERY_STRING", "")[:_MAX_AUTHORIZATION]
    match = _HEADER_KEY.search(_authorization(environ)) or _PRESIGNED_KEY.search(query)
    return match[1] if match else None


def credential_scope(environ: Mapping[str, Any]) -> tuple[str, str]:
    """Return the region and the service that a request is signed for, or two empty strings."""
    match = _SCOPE.search(_authorization(environ))
    return (match[1], match[2]) if match else ("", "")


def _authorization(environ: Mapping[str, Any]) -> str:
    header: str = environ.get("HTTP_AUTHORIZATION", "")
    return header if len(header) <= _MAX_AUTHORIZATION else ""


def _refuse_key(environ: Environ) -> Answer:
    _, service = credential_scope(environ)
    code = "InvalidClientTokenId" if speaks_xml(service) else "UnrecognizedClientException"
    return refused(
        service,
        "InvalidAccessKeyId" if service == "s3" else code,
        "The security token included in the request is invalid: python -m deployer env "
        "--local prints the right one.",
    )
