"""The live view of a run: what its events look like on stderr.

On a terminal, running steps stay in a live area and finished ones scroll up; elsewhere each step is
one line when it starts and one when it ends. Colour only repeats what words say.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from deployer.engine import events
from deployer.report.plan import plan_lines

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
_MOST_LIVE_LINES = 20


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
