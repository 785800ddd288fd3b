"""Consoles for stdout and stderr; printing errors and JSON documents."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console
from rich.text import Text
from rich.theme import Theme

from deployer.report.folding import folded

# Numbers of the 256 colours: the names' own colours are chosen by the terminal, and many a yellow
# cannot be read on white, many a blue not on black. These have contrast enough on both.
COLORS = {
    "green": 28,
    "red": 196,
    "yellow": 130,
    "magenta": 164,
    "blue": 63,
    "cyan": 30,
    "bright_green": 64,
    "bright_cyan": 132,
    "dim": 243,
}
# A line with a command is left whole, so that it can be copied.
_COMMAND = re.compile(
    r"(?:^|[ (:`])(?:\S*python\S* -m|\S*pip|git|docker|aws|curl|gh|eval|export|cd|printf) "
)
_THEME = Theme(
    {
        f"{bold}{name}": f"{bold}color({number})"
        for name, number in COLORS.items()
        for bold in ("", "bold ")
    }
)


def make_console(stream: IO[str], *, color: bool = True) -> Console:
    """Make a console for a stream. Only a terminal wraps lines; other streams keep them whole."""
    terminal = stream.isatty()
    # FORCE_COLOR would make rich animate a stream that is no terminal.
    return Console(
        file=stream,
        force_terminal=terminal,
        no_color=not color or None,
        width=None if terminal else 10_000,
        highlight=False,
        markup=False,
        emoji=False,
        theme=_THEME,
        color_system="auto" if color and terminal else None,
    )


def stdout_console(*, color: bool) -> Console:
    return make_console(sys.stdout, color=color)


def stderr_console(*, color: bool) -> Console:
    return make_console(sys.stderr, color=color)


def print_error(console: Console, message: str, advice: str) -> None:
    """Print an error and, on a line of its own, the advice if there is any."""
    print_text(console, f"error: {message}", "red")
    if advice:
        print_text(console, advice)


def print_text(console: Console, text: str, style: str = "") -> None:
    """Print lines; a terminal gets them folded at words, but for commands, which are copied."""
    for line in text.splitlines():
        whole = not console.is_terminal or _COMMAND.search(line)
        parts = [Text(line, style=style)] if whole else folded(line, 2, console.width, style)
        for part in parts:
            console.print(part, soft_wrap=True)


def print_lines(console: Console, lines: Iterable[str]) -> None:
    """Print lines as `print_text` does."""
    for line in lines:
        print_text(console, line)


def print_json(stream: IO[str], document: Any) -> None:
    """Print one JSON document. Values that AWS has yet to choose read "(known after apply)"."""
    stream.write(json.dumps(document, indent=2, default=repr) + "\n")
    stream.flush()
