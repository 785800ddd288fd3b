"""Edits of JSON text that leave every other character of a file as it is. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

Path = Sequence[str | int]
_SPACE = re.compile(r"[ \t\r\n\ufeff]*")
_FIRST_INDENT = re.compile(r"[\[{]\r?\n([ \t]+)")
_DECODER = json.JSONDecoder(strict=False)


def put(text: str, path: Path, value: Any) -> str:
    """Return the text with a member set, or with an item appended to a list.

    Args:
        path: member names and positions; a last position equal to the list's length appends.
    """
    *outer, last = path
    start, end = span(text, outer)
    children = list(_children(text, start))
    for name, _, first, after in children:
        if name == last:
            return text[:first] + _formatted(text, value, len(path)) + text[after:]
    label = f"{json.dumps(last, ensure_ascii=False)}: " if isinstance(last, str) else ""
    added = label + _formatted(text, value, len(path))
    lead = _lead(text, len(path))
    if children:
        place = children[-1][3]
        return f"{text[:place]},{lead or ' '}{added}{text[place:]}"
    return f"{text[: start + 1]}{lead}{added}{_lead(text, len(outer))}{text[end - 1 :]}"


def cut(text: str, path: Path) -> str:
    """Return the text without a member or an item, and without its comma."""
    *outer, last = path
    start, end = span(text, outer)
    children = list(_children(text, start))
    number = next(place for place, child in enumerate(children) if child[0] == last)
    if len(children) == 1:
        return text[: start + 1] + text[end - 1 :]
    if number:
        return text[: children[number - 1][3]] + text[children[number][3] :]
    return text[: children[0][1]] + text[children[1][1] :]


def span(text: str, path: Path) -> tuple[int, int]:
    """Return where the value at a path begins and ends.

    Raises:
        KeyError: there is none.
    """
    start = _skip(text, 0)
    end = _DECODER.raw_decode(text, start)[1]
    for step in path:
        for name, _, first, after in _children(text, start):
            if name == step:
                start, end = first, after
                break
        else:
            raise KeyError(step)
    return start, end


def _children(text: str, start: int) -> Iterator[tuple[str | int, int, int, int]]:
    """Yield (name or position, begin of the member, begin of its value, end) of each child."""
    opening = text[start]
    if opening not in "[{":
        return
    place, number = _skip(text, start + 1), 0
    while text[place] not in "]}":
        begin: int = place
        name: str | int = number
        if opening == "{":
            name, place = _DECODER.raw_decode(text, place)
            place = _skip(text, _skip(text, place) + 1)  # the colon
        first = place
        place = _DECODER.raw_decode(text, place)[1]
        yield name, begin, first, place
        place, number = _skip(text, place), number + 1
        if text[place] == ",":
            place = _skip(text, place + 1)


def _skip(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    assert match is not None
    return match.end()


def _indent(text: str) -> str:
    """Return the indentation of the first level; "" for a text of one line."""
    match = _FIRST_INDENT.search(text)
    return match[1] if match else ""


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _lead(text: str, depth: int) -> str:
    indent = _indent(text)
    return f"{_newline(text)}{indent * depth}" if indent else ""


def _formatted(text: str, value: Any, depth: int) -> str:
    indent = _indent(text)
    if not indent:
        return json.dumps(value, ensure_ascii=False)
    lines = json.dumps(value, indent=indent, ensure_ascii=False).split("\n")
    return f"{_newline(text)}{indent * depth}".join(lines)
