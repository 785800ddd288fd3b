"""Interpreting a Dockerfile for the direct builder, without running anything.

Supported: FROM with ARG, COPY, RUN pip install -r, ENV, WORKDIR, CMD. Other instructions are errors
that name the line, because leaving them out would give another image.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deployer.errors import BuildError
from deployer.images.context import NO_BASE, Context
from deployer.images.dockerfile import Instruction

_PIP = re.compile(r"(?:python[0-9.]* -m )?pip[0-9.]* install ")
_PIP_FLAGS = {
    "--no-cache-dir",
    "--no-compile",
    "--quiet",
    "-q",
    "--disable-pip-version-check",
    "--only-binary=:all:",
}
_PIP_FLAGS |= {"--no-deps", "--root-user-action=ignore"}
_ENGINE = "use --builder docker for it, which needs a Docker engine"


@dataclass
class Recipe:
    """The image that a Dockerfile describes.

    Attributes:
        files: copied files by their name in the image, without the leading slash.
        requirements: the files that pip installs from.
    """

    environment: dict[str, str]
    workdir: str
    command: tuple[str, ...] = ()
    files: dict[str, Path] = field(default_factory=dict)
    requirements: list[Path] = field(default_factory=list)


def interpret(context: Context, environment: Mapping[str, str], workdir: str) -> Recipe:
    """Interpret a context's Dockerfile.

    Without a base only COPY, ENV, WORKDIR and CMD count: RUN has nothing to run in.

    Args:
        environment: the base's variables.
        workdir: the base's working directory.

    Raises:
        BuildError: an instruction is not supported, or there is no CMD.
    """
    recipe = Recipe(dict(environment), workdir or "/")
    steps = {"ENV": _env, "WORKDIR": _workdir, "COPY": _copy, "CMD": _cmd}
    if context.base != NO_BASE:
        steps["RUN"] = _run
    seen_from = False
    for instruction in context.dockerfile.instructions:
        if instruction.name in ("FROM", "ARG"):
            if seen_from:
                problem = (
                    "one stage alone is understood"
                    if instruction.name == "FROM"
                    else "ARG is understood before FROM"
                )
                raise instruction.refuse(problem, _ENGINE)
            seen_from = instruction.name == "FROM"
        elif instruction.name in steps:
            steps[instruction.name](context, recipe, instruction)
        elif context.base != NO_BASE or instruction.name == "ADD":
            raise instruction.refuse("is not understood without an engine", _ENGINE)
    if not recipe.command:
        raise BuildError(
            f"{context.dockerfile.path} has no CMD",
            'the handler is missing, for example CMD ["predict.handler"]',
        )
    return recipe


def _env(context: Context, recipe: Recipe, instruction: Instruction) -> None:
    recipe.environment.update(instruction.assignments(recipe.environment))


def _workdir(context: Context, recipe: Recipe, instruction: Instruction) -> None:
    recipe.workdir = posixpath.normpath(
        posixpath.join(recipe.workdir, instruction.expanded(recipe.environment))
    )


def _cmd(context: Context, recipe: Recipe, instruction: Instruction) -> None:
    recipe.command = instruction.command()


def _copy(context: Context, recipe: Recipe, instruction: Instruction) -> None:
    words = instruction.words(recipe.environment)
    if any(word.startswith("--") for word in words):
        raise instruction.refuse("flags of COPY are not understood without an engine", _ENGINE)
    if len(words) < 2:
        raise instruction.refuse("needs a source and a destination")
    *sources, destination = words
    target = posixpath.normpath(posixpath.join(recipe.workdir, destination)).lstrip("/")
    into = destination.endswith(("/", "/.")) or destination == "." or len(sources) > 1
    for source in sources:
        files = dict(_matches(context, instruction, source.lstrip("/"), target, into))
        if not files:
            raise instruction.refuse(
                f"{context.folder.name}/ has no {source}", "it may be named in .dockerignore"
            )
        recipe.files.update(files)


def _matches(
    context: Context, instruction: Instruction, source: str, target: str, into: bool
) -> Iterator[tuple[str, Path]]:
    """Yield (name in the image, path) of the files that a source of COPY names.

    Args:
        source: a file, a folder, whose contents are copied, or a pattern.
        into: whether `target` is a folder.
    """
    pattern = posixpath.normpath(source)
    if pattern.startswith(".."):
        raise instruction.refuse("a source must lie in the context")
    parts = [] if pattern == "." else pattern.split("/")
    for name, path in context.files.items():
        head, below = name.split("/")[: len(parts)], name.split("/")[len(parts) :]
        if len(head) < len(parts) or not all(map(fnmatch.fnmatchcase, head, parts)):
            continue
        if below:
            yield posixpath.join(target, *below), path
        else:
            yield (posixpath.join(target, head[-1]) if into or "*" in pattern else target), path


def _run(context: Context, recipe: Recipe, instruction: Instruction) -> None:
    match = _PIP.match(instruction.argument)
    if not match:
        raise instruction.refuse("RUN is understood for pip install -r alone", _ENGINE)
    words = iter(instruction.argument[match.end() :].split())
    files = 0
    for word in words:
        if word in ("-r", "--requirement"):
            name = posixpath.normpath(posixpath.join(recipe.workdir, next(words, ""))).lstrip("/")
            if name not in recipe.files:
                raise instruction.refuse(f"/{name} is not copied before", "COPY it first")
            recipe.requirements.append(recipe.files[name])
            files += 1
        elif word not in _PIP_FLAGS:
            raise instruction.refuse(f"{word} is not understood without an engine", _ENGINE)
    if not files:
        raise instruction.refuse("pip install is understood with -r FILE alone", _ENGINE)


def requirement_files(context: Context) -> list[Path]:
    """Return the files of the context that RUN instructions name as pip requirements."""
    paths = []
    for instruction in context.dockerfile.instructions:
        if instruction.name == "RUN" and "pip" in instruction.argument:
            for name in re.findall(r"(?:-r|--requirement)[ =]\s*(\S+)", instruction.argument):
                path = context.files.get(posixpath.basename(name))
                paths += [path] if path else []
    return paths
