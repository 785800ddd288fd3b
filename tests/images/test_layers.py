"""The parts of an image: the same input makes the same bytes."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from dataclasses import replace

import pytest

from deployer.images.context import NO_BASE, Context
from deployer.images.direct import build_image
from deployer.images.layers import (
    CONFIG_TYPE,
    LAYER_TYPE,
    MANIFEST_TYPE,
    Blob,
    BuiltImage,
    digest_of,
)
from tests.support.contexts import add, touch_everything


def content_of(blob: Blob) -> bytes:
    """Return the content of a blob that is held in memory."""
    assert blob.content is not None
    return blob.content


def test_the_same_files_make_the_same_image_at_any_time_and_place(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "copy")
    touch_everything(other)
    add("__pycache__/x.pyc")(other)
    first, second = (build_image(Context(source, NO_BASE, "x86_64")) for source in (folder, other))
    assert first == second
    assert first.digest == second.digest


def test_different_files_make_different_images(context, folder):
    before = build_image(context).digest
    add("predict.py", "other")(folder)
    assert build_image(replace(context)).digest != before


def test_the_layer_holds_every_file_under_the_task_root_readable_by_all(context, folder):
    """Img-15: Lambda reads as an unprivileged user."""
    (folder / "predict.py").chmod(0o600)
    add("run.sh")(folder)
    (folder / "run.sh").chmod(0o700)
    layer = build_image(context).blobs[0]
    with tarfile.open(fileobj=io.BytesIO(content_of(layer)), mode="r:gz") as archive:
        modes = {entry.name: entry.mode for entry in archive if entry.isfile()}
        folders = {entry.name: entry.mode for entry in archive if entry.isdir()}
        owners = {(entry.uid, entry.gid, entry.mtime) for entry in archive}
        member = archive.extractfile("var/task/predict.py")
        assert member is not None
        content = member.read()
    assert modes == {
        "var/task/Dockerfile": 0o644,
        "var/task/package/__init__.py": 0o644,
        "var/task/predict.py": 0o644,
        "var/task/run.sh": 0o755,
    }
    assert folders == {"var/task/package": 0o755}
    assert owners == {(0, 0, 0)}
    assert content == (folder / "predict.py").read_bytes()


@pytest.mark.parametrize("architecture, platform", [("x86_64", "amd64"), ("arm64", "arm64")])
def test_manifest_and_config_describe_the_parts(folder, architecture, platform):
    image = build_image(Context(folder, NO_BASE, architecture))
    (layer,) = image.layers
    config, archive = content_of(image.config), content_of(layer)
    assert json.loads(image.manifest) == {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {
            "mediaType": CONFIG_TYPE,
            "size": len(config),
            "digest": digest_of(config),
        },
        "layers": [
            {
                "mediaType": LAYER_TYPE,
                "size": len(archive),
                "digest": digest_of(archive),
            }
        ],
    }
    assert json.loads(config) == {
        "architecture": platform,
        "os": "linux",
        "config": {
            "Cmd": ["predict.handler"],
            "Env": ["B=2", "A=1"],
            "WorkingDir": "/var/task",
        },
        "rootfs": {"type": "layers", "diff_ids": [digest_of(gzip.decompress(archive))]},
    }


def test_a_digest_is_the_sha256_of_the_bytes():
    empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    blob = Blob.in_memory(b"", LAYER_TYPE)
    assert digest_of(b"") == blob.digest == BuiltImage("", (), blob).digest == empty


def test_the_header_of_a_layer_says_nothing_of_the_machine(context):
    """zlib would write the operating system into byte 9."""
    archive = content_of(build_image(context).layers[0])
    assert archive[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
