"""Pushing images through ECR's API, and checking that Lambda accepts a pushed image."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from deployer.aws.access import Tell, tell_nobody
from deployer.errors import AwsError, BuildError
from deployer.images.layers import MANIFEST_TYPE, Blob, BuiltImage, format_size, sizes_by_kind
from deployer.images.registry import IMAGE_TYPES, INDEX_TYPES, PLATFORM

UPLOADS = 4  # layers at once
_UPLOAD_ATTEMPTS = 3
_PART_SENT_TWICE = ("InvalidLayerPartException", "UploadNotFoundException", "EmptyUploadException")
_LAYERS_PER_CHECK = 100  # BatchCheckLayerAvailability takes no more (botocore's ecr model)


class Calls(Protocol):
    """The part of `Aws` that a push needs."""

    def call(self, service: str, operation: str, **parameters: Any) -> Any: ...


def push(aws: Calls, repository: str, tag: str, image: BuiltImage, tell: Tell = tell_nobody) -> str:
    """Push an image: upload the layers that the repository lacks, then the manifest with its tag.

    An interrupted push leaves no image, because the manifest is last. The next push does not upload
    the finished layers again.

    Raises:
        AwsError: a call was refused.
        BuildError: ECR stored the image under another digest.
    """
    present = _present(aws, repository, image.blobs)
    missing = {blob.digest: blob for blob in image.blobs if blob.digest not in present}
    with ThreadPoolExecutor(UPLOADS, thread_name_prefix="upload") as pool:
        uploads = [pool.submit(_upload, aws, repository, blob, tell) for blob in missing.values()]
        try:
            for upload in uploads:
                upload.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    stored = _put_image(aws, repository, tag, image)
    if stored != image.digest:
        raise BuildError(
            f"ECR stored {repository}:{tag} as {stored}, but it was pushed as {image.digest}"
        )
    tell(_sizes(image, present), lasting=True)
    return image.digest


def _put_image(aws: Calls, repository: str, tag: str, image: BuiltImage) -> str:
    """Put a manifest under a tag, and return the digest that ECR stored it as."""
    parameters = {
        "imageManifest": image.manifest,
        "imageManifestMediaType": MANIFEST_TYPE,
        "imageTag": tag,
    }
    try:
        answer = aws.call("ecr", "put_image", repositoryName=repository, **parameters)
    except AwsError as error:
        if error.code == "ImageAlreadyExistsException":  # Img-10: another run has just pushed it
            return image.digest
        raise
    return str(answer["image"]["imageId"]["imageDigest"])


def _sizes(image: BuiltImage, present: set[str]) -> str:
    """Describe the sizes of the layers, and how much of them was uploaded."""
    layers = {blob.digest: blob for blob in image.layers}.values()
    sizes = sizes_by_kind((blob.kind, blob.size) for blob in layers)
    uploaded = sum(blob.size for blob in layers if blob.digest not in present)
    reused = sum(blob.size for blob in layers) - uploaded
    return f"{sizes}; uploaded {format_size(uploaded)}, {format_size(reused)} were there"


def _present(aws: Calls, repository: str, blobs: Iterable[Blob]) -> set[str]:
    """Return the digests of the blobs that the repository has."""
    digests = list(dict.fromkeys(blob.digest for blob in blobs))
    present = set()
    for first in range(0, len(digests), _LAYERS_PER_CHECK):
        batch = digests[first : first + _LAYERS_PER_CHECK]
        answer = aws.call(
            "ecr", "batch_check_layer_availability", repositoryName=repository, layerDigests=batch
        )
        present |= {
            layer["layerDigest"]
            for layer in answer["layers"]
            if layer["layerAvailability"] == "AVAILABLE"
        }
    return present


def _upload(aws: Calls, repository: str, blob: Blob, tell: Tell) -> None:
    """Upload a layer; begin again if ECR refuses a part because the answer to it was lost."""
    for attempt in range(_UPLOAD_ATTEMPTS):
        try:
            _upload_parts(aws, repository, blob, tell)
            return
        except AwsError as error:
            if error.code == "LayerAlreadyExistsException":
                return
            if error.code not in _PART_SENT_TWICE or attempt == _UPLOAD_ATTEMPTS - 1:
                raise
        if blob.digest in _present(aws, repository, [blob]):
            return


def _upload_parts(aws: Calls, repository: str, blob: Blob, tell: Tell) -> None:
    with blob.open() as content:
        start = aws.call("ecr", "initiate_layer_upload", repositoryName=repository)
        upload = {"repositoryName": repository, "uploadId": start["uploadId"]}
        first = 0
        while part := content.read(int(start["partSize"])):
            last = first + len(part) - 1
            numbers = {"partFirstByte": first, "partLastByte": last}
            aws.call("ecr", "upload_layer_part", **upload, **numbers, layerPartBlob=part)
            first = last + 1
            tell(f"uploading {blob.kind}: {format_size(first)} of {format_size(blob.size)}")
    aws.call("ecr", "complete_layer_upload", **upload, layerDigests=[blob.digest])


def check_image(aws: Calls, repository: str, digest: str, architecture: str) -> None:
    """Read a pushed image as Lambda does; raise BuildError if Lambda could not run it.

    Lambda refuses an index (Img-4, Img-8) and unknown media types (Img-7). CreateFunction accepts
    another architecture, but every invocation then fails (Img-9).
    """
    answer = aws.call(
        "ecr",
        "batch_get_image",
        repositoryName=repository,
        imageIds=[{"imageDigest": digest}],
        acceptedMediaTypes=[*IMAGE_TYPES, *INDEX_TYPES],
    )
    if not answer["images"]:
        raise BuildError(
            f"ECR has no image {digest} in {repository}, though it was just pushed", "run up again"
        )
    manifest = json.loads(answer["images"][0]["imageManifest"])
    media_type = manifest.get("mediaType") or answer["images"][0].get("imageManifestMediaType")
    if media_type not in IMAGE_TYPES:
        index = (
            " (an index: built with attestations, or for several platforms)"
            if media_type in INDEX_TYPES
            else ""
        )
        raise BuildError(
            f"the pushed image {digest[:19]}... is a {media_type}{index}, which Lambda refuses",
            "use --builder direct, or turn the engine's containerd image store off",
        )
    config = json.loads(_blob(aws, repository, manifest["config"]["digest"]))
    platform = (config.get("os"), config.get("architecture"))
    if platform != ("linux", PLATFORM[architecture]):
        raise BuildError(
            f"the pushed image is for {'/'.join(map(str, platform))}, but the functions are for "
            f"linux/{PLATFORM[architecture]}",
            "use --builder direct, or an engine that builds for that platform",
        )


def _blob(aws: Calls, repository: str, digest: str) -> bytes:
    import requests

    answer = aws.call(
        "ecr", "get_download_url_for_layer", repositoryName=repository, layerDigest=digest
    )
    try:
        response = requests.get(answer["downloadUrl"], timeout=(10, 60))
        response.raise_for_status()
    except requests.RequestException as error:
        raise BuildError(
            f"{digest[:19]}... cannot be read back from ECR: {error}", "run up again"
        ) from error
    return bytes(response.content)
