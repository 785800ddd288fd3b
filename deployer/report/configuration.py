"""All settings as text: a table, or in a narrow terminal each in lines of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from deployer.report.folding import folded
from deployer.report.values import printable
from deployer.service.configuration import DEFAULT, Configuration, ConfiguredSetting

_GAP = 2
_LEAST = 12  # columns that a value keeps beside the others
_NONE = "-"


def print_configuration(console: Console, configuration: Configuration) -> None:
    for line in configuration_lines(configuration, console.width):
        console.print(line, soft_wrap=True)  # the lines are folded already


def configuration_lines(configuration: Configuration, width: int) -> Iterator[Text]:
    """Yield the settings in the order of their table; what is not a default is bold."""
    rows = [row for one in configuration.settings for row in _rows(one)]
    names = max(cell_len(name) for name, _, _ in rows)
    places = max(cell_len(place) for _, _, place in rows)
    room = width - names - places - 2 * _GAP
    if room < _LEAST:
        yield from _stacked(rows, width)
    else:
        yield from _table(rows, names, min(room, max(cell_len(value) for _, value, _ in rows)))
    if configuration.unused:
        sections = ", ".join(f"[{name}]" for name in configuration.unused)
        yield Text()
        for line in _folded(f"not for stage {configuration.stage}: {sections}", width):
            yield Text(line)


def _rows(one: ConfiguredSetting) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and place of each line of a setting."""
    title = f"  of {one.function}" if one.function else one.name
    for value, place in one.lines:
        yield title, printable(value) or _NONE, place
        title = ""


def _table(rows: Sequence[tuple[str, str, str]], names: int, room: int) -> Iterator[Text]:
    for name, value, place in rows:
        for number, part in enumerate(_folded(value, room)):
            left = "" if number else name
            text = f"{left}{' ' * (names - cell_len(left) + _GAP)}{part}"
            if not number:
                text += f"{' ' * (room - cell_len(part) + _GAP)}{place}"
            yield Text(text, style=_style(place))


def _stacked(rows: Sequence[tuple[str, str, str]], width: int) -> Iterator[Text]:
    for name, value, place in rows:
        if name:
            yield Text(name, style=_style(place))
        for line in [*_folded(value, width - 4), *_folded(place, width - 4)]:
            yield Text(f"    {line}", style=_style(place))


def _style(place: str) -> str:
    return "dim" if place == DEFAULT else "bold"


def _folded(text: str, room: int) -> Iterator[str]:
    """Yield a text in lines of at most `room` columns."""
    return (line.plain.rstrip() for line in folded(text, 0, max(room, 1)))
