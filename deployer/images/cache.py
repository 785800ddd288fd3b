"""The builder's cache in the user's cache folder: downloaded blobs and finished layers.

Everything in it can be downloaded or built again, so the folder may be deleted at any time.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deployer.errors import BuildError
from deployer.files import atomic_write


def cache_folder() -> Path:
    """Return $XDG_CACHE_HOME/deployer, by default ~/.cache/deployer."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "deployer"


def cached(name: str, write: Callable[[IO[bytes]], None], size: int | None = None) -> Path:
    """Return a file of the cache, written first if it is missing.

    Args:
        name: the file's path below the cache folder.
        write: writes the content. If it raises, no file is left.
        size: a file of another size is written again.
    """
    path = cache_folder() / name
    if not path.is_file() or size not in (None, path.stat().st_size):
        with (
            explain_disk_errors(path, "name another folder in XDG_CACHE_HOME"),
            atomic_write(path) as stream,
        ):
            write(stream)
    return path


@contextmanager
def explain_disk_errors(path: Path, advice: str = "") -> Iterator[None]:
    """Turn a full disk or an unwritable folder into a BuildError that names the folder.

    Args:
        advice: what to do about an unwritable folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BuildError(
                f"no room left on the disk of {path.parent}", "free some, then run up again"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise BuildError(
                f"{path.parent} cannot be written: {error.strerror}", advice
            ) from error
        raise
