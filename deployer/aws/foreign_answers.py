"""Recognise answers that do not come from AWS: a hotel's sign-in page, a proxy's refusal, a part.

botocore takes most of them for an empty answer, which would mean that nothing exists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from deployer.errors import NotReached

REACH_ADVICE = "check the network, proxies and --endpoint-url"

_READING = ("Get", "List", "Describe", "Head", "Batch")
# How the body of an answer begins, by protocol.
_OPENINGS = {"json": b"{", "rest-json": b"{", "query": b"<", "rest-xml": b"<", "ec2": b"<"}
_HTML = re.compile(rb"(?i)<html[\s>]")


class ForeignAnswer(Exception):
    """An answer that does not come from AWS; raised inside botocore."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def not_aws(reason: str, operation: str, status: int = 0) -> NotReached:
    """Return the error for a call whose answer does not come from AWS."""
    message = f"the answer does not come from AWS: {reason}"
    return NotReached(
        "ForeignAnswer", message, operation=operation, status=status, advice=REACH_ADVICE
    )


def refuse_foreign_answer(
    operation_model: Any, response_dict: Mapping[str, Any], **_others: Any
) -> None:
    """Raise ForeignAnswer if a response is not one of AWS: botocore's event `before-parse`."""
    status, headers = response_dict["status_code"], response_dict["headers"]
    body = response_dict["body"]
    if not isinstance(body, bytes):  # a stream, which is read later
        return
    reason = (
        _cut_off(operation_model, headers, body)
        or _page(body)
        or _redirect(status, headers)
        or _other_format(operation_model, status, body)
        or _half_json(operation_model, status, body)
    )
    if reason:
        raise ForeignAnswer(f"HTTP {status}{reason}", status)


def _cut_off(operation_model: Any, headers: Mapping[str, str], body: bytes) -> str | None:
    length = headers.get("content-length", "")
    is_head = operation_model.http.get("method") == "HEAD"
    if "content-encoding" in headers or is_head or not length.isdecimal():
        return None  # the length says nothing about the body
    return f" with {len(body)} bytes of {length}" if len(body) != int(length) else None


def _page(body: bytes) -> str | None:
    is_page = body.lstrip().startswith(b"<") and _HTML.search(body[:2000])
    return " with an HTML page" if is_page else None


def _redirect(status: int, headers: Mapping[str, str]) -> str | None:
    # S3 itself redirects to a bucket's region.
    if not 300 <= status < 400 or status == 304 or "x-amz-bucket-region" in headers:
        return None
    return f", which sends us to {headers['location']}" if "location" in headers else None


def _other_format(operation_model: Any, status: int, body: bytes) -> str | None:
    opening = _opening(operation_model)
    content = body.lstrip()
    if not opening or not content or content.startswith(opening):
        return None
    # Throttles may be plain text; S3 answers some calls with an object's bytes.
    is_raw = _protocol(operation_model) == "rest-xml" and status < 300
    return None if status == 429 or is_raw else " with something else than an answer of AWS"


def _half_json(operation_model: Any, status: int, body: bytes) -> str | None:
    """Recognise a JSON body that ends early, which botocore takes for an empty one."""
    if _opening(operation_model) != b"{":
        return None
    has_members = operation_model.output_shape is not None and operation_model.output_shape.members
    if not body:
        is_reading = operation_model.name.startswith(_READING) and status < 300
        return " with nothing" if has_members and is_reading else None
    if status < 300 and (not has_members or operation_model.has_streaming_output):
        return None
    is_json = body.lstrip().startswith(b"{")  # a throttle may be plain text
    return " with half an answer" if is_json and not _is_whole(body) else None


def _is_whole(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _opening(operation_model: Any) -> bytes | None:
    return _OPENINGS.get(_protocol(operation_model))


def _protocol(operation_model: Any) -> str:
    service = operation_model.service_model
    # Newer versions of botocore choose one of several protocols, such as CBOR.
    return str(getattr(service, "resolved_protocol", service.protocol))
