"""A command in a pseudo terminal: read its drawing, type into it, wait for its end."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path

import pyte


class Terminal:
    """A program in a terminal of `columns` columns. Everything it draws is kept in `drawn`."""

    def __init__(
        self, folder: Path, *command: str, columns: int = 120, environment: Mapping[str, str] = {}
    ) -> None:
        self.drawn = ""
        self._columns = columns
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._screen, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        variables = {**os.environ, "TERM": "xterm-256color", **environment}
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=variables,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(
                0, termios.TIOCSCTTY, 0
            ),  # the terminal is its own, so Ctrl-C reaches it
        )
        os.close(inner)

    @property
    def text(self) -> str:
        """The whole text that a person sees after scrolling back to the beginning."""
        screen = pyte.HistoryScreen(self._columns, 40, history=100_000)
        pyte.Stream(screen).feed(self.drawn)
        above = [
            "".join(line[column].data for column in range(self._columns))
            for line in screen.history.top
        ]
        return "\n".join(line.rstrip() for line in [*above, *screen.display])

    def type(self, keys: str) -> None:
        os.write(self._screen, keys.encode())

    def until(self, text: str, timeout_s: float = 60) -> None:
        """Read until a text was drawn."""
        end = time.monotonic() + timeout_s
        while text not in self.drawn and text not in self.text:
            if not self._read(end):
                raise AssertionError(f"{text!r} was not drawn:\n{self.text}")

    def end(self, timeout_s: float = 60) -> int:
        """Read until the program ends, and return its exit code; fail when it hangs."""
        end = time.monotonic() + timeout_s
        while self._read(end):
            pass
        try:
            code = self.process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"it hangs:\n{self.text}") from None
        os.close(self._screen)
        return code

    def _read(self, end: float) -> bool:
        ready, _, _ = select.select([self._screen], [], [], max(0, end - time.monotonic()))
        if not ready:
            return False
        try:
            content = os.read(self._screen, 65536)
        except OSError:  # the other end is closed
            return False
        self.drawn += self._decoder.decode(content)  # a read may end within a character
        return bool(content)


def deployer(
    folder: Path, *arguments: str, columns: int = 120, environment: Mapping[str, str] = {}
) -> Terminal:
    command = (sys.executable, "-m", "deployer", *arguments)
    return Terminal(folder, *command, columns=columns, environment=environment)
