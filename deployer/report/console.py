"""Consoles for stdout and stderr, and the two forms of an answer without a layout: JSON, an error."""

from __future__ import annotations

import json
import sys
from typing import IO, Any

from rich.console import Console
from rich.text import Text


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


def stdout_console(*, color: bool) -> Console:
    return make_console(sys.stdout, color=color)


def stderr_console(*, color: bool) -> Console:
    return make_console(sys.stderr, color=color)


def print_error(console: Console, message: str, advice: str) -> None:
    console.print(Text(f"error: {message}", style="red"), soft_wrap=True)
    if advice:
        console.print(Text(advice), soft_wrap=True)


def print_json(stream: IO[str], document: Any) -> None:
    """Print one JSON document; what is not known yet is written as "(known after apply)"."""
    stream.write(json.dumps(document, indent=2, default=repr) + "\n")
    stream.flush()
