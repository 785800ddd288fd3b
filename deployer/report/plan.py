"""Plans and changes as text for people and as JSON values for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from os.path import commonprefix
from typing import Any

from rich.console import Console
from rich.text import Text

from deployer.engine.plan import UNKNOWN, Action, Change, FieldChange, Plan

_SIGNS = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.REPLACE: ("-/+", "magenta"),
    Action.DELETE: ("-", "red"),
}
_LONGEST_VALUE = 76
_SHORTEST_VALUE = 19


def print_plan(console: Console, plan: Plan) -> None:
    for line in plan_lines(plan, console.width):
        console.print(line, soft_wrap=not console.is_terminal)


def plan_lines(plan: Plan, width: int) -> Iterator[Text]:
    """Yield the changes of a plan, their differing fields, and a summary.

    Args:
        width: characters in a line.
    """
    for change in plan.effective:
        sign, style = _SIGNS[change.action]
        yield Text(f"{sign:>3} {change.action.value:7} {change.key}", style=style)
        if change.note:
            yield Text(f"        {change.note}")
        if change.action in (Action.UPDATE, Action.REPLACE):
            for field in change.fields:
                yield from _field_lines(field, width)
    yield Text(plan_summary(plan), style="bold")


def plan_summary(plan: Plan) -> str:
    """Count the changes by action."""
    if plan.is_empty:
        return f"Plan: no changes, resources checked: {len(plan.changes)}"
    actions = ", ".join(f"{plan.count(action)} to {action.value}" for action in _SIGNS)
    return f"Plan: {actions}, {plan.count(Action.NOOP)} unchanged"


def _field_lines(change: FieldChange, width: int) -> Iterator[Text]:
    forces = " (forces replacement)" if change.forces_replace else ""
    frame = f"        {change.path}: {{}} -> {{}}{forces}"
    room = min(max((width - len(frame) + 4) // 2, _SHORTEST_VALUE), _LONGEST_VALUE)
    before, after = _value_text(change.before), _value_text(change.after)
    if (
        isinstance(change.before, list)
        and isinstance(change.after, list)
        and max(len(before), len(after)) > room
    ):
        yield Text(
            f"        {change.path}: {len(change.before)} entries -> {len(change.after)} "
            f"entries{forces}"
        )
        yield from _entry_lines(change.before, change.after)
        return
    old, new = _short(before, room), _short(after, room)
    if old == new:  # the difference is in the middle that was cut out
        old, new = _around_difference(before, after, room)
    yield Text(f"        {change.path}: {old} -> {new}{forces}")


def _entry_lines(before: Sequence[Any], after: Sequence[Any]) -> Iterator[Text]:
    """Yield the removed and added entries of a list, not shortened, in their order."""
    old, new = [[_value_text(entry) for entry in entries] for entries in (before, after)]
    for kind, start, end, new_start, new_end in SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        if kind != "equal":
            yield from (Text(f"          - {entry}") for entry in old[start:end])
            yield from (Text(f"          + {entry}") for entry in new[new_start:new_end])


def _value_text(value: Any) -> str:
    return (
        repr(value)
        if value is UNKNOWN
        else json.dumps(value, ensure_ascii=False, default=repr, sort_keys=True)
    )


def _short(text: str, room: int) -> str:
    """Cut the middle out of a text that is longer than `room` characters."""
    if len(text) <= room:
        return text
    half = (room - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def _around_difference(before: str, after: str, room: int) -> tuple[str, str]:
    """Return the part of two long texts where they begin to differ."""
    size = room - 2 * len("...")
    start = max(0, len(commonprefix([before, after])) - size // 3)
    end = start + size

    def excerpt(text: str) -> str:
        return f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}"

    return excerpt(before), excerpt(after)


def change_document(change: Change) -> dict[str, Any]:
    """Return a change as plain JSON values."""
    fields = [
        {"path": field.path, "before": field.before, "after": field.after}
        for field in change.fields
    ]
    note = {"note": change.note} if change.note else {}
    return {"resource": change.key, "action": change.action.value, "fields": fields, **note}
