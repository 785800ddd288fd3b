"""Which models the setting `train` adds: CI and `up --train` have these, and no others.

`models/` is not under git in a project that `init` wrote, so a model that somebody has added by
hand is on that machine alone.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import ConfigError
from deployer.project.parsers import train_commands
from deployer.project.settings import Settings
from deployer.service.adding import function_name

_ADD = ["-m", "deployer", "add"]
FLAGS = ("--yes", "--local", "--json", "--no-color", "-v", "--verbose", "--help")  # of `add`


@dataclass(frozen=True)
class Recipe:
    """An `add` in the setting `train`: the name of the model, and its file."""

    name: str
    file: Path


def recipes(settings: Settings) -> Iterator[Recipe]:
    """Yield what the setting `train` adds."""
    for command in train_commands(settings.train):
        if command[1:4] == _ADD:
            yield from _recipe(settings.project, command[4:])


def _recipe(project: Path, words: Sequence[str]) -> Iterator[Recipe]:
    """Yield what the arguments of an `add` mean; nothing if they name no file."""
    files, given, rest = [], None, iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            files.append(word)
        elif word not in FLAGS:
            value = value if equals else next(rest, "")
            given = value if option == "--name" else given
    for file in files[:1]:
        path = project / file
        with suppress(ConfigError):  # a file that makes no name: the training itself says so
            yield Recipe(function_name(given, path), path.resolve())


def on_adding(settings: Settings, name: str, file: Path, example: Path | None) -> Iterator[str]:
    """Yield a remark on a model that was added by hand, if `train` does not add the same file."""
    if not _trains(settings):
        return
    others = [recipe.file for recipe in recipes(settings) if recipe.name == name]
    if file.resolve() in others:
        return
    shown, path = _shown(settings, file), shlex.quote(_shown(settings, file))
    does = f"adds {_shown(settings, others[0])}" if others else f"does not add {shown}"
    command = ["python", "-m", "deployer", "add", shown]
    command += ["--name", name] if function_name(None, file) != name else []
    command += ["--example", _shown(settings, example)] if example is not None else []
    yield (
        f"CI and `up --train` will not have this model: the setting train {does}. To have it "
        f"there, keep the file in this folder and in git (git add -f {path}), and let train in "
        f"setup.cfg end with: {shlex.join([*command, '--yes'])}"
    )


def on_removing(settings: Settings, names: Iterable[str]) -> Iterator[str]:
    """Yield a remark on each model that was removed and that `train` will add again."""
    again = {recipe.name: recipe.file for recipe in recipes(settings)}
    for name in sorted({*names} & again.keys()):
        file = _shown(settings, again[name])
        yield f"the setting train in setup.cfg adds {file}, so that up --train makes {name} again"


def _trains(settings: Settings) -> bool:
    """Tell whether there is a training: the setting names a program that exists."""
    scripts = [
        word
        for command in train_commands(settings.train)
        for word in command
        if word.endswith(".py")
    ]
    return not scripts or any((settings.project / script).exists() for script in scripts)


def _shown(settings: Settings, path: Path) -> str:
    """Return a path in the project as one from its folder; of another, the name that it may get."""
    resolved = path.resolve()
    project = settings.project.resolve()
    return str(resolved.relative_to(project)) if project in resolved.parents else path.name
