"""Programs that a command runs and waits for: none outlives it, and Ctrl-C reaches it alone."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

Start = Callable[..., "subprocess.Popen[str]"]
_start: Start = subprocess.Popen


@contextmanager
def started_by(start: Start) -> Iterator[None]:
    """Let another function than Popen, with its arguments, start programs: tests have a faster."""
    global _start
    before, _start = _start, start
    try:
        yield
    finally:
        _start = before


@contextmanager
def child(
    command: Sequence[str], folder: Path, environment: dict[str, str], **streams: Any
) -> Iterator[subprocess.Popen[str]]:
    """Start a program in a session of its own; at the end, it and what it started have ended.

    Args:
        streams: stdout and stderr, as subprocess takes them. There is no stdin.
    """
    process = _start(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
        **streams,
    )
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
