"""For schemathesis: the HTTP API answers 200 to what the workflow refuses; its record says so."""

from __future__ import annotations

import json
from typing import Any

import schemathesis
from schemathesis import GenerationMode


@schemathesis.check
def refused_in_the_record(ctx: Any, response: Any, case: Any) -> None:
    if response.status_code != 200 or case.meta.generation.mode != GenerationMode.NEGATIVE:
        return
    sent = response.request.headers.get("content-type", ["application/json"])[0]
    if sent == "application/json":  # of another type, the HTTP API takes the same body
        assert json.loads(response.content)["status"] == "FAILED", response.content
