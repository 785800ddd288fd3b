"""The parts of an image: layers of files, a config, a manifest. The same input gives the same bytes
on any machine.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from deployer.images.context import is_executable

CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True)
class Blob:
    """What a registry keeps under its digest. `size` in bytes; `path` gives the file, and makes it
    first if need be.
    """

    digest: str
    size: int
    media_type: str
    path: Callable[[], Path] | None = field(compare=False, default=None)
    kind: str = ""
    content: bytes | None = field(compare=False, default=None, repr=False)

    @classmethod
    def in_memory(cls, content: bytes, media_type: str, kind: str = "") -> Blob:
        """Return a blob that is held in memory."""
        return cls(digest_of(content), len(content), media_type, None, kind, content)

    def open(self) -> IO[bytes]:
        if self.content is not None:
            return io.BytesIO(self.content)
        assert self.path is not None
        return self.path().open("rb")

    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "size": self.size, "digest": self.digest}


@dataclass(frozen=True)
class Layer:
    """A layer's blob, and the digest of its bytes before compression, which the image's config
    names.
    """

    blob: Blob
    diff_id: str


@dataclass(frozen=True)
class BuiltImage:
    """A whole image: its manifest's bytes, its layers from the lowest, its config."""

    manifest: str
    layers: tuple[Blob, ...]
    config: Blob

    @property
    def digest(self) -> str:
        return digest_of(self.manifest.encode())

    @property
    def blobs(self) -> tuple[Blob, ...]:
        return (*self.layers, self.config)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True)
class BaseImage:
    """What an image inherits: the config, and the layers, whose bytes come only when somebody opens
    them.
    """

    config: dict[str, Any]
    layers: tuple[Blob, ...]


def add_layers(base: BaseImage, layers: tuple[Layer, ...], config: Mapping[str, Any]) -> BuiltImage:
    """Put layers on a base; `config` replaces what the base says about running it."""
    whole: dict[str, Any] = {
        **{
            name: base.config[name]
            for name in ("architecture", "os", "variant")
            if name in base.config
        },
        "config": {**base.config.get("config", {}), **config},
        "rootfs": {
            "type": "layers",
            "diff_ids": [*base.config["rootfs"]["diff_ids"], *(layer.diff_id for layer in layers)],
        },
    }
    blob = Blob.in_memory(_json(whole).encode(), CONFIG_TYPE, "config")
    blobs = (*base.layers, *(layer.blob for layer in layers))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": blob.descriptor(),
        "layers": [each.descriptor() for each in blobs],
    }
    return BuiltImage(_json(manifest), blobs, blob)


class _HashingWriter(io.RawIOBase):
    """Passes what is written on to another stream, and knows digest and size of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._sha = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: Any) -> int:
        self._sha.update(data)
        self.size += len(data)
        self._stream.write(data)
        return len(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._sha.hexdigest()}"


def write_layer(files: Mapping[str, Path], stream: IO[bytes]) -> tuple[str, int, str]:
    """Write files, by their names in the image, as a gzipped tar; return its digest, its size and
    its diff_id.

    Sorted, owned by root, without times, readable by all: Lambda reads as an unprivileged user
    (Img-15). GzipFile is told everything that its header says, which zlib's own header leaves to
    the operating system.
    """
    compressed = _HashingWriter(stream)
    with gzip.GzipFile("", "wb", compresslevel=6, fileobj=compressed, mtime=0) as zipped:
        plain = _HashingWriter(zipped)  # type: ignore[arg-type]
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for folder in sorted(_folders(files)):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            for name in sorted(files):
                entry = tarfile.TarInfo(name)
                entry.size = files[name].stat().st_size
                entry.mode = 0o755 if is_executable(files[name]) else 0o644
                with files[name].open("rb") as content:
                    archive.addfile(entry, content)
    return compressed.digest, compressed.size, plain.digest


def make_layer(files: Mapping[str, Path], kind: str) -> Layer:
    stream = io.BytesIO()
    _, _, diff_id = write_layer(files, stream)
    return Layer(Blob.in_memory(stream.getvalue(), LAYER_TYPE, kind), diff_id)


def _folders(files: Mapping[str, Path]) -> set[str]:
    """Return every folder on the way to a file but the topmost two (/var/task), which the base has."""
    parents = {parent.as_posix() for name in files for parent in PurePosixPath(name).parents}
    return {each for each in parents if each.count("/") > 1}


def sizes_by_kind(layers: Iterable[tuple[str, int]]) -> str:
    """Sum up (what, bytes) pairs by what: base 97.1 MB, packages 64.6 MB, code 8.9 kB."""
    kinds: dict[str, int] = {}
    for what, size in layers:
        kinds[what] = kinds.get(what, 0) + size
    return ", ".join(f"{what} {format_size(size)}" for what, size in kinds.items())


def format_size(size: int) -> str:
    """Write a number of bytes."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
