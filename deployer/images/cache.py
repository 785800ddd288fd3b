"""What a builder keeps between runs: downloaded blobs and finished layers, in the user's cache
folder.

Everything in it can be had again, so the folder may be deleted at any time.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deployer.errors import BuildError


def cache_folder() -> Path:
    """Return $XDG_CACHE_HOME/deployer, by default ~/.cache/deployer."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "deployer"


def cached(name: str, write: Callable[[IO[bytes]], None], size: int | None = None) -> Path:
    """Return the file of this name in the cache; if it is not there in its size, `write` it, whole
    or not at all.
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
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a file beside `path` that takes its place once all is written; an error leaves `path` as
    it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}-", delete=False
    ) as stream:
        try:
            yield stream
            stream.flush()
            os.chmod(stream.name, 0o644)
            os.replace(stream.name, path)
        except BaseException:
            os.unlink(stream.name)
            raise


@contextmanager
def explain_disk_errors(path: Path, advice: str = "") -> Iterator[None]:
    """Turn a full disk, or a folder that may not be written, into a BuildError that names it;
    `advice` for the latter.
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
