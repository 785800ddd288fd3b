"""Building a function image with the chosen builder, and pushing it or saving it to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from deployer.aws.access import Tell
from deployer.errors import BuildError
from deployer.images.archive import write_archive
from deployer.images.context import NO_BASE, Context
from deployer.images.direct import build_image, check_recipe
from deployer.images.ecr import Calls, check_image, push
from deployer.images.engine import Engine, find_engine
from deployer.images.layers import BuiltImage
from deployer.images.openmp import LIBRARY, NEEDING, install_line
from deployer.images.predictions import prediction_check
from deployer.images.recipe import requirement_files
from deployer.images.requirements import by_name, target_environment


@dataclass(frozen=True)
class BuildSummary:
    """A built image.

    Attributes:
        builder: docker or direct.
        digest: None from an engine, which knows it only after a push.
        layers: (kind, compressed bytes) of all layers; empty from an engine.
    """

    builder: str
    digest: str | None
    layers: tuple[tuple[str, int], ...]


def choose_engine(choice: str, context: Context) -> tuple[Engine | None, str]:
    """Return the engine to build with, or None for the direct builder, and a line that says why.

    An image without a base is always built directly: an engine has nothing to run in it.

    Raises:
        BuildError: `choice` is docker, and no engine answers.
    """
    if choice == "direct" or context.base == NO_BASE:
        return None, "builder: direct"
    engine = find_engine()
    if engine is not None:
        return engine, f"builder: docker, the engine at {engine.address}"
    if choice == "docker":
        raise BuildError(
            "no Docker engine answers: neither at DOCKER_HOST, nor of the docker context, nor at "
            "the usual sockets",
            "start one, or use --builder direct, which needs none",
        )
    return None, "builder: direct, because no Docker engine answers"


def check_buildable(choice: str, context: Context) -> None:
    """Raise BuildError for what the chosen builder would refuse, before anything is created.

    (PRE-9)
    """
    engine, _ = choose_engine(choice, context)
    if engine:
        engine.close()
        check_system_libraries(context)
    else:
        check_recipe(context)


def check_system_libraries(context: Context) -> None:
    """Raise BuildError if a package needs a library that the Dockerfile does not install."""
    if "/lambda/python:" not in context.base or any(
        "libgomp" in instruction.argument for instruction in context.dockerfile.instructions
    ):
        return
    environment = target_environment(context.python, context.architecture)
    named = by_name(requirement_files(context), environment)
    for path, number, requirement in (named[name] for name in NEEDING if name in named):
        raise BuildError(
            f"{path} line {number}: {requirement} needs the library {LIBRARY}, which AWS's base "
            "image lacks",
            f"add the line {install_line(context.python)} to {context.dockerfile.path}, which both "
            "builders understand, or use --builder direct, which needs no line",
        )


def build_and_push(
    context: Context,
    aws: Calls,
    repository: str,
    choice: str,
    tell: Tell,
    models: Sequence[Path] = (),
    build: Callable[[Context, Tell], BuiltImage] = build_image,
) -> str:
    """Build an image, push it under its tag, and return a digest that Lambda accepts.

    Args:
        choice: auto, docker or direct.
        models: files of the models that the image serves. The predictions for them are checked
            before the push.
        build: the direct builder.
    """
    tag = context.image_tag
    engine, reason = choose_engine(choice, context)
    if context.base != NO_BASE:
        tell(reason, lasting=True)
    with _checks(context, models, tell) as check:
        if engine:
            name = f"{repository}:{tag}"
            with _engine_image(engine, context, name, tell):
                check()
                digest = engine.push(aws, name, repository, tag, tell)
        else:
            image = build(context, tell)
            check()
            digest = push(aws, repository, tag, image, tell)
    try:
        check_image(aws, repository, digest, context.architecture)
    except BuildError:  # the next run must not find the tag and use the image
        aws.call(
            "ecr",
            "batch_delete_image",
            repositoryName=repository,
            imageIds=[{"imageDigest": digest}],
        )
        raise
    return digest


def build_and_save(
    context: Context,
    name: str,
    target: Path,
    choice: str,
    tell: Tell,
    models: Sequence[Path] = (),
    build: Callable[[Context, Tell], BuiltImage] = build_image,
) -> BuildSummary:
    """Build an image and write it to a file for `docker load`, without any AWS call.

    The arguments are those of `build_and_push`.
    """
    engine, reason = choose_engine(choice, context)
    tell(reason, lasting=True)
    with _checks(context, models, tell) as check:
        if engine:
            with _engine_image(engine, context, name, tell):
                check()
                engine.save(name, target)
            return BuildSummary("docker", None, ())
        image = build(context, tell)
        check()
        write_archive(image, name, target)
    layers = tuple((blob.kind, blob.size) for blob in image.layers)
    return BuildSummary("direct", image.digest, layers)


@contextmanager
def _engine_image(engine: Engine, context: Context, name: str, tell: Tell) -> Iterator[None]:
    """Build an image in an engine. At the end its name is removed and the connection closed."""
    try:
        engine.build(context, name, tell)
        try:
            yield
        finally:
            engine.untag(name)
    finally:
        engine.close()


@contextmanager
def _checks(context: Context, models: Sequence[Path], tell: Tell) -> Iterator[Callable[[], None]]:
    """Start checking predictions; yield a function that raises BuildError for an unusable image.

    An image is unusable if the context's files changed during the build, because its tag is a hash
    of the files, or if its predictions are wrong.
    """
    tag = context.image_tag
    with prediction_check(context, models, tell) as finish:

        def check() -> None:
            if replace(context).image_tag != tag:
                raise BuildError(
                    f"{context.folder} changed while the image was built", "run the command again"
                )
            finish()

        yield check
