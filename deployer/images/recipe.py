"""Interpreting a Dockerfile for the direct builder, without running anything.

Supported: FROM with ARG, COPY, RUN pip install -r, ENV, WORKDIR, CMD, and the metadata LABEL,
EXPOSE, USER and MAINTAINER. HEALTHCHECK is left out, because only Docker itself reads it. Other
instructions are errors that name the line, because leaving them out would give another image.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from deployer.errors import BuildError
from deployer.images.context import NO_BASE, Context
from deployer.images.dockerfile import NEEDS_ENGINE, Instruction
from deployer.images.openmp import installs
from deployer.images.pip_command import parse_pip_install

TASK_ROOT = "/var/task"  # of AWS's base images
# Folders of every Linux image. A COPY to a folder that exists copies into it.
_LINUX_FOLDERS = (
    *("/bin", "/etc", "/home", "/lib", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/var"),
    *("/usr/bin", "/usr/lib", "/usr/local/bin", "/usr/local/lib"),
)
_BASE_FOLDERS = ("LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR")  # variables that name the base's folders
_ROOT_USERS = ("", "root", "0")
_REQUIREMENTS = re.compile(r"(?<!\S)(?:-r|--requirement)[ =]?\s*(\S+)")


@dataclass
class Recipe:
    """The image that a Dockerfile describes.

    Attributes:
        files: copied files by their name in the image, without the leading slash.
        folders: absolute names of folders that are known to exist.
        requirements: the files that pip installs from.
        target: the folder of pip's --target; None for the working directory.
        needs_all: whether packages that others need must be among the requirements: not with
            pip's --no-deps.
        ports: such as 8080/tcp.
    """

    environment: dict[str, str]
    workdir: str
    command: tuple[str, ...] = ()
    files: dict[str, Path] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    requirements: list[Path] = field(default_factory=list)
    target: str | None = None
    needs_all: bool = True
    labels: dict[str, str] = field(default_factory=dict)
    ports: list[str] = field(default_factory=list)
    user: str = ""
    author: str = ""

    def add_folder(self, folder: str) -> None:
        """Remember that a folder and its parents exist."""
        path = PurePosixPath(folder)
        self.folders.update(parent.as_posix() for parent in (path, *path.parents))

    def absolute(self, path: str) -> str:
        """Return a path in the image as an absolute one, without a slash at the end."""
        return posixpath.normpath(posixpath.join(self.workdir, path))


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
    base_folders = [environment[name] for name in _BASE_FOLDERS if name in environment]
    for folder in (recipe.workdir, *_LINUX_FOLDERS, *base_folders):
        recipe.add_folder(posixpath.normpath(folder))
    steps = {"ENV": _env, "WORKDIR": _workdir, "COPY": _copy, "CMD": _cmd}
    if context.base != NO_BASE:
        steps |= {"RUN": _run, "LABEL": _label, "EXPOSE": _expose, "USER": _user}
        steps |= {"MAINTAINER": _maintainer, "HEALTHCHECK": _healthcheck}
    seen_from = False
    for instruction in context.dockerfile.instructions:
        if instruction.name in ("FROM", "ARG"):
            if seen_from:
                problem = (
                    "one stage alone is understood"
                    if instruction.name == "FROM"
                    else "ARG is understood before FROM"
                )
                raise instruction.refuse(problem, NEEDS_ENGINE)
            seen_from = instruction.name == "FROM"
        elif instruction.name in steps:
            steps[instruction.name](context, recipe, instruction)
        elif context.base != NO_BASE or instruction.name == "ADD":
            raise instruction.refuse("is not understood without an engine", NEEDS_ENGINE)
    if not recipe.command:
        raise BuildError(
            f"{context.dockerfile.path} has no CMD",
            'the handler is missing, for example CMD ["predict.handler"]',
        )
    return recipe


def interpret_for_lambda(context: Context) -> Recipe:
    """Interpret a context's Dockerfile as if its base were AWS's, which is not read.

    Raises:
        BuildError: as `interpret`.
    """
    return interpret(context, {"LAMBDA_TASK_ROOT": TASK_ROOT}, TASK_ROOT)


def _env(context: Context, recipe: Recipe, instruction: Instruction) -> None:
    recipe.environment.update(instruction.assignments(recipe.environment))


def _workdir(context: Context, recipe: Recipe, instruction: Instruction) -> None:
    recipe.workdir = recipe.absolute(instruction.expanded(recipe.environment))
    recipe.add_folder(recipe.workdir)


def _cmd(context: Context, recipe: Recipe, instruction: Instruction) -> None:
    recipe.command = instruction.command()


def _label(context: Context, recipe: Recipe, instruction: Instruction) -> None:
    recipe.labels.update(instruction.labels(recipe.environment))


def _expose(context: Context, recipe: Recipe, instruction: Instruction) -> None:
    recipe.ports += instruction.ports(recipe.environment)


def _user(context: Context, recipe: Recipe, instruction: Instruction) -> None:
    recipe.user = instruction.expanded(recipe.environment)
    if not recipe.user:
        raise instruction.refuse("names no user")


def _maintainer(context: Context, recipe: Recipe, instruction: Instruction) -> None:
    recipe.author = instruction.argument


def _healthcheck(context: Context, recipe: Recipe, instruction: Instruction) -> None:
    """Leave a HEALTHCHECK out: Lambda and registries do not read it."""


def _copy(context: Context, recipe: Recipe, instruction: Instruction) -> None:
    words = instruction.words(recipe.environment)
    if any(word.startswith("--") for word in words):
        raise instruction.refuse("flags of COPY are not understood without an engine", NEEDS_ENGINE)
    if len(words) < 2:
        raise instruction.refuse("needs a source and a destination")
    *sources, destination = words
    target = recipe.absolute(destination)
    into = destination.endswith(("/", "/.")) or len(sources) > 1 or target in recipe.folders
    for source in sources:
        files = dict(_matches(context, instruction, source.lstrip("/"), target.lstrip("/"), into))
        if not files:
            raise instruction.refuse(
                f"{context.folder.name}/ has no {source}", "it may be named in .dockerignore"
            )
        recipe.files.update(files)
        for name in files:
            recipe.add_folder(posixpath.dirname(f"/{name}"))


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
    if installs(instruction.argument):
        return  # packages that need the library get it by a link (openmp.py)
    install = parse_pip_install(instruction, recipe.environment)
    if recipe.user.partition(":")[0] not in _ROOT_USERS:
        raise instruction.refuse("RUN after USER is not understood without an engine", NEEDS_ENGINE)
    target = None if install.target is None else recipe.absolute(install.target)
    if recipe.requirements and target != recipe.target:
        raise instruction.refuse("another RUN installs into another folder", NEEDS_ENGINE)
    recipe.target = target
    recipe.needs_all = not install.no_deps or (recipe.needs_all and bool(recipe.requirements))
    for file in install.files:
        name = recipe.absolute(file).lstrip("/")
        if name not in recipe.files:
            raise instruction.refuse(f"/{name} is not copied before", "COPY it first")
        recipe.requirements.append(recipe.files[name])


def requirement_files(context: Context) -> list[Path]:
    """Return the files of the context that RUN instructions name as pip requirements."""
    paths = []
    for instruction in context.dockerfile.instructions:
        if instruction.name == "RUN" and "pip" in instruction.argument:
            for name in _REQUIREMENTS.findall(instruction.argument):
                path = context.files.get(posixpath.basename(name.strip("\"'")))
                paths += [path] if path else []
    return paths
