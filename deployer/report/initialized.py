"""What `init` wrote, and what `init --update` would change, as text."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def print_written(console: Console, title: str, names: Sequence[str]) -> None:
    """Print the files of a new project; a folder with several files is one line."""
    console.print(Text(f"{title}\n"), soft_wrap=True)
    counts = Counter(name.partition("/")[0] for name in names)
    shown = (
        name if counts[top] == 1 else f"{top}/ ({counts[top]} files)"
        for name in names
        for top in [name.partition("/")[0]]
    )
    for line in dict.fromkeys(shown):
        console.print(Text(f"written  {line}"), soft_wrap=True)


def print_changes(
    console: Console, changes: Iterable[tuple[str, bytes | None, bytes]], remarks: Iterable[str]
) -> None:
    """Print changes of files as unified diffs; `changes` are (name, before, after)."""
    for name, before, after in changes:
        for line in _diff(name, before, after):
            style = "bold" if line.startswith(("---", "+++")) else _STYLES.get(line[:1], "")
            console.print(Text(line, style=style), soft_wrap=True)
    for remark in remarks:
        console.print(Text(remark), soft_wrap=True)


def _diff(name: str, before: bytes | None, after: bytes) -> Iterator[str]:
    old, new = (
        (content or b"").decode(errors="replace").splitlines() for content in (before, after)
    )
    source = "/dev/null" if before is None else name
    yield from difflib.unified_diff(old, new, source, name, lineterm="")
