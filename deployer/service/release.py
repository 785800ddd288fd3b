"""A release: everything that is served. Read from the user's folder, checked as a whole."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deployer.engine.events import Emit, Note, as_notes
from deployer.engine.plan import Ref
from deployer.errors import ConfigError
from deployer.files import read_object
from deployer.images.context import Context
from deployer.project import workflow
from deployer.project.contexts import base_warnings, image_keys, load_contexts, pin_bases
from deployer.project.manifest import read_manifest
from deployer.project.models import Model, load_models
from deployer.project.settings import Settings
from deployer.project.training import add_advice, needed, outdated
from deployer.project.workflow import WORKFLOW
from deployer.service.provisioning import problems as concurrency_problems

_FUNCTION_NAME_LIMIT = 64  # Lambda-28


@dataclass(frozen=True)
class ServedFunction:
    """A function of a release: the model that it serves, and its image.

    Args:
        image: the image's digest, or the Ref to an image that is still to be built.
    """

    name: str
    model: Model
    image: Ref | str


@dataclass(frozen=True)
class Release:
    """The workflow and its functions.

    Args:
        definition: the workflow in Amazon States Language, with its placeholders.
        functions: in the workflow's order.
        contexts: the build context of each image that the functions refer to, by the image's key.
    """

    definition: Mapping[str, Any]
    functions: tuple[ServedFunction, ...]
    contexts: Mapping[str, Context]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(function.name for function in self.functions)

    @property
    def image_keys(self) -> dict[str, str]:
        """The key of each function's image, by the function's name."""
        return {
            function.name: function.image.key
            for function in self.functions
            if isinstance(function.image, Ref)
        }

    def model_files(self, image: str) -> list[Path]:
        """Return the files of the models that an image serves; `image` is its key."""
        keys = self.image_keys
        return [
            function.model.path for function in self.functions if keys.get(function.name) == image
        ]


def load_release(settings: Settings) -> Release:
    """Read and check the release in the user's folder; raise ConfigError with all problems."""
    problems: list[str] = []
    definition = read_object(settings.project, WORKFLOW, problems)
    manifest = read_manifest(settings.project, problems)
    if problems:
        absent = not (settings.project / WORKFLOW).exists()
        raise ConfigError(problems, add_advice(settings.project) if absent else "")
    names = tuple(workflow.functions(definition, problems))
    problems += (f"{WORKFLOW} {problem}" for problem in workflow.problems(definition))
    problems += section_problems(settings, names)
    problems += long_names(settings, names)
    problems += concurrency_problems(settings, names)
    problems += workflow.timeout_problems(
        definition, lambda name: settings.function(name).timeout_s
    )
    models = load_models(settings, manifest, names, problems)
    keys = image_keys(settings, names)
    contexts = load_contexts(settings, keys, models, problems)
    if problems:
        raise ConfigError(problems)
    functions = (ServedFunction(name, models[name], Ref(keys[name], "digest")) for name in names)
    return Release(definition, tuple(functions), contexts)


def read_release(settings: Settings, emit: Emit, *, write: bool = True) -> Release:
    """Return the release in the user's folder, with the bases of its images pinned by digest.

    Files that changed since the training are told, and bases that are out of maintenance.

    Args:
        write: whether to add new digests to the lock file.

    Raises:
        ConfigError: with all problems; or there are no models.
    """

    if needed(settings):
        raise ConfigError(
            [f"there are no models: train them with {settings.train} (up does so by itself)"],
            add_advice(settings.project),
        )
    release = load_release(settings)
    for line in (*outdated(settings), *base_warnings(release.contexts)):
        emit(Note(line))
    contexts = pin_bases(settings, release.contexts, write=write, tell=as_notes(emit))
    return replace(release, contexts=contexts)


def declared_names(settings: Settings) -> tuple[str, ...]:
    """Return the functions that the workflow names; none where it cannot be read.

    `down` works without a sound project.
    """
    faults: list[str] = []
    definition = read_object(settings.project, WORKFLOW, faults)
    return tuple(workflow.functions(definition, faults))


def section_problems(settings: Settings, known: Sequence[str]) -> Iterator[str]:
    """Yield a problem for each section of a function that the workflow does not name."""
    for section, name in settings.function_sections:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it names {', '.join(known)}"
            yield f"setup.cfg [{section}]: {WORKFLOW} names no function {name}; {hint}"


def long_names(settings: Settings, names: Iterable[str]) -> Iterator[str]:
    """Yield a problem for each function whose whole name Lambda does not take."""
    for name in names:
        full = settings.function_name(name)
        if len(full) > _FUNCTION_NAME_LIMIT:
            yield (
                f"{WORKFLOW}: {name} makes the function name {full}, longer than Lambda's "
                f"{_FUNCTION_NAME_LIMIT}"
            )
