"""A build context: a folder with a Dockerfile, its files, and the image tag that hashes them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deployer.errors import BuildError
from deployer.files import Unreadable, read_text
from deployer.images.dockerfile import Dockerfile, read_dockerfile

# Increase this when the same inputs give another image, or the old image would be taken for it.
FORMAT = 5
NO_BASE = "scratch"
# The digests of base images (images.pins). The digest in use is part of the hash, the file is not.
LOCK_FILE = "base.lock"
_PLAIN_NAME = re.compile(r"\w[\w-]*(\.[\w-]+)*")  # of a file or folder at the top of the context
_IGNORED_FOLDERS = {"__pycache__", ".git", ".pytest_cache", ".mypy_cache"}


@dataclass(frozen=True)
class Context:
    """A build context and the target it is built for.

    Attributes:
        folder: with its Dockerfile, unless that is in `shared`.
        base: the image that FROM names, pinned by digest; NO_BASE for an image without a base.
        architecture: x86_64 or arm64.
        python: the minor version, such as 3.12, that trained the models and will serve them.
        shared: a folder whose files count as well, where `folder` has none of their name.
        apart: the names of subfolders that belong to other functions.
    """

    folder: Path
    base: str
    architecture: str
    python: str = ""
    shared: Path | None = None
    apart: frozenset[str] = frozenset()

    @cached_property
    def files(self) -> dict[str, Path]:
        """The files by their name with slashes, sorted.

        Left out: bytecode, version control, files that .dockerignore excludes, and subfolders of
        other functions.

        Raises:
            BuildError: there is no Dockerfile, or something is neither a file nor a folder.
        """
        if not self.path("Dockerfile").is_file():
            raise BuildError(
                f"{self.folder} has no Dockerfile",
                "a function's folder needs one to become an image",
            )
        paths = {
            path.relative_to(folder).as_posix(): path
            for folder in self._folders
            for path in self._walk(folder)
        }
        files = {name: paths[name] for name in sorted(self._not_excluded(paths))}
        for name, path in files.items():
            if path.is_symlink() or not path.is_file():
                raise BuildError(
                    f"{path} is no ordinary file",
                    f"replace it by a copy, or name {name} in {self.folder}/.dockerignore",
                )
        return files

    @property
    def _folders(self) -> tuple[Path, ...]:
        """The folders of the files; a later one's count where both have a file of one name."""
        return (self.folder,) if self.shared is None else (self.shared, self.folder)

    def path(self, name: str) -> Path:
        """Return the path of a file at the top, which need not exist."""
        paths = [folder / name for folder in reversed(self._folders)]
        return next((path for path in paths if path.is_file()), paths[0])

    def _walk(self, top: Path) -> Iterator[Path]:
        """Yield files and links to folders, before .dockerignore."""
        for parent, folders, names in os.walk(top):
            top_level = Path(parent) == top and top == self._folders[0]
            apart = self.apart if top_level else frozenset()
            folders[:] = [
                folder
                for folder in folders
                if folder not in _IGNORED_FOLDERS
                and folder not in apart
                and not Path(parent, folder, "Dockerfile").is_file()
            ]
            links = [folder for folder in folders if Path(parent, folder).is_symlink()]
            for name in (*names, *links):
                if not name.endswith(".pyc") and name != LOCK_FILE:
                    yield Path(parent, name)

    def _not_excluded(self, names: Iterable[str]) -> set[str]:
        """Return the names that .dockerignore does not exclude."""
        ignore = self.path(".dockerignore")
        if not ignore.is_file():
            return set(names)
        try:
            lines = [line.strip() for line in read_text(ignore).splitlines()]
        except Unreadable as error:
            raise BuildError(f"{ignore} {error}") from error
        patterns = [line for line in lines if line and not line.startswith("#")]
        if all(map(_PLAIN_NAME.fullmatch, patterns)):
            # The usual case. Importing docker to match names takes longer than all other reading.
            return {name for name in names if name == "Dockerfile" or not _below(patterns, name)}
        from docker.utils.build import exclude_paths  # type: ignore[import-untyped]

        included = set().union(*(exclude_paths(str(top), patterns) for top in self._folders))
        return {name for name in names if name.replace("/", os.sep) in included}

    @cached_property
    def dockerfile(self) -> Dockerfile:
        return read_dockerfile(self.path("Dockerfile"))

    @cached_property
    def image_tag(self) -> str:
        """The hash of all inputs: names, contents and execute bits of the files, base, target."""
        digest = hashlib.sha256()
        for part in (str(FORMAT), self.base, self.architecture, self.python):
            digest.update(part.encode() + b"\0")
        for name, path in self.files.items():
            content = path.read_bytes()
            header = f"{name}\0{is_executable(path)}\0{len(content)}\0"
            # surrogateescape: file names need not be UTF-8.
            digest.update(header.encode("utf-8", "surrogateescape") + content)
        return digest.hexdigest()[:40]


def lay_out(files: Mapping[str, Path], folder: Path) -> None:
    """Copy files into a folder, under the names that they have in a context or an image."""
    for name, path in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        target.chmod(path.stat().st_mode & 0o777 | 0o600)


def _below(folders: list[str], name: str) -> bool:
    """Tell whether a name, or the top folder that it lies in, is among these."""
    return name.partition("/")[0] in folders


def is_executable(path: Path) -> bool:
    """Return whether the owner may execute a file. Images keep no other permission."""
    return bool(path.stat().st_mode & 0o100)
