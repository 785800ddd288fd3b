"""What a line of a log is: the handler's, Lambda's, an access log's, or an execution's event."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

_REQUEST_ID = re.compile(r"RequestId: ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_CAUSE_ID = re.compile(r'\\?"requestId\\?": ?\\?"([0-9a-f-]{36})|' + _REQUEST_ID.pattern)
_FAILED_EVENTS = ("Failed", "TimedOut", "Aborted", "FailStateEntered")
_FAILED_TEXTS = ("[ERROR]", "Traceback (most", "Task timed out", "Runtime exited", "Status: error")


@dataclass(frozen=True)
class Event:
    """A line of a log.

    Args:
        source: the function's name in the workflow, `workflow` or `api`.
        time_ms: since 1970.
        id: CloudWatch's own, by which a line is known when it is read twice.
    """

    source: str
    time_ms: int
    stream: str
    message: str
    id: str = ""

    @property
    def time(self) -> datetime:
        return datetime.fromtimestamp(self.time_ms / 1000, timezone.utc)

    @property
    def text(self) -> str:
        return self.message.rstrip("\n")

    @property
    def fields(self) -> Mapping[str, Any]:
        """The members of a line that is a JSON object; none of any other."""
        if not self.message.startswith("{"):
            return {}
        try:
            members = json.loads(self.message)
        except ValueError:
            return {}
        return members if isinstance(members, dict) else {}

    @property
    def is_handlers(self) -> bool:
        """Whether it is the handler's line about a request (lambda_src/predict.py)."""
        return {"execution", "model", "outcome"} <= self.fields.keys()

    @property
    def request(self) -> str | None:
        """The id of the request to the API that it names: its execution has it for a name."""
        fields = self.fields
        if "execution_arn" in fields:
            return execution_name(str(fields["execution_arn"]))
        own = fields.get("execution" if self.is_handlers else "requestId")
        return own if isinstance(own, str) else None

    @property
    def invocation(self) -> str | None:
        """Lambda's id of the request to a function that it names."""
        if self.is_handlers:
            return str(self.fields.get("request"))
        match = _REQUEST_ID.search(self.message)
        return match[1] if match else None

    @property
    def is_error(self) -> bool:
        fields = self.fields
        if self.is_handlers:
            return fields["outcome"] in ("failed", "refused")
        if "execution_arn" in fields:
            return any(part in str(fields.get("type")) for part in _FAILED_EVENTS)
        if self.source == "api" and "status" in fields:
            return not str(fields["status"]).startswith(("2", "3"))
        return "Status: timeout" in self.message or any(
            text in self.message for text in _FAILED_TEXTS
        )

    def document(self) -> dict[str, Any]:
        """Return the line as plain JSON values."""
        members = {
            "time": self.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "source": self.source,
            "request": self.request,
            "invocation": self.invocation,
            "error": self.is_error,
            "message": self.text,
        }
        return {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True)
class Absence:
    """Why no line of a function belongs to a request. `may_arrive`: lines arrive late (Logs-9)."""

    reason: str
    may_arrive: bool = False


def execution_name(text: str) -> str:
    """Return the name in the ARN of an execution, which may be of an EXPRESS workflow."""
    parts = text.split(":")
    return parts[7] if text.startswith("arn:") and len(parts) > 7 else text


def named_in_causes(events: Iterable[Event]) -> set[str]:
    """Return the invocations that an execution's events name: of functions that failed.

    One that timed out or ran out of memory has no line of the handler's.
    """
    names: set[str] = set()
    for event in events:
        if "execution_arn" in event.fields:
            names |= {first or second for first, second in _CAUSE_ID.findall(event.message)}
    return names


def invocations(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Yield the lines of each invocation, of the lines of functions in the order of time.

    Lines of an init belong to the invocation that follows in the same stream, and the reason of an
    end that comes after its REPORT to the one before.
    """
    open_lines: dict[tuple[str, str], list[Event]] = {}
    ended: dict[tuple[str, str], bool] = {}
    for event in events:
        place = (event.source, event.stream)
        lines = open_lines.setdefault(place, [])
        follows = ended.get(place, False)
        if follows and event.invocation not in {
            line.invocation for line in lines if line.invocation
        }:
            yield lines
            lines = open_lines[place] = []
            ended[place] = False
        lines.append(event)
        if event.message.startswith("REPORT RequestId"):
            ended[place] = True
    yield from (lines for lines in open_lines.values() if lines)
