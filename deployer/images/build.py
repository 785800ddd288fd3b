"""Making an image and bringing it into its repository."""

from __future__ import annotations

from collections.abc import Callable

from deployer.aws import Aws, Waiting
from deployer.errors import BuildError
from deployer.images.context import NO_BASE, Context
from deployer.images.layers import build_without_base
from deployer.images.registry import push


def builder(context: Context, repository: str, tag: str) -> Callable[[Aws, Waiting], str]:
    """Return what builds the context, pushes it under the tag and returns the image's digest."""

    def build(aws: Aws, waiting: Waiting) -> str:
        if context.base != NO_BASE:
            raise BuildError(
                f"this version cannot build on {context.base}",
                f"push an image of {context.folder.name}/ to {repository}:{tag} yourself, then run up again: "
                "it takes an image that is there",
            )
        return push(aws, repository, tag, build_without_base(context))

    return build
