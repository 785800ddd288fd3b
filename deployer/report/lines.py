"""A run in a pipe, a file or a terminal that cannot be redrawn: one line for each event."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime

from rich.text import Text

from deployer.engine import events
from deployer.report.phases import Timeline
from deployer.report.plan import plan_lines
from deployer.report.rows import GERUNDS, PARTICIPLES
from deployer.report.summary import Summary, title, unchanged
from deployer.report.values import printable, seconds_text

STILL_S = 30.0  # a step that says nothing for so long is mentioned again


class Lines:
    """Turns events into lines.

    Args:
        width: columns; a plan is folded there.
        timed: lines begin with the time of day.
        wording: completes the commands that a message names, so that they work when copied.
    """

    def __init__(
        self,
        *,
        width: int,
        timed: bool = False,
        wording: Callable[[str], str] = str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self.timeline = Timeline(clock)
        self._width = width
        self._timed = timed
        self._wording = wording
        self._clock = clock
        self._now = now
        self._running: dict[str, tuple[str, float, str]] = {}  # action, begin, what it waits for
        self._said: dict[str, float] = {}  # when a step's last line was
        self._printed: dict[str, set[str]] = {}
        self._unchanged = 0

    def lines(self, event: events.Event) -> Iterator[Text]:
        """Record an event and yield its lines, mostly one."""
        self.timeline.note(event)
        if isinstance(event, events.PlanReady):
            self._unchanged = unchanged(event.plan)
            yield from plan_lines(event.plan, self._width)
        elif isinstance(event, events.Note) and event.verbatim:
            yield Text(event.text, style="dim")
        elif isinstance(event, events.Suggestion):
            yield Text(f"{event.label}: {' '.join(map(self._wording, event.words))}")
        else:
            for text, style in self._texts(event):
                yield self._line(text, style)

    def still(self) -> Iterator[Text]:
        """Yield a line for each step that has said nothing for long."""
        now = self._clock()
        for key, (action, begun, text) in self._running.items():
            if now - self._said[key] >= STILL_S:
                self._said[key] = now
                reason = f", {text}" if text else ""
                yield self._line(f"{key}: still {GERUNDS[action]} ({now - begun:.0f} s){reason}")

    def _line(self, text: str, style: str = "") -> Text:
        stamp = f"{self._now():%H:%M:%S} " if self._timed else ""
        shown = "; ".join(printable(line.strip()) for line in text.splitlines())
        return Text(f"{stamp}{shown}", style=style)

    def _texts(self, event: events.Event) -> Iterator[tuple[str, str]]:
        if isinstance(event, events.RunStarted):
            yield title(event), "bold"
        elif isinstance(event, events.Note):
            for line in self._wording(event.text).splitlines():
                yield line, "dim"
        elif isinstance(event, events.RunFinished):
            summary = Summary(event, self.timeline, self._unchanged)
            yield from ((text, "bold") for text in summary.text())
        else:
            yield from self._step(event)

    def _step(self, event: events.Event) -> Iterator[tuple[str, str]]:
        if isinstance(event, events.StepStarted):
            self._running[event.key] = (event.action, self._clock(), "")
            self._said[event.key] = self._clock()
            self._printed[event.key] = set()
            yield f"{event.key}: {GERUNDS[event.action]}", ""
        elif isinstance(event, events.StepProgress):
            yield from self._progress(event)
        elif isinstance(event, events.StepFinished):
            self._running.pop(event.key, None)
            took = seconds_text(event.seconds)
            yield f"{event.key}: {PARTICIPLES[event.action]} ({took})", "green"
        elif isinstance(event, events.StepFailed):
            self._running.pop(event.key, None)
            yield f"{event.key}: {self._wording(event.message)}", "red"
        elif isinstance(event, events.StepSkipped):
            reason = f"because {event.because}"
            yield f"{event.key}: not {PARTICIPLES[event.action]}, {reason}", "yellow"

    def _progress(self, event: events.StepProgress) -> Iterator[tuple[str, str]]:
        """Yield what a step does now; a count that changes often is left out."""
        action, begun, _ = self._running[event.key]
        self._running[event.key] = (action, begun, event.text)
        whole = event.lasting or event.text.startswith("waiting")
        text = event.text if whole else event.text.partition(": ")[0]
        if event.lasting or text not in self._printed[event.key]:
            self._printed[event.key].add(text)
            self._said[event.key] = self._clock()
            yield f"{event.key}: {text}", "dim"
