"""The base image, read from its registry: the config at once, a layer when it is opened."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

from deployer.aws.access import Tell
from deployer.errors import BuildError
from deployer.images.layers import LAYER_TYPE, BaseImage, Blob
from deployer.images.registry import PLATFORM, Registry

# Lambda accepts gzip layers only.
_LAYER_TYPES = (LAYER_TYPE, "application/vnd.oci.image.layer.v1.tar+gzip")


def empty_base(architecture: str) -> BaseImage:
    """Return a base image without layers, for FROM scratch."""
    config = {
        "architecture": PLATFORM[architecture],
        "os": "linux",
        "config": {"WorkingDir": "/var/task"},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    return BaseImage(config, ())


def read_base(reference: str, architecture: str, tell: Tell) -> BaseImage:
    """Read the manifest and config of a base image.

    Raises:
        BuildError: the image is for another architecture, or Lambda does not accept its layers.
    """
    registry = Registry(reference)
    manifest = registry.image_manifest(architecture).content
    descriptor = manifest["config"]
    config = json.loads(registry.blob(descriptor["digest"], descriptor["size"]).read_bytes())
    if config.get("architecture") != PLATFORM[architecture]:
        raise BuildError(
            f"base image {reference} is for {config.get('architecture')}, but architecture is "
            f"{architecture}",
            "choose another base, or another architecture",
        )
    blobs = []
    for number, layer in enumerate(manifest["layers"], start=1):
        if layer["mediaType"] not in _LAYER_TYPES:
            raise BuildError(
                f"layer {number} of base image {reference} is a {layer['mediaType']}, which "
                f"Lambda refuses",
                "choose a base with gzip layers",
            )
        digest, size = layer["digest"], layer["size"]
        progress = _progress(f"layer {number} of {len(manifest['layers'])}", size, tell)
        path = partial(registry.blob, digest, size, progress)
        blobs.append(Blob(digest, size, LAYER_TYPE, path, "base"))
    return BaseImage(config, tuple(blobs))


def _progress(layer: str, size: int, tell: Tell) -> Callable[[int], None]:
    def progress(received: int) -> None:
        tell(f"fetching {layer} of the base: {received >> 20} of {size >> 20} MiB")

    return progress
