"""The parts of an image: a layer of files, a config, a manifest. The same input gives the same bytes on any machine."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import Any

from deployer.images.context import Context, is_executable

CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
TASK_ROOT = "var/task"  # where Lambda's images keep the function's code
_PLATFORM = {"x86_64": "amd64", "arm64": "arm64"}


@dataclass(frozen=True)
class Blob:
    """Bytes that a registry keeps under their digest."""

    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        return digest_of(self.content)

    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "size": len(self.content), "digest": self.digest}


@dataclass(frozen=True)
class BuiltImage:
    """A whole image in memory."""

    manifest: str
    blobs: tuple[Blob, ...]

    @property
    def digest(self) -> str:
        return digest_of(self.manifest.encode())


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def build_without_base(context: Context) -> BuiltImage:
    """Make the image of a context's files alone: one layer under /var/task, no base, no packages."""
    archive = _archive(context)
    layer = Blob(gzip.compress(archive, compresslevel=6, mtime=0), LAYER_TYPE)
    dockerfile = context.dockerfile()
    config = {
        "architecture": _PLATFORM[context.architecture],
        "os": "linux",
        "config": {
            "Cmd": list(dockerfile.command),
            "Env": [f"{name}={value}" for name, value in sorted(dockerfile.environment.items())],
            "WorkingDir": f"/{TASK_ROOT}",
        },
        "rootfs": {"type": "layers", "diff_ids": [digest_of(archive)]},
    }
    config_blob = Blob(_json(config).encode(), CONFIG_TYPE)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config_blob.descriptor(),
        "layers": [layer.descriptor()],
    }
    return BuiltImage(_json(manifest), (layer, config_blob))


def _archive(context: Context) -> bytes:
    """Return a tar of the files, sorted, owned by root, without times; Lambda reads as an unprivileged user (Img-15)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, path in context.files():
            content = path.read_bytes()
            entry = tarfile.TarInfo(f"{TASK_ROOT}/{name}")
            entry.size = len(content)
            entry.mode = 0o755 if is_executable(path) else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
