"""Plans as text for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from deployer.engine.differences import ABSENT, FieldChange
from deployer.engine.plan import Action, Change, Plan
from deployer.engine.withheld import without_secret_values
from deployer.report import documents
from deployer.report.folding import folded
from deployer.report.values import LONG, excerpts, printable, two_texts, value_text

SIGNS = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.REPLACE: ("-/+", "magenta"),
    Action.DELETE: ("-", "red"),
}
_LINE_STYLES = {"+": "green", "-": "red", "!": "bold yellow"}
_WIDEST = 120  # columns that the layout uses; the lines of a pipe are longer only for long values
_INDENT = 8
_DEEP = 3  # levels of objects and lists from which on a field is a document
_ELEMENT = re.compile(r"(.*)\[([^]]*)\]")


@dataclass(frozen=True)
class Layout:
    """How a plan is laid out.

    Args:
        width: characters in a line.
        full: long values and documents are shown whole, and the fields of new resources, too.
        stacked: the two values of a change are always lines of their own.
    """

    width: int
    full: bool = False
    stacked: bool = False

    @property
    def columns(self) -> int:
        return min(self.width, _WIDEST)


def print_plan(console: Console, plan: Plan, *, full: bool = False) -> None:
    for line in plan_lines(plan, console.width, full=full):
        console.print(line, soft_wrap=True)  # the lines are folded already


def plan_lines(plan: Plan, width: int, *, full: bool = False) -> Iterator[Text]:
    """Yield the changes of a plan, their differing fields, new access for others, and a summary.

    Args:
        width: characters in a line; longer lines are folded below their beginning.
        full: see Layout.
    """
    layout = Layout(width, full)
    for change in map(without_secret_values, plan.effective):
        sign, style = SIGNS[change.action]
        yield from folded(f"{sign:>3} {change.action.value:7} {change.key}", 12, width, style)
        if change.note:
            yield from folded(f"{' ' * _INDENT}{change.note}", _INDENT, width)
        for line in change_lines(change, layout):
            yield from folded(line, _indent_of(line), width, _LINE_STYLES.get(line.strip()[:1], ""))
    for line in widening_lines(plan):
        yield from folded(line, 4, width, "bold yellow")
    yield from folded(plan_summary(plan), 2, width, "bold")


def change_lines(change: Change, layout: Layout) -> Iterator[str]:
    """Yield the lines of the fields of a change; none for a deletion, or for what is created."""
    shows = change.action in (Action.UPDATE, Action.REPLACE)
    if shows or (layout.full and change.action is Action.CREATE):
        for name, places in groupby(change.fields, key=lambda field: field.name):
            yield from _field_lines(change, name, list(places), layout)


def widening_lines(plan: Plan) -> Iterator[str]:
    """Yield a block with the new access that a plan gives to others; nothing if there is none."""
    lines = [
        f"  ! {change.key}: {printable(sentence)}"
        for change in plan.effective
        for sentence in change.widens
    ]
    if lines:
        yield "Gives more access:"
        yield from lines


def plan_summary(plan: Plan) -> str:
    """Count the changes by action."""
    if plan.is_empty:
        return f"Plan: no changes, resources checked: {len(plan.changes)}"
    actions = ", ".join(f"{plan.count(action)} to {action.value}" for action in SIGNS)
    return f"Plan: {actions}, {plan.count(Action.NOOP)} unchanged"


def _field_lines(
    change: Change, name: str, places: list[FieldChange], layout: Layout
) -> Iterator[str]:
    """Yield the lines of one top-level field: those of its places, or a diff of the document."""
    before, after = ((fields or {}).get(name) for fields in (change.before, change.after))
    is_document = max(_depth(before), _depth(after)) >= _DEEP
    if is_document and any(map(_is_partial, places)) and before is not None and after is not None:
        yield from _document(name, before, after, _remark(places[0]), layout)
        return
    for parent, elements in groupby(places, key=_list_of):
        if parent is None:
            for place in elements:
                yield from _place_lines(place, layout)
        else:
            yield from _element_lines(parent, list(elements))


def _is_partial(place: FieldChange) -> bool:
    """Tell whether a place is not only another value: a part that comes or goes, or an order."""
    ends = (place.before, place.after)
    return any(end is None or isinstance(end, (Mapping, list)) for end in ends)


def _list_of(place: FieldChange) -> str | None:
    """Return the path of the list that gains or loses a simple element here; None elsewhere."""
    element = _ELEMENT.fullmatch(place.path)
    end = place.before if place.after is None else place.after
    gained = element and place.before is None or place.after is None
    simple = not isinstance(end, (Mapping, list))
    return element[1] if element and gained and simple else None


def _element_lines(parent: str, places: list[FieldChange]) -> Iterator[str]:
    yield f"{_space(0)}{printable(parent)}:{_remark(places[0])}"
    removed = [place.before for place in places if place.after is None]
    added = [place.after for place in places if place.after is not None]
    for sign, elements in (("-", removed), ("+", added)):
        yield from (f"{_space(1)}{sign} {value_text(element)}" for element in elements)


def _place_lines(place: FieldChange, layout: Layout) -> Iterator[str]:
    before, after = place.before, place.after
    old, new = documents.parsed(before), documents.parsed(after)
    remark = _remark(place)
    if old is not None and new is not None and old != new:
        yield from _document(place.path, old, new, remark, layout)
    elif any(isinstance(end, (Mapping, list)) and end for end in (before, after)):
        ends = [ABSENT if end is None else end for end in (before, after)]
        yield from _document(place.path, ends[0], ends[1], remark, layout)
    elif _has_lines(before) or _has_lines(after):
        texts = ["" if end is None else str(end) for end in (before, after)]
        yield from _diff(place.path, documents.text_lines(texts[0], texts[1]), remark, layout)
    else:
        yield from _value_lines(place, remark, layout)


def _value_lines(place: FieldChange, remark: str, layout: Layout) -> Iterator[str]:
    """Yield the change of a value in one line if it has room there, else in three."""
    before, after = two_texts(place.before, place.after)
    path = printable(place.path)
    line = f"{_space(0)}{path}: {before} -> {after}{remark}"
    if not layout.stacked and cell_len(line) <= layout.columns:
        yield line
        return
    if not layout.full:
        before, after = excerpts(before, after, LONG)
    yield f"{_space(0)}{path}:{remark}"
    yield f"{_space(1)}- {before}"
    yield f"{_space(1)}+ {after}"


def _document(path: str, before: Any, after: Any, remark: str, layout: Layout) -> Iterator[str]:
    yield from _diff(path, documents.structure(before, after), remark, layout)


def _diff(path: str, lines: list[documents.Line], remark: str, layout: Layout) -> Iterator[str]:
    """Yield the hunks of a diff, each with its place; or all of it."""
    yield f"{_space(0)}{printable(path)}:{remark}"
    if layout.full:
        yield from (_diff_line(line, 0) for line in lines)
        return
    for hunk in documents.hunks(lines):
        least = min(line.depth for line in hunk)
        if hunk[0] is not lines[0]:
            changed = next(line for line in hunk if line.sign != " ")
            yield f"{_space(1)}@@ {printable(changed.place) or 'at the top'} @@"
        for line in documents.shortened(hunk):
            yield _diff_line(line, least)


def _diff_line(line: documents.Line, least: int) -> str:
    return f"{_space(1)}{line.sign} {'  ' * (line.depth - least)}{line.text}"


def _has_lines(value: Any) -> bool:
    return isinstance(value, str) and "\n" in value.rstrip("\n")


def _remark(place: FieldChange) -> str:
    remarks = ["forces replacement"] if place.forces_replace else []
    remarks += [printable(place.origin)] if place.origin else []
    return f" ({', '.join(remarks)})" if remarks else ""


def _depth(value: Any) -> int:
    if isinstance(value, Mapping):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _space(level: int) -> str:
    return " " * (_INDENT + 2 * level)


def _indent_of(line: str) -> int:
    """Return where the rest of a line that is folded begins: below its text, after its sign."""
    indent = len(line) - len(line.lstrip(" +-"))
    return indent + 2
