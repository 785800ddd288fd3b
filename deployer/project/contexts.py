"""The build contexts of the function images in lambda_src/, and the base image of each."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

from deployer.aws.access import Tell
from deployer.errors import BuildError
from deployer.images.context import LOCK_FILE, NO_BASE, Context
from deployer.images.maintenance import maintenance_warning
from deployer.images.pins import pin_base
from deployer.images.recipe import requirement_files
from deployer.images.registry import Reference
from deployer.project.manifest import MANIFEST
from deployer.project.models import Model
from deployer.project.settings import Settings


def image_keys(settings: Settings, functions: Iterable[str]) -> dict[str, str]:
    """Return the key of each function's image: `image/NAME` with a folder lambda_src/NAME.

    A folder with __init__.py is a Python package, and no function's folder.
    """
    return {
        name: f"image/{name}" if _has_own_folder(settings, name) else "image" for name in functions
    }


def _has_own_folder(settings: Settings, name: str) -> bool:
    folder = settings.project / "lambda_src" / name
    return folder.is_dir() and not (folder / "__init__.py").is_file()


def load_contexts(
    settings: Settings, keys: Mapping[str, str], models: Mapping[str, Model], problems: list[str]
) -> dict[str, Context]:
    """Return the build context of each image, by key; faults are added to the list.

    An image/NAME holds the files of lambda_src/, and those of lambda_src/NAME in place of files of
    the same name. A bare image is held to the same requirements as one for AWS, and this Python to
    the libraries that trained.

    Args:
        keys: the image's key of each function.
        models: the model of each function, as far as it is sound.
    """
    contexts: dict[str, Context] = {}
    shared = settings.project / "lambda_src"
    own = frozenset(name for name, key in keys.items() if key != "image")
    for key in dict.fromkeys(keys.values()):
        name = key.partition("/")[2]
        served = [models[user] for user in keys if keys[user] == key and user in models]
        libraries, faults = _libraries(served)
        problems += faults
        context = Context(
            shared / name,
            NO_BASE,
            settings.architecture,
            libraries.get("python", ""),
            shared if name else None,
            own,
        )
        try:
            based = replace(context, base=_base(settings, context))
            problems += _version_problems(based, libraries)
            problems += _package_problems(based, served)
        except BuildError as error:
            problems.append(error.message)
        else:
            if not settings.bare:
                context = based
        if settings.bare:
            problems += _installed_problems(settings, libraries, served)
        contexts[key] = context
    return contexts


def _libraries(models: Iterable[Model]) -> tuple[dict[str, str], list[str]]:
    """Return the versions that trained the models of one image, and where they disagree."""
    versions: dict[str, str] = {}
    first: dict[str, str] = {}
    problems = []
    for model in models:
        for library, whole in model.libraries.items():
            version = _minor(whole) if library == "python" else whole
            if versions.setdefault(library, version) != version:
                problems.append(
                    f"{MANIFEST}: {first[library]} was trained with {library} {versions[library]} "
                    f"and {model.name} with {version}, but they share an image: give one of them "
                    f"its own, lambda_src/{model.name}/ with a requirements.txt"
                )
            first.setdefault(library, model.name)
    return versions, problems


def _minor(version: str) -> str:
    """Return the first two numbers of a version."""
    return ".".join(version.split(".")[:2])


def _base(settings: Settings, context: Context) -> str:
    """Return the base image that FROM names, not pinned yet.

    Raises:
        BuildError: there is no Dockerfile, or the base is for another Python version than the one
            that trained.
    """
    dockerfile, setting = context.dockerfile, settings.base_image
    if setting and not dockerfile.takes_base:
        raise BuildError(
            f"base_image is {setting}, but {dockerfile.path} has no ARG BASE before FROM to put "
            "it in"
        )
    base = dockerfile.base(setting or f"public.ecr.aws/lambda/python:{context.python}")
    reference = Reference.parse(base)
    version = re.match(r"[0-9]+\.[0-9]+", reference.tag)
    if reference.repository.endswith("/python") and version and version[0] != context.python:
        raise BuildError(
            f"{dockerfile.path} builds on {base}, but the models were trained with Python "
            f"{context.python}"
        )
    return base


def _version_problems(context: Context, libraries: Mapping[str, str]) -> Iterator[str]:
    """Yield the pinned libraries whose versions are not those that trained the models."""
    from deployer.images.requirements import mismatches, target_environment

    environment = target_environment(context.python, context.architecture)
    for path in requirement_files(context):
        yield from mismatches(path, environment, libraries)


def _package_problems(context: Context, models: Iterable[Model]) -> Iterator[str]:
    """Yield the packages of models that their image lacks, or has in another version."""
    needing = [(model.name, model.packages) for model in models if model.packages]
    if not needing:
        return
    from deployer.images.requirements import lacking, target_environment

    paths = requirement_files(context)
    environment = target_environment(context.python, context.architecture)
    for name, packages in needing if paths else ():
        for package, reason in lacking(paths, environment, packages):
            yield f"{MANIFEST}: {name} needs {package} {packages[package]}, {reason}"


def _installed_problems(
    settings: Settings, libraries: Mapping[str, str], models: Iterable[Model]
) -> Iterator[str]:
    """Yield the libraries and packages that this Python has otherwise than they trained."""
    from deployer.images.requirements import TRAINED_WITH

    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = libraries.get("python", here)
    if python != here:
        yield (
            f"{MANIFEST}: the models were trained with Python {python}, but this is Python {here}, "
            f"in which --local runs them: run the deployer with Python {python}, or train again: "
            f"{settings.train}"
        )
    for library in TRAINED_WITH:
        if library in libraries:
            who = "the models were trained with"
            yield from _not_installed(who, library, libraries[library])
    for model in models:
        for package, version in model.packages.items():
            yield from _not_installed(f"{model.name} needs", package, version)


def _not_installed(who: str, package: str, version: str) -> Iterator[str]:
    """Yield a problem if this Python has not this version of a package."""
    from importlib import metadata

    from deployer.images.requirements import same_modules

    installed = ""
    for name_here in (package, *same_modules(package)):
        with suppress(metadata.PackageNotFoundError):
            installed = installed or metadata.version(name_here)
    if installed != version:
        reason = (
            f"but {installed} is installed here" if installed else "which is not installed here"
        )
        yield (
            f"{MANIFEST}: {who} {package} {version}, {reason}: python -m pip install "
            f"{package}=={version}"
        )


def base_warnings(contexts: Mapping[str, Context]) -> Iterator[str]:
    """Yield a warning for each base that is out of maintenance."""
    for base in dict.fromkeys(context.base for context in contexts.values()):
        warning = None if base == NO_BASE else maintenance_warning(base, date.today())
        if warning:
            yield warning


def lock_file(settings: Settings) -> Path:
    """Return the path of the file that keeps the digests of bases."""
    return settings.project / "lambda_src" / LOCK_FILE


def pin_bases(
    settings: Settings, contexts: Mapping[str, Context], *, write: bool, tell: Tell
) -> dict[str, Context]:
    """Return the contexts with their bases pinned by digest.

    The registry is asked only for digests that the lock file lacks.

    Args:
        write: whether to add new digests to the lock file.
    """
    lock = lock_file(settings)
    return {
        key: replace(context, base=pin_base(context.base, lock, write=write, tell=tell))
        for key, context in contexts.items()
    }
