"""The live view of a run: its events as text on stderr.

On a terminal, running steps stay in a live area and finished ones scroll up. Elsewhere a step is
one line when it starts and one when it ends. Colour adds nothing that the words do not say.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
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
    """Turns events into lines that stay, and draws the live area of running steps.

    Args:
        live: whether there is a live area; without one, progress is printed as lines.
        width: characters in a line.
        wording: completes the commands that a message names, so that they work when copied.
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
        self._printed: dict[str, set[str]] = {}

    def lines(self, event: events.Event) -> Iterator[Text]:
        """Record an event and yield the lines that it adds."""
        if isinstance(event, events.StepStarted):
            self._running[event.key] = (event.action, self._clock(), "")
            self._printed[event.key] = set()
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
        # Without a live area, a count that changes often is left out of the line.
        whole = event.lasting or event.text.startswith("waiting")
        text = event.text if whole else event.text.partition(": ")[0]
        if event.lasting or (not self._live and text not in self._printed[event.key]):
            yield Text(f"{event.key}: {text}", style="dim")
        self._printed[event.key].add(text)

    def area(self) -> Group:
        """Draw the running steps and the seconds since they started."""
        now = self._clock()
        lines = [
            Text(
                f"{key}: {_GERUNDS[action]} {now - started:.0f} s{f', {text}' if text else ''}",
                overflow="ellipsis",
                no_wrap=True,
            )
            for key, (action, started, text) in self._running.items()
        ]
        hidden = len(lines) - _MOST_LIVE_LINES
        if hidden > 0:
            lines[_MOST_LIVE_LINES:] = [Text(f"and {hidden} more")]
        return Group(*lines)


class Reporter:
    """Shows the events of a run on stderr. Use it as a context manager around the run.

    Only the reporter's own thread writes to the console; `emit` puts the event into a queue. Any
    thread may emit, and signal handlers too: SimpleQueue.put takes no lock that the interrupted
    code could hold.
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
        """Queue an event to be shown. Safe in signal handlers."""
        self._events.put(event)

    def resume(self) -> None:
        """Start showing events."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
            self._thread.start()

    def pause(self, timeout_s: float | None = None) -> None:
        """Show the queued events, clear the live area, and keep later events until `resume`."""
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
            # The reader of stderr is gone, or its disk is full. The run continues without output;
            # its exit code still says how it ended.
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
        """Wait for an event; return its lines and those of all events already queued."""
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

    def _print(self, lines: Sequence[Text]) -> None:
        if lines:
            self.console.print(*lines, sep="\n", soft_wrap=not self.console.is_terminal)


def _describe(event: events.Event, width: int) -> Iterator[Text]:
    if isinstance(event, events.RunStarted):
        endpoint = f" at {event.endpoint}" if event.endpoint else ""
        yield Text(
            f"{event.command} {event.service}, stage {event.stage}: account {event.account}, "
            f"{event.region}{endpoint}",
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
