"""The build contexts of the function images in lambda_src/, and the base image of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from deployer.aws.access import Tell
from deployer.errors import BuildError
from deployer.images.context import LOCK_FILE, NO_BASE, Context
from deployer.images.pins import pin_base
from deployer.images.recipe import requirement_files
from deployer.images.registry import Reference
from deployer.project.settings import Settings


def image_keys(settings: Settings, functions: Iterable[str]) -> dict[str, str]:
    """Return the key of each function's image: `image/NAME` with lambda_src/NAME/Dockerfile."""
    source = settings.project / "lambda_src"
    return {
        name: f"image/{name}" if (source / name / "Dockerfile").is_file() else "image"
        for name in functions
    }


def load_contexts(
    settings: Settings, keys: Iterable[str], libraries: Mapping[str, str], problems: list[str]
) -> dict[str, Context]:
    """Return the build context of each image, by key; faults are added to the list.

    Args:
        libraries: the versions that trained the models, with "python" among them.
    """
    contexts: dict[str, Context] = {}
    for key in dict.fromkeys(keys):
        folder = settings.project / "lambda_src" / key.partition("/")[2]
        context = Context(folder, NO_BASE, settings.architecture, str(libraries.get("python", "")))
        try:
            contexts[key] = replace(context, base=_base(settings, context))
        except BuildError as error:
            contexts[key] = context
            problems.append(error.message)
    problems += _version_problems(contexts.values(), libraries)
    return contexts


def _base(settings: Settings, context: Context) -> str:
    """Return the base image that FROM names, not pinned yet.

    Raises:
        BuildError: there is no Dockerfile (an image without a base needs one, too), or the base is
            for another Python version than the one that trained.
    """
    dockerfile, setting = context.dockerfile, settings.base_image
    if setting == NO_BASE:
        return NO_BASE
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


def _version_problems(contexts: Iterable[Context], libraries: Mapping[str, str]) -> Iterator[str]:
    """Yield the pinned libraries whose versions are not those that trained the models."""
    for context in contexts:
        if context.base == NO_BASE:
            continue
        from deployer.images.requirements import mismatches, target_environment

        environment = target_environment(context.python, context.architecture)
        for path in requirement_files(context):
            yield from mismatches(path, environment, libraries)


def pin_bases(
    settings: Settings, contexts: Mapping[str, Context], *, write: bool, tell: Tell
) -> dict[str, Context]:
    """Return the contexts with their bases pinned by digest.

    The registry is asked only for digests that the lock file lacks.

    Args:
        write: whether to add new digests to the lock file.
    """
    lock = settings.project / "lambda_src" / LOCK_FILE
    return {
        key: replace(context, base=pin_base(context.base, lock, write=write, tell=tell))
        for key, context in contexts.items()
    }
