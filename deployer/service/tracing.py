"""One request's way in time: the API, the workflow, and each invocation of a function.

Of the lines of the request alone: the API's access log, the execution log, and of each function
START, REPORT and the handler's own line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from deployer.service.log_lines import Absence, Event, invocations
from deployer.service.passages import Passage, moment, passages

_STARTED = "ExecutionStarted"
_ENDINGS = (
    "ExecutionSucceeded",
    "ExecutionFailed",
    "ExecutionTimedOut",
    "ExecutionAborted",
)
_FUNCTION = re.compile(r":function:([^:\"]+)")


@dataclass(frozen=True)
class Report:
    """The fields of a REPORT line; `init_ms` is None for a process that was warm."""

    duration_ms: float
    billed_ms: int
    memory_mb: int
    used_mb: int
    init_ms: float | None
    status: str | None


@dataclass(frozen=True)
class Invocation:
    """One invocation of a function. Times are milliseconds since 1970.

    Args:
        ready_ms: since when it was to run.
        report: None if the line has not arrived.
        handler_ms: what the handler itself took; None if it did not come to its line.
        outcome: the handler's word for it, or the REPORT's status.
    """

    model: str
    id: str
    ready_ms: float
    start_ms: float
    report: Report | None
    handler_ms: float | None
    outcome: str

    @property
    def init_begin_ms(self) -> float:
        """When its init began, as far as the request waited for it."""
        init_ms = (self.report.init_ms or 0) if self.report else 0
        return max(self.start_ms - init_ms, min(self.ready_ms, self.start_ms))

    @property
    def end_ms(self) -> float:
        return self.start_ms + (self.report.duration_ms if self.report else 0)

    @property
    def queued_ms(self) -> float:
        return max(0.0, self.init_begin_ms - self.ready_ms)

    def document(self) -> dict[str, Any]:
        report = self.report
        return {
            "invocation": self.id,
            "outcome": self.outcome,
            "queued_ms": round(self.queued_ms, 2),
            "init_ms": report.init_ms if report else None,
            "handler_ms": self.handler_ms,
            "duration_ms": report.duration_ms if report else None,
            "billed_ms": report.billed_ms if report else None,
            "memory_mb": report.memory_mb if report else None,
            "used_mb": report.used_mb if report else None,
        }


@dataclass(frozen=True)
class Trace:
    """A request's way. Times are milliseconds since 1970.

    Args:
        api: status and begin and end, by the access log; None until its line has arrived.
        workflow: begin and end, and how it ended; None where no event of it is logged.
        failures: errors of tasks that came to no invocation, such as throttles.
        log_kb: what the request wrote into all logs.
        api_logs: whether the API writes an access log that can be read.
        absent: the functions without a line of the request, and why.
        passages: the states that the execution log tells of; all of them if `is_whole`.
    """

    request: str
    api: tuple[str, float, float] | None
    workflow: tuple[float | None, float | None, str] | None
    invocations: Sequence[Invocation]
    failures: Sequence[str]
    log_kb: float
    api_logs: bool = True
    absent: Mapping[str, Absence] = field(default_factory=dict)
    passages: Mapping[str, Passage] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether every state of the execution was logged."""
        return self.workflow is not None and None not in self.workflow[:2]

    @property
    def begin_ms(self) -> float:
        begins = [one.init_begin_ms for one in self.invocations]
        begins += [self.api[1]] if self.api else []
        begins += [moment for moment in (self.workflow or ())[:2] if isinstance(moment, float)]
        return min(begins)

    @property
    def end_ms(self) -> float:
        ends = [one.end_ms for one in self.invocations]
        ends += [self.api[2]] if self.api else []
        ends += [moment for moment in (self.workflow or ())[:2] if isinstance(moment, float)]
        return max([self.begin_ms + 1, *ends])

    @property
    def models(self) -> dict[str, list[Invocation]]:
        """The invocations by model, in the order of their start; retries are several."""
        models: dict[str, list[Invocation]] = {}
        for one in self.invocations:
            models.setdefault(one.model, []).append(one)
        return models

    @property
    def missing(self) -> list[str]:
        """The lines that have not arrived, which takes some seconds."""
        lines = [f"REPORT of {one.model}" for one in self.invocations if one.report is None]
        return (["the API's line"] if self.api_logs and not self.api else []) + lines

    @property
    def counted_failures(self) -> list[str]:
        """The errors of tasks that came to no invocation, each once."""
        counts = Counter(self.failures)
        return [f"{error}, {n} times" if n > 1 else error for error, n in counts.items()]

    def document(self) -> dict[str, Any]:
        """Return the trace as plain JSON values."""
        begin = datetime.fromtimestamp(self.begin_ms / 1000, timezone.utc)
        return {
            "request": self.request,
            "begin": begin.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "milliseconds": round(self.end_ms - self.begin_ms, 2),
            "api": None
            if self.api is None
            else {"status": self.api[0], "latency_ms": round(self.api[2] - self.api[1], 2)},
            "workflow": None if self.workflow is None else _workflow_document(*self.workflow),
            "models": {name: _summary(several) for name, several in self.models.items()},
            "failures": list(self.failures),
            "missing": self.missing,
            "absent": {name: absence.reason for name, absence in self.absent.items()},
        }


def _workflow_document(begin: float | None, end: float | None, ending: str) -> dict[str, Any]:
    lasted = None if begin is None or end is None else round(end - begin, 2)
    return {"ending": ending, "duration_ms": lasted}


