"""The lock file: which digest the tag of a base stands for, asked of its registry once."""

from __future__ import annotations

import json
from pathlib import Path

from deployer.aws.access import Tell, tell_nobody
from deployer.errors import BuildError
from deployer.files import Unreadable, read_json
from deployer.images.cache import atomic_write, explain_disk_errors
from deployer.images.context import NO_BASE
from deployer.images.registry import Registry


def pin_base(reference: str, lock: Path, *, write: bool, tell: Tell = tell_nobody) -> str:
    """Return a reference with its digest: its own, that of the lock file, or what the registry has
    now.

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
            with explain_disk_errors(lock), atomic_write(lock) as stream:
                stream.write(json.dumps(known, indent=2, sort_keys=True).encode() + b"\n")
            tell(
                f"pinned {reference} to {known[reference][:19]}... in "
                f"{lock.parent.name}/{lock.name}: commit that file",
                lasting=True,
            )
    return f"{reference}@{known[reference]}"


def _read_lock(lock: Path) -> dict[str, str]:
    try:
        known = read_json(lock)
        if not isinstance(known, dict) or not all(isinstance(each, str) for each in known.values()):
            raise Unreadable("must be a JSON object of digests by reference")
        return known
    except FileNotFoundError:
        return {}
    except Unreadable as error:
        raise BuildError(f"{lock} {error}", "delete it: the next up pins the base anew") from error
