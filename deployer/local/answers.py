"""Requests and answers, as the parts of the gateway pass them on."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

Environ = dict[str, Any]  # WSGI's
Answer = tuple[int, dict[str, str], bytes]  # status, headers, content


def answer_json(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return (
        status,
        {"Content-Type": "application/json", **(headers or {})},
        json.dumps(value).encode(),
    )


def message(status: int, text: str) -> Answer:
    """Answer as API Gateway does when it has nothing else to say."""
    return answer_json(status, {"message": text})


def read_body(environ: Environ) -> bytes:
    """Read the body, and put it back for the next reader."""
    content: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(content)
    return content


def speaks_xml(service: str) -> bool:
    """Tell whether a service answers in XML; its name is that in signatures."""
    return service in ("s3", "sts", "iam", "sns", "sqs", "cloudformation")


def refused(service: str, code: str, text: str) -> Answer:
    """Return a refusal in the shape of the requested service: every AWS client reads these."""
    if not speaks_xml(service):
        body = {"__type": code, "message": text, "Message": text}
        return answer_json(403, body, {"X-Amzn-ErrorType": code})
    error = f"<Error><Code>{code}</Code><Message>{escape(text)}</Message></Error>"
    document = error if service == "s3" else f"<ErrorResponse>{error}</ErrorResponse>"
    return 403, {"Content-Type": "text/xml"}, document.encode()
