"""Parsing a Dockerfile into instructions, and finding its base image. Nothing is executed here."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import BuildError
from deployer.files import Unreadable, read_text

NEEDS_ENGINE = "use --builder docker for it, which needs a Docker engine"
_PORTS = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Instruction:
    """An instruction with its continued lines joined.

    Attributes:
        line: the number of its first line.
        name: in capitals.
    """

    path: Path
    line: int
    name: str
    argument: str

    def refuse(self, problem: str, advice: str = "") -> BuildError:
        """Return an error that quotes this instruction."""
        return BuildError(
            f"{self.path} line {self.line}: {self.name} {self.argument}: {problem}", advice
        )

    def expanded(self, variables: Mapping[str, str]) -> str:
        """Return the argument with $NAME and ${NAME} replaced.

        Raises:
            BuildError: a variable has no value, or another form such as ${NAME:-default} is used.
        """
        return self.expand(self.argument, variables)

    def words(self, variables: Mapping[str, str]) -> list[str]:
        """Split the argument as JSON or as a shell would, and expand the words."""
        try:
            if self.argument.startswith("["):
                words = json.loads(self.argument)
                if not all(isinstance(word, str) for word in words):
                    raise ValueError("must be a JSON array of words")
            else:
                words = shlex.split(self.argument)
        except ValueError as error:
            raise self.refuse(str(error)) from error
        return [self.expand(word, variables) for word in words]

    def assignments(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the NAME=value pairs of ENV."""
        pairs = [word.partition("=") for word in self.words(variables)]
        if not pairs or not all(name and separator for name, separator, _ in pairs):
            raise self.refuse("must be NAME=value pairs")
        return {name: value for name, _, value in pairs}

    def command(self) -> tuple[str, ...]:
        """Return the words of CMD, which must be a JSON array."""
        words = self.words({}) if self.argument.startswith("[") else []
        if not words:
            raise self.refuse('must be a JSON array of words, for example CMD ["predict.handler"]')
        return tuple(words)

    def labels(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the labels of LABEL, in the form NAME=value or in the older form NAME value."""
        name, _, value = self.argument.partition(" ")
        if not name or "=" in name or not value or re.search(r"[\"'\\]", value):
            return self.assignments(variables)
        return {self.expand(name, variables): self.expand(value.strip(), variables)}

    def ports(self, variables: Mapping[str, str]) -> list[str]:
        """Return the ports of EXPOSE as Docker stores them, such as 8080/tcp."""
        ports = []
        for word in self.words(variables):
            match = _PORTS.fullmatch(word)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if not match or not first <= last <= 65535:
                raise self.refuse(f"{word} is no port")
            protocol = (match[3] or "tcp").lower()
            ports += [f"{port}/{protocol}" for port in range(first, last + 1)]
        return ports

    def expand(self, text: str, variables: Mapping[str, str]) -> str:
        """Replace $NAME and ${NAME} in a text; see `expanded`."""

        def value(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            if name not in variables:
                raise self.refuse(f"${name} has no value here")
            return variables[name]

        if "$" in _VARIABLE.sub("", text):
            raise self.refuse("only $NAME and ${NAME} are understood")
        return _VARIABLE.sub(value, text)


@dataclass(frozen=True)
class Dockerfile:
    """A parsed Dockerfile."""

    path: Path
    instructions: tuple[Instruction, ...]

    @property
    def takes_base(self) -> bool:
        """Whether the base can be chosen with the build argument BASE: ARG BASE before FROM."""
        return any(name == "BASE" for name, _ in self._arguments())

    def base(self, chosen: str | None) -> str:
        """Return the base image that the first FROM names.

        Args:
            chosen: the value of the build argument BASE; None for the Dockerfile's default.
        """
        arguments = dict(self._arguments())
        if chosen is not None and "BASE" in arguments:
            arguments["BASE"] = chosen
        for instruction in self.instructions:
            if instruction.name == "FROM":
                words = instruction.words(arguments)
                images = [word for word in words if not word.startswith("--")]
                if not images:
                    raise instruction.refuse("names no image")
                return images[0]
        raise BuildError(f"{self.path} has no FROM", "FROM names the image to build on")

    def _arguments(self) -> Iterator[tuple[str, str]]:
        """Yield (name, default) of the build arguments before FROM."""
        for instruction in self.instructions:
            if instruction.name != "ARG":
                return
            for word in instruction.words({}):
                name, _, value = word.partition("=")
                yield name, value


def read_dockerfile(path: Path) -> Dockerfile:
    """Parse a Dockerfile; raise BuildError if it cannot be read."""
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
        yield _instruction(path, start, pending)
        pending, start = "", 0
    if pending:
        yield _instruction(path, start, pending)


def _instruction(path: Path, line: int, text: str) -> Instruction:
    name, *argument = text.split(maxsplit=1)
    return Instruction(path, line, name.upper(), "".join(argument).strip())
