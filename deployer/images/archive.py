"""An image as an archive for `docker load`."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from deployer.files import atomic_write
from deployer.images.cache import explain_disk_errors
from deployer.images.layers import Blob, BuiltImage


def write_archive(image: BuiltImage, name: str, target: Path) -> None:
    """Write an image under a name such as inference-dev:latest. On errors no file is left."""
    description = {
        "Config": f"{image.config.digest[7:]}.json",
        "RepoTags": [name],
        "Layers": [f"{blob.digest[7:]}.tar.gz" for blob in image.layers],
    }
    with (
        explain_disk_errors(target),
        atomic_write(target) as stream,
        tarfile.open(fileobj=stream, mode="w") as archive,
    ):
        for file_name, blob in _files(image):
            entry = tarfile.TarInfo(file_name)
            entry.size = blob.size
            with blob.open() as content:
                archive.addfile(entry, content)
        manifest = json.dumps([description]).encode()
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(manifest)
        archive.addfile(entry, io.BytesIO(manifest))


def _files(image: BuiltImage) -> Iterator[tuple[str, Blob]]:
    yield f"{image.config.digest[7:]}.json", image.config
    for digest, blob in {blob.digest: blob for blob in image.layers}.items():
        yield f"{digest[7:]}.tar.gz", blob
