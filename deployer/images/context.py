"""A build context: a folder with a Dockerfile. Which files belong to it, and the hash that identifies the image."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import BuildError
from deployer.images.dockerfile import Dockerfile, parse_dockerfile

# Rises when the same inputs would give another image, so that no old image is taken for a new one.
FORMAT = 1
NO_BASE = "scratch"
_IGNORED_FOLDERS = {"__pycache__", ".git", ".pytest_cache", ".mypy_cache"}


@dataclass(frozen=True)
class Context:
    """A folder that becomes an image.

    `base`: what FROM stands for; NO_BASE is an image of the folder's files alone. `architecture`: x86_64 or arm64.
    """

    folder: Path
    base: str
    architecture: str

    def files(self) -> Iterator[tuple[str, Path]]:
        """Yield (name with slashes, path) of every file, sorted by name; byte code and version control do not count.

        A subfolder with a Dockerfile of its own is another function's context, not a part of this one.
        """
        if not (self.folder / "Dockerfile").is_file():
            raise BuildError(f"{self.folder} has no Dockerfile", "a function's folder needs one to become an image")
        found = []
        for here, folders, names in os.walk(self.folder):
            folders[:] = [
                each
                for each in folders
                if each not in _IGNORED_FOLDERS and not Path(here, each, "Dockerfile").is_file()
            ]
            paths = (Path(here, name) for name in names if not name.endswith(".pyc"))
            found += [(path.relative_to(self.folder).as_posix(), path) for path in paths]
        yield from sorted(found)

    def dockerfile(self) -> Dockerfile:
        path = self.folder / "Dockerfile"
        return parse_dockerfile(path.read_text(encoding="utf-8"), path)

    @property
    def tag(self) -> str:
        """The image's identity: a hash of names, contents and run bits of all files, base, architecture and format."""
        digest = hashlib.sha256()
        for part in (str(FORMAT), self.base, self.architecture):
            digest.update(part.encode() + b"\0")
        for name, path in self.files():
            content = path.read_bytes()
            digest.update(f"{name}\0{is_executable(path)}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()[:40]


def is_executable(path: Path) -> bool:
    """Tell whether the owner may run a file: the one permission that matters inside an image."""
    return bool(path.stat().st_mode & 0o100)
