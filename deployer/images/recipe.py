"""What a Dockerfile does, carried out on names instead of in a container: for the builder that
needs no engine.

It understands what a function's Dockerfile needs: FROM with ARG, COPY, RUN pip install -r, ENV,
WORKDIR, CMD. Anything else is refused by its line, because leaving it out would make another image.
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
    """An image as its Dockerfile describes it.

    `files`: the copied ones, by their names in the image without the first slash. `requirements`:
    those that pip installs from.
    """

    environment: dict[str, str]
    workdir: str
    command: tuple[str, ...] = ()
    files: dict[str, Path] = field(default_factory=dict)
    requirements: list[Path] = field(default_factory=list)


def interpret(context: Context, environment: Mapping[str, str], workdir: str) -> Recipe:
    """Follow a context's Dockerfile; `environment` and `workdir` are the base's.

    Without a base there is nothing that RUN could run in, so what is no COPY, ENV, WORKDIR or CMD
    is passed over.
    """
    recipe = Recipe(dict(environment), workdir or "/")
    steps = {"ENV": _env, "WORKDIR": _workdir, "COPY": _copy, "CMD": _cmd}
    if context.base != NO_BASE:
        steps["RUN"] = _run
    seen_from = False
    for each in context.dockerfile.instructions:
        if each.name in ("FROM", "ARG"):
            if seen_from:
                problem = (
                    "one stage alone is understood"
                    if each.name == "FROM"
                    else "ARG is understood before FROM"
                )
                raise each.refuse(problem, _ENGINE)
            seen_from = each.name == "FROM"
        elif each.name in steps:
            steps[each.name](context, recipe, each)
        elif context.base != NO_BASE or each.name == "ADD":
            raise each.refuse("is not understood without an engine", _ENGINE)
    if not recipe.command:
        raise BuildError(
            f"{context.dockerfile.path} has no CMD",
            'the handler is missing, for example CMD ["predict.handler"]',
        )
    return recipe


def _env(context: Context, recipe: Recipe, each: Instruction) -> None:
    recipe.environment.update(each.assignments(recipe.environment))


def _workdir(context: Context, recipe: Recipe, each: Instruction) -> None:
    recipe.workdir = posixpath.normpath(
        posixpath.join(recipe.workdir, each.expanded(recipe.environment))
    )


def _cmd(context: Context, recipe: Recipe, each: Instruction) -> None:
    recipe.command = each.command()


def _copy(context: Context, recipe: Recipe, each: Instruction) -> None:
    words = each.words(recipe.environment)
    if any(word.startswith("--") for word in words):
        raise each.refuse("flags of COPY are not understood without an engine", _ENGINE)
    if len(words) < 2:
        raise each.refuse("needs a source and a destination")
    *sources, destination = words
    target = posixpath.normpath(posixpath.join(recipe.workdir, destination)).lstrip("/")
    into = destination.endswith(("/", "/.")) or destination == "." or len(sources) > 1
    for source in sources:
        found = dict(_matches(context, each, source.lstrip("/"), target, into))
        if not found:
            raise each.refuse(
                f"{context.folder.name}/ has no {source}", "it may be named in .dockerignore"
            )
        recipe.files.update(found)


def _matches(
    context: Context, each: Instruction, source: str, target: str, into: bool
) -> Iterator[tuple[str, Path]]:
    """Yield (name in the image, path) of what a source of COPY stands for: a file, a folder's
    contents, a pattern.
    """
    pattern = posixpath.normpath(source)
    if pattern.startswith(".."):
        raise each.refuse("a source must lie in the context")
    parts = [] if pattern == "." else pattern.split("/")
    for name, path in context.files.items():
        own = name.split("/")
        if len(own) < len(parts) or not all(
            fnmatch.fnmatchcase(one, part) for one, part in zip(own, parts)
        ):
            continue
        if len(own) > len(parts):  # below a folder: its contents are copied, not itself
            yield posixpath.join(target, *own[len(parts) :]), path
        else:
            yield (posixpath.join(target, own[-1]) if into or "*" in pattern else target), path


def _run(context: Context, recipe: Recipe, each: Instruction) -> None:
    match = _PIP.match(each.argument)
    if not match:
        raise each.refuse("RUN is understood for pip install -r alone", _ENGINE)
    words = iter(each.argument[match.end() :].split())
    found = 0
    for word in words:
        if word in ("-r", "--requirement"):
            name = posixpath.normpath(posixpath.join(recipe.workdir, next(words, ""))).lstrip("/")
            if name not in recipe.files:
                raise each.refuse(f"/{name} is not copied before", "COPY it first")
            recipe.requirements.append(recipe.files[name])
            found += 1
        elif word not in _PIP_FLAGS:
            raise each.refuse(f"{word} is not understood without an engine", _ENGINE)
    if not found:
        raise each.refuse("pip install is understood with -r FILE alone", _ENGINE)


def requirement_files(context: Context) -> list[Path]:
    """Return the files of the context that some RUN hands to pip, as far as that can be told by
    reading.
    """
    found = []
    for each in context.dockerfile.instructions:
        if each.name == "RUN" and "pip" in each.argument:
            for name in re.findall(r"(?:-r|--requirement)[ =]\s*(\S+)", each.argument):
                path = context.files.get(posixpath.basename(name))
                found += [path] if path else []
    return found
