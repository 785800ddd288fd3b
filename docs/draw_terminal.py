"""Draw the pictures of docs/pictures/: real commands in a real terminal, against the local AWS.

python docs/draw_terminal.py            draws all pictures, each for dark and for light pages
python docs/draw_terminal.py up plan    draws these

Numbers that differ from run to run, such as ports and ids, are replaced; times are those of the
run, so draw on a machine that does nothing else.
"""

from __future__ import annotations

import html
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
COLUMNS = 96
_BORDER = "#8b949e"
_STEADY = (  # of one length each, so that nothing moves
    (r"(?<=127\.0\.0\.1:)\d{5}", "41000"),
    (r"(?<=/_apis/)[a-z0-9]{8}", "k3v9x2ab"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "5d0f3c1e-8a47-4b2e-9c65-0e7d1f24a9b8"),
    (r"(?<=request )[\w-]{15}=", "OPbCOH045NyQWfe="),
    (r"20\d\d-\d\d-\d\d \d\d:\d\d", "2026-11-26 14:05"),
)
_GREYS = [(0, 0, 0), (205, 0, 0), (0, 135, 0), (175, 95, 0), (95, 95, 255), (215, 0, 215)]
_ANSI = [*_GREYS, (0, 135, 135), (118, 118, 118)]
THEMES = {
    "": TerminalTheme((22, 27, 34), (230, 237, 243), _ANSI),
    "-light": TerminalTheme((255, 255, 255), (31, 35, 40), _ANSI),
}
# rich's own form loads a font from a server; this one takes the reader's.
_FORM = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>TITLE</title>
<style>
.{unique_id}-matrix {{
  font: {char_height}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
}}
.{unique_id}-title {{ font: 18px ui-sans-serif, "DejaVu Sans", Arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class Shop:
    """A project that `init` wrote, deployed into a local AWS of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Commands in messages are shown as they were typed.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "PYTHONPATH": str(ROOT)}
        self.environment = {**os.environ, **own, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}

    def run(self, *arguments: str) -> None:
        """Run a command that is in no picture."""
        command = ["python", "-m", "deployer", *arguments]
        subprocess.run(command, cwd=self.folder, env=self.environment, check=True)

    def record(self, *arguments: str) -> Text:
        """Run a command in a terminal and return what stands there in the end."""
        sys.path.insert(0, str(ROOT))
        from tests.support.terminal import Terminal

        command = ("python", "-m", "deployer", *arguments)
        terminal = Terminal(self.folder, *command, columns=COLUMNS, environment=self.environment)
        if terminal.end(300) != 0:
            raise SystemExit(f"{' '.join(command)}:\n{terminal.text}")
        return Text("\n").join([_prompt(command), *_lines(terminal.drawn)])

    def configure(self, **settings: str) -> None:
        """Add settings to setup.cfg."""
        file = self.folder / "setup.cfg"
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        file.write_text(file.read_text(encoding="utf-8") + lines, encoding="utf-8")


def _prompt(command: tuple[str, ...]) -> Text:
    return Text.assemble(("$ ", "dim"), (" ".join(command), "bold"))


def _lines(drawn: str) -> Iterator[Text]:
    """Yield the lines that a terminal shows after all this was drawn, without empty ones at the
    end.
    """
    screen = pyte.Screen(COLUMNS, 400)
    pyte.Stream(screen).feed(drawn)
    filled = [number for number, line in enumerate(screen.display) if line.strip()]
    for number in range(max(filled, default=-1) + 1):
        cells = [screen.buffer[number][column] for column in range(COLUMNS)]
        runs = ((style, list(run)) for style, run in groupby(cells, key=_style))
        line = Text.assemble(*(("".join(cell.data for cell in run), style) for style, run in runs))
        line.rstrip()
        yield _steady(line)


def _style(cell: pyte.screens.Char) -> Style:
    color = None if cell.fg == "default" else cell.fg
    if color and re.fullmatch("[0-9a-f]{6}", color):
        color = f"#{color}"
    return Style(color=color, bold=cell.bold, underline=cell.underscore)


def _steady(line: Text) -> Text:
    text = line.plain
    for pattern, value in _STEADY:
        text = re.sub(pattern, value, text)
    line.plain = text
    return line


def up(shop: Shop) -> Text:
    shop.run("up", "--local", "--stage", "other")  # trains, and starts the local AWS
    return shop.record("up", "--local")


def invoke_trace(shop: Shop) -> Text:
    return shop.record("invoke", "--sample", "--trace", "--local")


def status(shop: Shop) -> Text:
    shop.run("invoke", "--sample", "--local", "--repeat", "40")
    return shop.record("status", "--local")


def plan(shop: Shop) -> Text:
    shop.configure(memory_mb="2048", cors_origins="https://example.com")
    return shop.record("plan", "--local")


# By the name of the file, in the order in which they are drawn: each needs what those before left.
DRAWN: dict[str, Callable[[Shop], Text]] = {
    "up": up,
    "invoke-trace": invoke_trace,
    "status": status,
    "plan": plan,
}


def write(name: str, text: Text) -> None:
    """Write a picture for dark and for light pages."""
    for suffix, theme in THEMES.items():
        console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
        console.print(text, "", sep="\n", soft_wrap=True)
        title = text.plain.partition("\n")[0].removeprefix("$ ")
        form = _FORM.replace("TITLE", html.escape(title))
        picture = console.export_svg(
            title=title, theme=theme, code_format=form, unique_id=f"terminal-{name}{suffix}"
        )
        picture = picture.replace("rgba(255,255,255,0.35)", _BORDER)  # rich's, unseen on white
        (PICTURES / f"{name}{suffix}.svg").write_text(picture, encoding="utf-8")


def main(names: list[str]) -> int:
    folder = Path(tempfile.mkdtemp(prefix="pictures-"))
    shop = Shop(folder / "shop")
    try:
        command = [sys.executable, "-m", "deployer", "init", str(shop.folder)]
        subprocess.run(command, env=shop.environment, check=True)
        for name, draw in DRAWN.items():
            text = draw(shop)
            if not names or name in names:
                write(name, text)
    finally:
        shop.run("down", "--local", "--force", "--yes")
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
