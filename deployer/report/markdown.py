"""A plan as Markdown, for the comment of a pull request."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deployer.engine.plan import Action, Change, Plan
from deployer.report.plan import SIGNS, Layout, change_lines, plan_summary
from deployer.report.values import printable

_LONGEST = 60_000  # characters; GitHub takes 65,536
_LAYOUT = Layout(10_000, stacked=True)
_SHOWN = 4  # paths of a resource in the table


def markdown(
    plan: Plan,
    place: Mapping[str, Any],
    digest: str,
    tail: str = "",
    notes: Sequence[str] = (),
) -> str:
    """Return a plan as Markdown: what it is for, new access, a table, and the changes in detail.

    Details that make it longer than a comment may be are left out, and counted.

    Args:
        place: service, stage, account, region and endpoint.
        digest: of the plan's file.
        tail: Markdown that follows the changes.
        notes: texts that stand above the changes, such as that a rollback is live.
    """
    head = "\n".join(_head(plan, place, notes))
    foot = f"\n{tail}<sub>digest: {_code(digest)}</sub>\n"
    details = [_details(change) for change in plan.effective]
    details = [text for text in details if text]
    room = _LONGEST - len(head) - len(foot)
    shown: list[str] = []
    for text in details:
        room -= len(text) + 1
        if room < 0:
            break
        shown.append(text)
    hidden = len(details) - len(shown)
    if hidden:
        what = "resource is" if hidden == 1 else "resources are"
        shown.append(f"The details of {hidden} more {what} left out; `plan` shows them.\n")
    return "\n".join([head, *shown]) + foot


def _head(plan: Plan, place: Mapping[str, Any], notes: Sequence[str]) -> Iterator[str]:
    endpoint = f", at {_code(place['endpoint'])}" if place["endpoint"] else ""
    yield f"### Plan of {_code(place['service'])}, stage {_code(place['stage'])}"
    yield ""
    yield f"Account {_code(place['account'])}, {_code(place['region'])}{endpoint}"
    yield ""
    yield f"**{_text(plan_summary(plan))}**"
    yield ""
    for note in notes:
        yield f"> {_text(note)}"
        yield ""
    widening = [
        f"> - {_code(change.key)}: {_text(sentence)}"
        for change in plan.effective
        for sentence in change.widens
    ]
    if widening:
        yield from ["> [!WARNING]", "> This gives more access:", ">", *widening, ""]
    if not plan.is_empty:
        yield from ["| | resource | changes |", "| --- | --- | --- |"]
        yield from (_row(change) for change in plan.effective)
        yield ""


def _row(change: Change) -> str:
    sign, _ = SIGNS[change.action]
    shows = change.action in (Action.UPDATE, Action.REPLACE)
    paths = list(dict.fromkeys(field.path for field in change.fields)) if shows else []
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    cells = [
        f"{_code(sign)} {change.action.value}",
        _code(change.key),
        ", ".join(map(_code, paths[:_SHOWN])) + more + _text(f" {change.note}".rstrip()),
    ]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _details(change: Change) -> str:
    lines = [_outdented(line) for line in change_lines(change, _LAYOUT)]
    if not lines:
        return ""
    longest = max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    title = html.escape(printable(f"{change.action.value} {change.key}"))
    body = "\n".join([f"{fence}diff", *lines, fence])
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>\n"


def _outdented(line: str) -> str:
    """Return a line of the plan with its sign in the first column, where a diff has it."""
    return line[10:] if line.startswith(" " * 10) else line.removeprefix(" " * 8)


def _code(value: Any) -> str:
    """Return a value as inline code, whatever is in it."""
    text = printable(str(value))
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    ticks = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def _text(text: str) -> str:
    """Return a text whose characters mean nothing in Markdown."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", printable(text))
