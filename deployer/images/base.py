"""The image that FROM names, read from its registry piece by piece, as far as needed."""

from __future__ import annotations

import json
from functools import partial

from deployer.aws.access import Tell
from deployer.errors import BuildError
from deployer.images.layers import LAYER_TYPE, BaseImage, Blob
from deployer.images.registry import PLATFORM, Registry

# What a layer may be: Lambda knows gzip alone.
_LAYER_TYPES = (LAYER_TYPE, "application/vnd.oci.image.layer.v1.tar+gzip")


def empty_base(architecture: str) -> BaseImage:
    """Return the base of an image without one."""
    config = {
        "architecture": PLATFORM[architecture],
        "os": "linux",
        "config": {"WorkingDir": "/var/task"},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    return BaseImage(config, ())


def read_base(reference: str, architecture: str, tell: Tell) -> BaseImage:
    """Read manifest and config of a base for one architecture; raise BuildError for one that Lambda
    could not run.
    """
    registry = Registry(reference)
    manifest = registry.image_manifest(architecture).content
    described = manifest["config"]
    config = json.loads(registry.blob(described["digest"], described["size"]).read_bytes())
    if config.get("architecture") != PLATFORM[architecture]:
        raise BuildError(
            f"base image {reference} is for {config.get('architecture')}, but architecture is "
            f"{architecture}",
            "choose another base, or another architecture",
        )
    layers = []
    for number, layer in enumerate(manifest["layers"], start=1):
        if layer["mediaType"] not in _LAYER_TYPES:
            raise BuildError(
                f"layer {number} of base image {reference} is a {layer['mediaType']}, which "
                f"Lambda refuses",
                "choose a base with gzip layers",
            )

        def progress(done: int, number: int = number, size: int = layer["size"]) -> None:
            tell(
                f"fetching layer {number} of {len(manifest['layers'])} of the base: {done >> 20} "
                f"of {size >> 20} MiB"
            )

        path = partial(registry.blob, layer["digest"], layer["size"], progress)
        layers.append(Blob(layer["digest"], layer["size"], LAYER_TYPE, path, "base"))
    return BaseImage(config, tuple(layers))
