"""Pinning base images by digest. A lock file keeps the digests that registries answered."""

from __future__ import annotations

import json
from pathlib import Path

from deployer.aws.access import Tell, tell_nobody
from deployer.errors import BuildError
from deployer.files import Unreadable, atomic_write, read_json
from deployer.images.cache import explain_disk_errors
from deployer.images.context import NO_BASE
from deployer.images.registry import Registry


def pin_base(reference: str, lock: Path, *, write: bool, tell: Tell = tell_nobody) -> str:
    """Return a reference with its digest: its own, the lock file's, or the registry's current one.

    Args:
        lock: the lock file, a JSON object of digests by reference. It may be missing.
        write: whether to add a new digest to the lock file.
    """
    if reference == NO_BASE or "@" in reference:
        return reference
    digests = read_lock(lock)
    if reference not in digests:
        digests[reference] = Registry(reference).resolve()
        if write:
            with explain_disk_errors(lock), atomic_write(lock) as stream:
                stream.write(json.dumps(digests, indent=2, sort_keys=True).encode() + b"\n")
            tell(
                f"pinned {reference} to {digests[reference][:19]}... in "
                f"{lock.parent.name}/{lock.name}: commit that file",
                lasting=True,
            )
    return f"{reference}@{digests[reference]}"


def read_lock(lock: Path) -> dict[str, str]:
    """Return the digests of a lock file, by reference; {} if there is none."""
    try:
        digests = read_json(lock)
        if not isinstance(digests, dict) or not all(
            isinstance(digest, str) for digest in digests.values()
        ):
            raise Unreadable("must be a JSON object of digests by reference")
        return digests
    except FileNotFoundError:
        return {}
    except Unreadable as error:
        raise BuildError(f"{lock} {error}", "delete it: the next up pins the base anew") from error
