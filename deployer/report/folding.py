"""Lines that are wider than the terminal, folded into several."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.text import Text


def folded(text: str, indent: int, width: int, style: str = "") -> Iterator[Text]:
    """Yield a line, or several of at most `width` columns; the further ones are indented.

    It is folded after a blank in the second half of a line, or else anywhere.
    """
    indent = min(indent, width // 2)
    line, used = "", 0
    for char in text:
        size = cell_len(char)
        if used + size > width:
            end = line.rfind(" ", indent + (width - indent) // 2) + 1 or len(line)
            yield Text(line[:end], style=style)
            line = " " * indent + line[end:]
            used = cell_len(line)
        line, used = line + char, used + size
    yield Text(line, style=style)
