"""Making a function image and bringing it into its repository, with the builder that was chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deployer.aws.access import Aws, Tell
from deployer.errors import BuildError
from deployer.images.archive import write_archive
from deployer.images.context import NO_BASE, Context
from deployer.images.direct import build_image
from deployer.images.ecr import check_image, push
from deployer.images.engine import Engine, find_engine
from deployer.images.predictions import prediction_check


@dataclass(frozen=True)
class BuildSummary:
    """What was built: by whom, its digest where it is known before a push, its layers as (what,
    compressed bytes).
    """

    builder: str
    digest: str | None
    layers: tuple[tuple[str, int], ...]


def choose_engine(choice: str, context: Context) -> tuple[Engine | None, str]:
    """Return the engine to use, or None for the direct builder, and a line that says which and why.

    An image without a base has nothing that an engine could run.
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


def build_and_push(
    context: Context,
    aws: Aws,
    repository: str,
    choice: str,
    tell: Tell,
    models: Sequence[Path] = (),
) -> str:
    """Build the context, push it under its tag, and return the digest that Lambda will accept.

    Args:
        models: files of the models that the image will serve; what it predicts for them is verified
            before the push.
    """
    tag = context.image_tag
    engine, why = choose_engine(choice, context)
    if context.base != NO_BASE:
        tell(why, lasting=True)
    with prediction_check(context, models, tell) as verified:
        if engine:
            digest = _build_with_engine(engine, context, aws, repository, tag, tell, verified)
        else:
            image = build_image(context, tell)
            _check_unchanged(context, tag)
            verified()
            digest = push(aws, repository, tag, image, tell)
    try:
        check_image(aws, repository, digest, context.architecture)
    except BuildError:  # or the next run would take it by its tag
        aws.call(
            "ecr",
            "batch_delete_image",
            repositoryName=repository,
            imageIds=[{"imageDigest": digest}],
        )
        raise
    return digest


def _build_with_engine(
    engine: Engine,
    context: Context,
    aws: Aws,
    repository: str,
    tag: str,
    tell: Tell,
    verified: Callable[[], None],
) -> str:
    name = f"{repository}:{tag}"
    try:
        engine.build(context, name, tell)
        try:
            _check_unchanged(context, tag)
            verified()
            return engine.push(aws, name, repository, tag, tell)
        finally:
            engine.untag(name)
    finally:
        engine.close()


def build_and_save(
    context: Context, name: str, target: Path, choice: str, tell: Tell, models: Sequence[Path] = ()
) -> BuildSummary:
    """Build the context and write it as a file that docker load takes. Calls no AWS. `models` as in
    `build_and_push`.
    """
    engine, why = choose_engine(choice, context)
    tell(why, lasting=True)
    with prediction_check(context, models, tell) as verified:
        if engine:
            try:
                engine.build(context, name, tell)
                _check_unchanged(context, context.image_tag)
                verified()
                engine.save(name, target)
                engine.untag(name)
            finally:
                engine.close()
            return BuildSummary("docker", None, ())
        image = build_image(context, tell)
        _check_unchanged(context, context.image_tag)
        verified()
        write_archive(image, name, target)
    return BuildSummary(
        "direct", image.digest, tuple((blob.kind, blob.size) for blob in image.layers)
    )


def _check_unchanged(context: Context, tag: str) -> None:
    """Refuse an image of files that changed while it was built: the tag would promise something
    else.
    """
    if replace(context).image_tag != tag:
        raise BuildError(
            f"{context.folder} changed while the image was built", "run the command again"
        )
