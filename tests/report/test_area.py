"""The live area on a terminal: what stands there after it was drawn anew, also after a resize."""

from __future__ import annotations

import io

import pyte
from rich.console import Console, ConsoleDimensions
from rich.text import Text

from deployer.report.live import Area


class Screen(io.StringIO):
    """A terminal of 12 lines that cuts lines when it becomes narrower, as xterm does."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.screen = pyte.Screen(columns, 12)
        self.writes = 0
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self.writes += 1
        self._stream.feed(text.replace("\n", "\r\n"))
        return len(text)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]


def opened(columns: int) -> tuple[Screen, Console]:
    screen = Screen(columns)
    return screen, Console(file=screen, force_terminal=True, width=columns, height=12)


def texts(*lines: str) -> list[Text]:
    return [Text(line) for line in lines]


def test_the_area_is_drawn_in_place_below_what_stays() -> None:
    screen, console = opened(20)
    with Area(console) as area:
        area.draw(texts("the plan"), texts("bucket 1 s", "image 1 s"))
        assert screen.lines == ["the plan", "bucket 1 s", "image 1 s"]
        assert screen.screen.cursor.hidden
        area.draw(texts("a note"), texts("bucket done", "image 2 s", "api 0 s"))
        assert screen.lines == ["the plan", "a note", "bucket done", "image 2 s", "api 0 s"]
        area.draw(texts("bucket done"), texts("x" * 20))
        assert screen.lines == ["the plan", "a note", "bucket done", "x" * 20]
        area.draw(texts("all done"), [])
    assert screen.lines == ["the plan", "a note", "bucket done", "all done"]
    assert not screen.screen.cursor.hidden


def test_an_area_that_has_not_changed_is_not_drawn() -> None:
    """A frame costs nothing then, and a recording of the terminal stays small."""
    screen, console = opened(20)
    with Area(console) as area:
        area.draw([], texts("bucket 1 s"))
        writes = screen.writes
        area.draw([], texts("bucket 1 s"))
        assert screen.writes == writes
        area.draw([], texts("bucket 2 s"))
        assert screen.writes == writes + 1, "a frame is one write, so that nothing flickers"


def test_a_terminal_that_becomes_narrower_or_wider_loses_nothing() -> None:
    screen, console = opened(40)
    with Area(console) as area:
        area.draw(texts("above", "more"), texts("function/* (3)  creating 1 of 3", "api  0 s"))
        for columns in (20, 60):
            screen.screen.resize(columns=columns)
            console.size = ConsoleDimensions(columns, 12)
            lines = [f"function/* at {columns}"[:columns], "    waiting", "api  1 s"]
            area.draw([], texts(*lines))
            assert screen.lines == ["above", "more", *lines]
