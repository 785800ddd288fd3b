"""The image that FROM names: pinned once by digest, then read from its registry piece by piece, as far as needed."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from deployer.aws import Tell, tell_nobody
from deployer.errors import BuildError
from deployer.images.cache import replacing, room_needed
from deployer.images.context import NO_BASE
from deployer.images.distribution import PLATFORM, Registry
from deployer.images.layers import LAYER_TYPE, Base, Blob

# What a layer may be: Lambda knows gzip alone.
_LAYER_TYPES = (LAYER_TYPE, "application/vnd.oci.image.layer.v1.tar+gzip")


def empty_base(architecture: str) -> Base:
    """Return the base of an image without one."""
    config = {
        "architecture": PLATFORM[architecture],
        "os": "linux",
        "config": {"WorkingDir": "/var/task"},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    return Base(config, ())


def read_base(reference: str, architecture: str, tell: Tell) -> Base:
    """Read manifest and config of a base for one architecture; raise BuildError for one that Lambda could not run."""
    registry = Registry(reference)
    manifest = registry.image(architecture).content
    described = manifest["config"]
    config = json.loads(registry.blob(described["digest"], described["size"]).read_bytes())
    if config.get("architecture") != PLATFORM[architecture]:
        raise BuildError(
            f"base image {reference} is for {config.get('architecture')}, but architecture is {architecture}",
            "choose another base, or another architecture",
        )
    layers = []
    for number, layer in enumerate(manifest["layers"], start=1):
        if layer["mediaType"] not in _LAYER_TYPES:
            raise BuildError(
                f"layer {number} of base image {reference} is a {layer['mediaType']}, which Lambda refuses",
                "choose a base with gzip layers",
            )

        def progress(done: int, number: int = number, size: int = layer["size"]) -> None:
            tell(f"fetching layer {number} of {len(manifest['layers'])} of the base: {done >> 20} of {size >> 20} MiB")

        path = partial(registry.blob, layer["digest"], layer["size"], progress)
        layers.append(Blob(layer["digest"], layer["size"], LAYER_TYPE, path, "base"))
    return Base(config, tuple(layers))


def pinned(reference: str, lock: Path, *, write: bool, tell: Tell = tell_nobody) -> str:
    """Return a reference with its digest: its own, that of the lock file, or what the registry has now.

    Args:
        lock: a JSON object of digests by reference; a missing file has none.
        write: whether to note a new digest in the lock file.
    """
    if reference == NO_BASE or "@" in reference:
        return reference
    known = _read_lock(lock)
    if reference not in known:
        known[reference] = Registry(reference).resolve()
        if write:
            with room_needed(lock), replacing(lock) as stream:
                stream.write(json.dumps(known, indent=2, sort_keys=True).encode() + b"\n")
            tell(
                f"pinned {reference} to {known[reference][:19]}... in {lock.parent.name}/{lock.name}: commit that file",
                lasting=True,
            )
    return f"{reference}@{known[reference]}"


def _read_lock(lock: Path) -> dict[str, str]:
    try:
        known = json.loads(lock.read_text(encoding="utf-8"))
        if not isinstance(known, dict) or not all(isinstance(each, str) for each in known.values()):
            raise ValueError("must be a JSON object of digests by reference")
        return known
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BuildError(f"{lock} cannot be read: {error}", "delete it: the next up pins the base anew") from error
