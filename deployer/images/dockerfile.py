"""A Dockerfile as a list of instructions, and what FROM stands for. What the instructions do is for
the builders.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import BuildError
from deployer.files import Unreadable, read_text

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continued lines joined; `line` is where it begins."""

    path: Path
    line: int
    name: str
    argument: str

    def refuse(self, problem: str, advice: str = "") -> BuildError:
        """Return the error that points at this instruction."""
        return BuildError(
            f"{self.path} line {self.line}: {self.name} {self.argument}: {problem}", advice
        )

    def filled(self, values: Mapping[str, str]) -> str:
        """Return the argument with $NAME and ${NAME} replaced; raise BuildError for anything else
        that has a $.
        """
        return self._fill(self.argument, values)

    def words(self, values: Mapping[str, str]) -> list[str]:
        """Return the argument as words, of its JSON form or as a shell would split it, each filled."""
        try:
            if self.argument.startswith("["):
                found = json.loads(self.argument)
                if not all(isinstance(word, str) for word in found):
                    raise ValueError("must be a JSON array of words")
            else:
                found = shlex.split(self.argument)
        except ValueError as error:
            raise self.refuse(str(error)) from error
        return [self._fill(word, values) for word in found]

    def assignments(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return the NAME=value pairs of ENV."""
        pairs = [word.partition("=") for word in self.words(values)]
        if not pairs or not all(name and separator for name, separator, _ in pairs):
            raise self.refuse("must be NAME=value pairs")
        return {name: value for name, _, value in pairs}

    def command(self) -> tuple[str, ...]:
        """Return the words of CMD, which Lambda wants as a JSON array."""
        words = self.words({}) if self.argument.startswith("[") else []
        if not words:
            raise self.refuse('must be a JSON array of words, for example CMD ["predict.handler"]')
        return tuple(words)

    def _fill(self, text: str, values: Mapping[str, str]) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            if name not in values:
                raise self.refuse(f"${name} has no value here")
            return values[name]

        if "$" in _VARIABLE.sub("", text):
            raise self.refuse("only $NAME and ${NAME} are understood")
        return _VARIABLE.sub(value, text)


@dataclass(frozen=True)
class Dockerfile:
    path: Path
    instructions: tuple[Instruction, ...]

    @property
    def takes_base(self) -> bool:
        """Whether ARG BASE stands before FROM, so that the base can be chosen from outside."""
        return any(name == "BASE" for name, _ in self._arguments())

    def base(self, chosen: str | None) -> str:
        """Return what the first FROM names, with BASE replaced by what was chosen, if anything was."""
        values = dict(self._arguments())
        if chosen is not None and "BASE" in values:
            values["BASE"] = chosen
        for each in self.instructions:
            if each.name == "FROM":
                words = [word for word in each.words(values) if not word.startswith("--")]
                if not words:
                    raise each.refuse("names no image")
                return words[0]
        raise BuildError(f"{self.path} has no FROM", "FROM names the image to build on")

    def _arguments(self) -> Iterator[tuple[str, str]]:
        for each in self.instructions:
            if each.name != "ARG":
                return
            for word in each.words({}):
                name, _, value = word.partition("=")
                yield name, value


def read_dockerfile(path: Path) -> Dockerfile:
    """Read a Dockerfile; raise BuildError when it cannot be read."""
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        raise BuildError(f"{path} does not exist") from error
    except Unreadable as error:
        raise BuildError(f"{path} {error}") from error
    return Dockerfile(path, tuple(_instructions(path, text)))


def _instructions(path: Path, text: str) -> Iterator[Instruction]:
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        start = start or number
        pending += line.strip()
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        name, _, argument = pending.partition(" ")
        yield Instruction(path, start, name.upper(), argument.strip())
        pending, start = "", 0
    if pending:
        name, _, argument = pending.partition(" ")
        yield Instruction(path, start, name.upper(), argument.strip())
