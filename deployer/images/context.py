"""A build context: a folder with a Dockerfile. Which files belong to it, and the hash that
identifies the image.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deployer.errors import BuildError
from deployer.files import Unreadable, read_text
from deployer.images.dockerfile import Dockerfile, read_dockerfile

# Rises when the same inputs would give another image, so that no old image is taken for a new one.
FORMAT = 3
NO_BASE = "scratch"
# which digest a base's tag stands for (images.base); the digest itself is part of the hash
LOCK = "base.lock"
_PLAIN_NAME = re.compile(r"\w[\w-]*(\.[\w-]+)*")  # of a file or folder at the top of the context
_IGNORED_FOLDERS = {"__pycache__", ".git", ".pytest_cache", ".mypy_cache"}


@dataclass(frozen=True)
class Context:
    """A folder that becomes an image.

    `base`: what FROM stands for, pinned by digest; NO_BASE is an image of the folder's files alone.
    `architecture`: x86_64 or arm64. `python`: the minor version, such as 3.12, that trained and
    that will serve.
    """

    folder: Path
    base: str
    architecture: str
    python: str = ""

    @cached_property
    def files(self) -> dict[str, Path]:
        """Every file by its name with slashes, sorted; byte code, version control and what
        .dockerignore names do not count.

        A subfolder with a Dockerfile of its own is another function's context, not a part of this
        one.
        """
        if not (self.folder / "Dockerfile").is_file():
            raise BuildError(
                f"{self.folder} has no Dockerfile",
                "a function's folder needs one to become an image",
            )
        found: dict[str, Path] = {}
        for here, folders, names in os.walk(self.folder):
            folders[:] = [
                each
                for each in folders
                if each not in _IGNORED_FOLDERS and not Path(here, each, "Dockerfile").is_file()
            ]
            links = [each for each in folders if Path(here, each).is_symlink()]
            paths = [
                Path(here, name)
                for name in (*names, *links)
                if not name.endswith(".pyc") and name != LOCK
            ]
            found.update((path.relative_to(self.folder).as_posix(), path) for path in paths)
        kept = {name: found[name] for name in sorted(self._not_ignored(found))}
        for name, path in kept.items():
            if path.is_symlink() or not path.is_file():
                raise BuildError(
                    f"{path} is no ordinary file",
                    f"replace it by a copy, or name {name} in {self.folder}/.dockerignore",
                )
        return kept

    def _not_ignored(self, found: dict[str, Path]) -> set[str]:
        ignore = self.folder / ".dockerignore"
        if not ignore.is_file():
            return set(found)
        try:
            lines = [line.strip() for line in read_text(ignore).splitlines()]
        except Unreadable as error:
            raise BuildError(f"{ignore} {error}") from error
        patterns = [line for line in lines if line and not line.startswith("#")]
        if all(map(_PLAIN_NAME.fullmatch, patterns)):
            # The usual case. Importing docker to match names takes longer than all other reading.
            return {name for name in found if name == "Dockerfile" or not _below(patterns, name)}
        from docker.utils.build import exclude_paths  # type: ignore[import-untyped]

        kept = exclude_paths(str(self.folder), patterns)
        return {name for name in found if name.replace("/", os.sep) in kept}

    @cached_property
    def dockerfile(self) -> Dockerfile:
        return read_dockerfile(self.folder / "Dockerfile")

    @cached_property
    def tag(self) -> str:
        """The image's identity: a hash of names, contents and run bits of all files, base, target
        and format.
        """
        digest = hashlib.sha256()
        for part in (str(FORMAT), self.base, self.architecture, self.python):
            digest.update(part.encode() + b"\0")
        for name, path in self.files.items():
            content = path.read_bytes()
            header = f"{name}\0{is_executable(path)}\0{len(content)}\0"
            digest.update(
                header.encode("utf-8", "surrogateescape") + content
            )  # a name may be no UTF-8
        return digest.hexdigest()[:40]


def _below(folders: list[str], name: str) -> bool:
    """Tell whether a name, or the top folder that it lies in, is among these."""
    return name.partition("/")[0] in folders


def is_executable(path: Path) -> bool:
    """Tell whether the owner may run a file: the one permission that matters inside an image."""
    return bool(path.stat().st_mode & 0o100)
