"""How a run looks. The only user of rich; everything else says what happened, as events.

Results go to stdout, everything on the way there to stderr. On a terminal, running steps stay in a live area and finished
ones scroll up; elsewhere each step is one line when it starts and one when it ends. Colour only repeats what words say.
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deployer import events
from deployer.plan import UNKNOWN, Action, Change, FieldChange, Plan

_SIGNS = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.REPLACE: ("-/+", "magenta"),
    Action.DELETE: ("-", "red"),
}
_GERUNDS = {"create": "creating", "update": "updating", "replace": "replacing", "delete": "deleting"}
_PARTICIPLES = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted"}
_LONGEST_VALUE = 76
_SHORTEST_VALUE = 19
_MOST_LIVE_LINES = 20
_SHOWN_PREDICTIONS = 5


def make_console(stream: IO[str], *, color: bool = True) -> Console:
    """Return a console for a stream: as wide as a terminal, and without wrapping where lines are read by programs."""
    terminal = stream.isatty()
    # rich takes FORCE_COLOR for a terminal; whether to animate is the stream's own matter.
    return Console(
        file=stream,
        force_terminal=terminal,
        no_color=not color or None,
        width=None if terminal else 10_000,
        highlight=False,
        markup=False,
        emoji=False,
        color_system="auto" if color and terminal else None,
    )


class Reporter:
    """Draws events on stderr; safe to call from any thread. Use as a context manager around a run."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self._clock = clock
        self._lock = threading.RLock()
        self._running: dict[str, tuple[str, float, str]] = {}
        self._told: dict[str, set[str]] = {}
        animated = console.is_terminal and not console.is_dumb_terminal
        self._live = (
            Live(console=console, get_renderable=self._draw, transient=True, auto_refresh=True) if animated else None
        )

    def __enter__(self) -> Reporter:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live:
            self._live.stop()

    def pause(self) -> None:
        """Clear the live area, to ask something."""
        if self._live:
            self._live.stop()

    def resume(self) -> None:
        if self._live:
            self._live.start()

    def emit(self, event: events.Event) -> None:
        with self._lock:
            for line in self._lines(event):
                self.console.print(line, soft_wrap=not self.console.is_terminal)
            if self._live and self._live.is_started:
                self._live.refresh()

    def _lines(self, event: events.Event) -> Iterator[Text]:
        if isinstance(event, events.StepStarted):
            self._running[event.key] = (event.action, self._clock(), "")
            self._told[event.key] = set()
            if not self._live:
                yield Text(f"{event.key}: {_GERUNDS[event.action]}")
        elif isinstance(event, events.StepProgress):
            action, started, _ = self._running[event.key]
            self._running[event.key] = (action, started, event.text)
            whole = event.lasting or event.text.startswith("waiting")
            news = event.text if whole else event.text.partition(": ")[0]
            if event.lasting or (not self._live and news not in self._told[event.key]):
                yield Text(f"{event.key}: {news}", style="dim")
            self._told[event.key].add(news)
        elif isinstance(event, events.StepFinished):
            self._running.pop(event.key, None)
            yield Text(f"{event.key}: {_PARTICIPLES[event.action]} ({event.seconds:.1f} s)", style="green")
        elif isinstance(event, events.StepFailed):
            self._running.pop(event.key, None)
            yield Text(f"{event.key}: {event.message}", style="red")
        elif isinstance(event, events.StepSkipped):
            yield Text(f"{event.key}: not {_PARTICIPLES[event.action]}, because {event.because}", style="yellow")
        else:
            yield from _describe(event, self.console.width)

    def _draw(self) -> Group:
        with self._lock:
            now = self._clock()
            lines = [
                Text(
                    f"{key}: {_GERUNDS[action]} {now - started:.0f} s{f', {text}' if text else ''}",
                    overflow="ellipsis",
                    no_wrap=True,
                )
                for key, (action, started, text) in self._running.items()
            ]
        more = len(lines) - _MOST_LIVE_LINES
        return Group(*lines[:_MOST_LIVE_LINES], *([Text(f"and {more} more")] if more > 0 else []))


def _describe(event: events.Event, width: int) -> Iterator[Text]:
    if isinstance(event, events.RunStarted):
        where = f" at {event.endpoint}" if event.endpoint else ""
        yield Text(
            f"{event.command} {event.service}, stage {event.stage}: account {event.account}, {event.region}{where}",
            style="bold",
        )
    elif isinstance(event, events.Note):
        yield Text(event.text, style="dim")
    elif isinstance(event, events.PlanReady):
        yield from plan_lines(event.plan, width)
    elif isinstance(event, events.RunFinished):
        counts = ", ".join(f"{number} {fate}" for fate, number in event.counts.items() if number)
        yield Text(f"{event.command} took {event.seconds:.1f} s: {counts}", style="bold")


