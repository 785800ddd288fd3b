"""The parts of an image: layers, config, manifest. Equal input gives equal bytes on any machine."""

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
    """Content that a registry stores under its digest: a layer or a config.

    Attributes:
        size: bytes.
        path: returns a file with the content, downloading it first if necessary.
        kind: base, packages, code or config.
        content: the content of a blob that is held in memory, which has no `path`.
    """

    digest: str
    size: int
    media_type: str
    path: Callable[[], Path] | None = field(compare=False, default=None)
    kind: str = ""
    content: bytes | None = field(compare=False, default=None, repr=False)

    @classmethod
    def in_memory(cls, content: bytes, media_type: str, kind: str = "") -> Blob:
        """Make a blob that is held in memory."""
        return cls(digest_of(content), len(content), media_type, None, kind, content)

    def open(self) -> IO[bytes]:
        """Open the content for reading."""
        if self.content is not None:
            return io.BytesIO(self.content)
        assert self.path is not None
        return self.path().open("rb")

    def descriptor(self) -> dict[str, Any]:
        """Return the entry for a manifest."""
        return {"mediaType": self.media_type, "size": self.size, "digest": self.digest}


@dataclass(frozen=True)
class Layer:
    """A layer's blob, and its diff_id: the digest before compression, which configs refer to."""

    blob: Blob
    diff_id: str


@dataclass(frozen=True)
class BuiltImage:
    """An image: its manifest as JSON text, its layers from the lowest, its config."""

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
    """A base image: its parsed config and its layers, which are downloaded when opened."""

    config: dict[str, Any]
    layers: tuple[Blob, ...]


def add_layers(
    base: BaseImage, layers: tuple[Layer, ...], config: Mapping[str, Any], author: str = ""
) -> BuiltImage:
    """Put layers on a base image.

    Args:
        config: settings such as Cmd, which replace those of the base.
    """
    image_config: dict[str, Any] = {
        **({"author": author} if author else {}),
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
    blob = Blob.in_memory(_json(image_config).encode(), CONFIG_TYPE, "config")
    blobs = (*base.layers, *(layer.blob for layer in layers))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": blob.descriptor(),
        "layers": [layer.descriptor() for layer in blobs],
    }
    return BuiltImage(_json(manifest), blobs, blob)


class _HashingWriter(io.RawIOBase):
    """A stream that writes to another stream, counting and hashing the bytes."""

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
    """Write files as a gzipped tar; return its digest, size and diff_id.

    Entries are sorted, owned by root, without times, and readable by everyone: Lambda reads as an
    unprivileged user (Img-15). GzipFile writes the header, because zlib's own names the operating
    system.

    Args:
        files: paths by name in the image, such as var/task/predict.py. Links stay links.
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
                if files[name].is_symlink():
                    entry.type, entry.mode = tarfile.SYMTYPE, 0o777
                    entry.linkname = str(files[name].readlink())
                    archive.addfile(entry)
                    continue
                entry.size = files[name].stat().st_size
                entry.mode = 0o755 if is_executable(files[name]) else 0o644
                with files[name].open("rb") as content:
                    archive.addfile(entry, content)
    return compressed.digest, compressed.size, plain.digest


def make_layer(files: Mapping[str, Path], kind: str) -> Layer:
    """Make a layer that is held in memory; see `write_layer`."""
    stream = io.BytesIO()
    _, _, diff_id = write_layer(files, stream)
    return Layer(Blob.in_memory(stream.getvalue(), LAYER_TYPE, kind), diff_id)


def files_below(folder: Path) -> dict[str, Path]:
    """Return all files below a folder by their name with slashes."""
    return {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()
    }


def _folders(files: Mapping[str, Path]) -> set[str]:
    """Return the parent folders of files, without those that the base has, such as /var/task."""
    parents = {parent.as_posix() for name in files for parent in PurePosixPath(name).parents}
    return {parent for parent in parents if parent.count("/") > 1}


def sizes_by_kind(layers: Iterable[tuple[str, int]]) -> str:
    """Add up sizes by kind, such as: base 97.1 MB, packages 64.6 MB, code 8.9 kB.

    Args:
        layers: (kind, bytes).
    """
    sizes: dict[str, int] = {}
    for kind, size in layers:
        sizes[kind] = sizes.get(kind, 0) + size
    return ", ".join(f"{kind} {format_size(size)}" for kind, size in sizes.items())


def format_size(size: int) -> str:
    """Format a number of bytes as MB or kB."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
