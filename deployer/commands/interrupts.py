"""Ctrl-C and SIGTERM: end at once while a command reads, finish running steps while it writes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from deployer.engine.events import Note

if TYPE_CHECKING:
    from deployer.report.live import Reporter

EXIT_CODE = 130  # as of a program that SIGINT ended
SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LAST_WORDS_S = 0.5


@contextmanager
def raising() -> Iterator[None]:
    """Let signals raise KeyboardInterrupt, in a command without a session: it leaves no rest."""

    def handle(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Flag:
    """Like threading.Event, but safe in a signal handler: it takes no lock that the interrupted
    code could hold.
    """

    def __init__(self) -> None:
        self._raised = False
        self._wake: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        self._raised = True
        self._wake.put(None)

    def is_set(self) -> bool:
        return self._raised

    def wait(self, timeout_s: float) -> None:
        """Wait until the flag is set, at most `timeout_s`."""
        if not self._raised:
            with suppress(Empty):
                self._wake.get(timeout=timeout_s)
                self._wake.put(None)  # for the next thread that waits


class Interrupts:
    """The handling of Ctrl-C and SIGTERM in a command.

    A signal sets `stopped` and raises KeyboardInterrupt in the main thread. Inside `finishing`, the
    first signal only sets `stopped`: running steps finish and no new one begins. The second ends
    the process.
    """

    def __init__(self, reporter: Reporter) -> None:
        self.stopped = Flag()
        self._reporter = reporter
        self._finishing = False

    @contextmanager
    def installed(self) -> Iterator[Interrupts]:
        """Install the signal handlers; without effect outside of the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Let the first signal finish the running steps: the account is being written."""
        self._finishing = True
        try:
            yield
        finally:
            self._finishing = False

    def _handle(self, number: int, frame: object) -> None:
        if not self._finishing:
            # Python drops an exception that is raised in a weakref callback or a destructor, as
            # there are many during imports. The flag is seen by the next question, wait or step.
            self.stopped.set()
            raise KeyboardInterrupt
        if self.stopped.is_set():
            self._reporter.pause(_LAST_WORDS_S)  # the cursor shows again
            os._exit(EXIT_CODE)
        self.stopped.set()
        self._reporter.emit(
            Note("interrupted: running steps finish, no new ones start; Ctrl-C again exits at once")
        )