def plan_lines(plan: Plan, width: int) -> Iterator[Text]:
    """Yield a plan line by line: what changes, each field that differs, and the sum. `width`: characters in a line."""
    for change in plan.effective:
        sign, style = _SIGNS[change.action]
        yield Text(f"{sign:>3} {change.action.value:7} {change.key}", style=style)
        if change.action in (Action.UPDATE, Action.REPLACE):
            yield from (_field_line(each, width) for each in change.fields)
    yield Text(plan_summary(plan), style="bold")


def plan_summary(plan: Plan) -> str:
    if plan.is_empty:
        return f"Plan: no changes, resources checked: {len(plan.changes)}"
    actions = ", ".join(f"{plan.count(action)} to {action.value}" for action in _SIGNS)
    return f"Plan: {actions}, {plan.count(Action.NOOP)} unchanged"


def _field_line(change: FieldChange, width: int) -> Text:
    forces = " (forces replacement)" if change.forces_replace else ""
    frame = f"        {change.path}: {{}} -> {{}}{forces}"
    room = min(max((width - len(frame) + 4) // 2, _SHORTEST_VALUE), _LONGEST_VALUE)
    return Text(f"        {change.path}: {_short(change.before, room)} -> {_short(change.after, room)}{forces}")


def _short(value: Any, room: int) -> str:
    """Write a value as JSON; of one that is longer than the room, its beginning and its end."""
    text = repr(value) if value is UNKNOWN else json.dumps(value, ensure_ascii=False, default=repr, sort_keys=True)
    if len(text) <= room:
        return text
    half = (room - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def change_document(change: Change) -> dict[str, Any]:
    """Return a change as plain JSON values."""
    fields = [{"path": each.path, "before": each.before, "after": each.after} for each in change.fields]
    return {"resource": change.key, "action": change.action.value, "fields": fields}


def print_json(stream: IO[str], document: Any) -> None:
    """Print one JSON document; what is not known yet is written as "(known after apply)"."""
    stream.write(json.dumps(document, indent=2, default=repr) + "\n")
    stream.flush()


def image_line(document: Mapping[str, Any]) -> str:
    """Say what was built, layer by layer."""
    from deployer.images.layers import sizes_by_kind

    sizes = sizes_by_kind((layer["what"], layer["bytes"]) for layer in document["layers"])
    parts = [f"{document['output']}: {document['image']}", document["digest"] or "", sizes]
    return "\n".join(part for part in parts if part)


def findings_text(findings: Sequence[str]) -> str:
    """Say what was found, a line for each."""
    if not findings:
        return "check: nothing found"
    number = "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
    return "\n".join([*findings, f"check: {number}"])


def print_error(console: Console, message: str, advice: str) -> None:
    console.print(Text(f"error: {message}", style="red"), soft_wrap=True)
    if advice:
        console.print(Text(advice), soft_wrap=True)


def print_plan(console: Console, plan: Plan) -> None:
    for line in plan_lines(plan, console.width):
        console.print(line, soft_wrap=not console.is_terminal)


def print_results(console: Console, results: Sequence[Mapping[str, Any]], latencies_s: Sequence[float]) -> None:
    """Print one row per model, and how long the request took."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("model")
    table.add_column("version")
    table.add_column("prediction", overflow="fold")
    for entry in results:
        if "error" in entry:
            table.add_row(Text(str(entry.get("model"))), Text(""), Text(f"failed: {entry['error']}", style="red"))
        else:
            table.add_row(
                Text(str(entry.get("model"))), Text(str(entry.get("version"))), Text(_predictions(entry["predictions"]))
            )
    console.print(table)
    console.print(Text(f"\n{latency_line(latencies_s)}"))


def _predictions(values: Sequence[float]) -> str:
    shown = ", ".join(f"{value:.6g}" for value in values[:_SHOWN_PREDICTIONS])
    more = len(values) - _SHOWN_PREDICTIONS
    return f"{shown}, ... ({len(values)} in all)" if more > 0 else shown


def latency_line(latencies_s: Sequence[float]) -> str:
    """Say how long one request took, or how the times of several spread."""
    milliseconds = sorted(1000 * each for each in latencies_s)
    if len(milliseconds) == 1:
        return f"answered in {milliseconds[0]:.0f} ms"
    p95 = milliseconds[min(len(milliseconds) - 1, round(0.95 * (len(milliseconds) - 1)))]
    return (
        f"{len(milliseconds)} requests: first {1000 * latencies_s[0]:.0f} ms, "
        f"median {statistics.median(milliseconds):.0f} ms, 95 % {p95:.0f} ms, slowest {milliseconds[-1]:.0f} ms"
    )


def stdout_console(*, color: bool) -> Console:
    return make_console(sys.stdout, color=color)


def stderr_console(*, color: bool) -> Console:
    return make_console(sys.stderr, color=color)
