"""A run on a terminal: rows that are drawn anew while their steps run, and lines that stay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from rich.cells import cell_len
from rich.text import Text

from deployer.engine import events
from deployer.engine.plan import Plan
from deployer.report.folding import folded
from deployer.report.phases import Timeline, kind_of
from deployer.report.plan import plan_lines
from deployer.report.rows import NARROW, Look, Row, Step
from deployer.report.summary import Summary, title, unchanged
from deployer.report.values import printable

_WIDEST_NAME = 30
_SPARE = 2  # lines of the terminal that the live area leaves free


class Board:
    """Turns events into rows, and into lines that stay.

    Args:
        grouped: resources of one kind share a row.
        plain: only ASCII is known.
        wording: completes the commands that a message names, so that they work when copied.
    """

    def __init__(
        self,
        *,
        grouped: bool = True,
        plain: bool = False,
        wording: Callable[[str], str] = str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.width, self.height = 80, 24
        self.timeline = Timeline(clock)
        self._grouped = grouped
        self._plain = plain
        self._wording = wording
        self._clock = clock
        self._planned: dict[tuple[str, str], list[str]] = {}
        self._changed: set[str] = set()
        self._names = 0
        self._unchanged = 0
        self._rows: dict[tuple[str, str], Row] = {}

    def lines(self, event: events.Event) -> Iterator[Text]:
        """Record an event and yield the lines that it adds above the rows."""
        self.timeline.note(event)
        if isinstance(event, (events.StepProved, events.StepProgress)):
            self._progress(event)
        elif isinstance(event, events.StepStarted):
            self._row(event).steps[event.key] = Step(self._clock())
            self._changed.add(event.key)
        elif isinstance(event, events.StepFinished):
            self._end(event, "done")
        elif isinstance(event, events.StepFailed):
            self._end(event, "failed", self._wording(event.message))
        elif isinstance(event, events.StepSkipped):
            self._end(event, "skipped", event.because)
        else:
            yield from self._leave(lambda row: row.is_complete and self._rests())
            yield from self._lasting(event)

    def area(self) -> list[Text]:
        """Draw the rows, in as many lines as there is room for."""
        lines = [line for row in self._rows.values() for line in self._drawn(row)]
        room = max(1, self.height - _SPARE)
        hidden = len(lines) - room
        return [*lines[: room - 1], Text(f"and {hidden + 1} more")] if hidden > 0 else lines

    def overflow(self) -> Iterator[Text]:
        """Yield the lines of rows that are complete if there is no room for all rows."""
        size = sum(1 for row in self._rows.values() for _ in self._drawn(row))
        if size > self.height - _SPARE:
            yield from self._leave(lambda row: row.is_complete)

    def close(self) -> Iterator[Text]:
        """Yield the lines of all rows; what runs still is not waited for."""
        for row in self._rows.values():
            for step in row.steps.values():
                if step.fate == "running":
                    step.fate, step.text, row.ended = "left", "", self._clock()
            row.keys = list(row.steps)
        yield from self._leave(lambda row: True)

    def _progress(self, event: events.StepProved | events.StepProgress) -> None:
        row = self._row(event)
        step = row.steps[event.key]
        text = event.text if isinstance(event, events.StepProgress) else ""
        if isinstance(event, events.StepProgress) and event.lasting:
            row.remarks.setdefault(text, []).append(event.key)
        elif text != step.text:
            step.text, step.since = text, self._clock()

    def _end(
        self,
        event: events.StepFinished | events.StepFailed | events.StepSkipped,
        fate: str,
        message: str = "",
    ) -> None:
        row = self._row(event)
        step = row.steps.setdefault(event.key, Step(self._clock()))
        step.fate, step.message, step.text = fate, message, ""
        row.ended = self._clock()

    def _row(self, event: events.StepEvent) -> Row:
        """Return the row of a step, which has one from its first event on."""
        for row in self._rows.values():
            if event.key in row.steps:
                return row
        action = getattr(event, "action", "update")
        group = self._group(event.key, action)
        keys = self._planned.get(group, [])
        if event.key not in keys:
            group, keys = (event.key, action), [event.key]
        return self._rows.setdefault(group, Row(action, keys))

    def _group(self, key: str, action: str) -> tuple[str, str]:
        return (kind_of(key) if self._grouped else key, action)

    def _rests(self) -> bool:
        """Tell whether no step runs."""
        steps = [step for row in self._rows.values() for step in row.steps.values()]
        return all(step.fate != "running" for step in steps)

    def _leave(self, which: Callable[[Row], bool]) -> Iterator[Text]:
        """Take rows away, and yield their lines: these stay."""
        for group, row in list(self._rows.items()):
            if which(row):
                del self._rows[group]
                yield from self._drawn(row)

    def _drawn(self, row: Row) -> Iterator[Text]:
        names = max(self._names, min(cell_len(row.name), _WIDEST_NAME))
        return row.lines(Look(self.width, names, self._plain), self._clock())

    def _lasting(self, event: events.Event) -> Iterator[Text]:
        if isinstance(event, events.Note):
            yield from self._note(event)
        elif isinstance(event, events.Suggestion):
            yield from self._suggestion(event)
        elif isinstance(event, events.RunStarted):
            yield from folded(title(event), 2, self.width, "bold")
        elif isinstance(event, events.PlanReady):
            self._expect(event.plan)
            yield from plan_lines(event.plan, self.width)
            if self._planned:
                yield Text()
        elif isinstance(event, events.RunFinished):
            yield from self._finish(event)

    def _note(self, event: events.Note) -> Iterator[Text]:
        """Yield a message; one that names a command is not folded, so that it can be copied."""
        text = event.text if event.verbatim else self._wording(event.text)
        for line in text.splitlines() or [""]:
            if event.verbatim or text != event.text:
                yield Text(line if event.verbatim else printable(line), style="dim")
            else:
                yield from folded(printable(line), 2, self.width, "dim")

    def _suggestion(self, event: events.Suggestion) -> Iterator[Text]:
        """Yield a command in one line if there is room, else continued after each word."""
        words = [self._wording(word) for word in event.words]
        line = f"{event.label}: {' '.join(words)}"
        if cell_len(line) <= self.width or len(words) == 1:
            yield Text(line)
            return
        yield Text(f"{event.label}:")
        for number, word in enumerate(words, 1):
            indent = "  " if number == 1 else "    "
            yield Text(f"{indent}{word}{'' if number == len(words) else f' {chr(92)}'}")

    def _expect(self, plan: Plan) -> None:
        """Group the changes that a plan makes."""
        self._planned.clear()
        for change in plan.effective:
            group = self._group(change.key, change.action.value)
            self._planned.setdefault(group, []).append(change.key)
        names = [Row(action, keys).name for (_, action), keys in self._planned.items()]
        self._names = min(max(map(cell_len, names), default=0), _WIDEST_NAME)
        self._unchanged = unchanged(plan)

    def _finish(self, event: events.RunFinished) -> Iterator[Text]:
        """Yield all rows, also of resources that turned out to be as they should, and the end."""
        for group, keys in self._planned.items():
            same = [key for key in keys if key not in self._changed]
            if same:
                row = self._rows.setdefault(group, Row(group[1], same))
                row.steps.update((key, Step(self._clock(), "unchanged")) for key in same)
                self._unchanged += len(same)
        yield from self._leave(lambda row: True)
        summary = Summary(event, self.timeline, self._unchanged)
        wide = self.width >= NARROW
        yield from summary.lines(self.width, bars=wide, plain=self._plain)
