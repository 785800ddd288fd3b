"""Requests and answers, as the parts of the gateway pass them on."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

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