def _summary(several: Sequence[Invocation]) -> dict[str, Any]:
    """Return the sums of a model's invocations, and each of them."""
    reports = [one.report for one in several if one.report]
    inits = [report.init_ms for report in reports if report.init_ms is not None]
    return {
        "init_ms": round(sum(inits), 2) if inits else None,
        "duration_ms": round(sum(report.duration_ms for report in reports), 2),
        "billed_ms": sum(report.billed_ms for report in reports),
        "memory_mb": max((report.memory_mb for report in reports), default=None),
        "used_mb": max((report.used_mb for report in reports), default=None),
        "outcome": several[-1].outcome,
        "invocations": [one.document() for one in several],
    }


def trace_of(request: str, events: Sequence[Event], functions: Mapping[str, str]) -> Trace:
    """Return the way of a request, of all of its lines in the order of time.

    Args:
        functions: the name in the workflow by the name in Lambda.
    """
    happened = [event for event in events if "execution_arn" in event.fields]
    api = _api(events)
    workflow = _workflow(happened)
    begin = workflow[0] if workflow and workflow[0] is not None else api[1] if api else None
    said = [event for event in events if event.source not in ("api", "workflow")]
    scheduled = _scheduled(happened, functions)
    found = sorted(
        (_invocation(lines) for lines in invocations(said) if _start(lines) is not None),
        key=lambda one: one.start_ms,
    )
    placed = []
    ends: dict[str, float] = {}
    for one in found:
        waiting = scheduled.get(one.model, [])
        earlier = [moment for moment in waiting if moment <= one.start_ms]
        since = waiting.pop(waiting.index(earlier[0])) if earlier else ends.get(one.model, begin)
        ready_ms = one.start_ms if since is None else min(since, one.start_ms)
        placed.append(replace(one, ready_ms=ready_ms))
        ends[one.model] = one.end_ms
    size = sum(len(event.message.encode()) for event in events) / 1024
    failures = list(_failures(happened))
    return Trace(request, api, workflow, placed, failures, size, passages=passages(happened))


def _api(events: Sequence[Event]) -> tuple[str, float, float] | None:
    """Return status, begin and end by the access log, whose line is written at the end."""
    for event in events:
        fields = event.fields
        if event.source == "api" and "latencyMs" in fields:
            text = str(fields["latencyMs"])
            lasted = float(text) if text.isdecimal() else 0.0
            return str(fields.get("status")), event.time_ms - lasted, float(event.time_ms)
    return None


def _workflow(happened: Sequence[Event]) -> tuple[float | None, float | None, str] | None:
    if not happened:
        return None
    kinds = {str(event.fields.get("type")): moment(event) for event in happened}
    ending = next((kind for kind in _ENDINGS if kind in kinds), None)
    said = ending.removeprefix("Execution").lower() if ending else "its end is not logged"
    return kinds.get(_STARTED), kinds[ending] if ending else None, said


def _scheduled(happened: Sequence[Event], functions: Mapping[str, str]) -> dict[str, list[float]]:
    """Return when each function's tasks were scheduled."""
    moments: dict[str, list[float]] = {}
    for event in happened:
        if event.fields.get("type") in ("LambdaFunctionScheduled", "TaskScheduled"):
            match = _FUNCTION.search(event.message)
            if match and match[1] in functions:
                moments.setdefault(functions[match[1]], []).append(moment(event))
    return moments


def _failures(happened: Sequence[Event]) -> Iterator[str]:
    """Yield the errors of tasks whose cause names no invocation."""
    for event in happened:
        details = event.fields.get("details") or {}
        kind = str(event.fields.get("type"))
        is_task = kind.startswith(("LambdaFunction", "Task")) and kind.endswith(
            ("Failed", "TimedOut")
        )
        if is_task and "RequestId" not in event.message and "requestId" not in event.message:
            yield str(details.get("error") or kind)


def _start(lines: Sequence[Event]) -> Event | None:
    return next((line for line in lines if line.message.startswith("START RequestId")), None)


def _invocation(lines: Sequence[Event]) -> Invocation:
    start = _start(lines)
    assert start is not None
    handlers = next((line.fields for line in lines if line.is_handlers), None)
    text = next((line.text for line in lines if line.message.startswith("REPORT ")), None)
    report = None if text is None else parse_report(text)
    outcome = str(handlers["outcome"]) if handlers else (report and report.status) or "no line"
    handler_ms = None if handlers is None else float(handlers.get("ms") or 0)
    begin = float(start.time_ms)
    return Invocation(
        start.source, start.invocation or "", begin, begin, report, handler_ms, outcome
    )


def parse_report(text: str) -> Report:
    """Read a REPORT line of Lambda's."""
    pairs = (part.strip().partition(": ") for part in text.splitlines()[0].split("\t"))
    fields = {name: value for name, _, value in pairs}
    return Report(
        duration_ms=_number(fields, "Duration"),
        billed_ms=int(_number(fields, "Billed Duration")),
        memory_mb=int(_number(fields, "Memory Size")),
        used_mb=int(_number(fields, "Max Memory Used")),
        init_ms=_number(fields, "Init Duration") if "Init Duration" in fields else None,
        status=_ending(fields),
    )


def _number(fields: Mapping[str, str], name: str) -> float:
    return float(fields.get(name, "0").partition(" ")[0])


def _ending(fields: Mapping[str, str]) -> str | None:
    status = fields.get("Status")
    kind = fields.get("Error Type")
    return f"{status}: {kind}" if status and kind else status
