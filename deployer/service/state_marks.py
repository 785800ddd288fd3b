"""What happened in each state of a workflow during one request."""

from __future__ import annotations

from collections.abc import Sequence

from deployer.project.drawing import UNKNOWN, Machine, Mark, State
from deployer.service.passages import Passage
from deployer.service.tracing import Invocation, Trace

_GOOD = ("answered", "skipped")
_NO_LINE = "no line"  # the outcome of an invocation whose end is not logged yet


def marks(machine: Machine, trace: Trace) -> dict[str, Mark]:
    """Return the mark of each state, by its name; of some, nothing is known."""
    found = {state.name: _mark(state, trace) for state in machine.every_state()}
    return {name: mark for name, mark in found.items() if mark is not None}


def _mark(state: State, trace: Trace) -> Mark | None:
    passage = trace.passages.get(state.name)
    if passage is None and trace.is_whole:
        return Mark("unreached", "not reached")
    invocations = trace.models.get(state.function or "", ())
    if invocations:
        return _invoked(invocations, passage)
    if passage is not None:
        return _passed(passage, "not invoked: " if state.function else "")
    return Mark(UNKNOWN, "no line of it") if state.function else None


def _invoked(invocations: Sequence[Invocation], passage: Passage | None) -> Mark:
    """Return the mark of a Task by its invocations: retries, or the items of a Map."""
    last = invocations[-1].outcome
    failures = [one.outcome for one in invocations if one.outcome not in (*_GOOD, _NO_LINE)]
    errors = (passage and passage.errors) or failures
    reports = [one.report for one in invocations if one.report]
    inits = [report.init_ms for report in reports if report.init_ms is not None]
    words = [last if last != _NO_LINE else "its end is not logged yet"]
    if len(invocations) > 1:
        words.append(f"{len(invocations)} invocations")
    if errors and last in _GOOD:
        words.append(f"failed before: {errors[-1]}")
    return Mark(
        _kind(last, bool(errors), bool(inits)),
        ", ".join(words),
        max((report.duration_ms for report in reports), default=None),
        max(inits, default=None),
    )


def _kind(outcome: str, has_failed: bool, is_cold: bool) -> str:
    if outcome == _NO_LINE:
        return UNKNOWN
    if outcome not in _GOOD:
        return "failed"
    if has_failed:
        return "retried"
    return "cold" if is_cold and outcome == "answered" else outcome


def _passed(passage: Passage, before: str) -> Mark:
    """Return the mark of a state that invoked nothing; `before` stands before its error."""
    times = f", {passage.times} times" if passage.times > 1 else ""
    if passage.errors:
        attempts = f", {len(passage.errors)} attempts" if len(passage.errors) > 1 else ""
        return Mark("failed", f"{before or 'failed: '}{passage.errors[-1]}{attempts}")
    if passage.milliseconds is None:
        return Mark("failed", f"not finished{times}")
    return Mark("passed", f"passed{times}", passage.milliseconds)
