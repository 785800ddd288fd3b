"""The live view of a run: its events as text on stderr.

On a terminal, the resources of a kind share a row, which is drawn anew while they change.
Elsewhere each event is a line. Colour adds nothing that the words do not say.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from deployer.engine import events
from deployer.report.board import Board
from deployer.report.lines import Lines

_MOST_EVENTS_AT_ONCE = 200
_FRAME_S = 0.1  # how often the rows are drawn at most while nothing happens
_QUIET_S = 5.0  # how often it is looked for steps that say nothing


class Reporter:
    """Shows the events of a run on stderr. Use it as a context manager around the run.

    Only the reporter's own thread writes to the console; `emit` puts the event into a queue. Any
    thread may emit, and signal handlers too: SimpleQueue.put takes no lock that the interrupted
    code could hold.

    Args:
        wording: completes the commands that a message names, so that they work when copied.
        timed: where events are lines, these begin with the time of day.
        grouped: where they are rows, the resources of a kind share one.
    """

    def __init__(
        self,
        console: Console,
        wording: Callable[[str], str] = str,
        *,
        timed: bool = False,
        grouped: bool = True,
    ) -> None:
        self.console = console
        self._view: Board | Lines
        if console.is_terminal and not console.is_dumb_terminal:
            plain = not console.encoding.lower().startswith("utf")
            self._view = Board(grouped=grouped, plain=plain, wording=wording)
        else:
            self._view = Lines(width=console.width, timed=timed, wording=wording)
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
            self._view.timeline.go_on()
            self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
            self._thread.start()

    def pause(self, timeout_s: float | None = None) -> None:
        """Show the queued events, let the rows stay, and keep later events until `resume`."""
        if self._thread is not None:
            self._events.put(None)
            self._thread.join(timeout_s)
            self._thread = None
            self._view.timeline.hold()

    def _run(self) -> None:
        self._paused = False
        try:
            if isinstance(self._view, Board):
                self._animate(self._view)
            else:
                self._list(self._view)
        except OSError:
            # The reader of stderr is gone, or its disk is full. The run continues without output;
            # its exit code still says how it ended.
            while not self._paused:
                self._gather(None)

    def _animate(self, board: Board) -> None:
        with Area(self.console) as area:
            while not self._paused:
                board.width, board.height = self.console.size
                lines = [*self._gather(_FRAME_S), *board.overflow()]
                area.draw(lines, board.area())
            area.draw(list(board.close()), [])

    def _list(self, view: Lines) -> None:
        while not self._paused:
            for line in [*self._gather(_QUIET_S), *view.still()]:
                self.console.print(line, soft_wrap=True)

    def _gather(self, timeout_s: float | None) -> list[Text]:
        """Wait for an event; return its lines and those of all events already queued."""
        lines: list[Text] = []
        with suppress(Empty):
            for _ in range(_MOST_EVENTS_AT_ONCE):
                event = self._events.get(timeout=timeout_s)
                if event is None:
                    self._paused = True
                    break
                lines += self._view.lines(event)
                timeout_s = 0
        return lines


class Area:
    """The last lines of a terminal, which are drawn anew; the cursor is hidden meanwhile.

    When the terminal becomes narrower, some terminals fold what stands there and others cut it. The
    lines are counted as they were drawn: parts of folded ones may stay, but nothing above is lost.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn: list[Text] = []

    def __enter__(self) -> Area:
        self._console.show_cursor(False)
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError):
            self._console.show_cursor(True)

    def draw(self, above: Sequence[Text], lines: list[Text]) -> None:
        """Print lines that stay, and below them the area; nothing if nothing has changed."""
        if not above and lines == self._drawn:
            return
        with self._console:  # one write
            self._erase()
            for line in [*above, *lines]:
                self._console.print(line, soft_wrap=True)
        self._drawn = lines

    def _erase(self) -> None:
        upwards = (ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)
        self._console.control(Control(ControlType.CARRIAGE_RETURN, *(upwards * len(self._drawn))))
