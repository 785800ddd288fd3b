"""What a Dockerfile says about running its image: CMD and ENV. The other instructions are for whoever builds it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deployer.errors import BuildError


@dataclass(frozen=True)
class Dockerfile:
    """`command`: the handler, as Lambda's runtime wants it. `environment`: set for every invocation."""

    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


def parse_dockerfile(text: str, path: Path) -> Dockerfile:
    """Read CMD and ENV; raise BuildError with the line for a form that is not understood."""
    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    for number, instruction, argument in _instructions(text):
        try:
            if instruction == "CMD":
                command = _exec_form(argument)
            elif instruction == "ENV":
                environment.update(_assignments(argument))
        except ValueError as error:
            raise BuildError(f"{path} line {number}: {instruction} {argument}: {error}") from error
    if not command:
        raise BuildError(f"{path} has no CMD", 'the handler is missing, for example CMD ["predict.handler"]')
    return Dockerfile(command, environment)


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield (line number, INSTRUCTION, argument), with continued lines joined and comments left out."""
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        start = start or number
        pending += line.strip()
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        instruction, _, argument = pending.partition(" ")
        yield start, instruction.upper(), argument.strip()
        pending, start = "", 0


def _exec_form(argument: str) -> tuple[str, ...]:
    words = json.loads(argument) if argument.startswith("[") else None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise ValueError('must be a JSON array of words, for example CMD ["predict.handler"]')
    return tuple(words)


def _assignments(argument: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in shlex.split(argument)]
    if not pairs or not all(separator for _, separator, _ in pairs):
        raise ValueError("must be NAME=value pairs")
    return {name: value for name, _, value in pairs}
