"""The access log of an API: the variables of a request, and the line that they fill."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

from deployer.local import vtl
from deployer.local.answers import Answer, Environ
from deployer.local.process import ACCOUNT

_VARIABLE = re.compile(r"\$context((?:\.\w+)+)")


class Request:
    """A request to an API, from its beginning: the variables of an access log.

    The route, the times and the errors are set as they become known.
    """

    def __init__(self, environ: Environ, path: str, request_id: str, **further: str) -> None:
        self._began = time.monotonic()
        self._arrived = datetime.now(timezone.utc)
        self._environ = environ
        self._further = {**further, "path": quote(path), "requestId": request_id}
        self.id = request_id
        self.route_key = ""
        self._answered_ms: float | None = None
        self.integration_ms: float | None = None
        self.integration_error = ""
        self.error = ""

    def milliseconds(self) -> float:
        """Return the time until the answer, which is now when it is first asked for."""
        if self._answered_ms is None:
            self._answered_ms = 1000 * (time.monotonic() - self._began)
        return self._answered_ms

    @contextmanager
    def integration(self) -> Iterator[None]:
        """Time the integration."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.integration_ms = 1000 * (time.monotonic() - began)

    def variables(self, answer: Answer) -> dict[str, Any]:
        """Return the variables; those that are empty have no value."""
        status, _, content = answer
        called = self.integration_ms is not None
        integration = {
            "status": "200" if called and not self.integration_error else "",
            "latency": str(round(self.integration_ms or 0)) if called else "",
            "error": self.integration_error,
        }
        return {
            **self._further,
            "accountId": ACCOUNT,
            "extendedRequestId": self.id,
            "routeKey": self.route_key,
            "requestTime": f"{self._arrived:%d/%b/%Y:%H:%M:%S +0000}",
            "requestTimeEpoch": str(int(1000 * self._arrived.timestamp())),
            "httpMethod": self._environ.get("REQUEST_METHOD", "POST"),
            "protocol": self._environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
            "identity": {
                "sourceIp": self._environ.get("REMOTE_ADDR", "127.0.0.1"),
                "userAgent": self._environ.get("HTTP_USER_AGENT", ""),
            },
            "status": str(status),
            "responseLatency": str(round(self.milliseconds())),
            "responseLength": str(len(content)),
            "integration": integration,
            "integrationErrorMessage": self.integration_error,
            "error": {"message": self.error, "messageString": json.dumps(self.error)},
        }


def access_line(text: str, variables: Mapping[str, Any]) -> str:
    """Fill an access log's format; what has no value is a dash, as on AWS."""
    return _VARIABLE.sub(lambda match: str(vtl.value_at(variables, f"${match[1]}") or "-"), text)
