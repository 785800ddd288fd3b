"""Values of a plan as text: safe to print, and long ones shortened around their difference."""

from __future__ import annotations

import json
import unicodedata
from datetime import datetime
from os.path import commonprefix
from typing import Any

from deployer.engine.plan import UNKNOWN

_CUT = "..."
_LEAST_ROOM = 19
LONG = 200  # characters of a changed value that are shown; an ARN is shorter


def value_text(value: Any, *, ascii_only: bool = False) -> str:
    """Return a value as JSON in one line; a character that is not printable is escaped."""
    if value is UNKNOWN:
        return repr(value)
    text = json.dumps(value, ensure_ascii=ascii_only, default=repr, sort_keys=True)
    return printable(text)


def printable(text: str) -> str:
    """Escape the characters that a terminal would obey or not show."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return json.dumps(char)[1:-1] if ord(char) != 0x7F else "\\u007f"


def two_texts(before: Any, after: Any) -> tuple[str, str]:
    """Return two values as texts that differ for the eye, too, if they differ at all."""
    old, new = value_text(before), value_text(after)
    if old != new and _looks(old) == _looks(new):
        return value_text(before, ascii_only=True), value_text(after, ascii_only=True)
    return old, new


def _looks(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def excerpts(before: str, after: str, room: int) -> tuple[str, str]:
    """Return two texts, each of at most `room` characters, with the place where they first differ.

    Two texts that differ give two excerpts that differ.
    """
    room = max(room, _LEAST_ROOM)
    longest = max(len(before), len(after))
    if longest <= room:
        return before, after
    size = room - 2 * len(_CUT)
    first = len(commonprefix([before, after]))
    start = max(0, min(first - size // 3, longest - size))
    end = start + size

    def excerpt(text: str) -> str:
        head, tail = _CUT if start else "", _CUT if end < len(text) else ""
        return f"{head}{text[start:end]}{tail}"

    return excerpt(before), excerpt(after)


def beginning(text: str, room: int) -> str:
    """Return a text, or its beginning if it has more than `room` characters."""
    room = max(room, _LEAST_ROOM)
    return text if len(text) <= room else f"{text[: room - len(_CUT)]}{_CUT}"


def local_time(moment: datetime) -> str:
    """Return a time to the minute, where this machine is."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def duration_text(milliseconds: float | None) -> str:
    """Return a duration with two digits or more; "-" where there is none."""
    if milliseconds is None:
        return "-"
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:,.0f} ms"


def seconds_text(seconds: float) -> str:
    """Return how long something took: "0.4 s", "3 min 05 s"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"
