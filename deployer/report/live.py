"""How a run looks. The only user of rich; everything else says what happened, as events.

Results go to stdout, everything on the way there to stderr. On a terminal, running steps stay in a
live area and finished ones scroll up; elsewhere each step is one line when it starts and one when
it ends. Colour only repeats what words say.
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import SequenceMatcher
from os.path import commonprefix
from queue import Empty, SimpleQueue
from typing import IO, Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deployer.engine import events
from deployer.engine.plan import UNKNOWN, Action, Change, FieldChange, Plan

_SIGNS = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.REPLACE: ("-/+", "magenta"),
    Action.DELETE: ("-", "red"),
}
_GERUNDS = {
    "create": "creating",
    "update": "updating",
    "replace": "replacing",
    "delete": "deleting",
    "train": "training",
}
_PARTICIPLES = {
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "delete": "deleted",
    "train": "trained",
}
_MOST_EVENTS_AT_ONCE = 200
_FRAME_S = 0.1  # how often the live area is drawn while nothing happens
_LONGEST_VALUE = 76
_SHORTEST_VALUE = 19
_MOST_LIVE_LINES = 20
_SHOWN_PREDICTIONS = 5


def make_console(stream: IO[str], *, color: bool = True) -> Console:
    """Return a console for a stream: as wide as a terminal, and without wrapping where lines are
    read by programs.
    """
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


class Board:
    """What a run shows: the lines that an event adds for good, and the live area of running steps.

    Args:
        live: whether a live area shows running steps, so that their progress needs no lines of its
            own.
        width: characters in a line.
        wording: the last hand on messages, which makes their commands copyable.
    """

    def __init__(
        self,
        *,
        live: bool,
        width: int,
        wording: Callable[[str], str] = str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._live = live
        self._width = width
        self._wording = wording
        self._clock = clock
        self._running: dict[str, tuple[str, float, str]] = {}
        self._told: dict[str, set[str]] = {}

    def lines(self, event: events.Event) -> Iterator[Text]:
        """Take an event in, and yield the lines that it adds."""
        if isinstance(event, events.StepStarted):
            self._running[event.key] = (event.action, self._clock(), "")
            self._told[event.key] = set()
            if not self._live:
                yield Text(f"{event.key}: {_GERUNDS[event.action]}")
        elif isinstance(event, events.StepProgress):
            yield from self._progress(event)
        elif isinstance(event, events.StepFinished):
            self._running.pop(event.key, None)
            yield Text(
                f"{event.key}: {_PARTICIPLES[event.action]} ({event.seconds:.1f} s)", style="green"
            )
        elif isinstance(event, events.StepFailed):
            self._running.pop(event.key, None)
            yield Text(f"{event.key}: {self._wording(event.message)}", style="red")
        elif isinstance(event, events.StepSkipped):
            yield Text(
                f"{event.key}: not {_PARTICIPLES[event.action]}, because {event.because}",
                style="yellow",
            )
        elif isinstance(event, events.Note):
            yield Text(event.text if event.verbatim else self._wording(event.text), style="dim")
        else:
            yield from _describe(event, self._width)

    def _progress(self, event: events.StepProgress) -> Iterator[Text]:
        action, started, _ = self._running[event.key]
        self._running[event.key] = (action, started, event.text)
        whole = event.lasting or event.text.startswith("waiting")
        news = event.text if whole else event.text.partition(": ")[0]
        if event.lasting or (not self._live and news not in self._told[event.key]):
            yield Text(f"{event.key}: {news}", style="dim")
        self._told[event.key].add(news)

    def area(self) -> Group:
        """Draw the running steps, each with the seconds since it started."""
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


class Reporter:
    """Shows events on stderr. Use as a context manager around a run.

    One thread draws, and nothing else touches the console meanwhile: `emit` only puts the event
    into a queue. So any thread may emit, and a signal handler as well, for SimpleQueue.put takes no
    lock that the interrupted code could hold.
    """

    def __init__(self, console: Console, wording: Callable[[str], str] = str) -> None:
        self.console = console
        self._animated = console.is_terminal and not console.is_dumb_terminal
        self._board = Board(live=self._animated, width=console.width, wording=wording)
        self._events: SimpleQueue[events.Event | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._paused = True

    def __enter__(self) -> Reporter:
        self.resume()
        return self

    def __exit__(self, *exception: object) -> None:
        self.pause()

    def emit(self, event: events.Event) -> None:
        self._events.put(event)

    def resume(self) -> None:
        """Show events as they come."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
            self._thread.start()

    def pause(self, timeout_s: float | None = None) -> None:
        """Show everything emitted so far and clear the live area; what comes later is shown after
        `resume`.
        """
        if self._thread is not None:
            self._events.put(None)
            self._thread.join(timeout_s)
            self._thread = None

    def _run(self) -> None:
        self._paused = False
        try:
            if self._animated:
                self._animate()
            else:
                while not self._paused:
                    self._print(self._gather(None))
        except OSError:
            # The reader of stderr is gone or its disk is full. The run goes on unseen, and its exit
            # code tells how it ended.
            while not self._paused:
                self._gather(None)

    def _animate(self) -> None:
        live = Live(
            console=self.console,
            get_renderable=self._board.area,
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with live:
            while not self._paused:
                self._print(self._gather(_FRAME_S))
                live.refresh()

    def _gather(self, timeout_s: float | None) -> list[Text]:
        """Wait for an event, and return its lines with those of the events that are there already."""
        lines: list[Text] = []
        with suppress(Empty):
            for _ in range(_MOST_EVENTS_AT_ONCE):
                event = self._events.get(timeout=timeout_s)
                if event is None:
                    self._paused = True
                    break
                lines += self._board.lines(event)
                timeout_s = 0
        return lines

    def _print(self, lines: Iterable[Text]) -> None:
        together = list(lines)
        if together:
            self.console.print(*together, sep="\n", soft_wrap=not self.console.is_terminal)


def _describe(event: events.Event, width: int) -> Iterator[Text]:
    if isinstance(event, events.RunStarted):
        where = f" at {event.endpoint}" if event.endpoint else ""
        yield Text(
            f"{event.command} {event.service}, stage {event.stage}: account {event.account}, "
            f"{event.region}{where}",
            style="bold",
        )
    elif isinstance(event, events.PlanReady):
        yield from plan_lines(event.plan, width)
    elif isinstance(event, events.RunFinished):
        counts = ", ".join(f"{number} {fate}" for fate, number in event.counts.items() if number)
        yield Text(
            f"{event.command} took {event.seconds:.1f} s: {counts or 'nothing had to change'}",
            style="bold",
        )


def plan_lines(plan: Plan, width: int) -> Iterator[Text]:
    """Yield a plan line by line: what changes, each field that differs, and the sum. `width`:
    characters in a line.
    """
    for change in plan.effective:
        sign, style = _SIGNS[change.action]
        yield Text(f"{sign:>3} {change.action.value:7} {change.key}", style=style)
        if change.note:
            yield Text(f"        {change.note}")
        if change.action in (Action.UPDATE, Action.REPLACE):
            for field in change.fields:
                yield from _field_lines(field, width)
    yield Text(plan_summary(plan), style="bold")


def plan_summary(plan: Plan) -> str:
    if plan.is_empty:
        return f"Plan: no changes, resources checked: {len(plan.changes)}"
    actions = ", ".join(f"{plan.count(action)} to {action.value}" for action in _SIGNS)
    return f"Plan: {actions}, {plan.count(Action.NOOP)} unchanged"


def _field_lines(change: FieldChange, width: int) -> Iterator[Text]:
    forces = " (forces replacement)" if change.forces_replace else ""
    frame = f"        {change.path}: {{}} -> {{}}{forces}"
    room = min(max((width - len(frame) + 4) // 2, _SHORTEST_VALUE), _LONGEST_VALUE)
    before, after = _written(change.before), _written(change.after)
    if (
        isinstance(change.before, list)
        and isinstance(change.after, list)
        and max(len(before), len(after)) > room
    ):
        yield Text(
            f"        {change.path}: {len(change.before)} entries -> {len(change.after)} "
            f"entries{forces}"
        )
        yield from _entry_lines(change.before, change.after)
        return
    shown, other = _short(before, room), _short(after, room)
    if shown == other:  # they differ in what was left out
        shown, other = _around_difference(before, after, room)
    yield Text(f"        {change.path}: {shown} -> {other}{forces}")


def _entry_lines(before: Sequence[Any], after: Sequence[Any]) -> Iterator[Text]:
    """Yield the entries of a list that go and those that come, whole, in their order."""
    old, new = [[_written(entry) for entry in entries] for entries in (before, after)]
    for kind, start, end, new_start, new_end in SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        if kind != "equal":
            yield from (Text(f"          - {entry}") for entry in old[start:end])
            yield from (Text(f"          + {entry}") for entry in new[new_start:new_end])


def _written(value: Any) -> str:
    return (
        repr(value)
        if value is UNKNOWN
        else json.dumps(value, ensure_ascii=False, default=repr, sort_keys=True)
    )


def _short(text: str, room: int) -> str:
    """Return a text, or the beginning and the end of one that is longer than the room."""
    if len(text) <= room:
        return text
    half = (room - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def _around_difference(before: str, after: str, room: int) -> tuple[str, str]:
    """Return of two long texts the part in which they begin to differ."""
    first = len(commonprefix([before, after]))
    start = max(0, first - (room - 6) // 3)
    pieces = [text[start : start + room - 6] for text in (before, after)]
    ends = [start + len(piece) < len(text) for piece, text in zip(pieces, (before, after))]
    shown = [
        f"{'...' if start else ''}{piece}{'...' if end else ''}" for piece, end in zip(pieces, ends)
    ]
    return shown[0], shown[1]


def change_document(change: Change) -> dict[str, Any]:
    """Return a change as plain JSON values."""
    fields = [
        {"path": each.path, "before": each.before, "after": each.after} for each in change.fields
    ]
    noted = {"note": change.note} if change.note else {}
    return {"resource": change.key, "action": change.action.value, "fields": fields, **noted}


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


def print_results(
    console: Console, results: Sequence[Mapping[str, Any]], latencies_s: Sequence[float]
) -> None:
    """Print one row per model, and how long the request took."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("model")
    table.add_column("version")
    table.add_column("prediction", overflow="fold")
    for entry in results:
        if "error" in entry:
            table.add_row(
                Text(str(entry.get("model"))),
                Text(""),
                Text(f"failed: {entry['error']}", style="red"),
            )
        else:
            table.add_row(
                Text(str(entry.get("model"))),
                Text(str(entry.get("version"))),
                Text(_predictions(entry["predictions"])),
            )
    console.print(table)
    console.print(Text(f"\n{latency_line(latencies_s)}"))


def print_output(console: Console, output: Any, latencies_s: Sequence[float]) -> None:
    """Print what a workflow of another shape than the shipped one put out, and how long the request
    took.
    """
    console.print(Text(json.dumps(output, indent=2, ensure_ascii=False)), soft_wrap=True)
    console.print(Text(f"\n{latency_line(latencies_s)}"))


def _predictions(values: Sequence[Any]) -> str:
    shown = ", ".join(_prediction(value) for value in values[:_SHOWN_PREDICTIONS])
    more = len(values) - _SHOWN_PREDICTIONS
    return f"{shown}, ... ({len(values)} in all)" if more > 0 else shown


def _prediction(value: Any) -> str:
    """Write a number with six digits, and anything else as JSON: what a workflow makes of a
    prediction is its own matter.
    """
    return (
        f"{value:.6g}"
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        else json.dumps(value)
    )


def latency_line(latencies_s: Sequence[float]) -> str:
    """Say how long one request took, or how the times of several spread."""
    milliseconds = sorted(1000 * each for each in latencies_s)
    if len(milliseconds) == 1:
        return f"answered in {milliseconds[0]:.0f} ms"
    p95 = milliseconds[min(len(milliseconds) - 1, round(0.95 * (len(milliseconds) - 1)))]
    return (
        f"{len(milliseconds)} requests: first {1000 * latencies_s[0]:.0f} ms, "
        f"median {statistics.median(milliseconds):.0f} ms, 95 % {p95:.0f} ms, slowest "
        f"{milliseconds[-1]:.0f} ms"
    )


def stdout_console(*, color: bool) -> Console:
    return make_console(sys.stdout, color=color)


def stderr_console(*, color: bool) -> Console:
    return make_console(sys.stderr, color=color)
