"""Pushing through ECR's API, against an ECR in memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.errors import AwsError, BuildError
from deployer.images.ecr import push
from deployer.images.layers import (
    CONFIG_TYPE,
    LAYER_TYPE,
    MANIFEST_TYPE,
    Blob,
    BuiltImage,
    digest_of,
)


class Registry:
    """ECR in memory, behind the one method of Aws that a push uses."""

    def __init__(self, part_size=4, stores=None, errors=None):
        self.part_size = part_size
        self.stores = stores
        self.errors = errors or {}
        self.layers, self.uploads, self.images = {}, {}, {}
        self.operations = []

    def call(self, service, operation, **parameters):
        assert (service, parameters.pop("repositoryName")) == ("ecr", "housing-dev")
        self.operations.append(operation)
        if operation in self.errors:
            raise AwsError(self.errors[operation], "as the test wants")
        return getattr(self, operation)(**parameters)

    def batch_check_layer_availability(self, layerDigests):
        known = {
            digest: "AVAILABLE" if digest in self.layers else "UNAVAILABLE"
            for digest in layerDigests
        }
        return {
            "layers": [
                {"layerDigest": digest, "layerAvailability": state}
                for digest, state in known.items()
            ]
        }

    def initiate_layer_upload(self):
        self.uploads[f"upload {len(self.uploads)}"] = []
        return {"uploadId": list(self.uploads)[-1], "partSize": self.part_size}

    def upload_layer_part(self, uploadId, partFirstByte, partLastByte, layerPartBlob):
        assert partFirstByte == sum(map(len, self.uploads[uploadId]))
        assert partLastByte - partFirstByte + 1 == len(layerPartBlob) > 0
        self.uploads[uploadId].append(layerPartBlob)

    def complete_layer_upload(self, uploadId, layerDigests):
        content = b"".join(self.uploads[uploadId])
        assert layerDigests == [digest_of(content)]
        self.layers[layerDigests[0]] = content

    def put_image(self, imageManifest, imageManifestMediaType, imageTag):
        assert imageManifestMediaType == MANIFEST_TYPE
        self.images[imageTag] = imageManifest
        return {
            "image": {"imageId": {"imageDigest": self.stores or digest_of(imageManifest.encode())}}
        }


CONFIG = Blob.in_memory(b"config", CONFIG_TYPE)
IMAGE = BuiltImage('{"a": 1}', (Blob.in_memory(b"0123456789", LAYER_TYPE, "code"),), CONFIG)


def test_a_push_uploads_in_parts_and_puts_the_manifest_last():
    registry = Registry(part_size=4)
    assert push(registry, "housing-dev", "t", IMAGE) == IMAGE.digest
    assert sorted(registry.uploads.values()) == [[b"0123", b"4567", b"89"], [b"conf", b"ig"]]
    assert registry.images == {"t": IMAGE.manifest}
    assert registry.layers.keys() == {blob.digest for blob in IMAGE.blobs}
    assert registry.operations[0] == "batch_check_layer_availability"
    assert registry.operations.index("put_image") == len(registry.operations) - 1


def test_a_push_uploads_only_what_is_missing():
    registry = Registry()
    registry.layers[IMAGE.blobs[0].digest] = b"there"
    push(registry, "housing-dev", "t", IMAGE)
    assert list(registry.uploads.values()) == [[b"conf", b"ig"]]


def test_a_push_of_known_layers_uploads_nothing():
    registry = Registry()
    push(registry, "housing-dev", "t", IMAGE)
    registry.operations.clear()
    assert push(registry, "housing-dev", "u", IMAGE) == IMAGE.digest
    assert registry.operations == ["batch_check_layer_availability", "put_image"]


def test_an_image_that_another_run_pushed_meanwhile_is_taken():
    """Img-10."""
    registry = Registry(errors={"put_image": "ImageAlreadyExistsException"})
    assert push(registry, "housing-dev", "t", IMAGE) == IMAGE.digest


def test_a_layer_that_another_run_uploaded_meanwhile_is_taken():
    registry = Registry(errors={"complete_layer_upload": "LayerAlreadyExistsException"})
    assert push(registry, "housing-dev", "t", IMAGE) == IMAGE.digest


@pytest.mark.parametrize(
    "operation, code",
    [
        ("put_image", "ImageTagAlreadyExistsException"),
        ("put_image", "LayersNotFoundException"),
        ("complete_layer_upload", "InvalidLayerException"),
        ("upload_layer_part", "InvalidLayerPartException"),
        ("batch_check_layer_availability", "RepositoryNotFoundException"),
    ],
)
def test_any_other_refusal_ends_the_push_before_an_image_exists(operation, code):
    registry = Registry(errors={operation: code})
    with pytest.raises(AwsError) as caught:
        push(registry, "housing-dev", "t", IMAGE)
    assert caught.value.code == code
    assert registry.images == {}


def test_an_image_stored_under_another_digest_is_refused():
    registry = Registry(stores="sha256:other")
    with pytest.raises(
        BuildError, match=f"ECR stored housing-dev:t as sha256:other, but .* as {IMAGE.digest}"
    ):
        push(registry, "housing-dev", "t", IMAGE)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=3), st.integers(1, 50))
def test_whatever_the_part_size_the_registry_gets_the_same_bytes(contents, part_size):
    registry = Registry(part_size)
    push(
        registry,
        "housing-dev",
        "t",
        BuiltImage(
            "{}", tuple(Blob.in_memory(content, LAYER_TYPE) for content in contents), CONFIG
        ),
    )
    assert registry.layers == {digest_of(content): content for content in (*contents, b"config")}
    assert all(len(part) == part_size for parts in registry.uploads.values() for part in parts[:-1])
