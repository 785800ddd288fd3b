"""A workflow as a tree in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from deployer.project.drawing import Machine, Part, Step, reading
from deployer.report.marks import MARKS, mark_text
from deployer.report.values import printable

_STYLES = {"Task": "cyan", "Choice": "yellow", "Fail": "red", "Succeed": "green"}
WIDE = 10_000  # columns of a tree that is not folded
_LEAST = 16  # columns that a text keeps, however deep it stands


def tree_lines(machine: Machine, width: int) -> Iterator[Text]:
    """Yield the lines of a workflow's tree, folded at `width` columns."""
    for step in reading(machine):
        yield from _step(step, "", "", width)


def _step(step: Step, first: str, further: str, width: int, label: str = "") -> Iterator[Text]:
    """Yield the lines of a state and of all below it.

    Args:
        first: the guides before its first line.
        further: those before all others.
    """
    below = f"{further}{'│  ' if step.parts else '   '}"
    yield from _folded(_title(step, label), first, below, width)
    for number, part in enumerate(step.parts):
        is_last = number == len(step.parts) - 1
        yield from _part(part, further, is_last, width)


def _part(part: Part, guides: str, is_last: bool, width: int) -> Iterator[Text]:
    first, further = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
    label = "" if part.label.startswith("branch ") else part.label
    if label and len(part.steps) == 1:
        yield from _step(part.steps[0], guides + first, guides + further, width, f"{label}: ")
        return
    if label:
        title = Text(f"{printable(label)}:", style="dim")
        yield from _folded(title, guides + first, f"{guides}{further}   ", width)
        guides, first = guides + further, ""
        yield from _chain(part.steps, guides, width)
        return
    head, *rest = part.steps
    yield from _step(head, guides + first, guides + further, width)
    yield from _chain(rest, guides + further, width)


def _chain(steps: Sequence[Step], guides: str, width: int) -> Iterator[Text]:
    for step in steps:
        yield from _step(step, f"{guides}", guides, width)


def _title(step: Step, label: str) -> Text:
    state = step.state
    title = Text(printable(label), style="dim") if label else Text()
    if step.again:
        return title.append(f"→ {printable(state.name)}", style="default")
    if state.mark is None:
        title.append(printable(state.name), style=_STYLES.get(state.kind, "bold"))
    else:
        style = MARKS[state.mark.kind].style
        title.append(f"{printable(state.name)}  {mark_text(state.mark)}", style=style)
    return title.append(f"  {printable(state.summary)}", style="dim")


def _folded(text: Text, first: str, further: str, width: int) -> Iterator[Text]:
    """Yield a text behind its guides in lines of `width` columns; further ones are indented."""
    guides = first
    room = max(width - len(first), _LEAST)
    while text.cell_len > room:
        cut = _cut(text.plain, room)
        line = text[:cut]
        line.rstrip()
        yield Text(guides, style="dim").append_text(line)
        text = text[cut:]
        guides = further
        room = max(width - len(further), _LEAST)
    yield Text(guides, style="dim").append_text(text)


def _cut(text: str, room: int) -> int:
    """Return where to fold: after the last blank that leaves the line half full, or anywhere."""
    from rich.cells import cell_len

    end = len(text)
    while cell_len(text[:end]) > room:
        end -= 1
    blank = text.rfind(" ", 0, end + 1)
    return blank + 1 if blank > room // 2 else end
