"""Two documents side by side, as the lines of a unified diff.

JSON is aligned by its structure (engine/differences.py), so that an element which comes or goes
never pulls its neighbours along. A text of several lines is aligned line by line.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployer.engine.differences import ABSENT, equal, moved, pairs
from deployer.report.values import LONG, beginning, excerpts, printable, two_texts, value_text

CONTEXT = 3
_ONE_LINE = 60  # characters of a list that is shown in one line
_SAME, _OLD, _NEW = " ", "-", "+"


@dataclass(frozen=True)
class Line:
    """A line of a diff. `place`: the path of the object or list that it is a part of."""

    sign: str
    depth: int
    text: str
    place: str = ""


def structure(before: Any, after: Any) -> list[Line]:
    """Return both documents in one, line by line."""
    return list(_walk("", before, after, 0, "", ""))


def _walk(
    label: str, before: Any, after: Any, depth: int, place: str, inner: str
) -> Iterator[Line]:
    """Yield the lines of a value; `inner` is its own path, `place` that of what it is a part of."""
    if _both(before, after, Mapping) and (before or after):
        yield Line(_SAME, depth, f"{label}{{", place)
        yield from _members(before, after, depth + 1, inner)
        yield Line(_SAME, depth, "}", place)
    elif _both(before, after, list) and not _short(before, after):
        yield Line(_SAME, depth, f"{label}[", place)
        yield from _elements(before, after, depth + 1, inner)
        yield Line(_SAME, depth, "]", place)
    elif before is not ABSENT and after is not ABSENT and equal(before, after):
        yield from _whole(_SAME, label, after, depth, place)
    elif _is_simple(before) and _is_simple(after):
        old, new = two_texts(before, after)
        yield Line(_OLD, depth, f"{label}{old}", place)
        yield Line(_NEW, depth, f"{label}{new}", place)
    else:
        yield from _whole(_OLD, label, before, depth, place)
        yield from _whole(_NEW, label, after, depth, place)


def _members(before: Any, after: Any, depth: int, place: str) -> Iterator[Line]:
    for name in sorted(before.keys() | after.keys()):
        old, new = (_present(members.get(name)) for members in (before, after))
        inner = f"{place}.{name}" if place else str(name)
        yield from _walk(f"{value_text(str(name))}: ", old, new, depth, place, inner)


def _elements(before: Any, after: Any, depth: int, place: str) -> Iterator[Line]:
    aligned = list(pairs(before, after))
    order = moved(before, after)
    if order and (order.significant or all(equal(pair.before, pair.after) for pair in aligned)):
        yield Line(_OLD, depth, f"in the order {value_text(order.before)}", place)
        yield Line(_NEW, depth, f"in the order {value_text(order.after)}", place)
    for pair in aligned:
        inner = f"{place}[{pair.label}]"
        yield from _walk("", pair.before, pair.after, depth, place, inner)


def _whole(sign: str, label: str, value: Any, depth: int, place: str) -> Iterator[Line]:
    """Yield all lines of a value that is only in one document, or the same in both."""
    if value is ABSENT:
        return
    if _is_simple(value) or _short(value, value):
        yield Line(sign, depth, f"{label}{value_text(value)}", place)
        return
    is_object = isinstance(value, Mapping)
    yield Line(sign, depth, f"{label}{'{' if is_object else '['}", place)
    members = (
        [(f"{value_text(str(name))}: ", value[name]) for name in sorted(value)]
        if is_object
        else [("", element) for element in value]
    )
    for inner_label, member in members:
        if member is not None or not is_object:
            yield from _whole(sign, inner_label, member, depth + 1, place)
    yield Line(sign, depth, "}" if is_object else "]", place)


def _both(before: Any, after: Any, kind: type) -> bool:
    return isinstance(before, kind) and isinstance(after, kind)


def _present(value: Any) -> Any:
    return ABSENT if value is None else value


def _is_simple(value: Any) -> bool:
    return value is not ABSENT and not isinstance(value, (Mapping, list)) or value in ({}, [])


def _short(before: Any, after: Any) -> bool:
    """Tell whether a list that is the same in both is shown in one line."""
    return (
        isinstance(after, list)
        and all(map(_is_simple, after))
        and equal(before, after)
        and len(value_text(after)) <= _ONE_LINE
    )


def text_lines(before: str, after: str) -> list[Line]:
    """Return two texts of several lines in one."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    lines: list[Line] = []
    for kind, start, end, new_start, new_end in difflib.SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        if kind == "equal":
            lines += (Line(_SAME, 0, _shown(text)) for text in old[start:end])
        else:
            lines += (Line(_OLD, 0, _shown(text)) for text in old[start:end])
            lines += (Line(_NEW, 0, _shown(text)) for text in new[new_start:new_end])
    return lines


def _shown(line: str) -> str:
    """Return a line without its end, unless that is not the usual one."""
    return printable(line.removesuffix("\n")) + ("" if line.endswith("\n") else " (no line end)")


def parsed(text: Any) -> Any:
    """Return the object or list in a JSON text; None for any other value."""
    if not isinstance(text, str) or not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def hunks(lines: Sequence[Line], context: int = CONTEXT) -> Iterator[list[Line]]:
    """Yield the changed lines with their context; hunks that touch are one."""
    hunk: list[Line] = []
    last = -1  # the last line that is part of a hunk
    changed = [number for number, line in enumerate(lines) if line.sign != _SAME]
    for number in changed:
        start = max(number - context, last + 1)
        if hunk and start > last + 1:
            yield hunk
            hunk = []
        end = min(number + context, len(lines) - 1)
        hunk += lines[start : end + 1] if end > last else []
        last = max(last, end)
    if hunk:
        yield hunk


def shortened(lines: Sequence[Line]) -> list[Line]:
    """Shorten the long lines of a hunk: a changed pair around its difference, others at the end.

    A line that only one document has stays whole, so that no two of them become the same.
    """
    result = list(lines)
    for number, line in enumerate(lines):
        if line.sign == _SAME:
            result[number] = _with(line, beginning(line.text, LONG))
        elif line.sign == _NEW and _is_pair(lines, number):
            old, new = excerpts(lines[number - 1].text, line.text, LONG)
            result[number - 1] = _with(lines[number - 1], old)
            result[number] = _with(line, new)
    return result


def _is_pair(lines: Sequence[Line], number: int) -> bool:
    """Tell whether a line replaces the single one above it."""
    signs = [
        lines[place].sign if 0 <= place < len(lines) else _SAME
        for place in range(number - 2, number + 2)
    ]
    return signs[1] == _OLD and signs[0] != _OLD and signs[3] != _NEW


def _with(line: Line, text: str) -> Line:
    return Line(line.sign, line.depth, text, line.place)
