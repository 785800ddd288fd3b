"""The releases of a service, and what differs between two, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from deployer.report.folding import folded
from deployer.report.values import local_time

if TYPE_CHECKING:
    from deployer.service.listing import Difference, ListedRelease

_INDENT = 4
_LABEL = 9
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def print_releases(console: Console, releases: Sequence[ListedRelease]) -> None:
    """Print each release with what it changed; what is live, and the oldest, with its models."""
    for number, release in enumerate(releases):
        if number:
            console.print()
        console.print(_title(release))
        for label, line, style in _lines(release):
            labelled = f"{' ' * _INDENT}{label:{_LABEL}}{line}"
            for text in folded(labelled, _INDENT + _LABEL, console.width):
                text.stylize(style, _INDENT + _LABEL)
                console.print(text, soft_wrap=True)


def _title(release: ListedRelease) -> Text:
    title = Text(f"release {release.number}", style="bold")
    if release.share == 100:
        title.append(", live", style="bold green")
    elif release.share:
        part = "canary" if release.live else "live"
        title.append(f", {part}, {release.share} % of the requests", style="bold green")
    title.append(f"  {local_time(release.created)}", style="not bold")
    if release.title:
        title.append(f"  {release.title}", style="not bold")
    return title


def _lines(release: ListedRelease) -> Iterator[tuple[str, str, str]]:
    """Yield lines with their labels and styles."""
    if release.share or release.changes is None:
        serves = [f"{name}: model {model}" for name, model in release.models.items()]
        yield from _labelled("serves", serves)
    if release.changes is not None:
        changes = release.changes or ["nothing that is served"]
        yield from _labelled("changed", changes, "yellow")
    yield from _labelled("gone", release.missing, "red")


def _labelled(label: str, lines: Sequence[str], style: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield lines with a label before the first one."""
    for number, line in enumerate(lines):
        yield "" if number else label, line, style


def print_difference(console: Console, difference: Difference) -> None:
    """Print what differs between two releases, and the difference of their workflows."""
    titles = f"release {difference.before} and release {difference.after}"
    if not difference.changes:
        console.print(Text(f"{titles} serve the same"))
        return
    for line in difference.changes:
        console.print(Text(line))
    for line in difference.workflow:
        console.print(Text(line, style=_STYLES.get(line[:1], "")), soft_wrap=True)
