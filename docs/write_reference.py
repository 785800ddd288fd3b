"""Write the commands and their options into docs/reference.md, between its two markers.

python docs/write_reference.py            writes docs/reference.md
python docs/write_reference.py --check    exits with 1 if docs/reference.md says something else
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from deployer.cli import VERBS, cli
from deployer.commands.options import common

PAGE = Path(__file__).resolve().parent / "reference.md"
BEGIN, END = "<!-- commands: written by docs/write_reference.py -->", "<!-- end of commands -->"


@click.command()
@common
def nothing(*_: object) -> None:
    """Take the options of every command, and no other."""


COMMON = {parameter.name for parameter in nothing.params}


def cell(text: str) -> str:
    return text.replace("|", r"\|")


def default_of(option: click.Option) -> str:
    """Return how the default of an option is said, or nothing if it has none worth saying."""
    value = option.default
    if option.is_flag or not isinstance(value, (str, int, float)) or value in ("", "."):
        return ""
    return f" Default: `{value}`."


def named(option: click.Option) -> str:
    """Return the names of an option, with the word that stands for its value."""
    value = ""
    if not option.is_flag:
        kind = option.type
        choices = "|".join(map(str, kind.choices)) if isinstance(kind, click.Choice) else ""
        value = f" {choices or option.metavar or (option.name or '').upper()}"
    return ", ".join(f"`{name}{value}`" for name in option.opts)


def table(options: list[click.Option]) -> Iterator[str]:
    yield "| option | meaning |"
    yield "| --- | --- |"
    for option in options:
        yield f"| {cell(named(option))} | {cell(option.help or '')}{default_of(option)} |"


def described(command: click.Command) -> Iterator[str]:
    """Yield the help of a command as Markdown: sentences, and its example as a block of code."""
    for part in re.split(r"\n\n+", inspect.cleandoc(command.help or "")):
        head, *lines = part.removeprefix("\b\n").splitlines()
        if part.startswith("\b\n") and head.startswith("Example"):
            yield "\n".join(["```sh", *(line.strip() for line in lines), "```"])
        elif part.startswith("\b\n"):
            yield "\n".join(["```text", head, *lines, "```"])
        else:
            yield " ".join([head, *lines])


def section(command: click.Command, names: list[str], level: int) -> Iterator[str]:
    """Yield the section of a command, and those of its own commands, in paragraphs."""
    yield f"{'#' * level} {' '.join(names)}"
    yield from described(command)
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    words = [argument.make_metavar(click.Context(command)) for argument in arguments]
    usage = ["python -m deployer", *names, *words, "[OPTIONS]"]
    yield f"```text\n{' '.join(usage)}\n```"
    options = [one for one in command.params if isinstance(one, click.Option)]
    own = [one for one in options if one.name not in COMMON and not one.hidden]
    if own:
        yield "\n".join(table(own))
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            one = command.get_command(context, name)
            assert one is not None
            yield from section(one, [*names, name], level + 1)


def reference() -> str:
    """Return the generated part of the page."""
    context = click.Context(cli)
    shared = [one for one in nothing.params if isinstance(one, click.Option)]
    paragraphs = ["## Options of every command", "\n".join(table(shared))]
    for verb in sorted(VERBS):
        command = cli.get_command(context, verb)
        assert command is not None
        paragraphs.extend(section(command, [verb], 2))
    return "\n\n".join(paragraphs)


def main(arguments: list[str]) -> int:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    written = f"{before}{BEGIN}\n\n{reference()}\n\n{END}{rest.partition(END)[2]}"
    if arguments == ["--check"]:
        return 0 if written == text else 1
    PAGE.write_text(written, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
