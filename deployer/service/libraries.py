"""The lines of requirements.txt that an added model's packages need, without a terminal.

They go into the file that the model's image is built with: that of lambda_src/NAME/, if there is
this folder, or the shared one. Where the shared file pins another version, the function gets a file
of its own, a copy with the model's versions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deployer.errors import BuildError
from deployer.images.context import NO_BASE, Context
from deployer.images.installed import closure, newer_wheels
from deployer.images.recipe import requirement_files
from deployer.images.requirements import (
    by_name,
    pinned_version,
    same_modules,
    target_environment,
    with_gpu,
)

if TYPE_CHECKING:
    from packaging.requirements import Requirement


@dataclass(frozen=True)
class Lines:
    """Lines to write to a requirements file.

    Attributes:
        file: its name in the project.
        lines: what is added to it, such as xgboost-cpu==3.2.0.
        content: the whole file with these lines.
        copied: whether it is a new file, made of the shared one.
    """

    path: Path
    file: str
    lines: tuple[str, ...]
    content: bytes
    copied: bool

    @property
    def listed(self) -> str:
        return ", ".join(self.lines)


def plan_lines(
    project: Path, name: str, packages: Mapping[str, str], python: str, remarks: list[str]
) -> Lines | None:
    """Return the lines that a model's image lacks; None if it lacks none, or has no such file.

    Args:
        packages: versions by distribution, from the manifest's entry.
        python: the version that trained.
        remarks: what is to be known of the packages is added.
    """
    shared, own = project / "lambda_src", project / "lambda_src" / name
    has_own = own.is_dir() and not (own / "__init__.py").is_file()
    context = Context(
        own if has_own else shared, NO_BASE, "x86_64", python, shared if has_own else None
    )
    environment = target_environment(python, "x86_64")
    try:
        files = requirement_files(context)
        named = by_name(files, environment)
        remarks += with_gpu(files, environment)
    except BuildError:  # `check` says so
        return None
    if not packages or not files:
        return None
    lacks = {
        package: version
        for package, version in closure(packages, environment).items()
        if not any(key in named for key in same_modules(package))
    }
    remarks += newer_wheels(lacks, python)
    lines = [f"{package}=={version}" for package, version in lacks.items()]
    others = {
        line: _with_marker(f"{package}=={version}", requirement)
        for package, version in packages.items()
        for key, (_, line, requirement) in named.items()
        if key in same_modules(package) and pinned_version(requirement) not in (None, version)
    }
    path = files[0]
    if not lines and not others:
        return None
    if others and (path.is_relative_to(own) or own.exists() and not has_own):
        return None  # it is the user's own; `check` says the line
    target = own / path.name if others or has_own else path
    content = _content(path, lines, others)
    if content is None:
        return None
    file = target.relative_to(project).as_posix()
    return Lines(target, file, (*others.values(), *lines), content, target != path)


def _with_marker(line: str, requirement: Requirement) -> str:
    return f"{line}; {requirement.marker}" if requirement.marker else line


def _content(path: Path, lines: Sequence[str], others: Mapping[int, str]) -> bytes | None:
    """Return a file's content with new lines at its end, and others in place of those of a number.

    None if the file is not UTF-8, or a line to be replaced is continued.
    """
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        return None
    end = "\r\n" if "\r\n" in text else "\n"
    rows = text.splitlines()
    for number, line in others.items():
        if rows[number - 1].rstrip().endswith("\\"):
            return None
        rows[number - 1] = line
    return end.join([*rows, *lines, ""]).encode()
