"""Images in ECR, through ECR's own API: pushing what is missing, and reading back what Lambda will
get.
"""

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
_RESTARTABLE = ("InvalidLayerPartException", "UploadNotFoundException", "EmptyUploadException")
_LAYERS_PER_CHECK = 100  # BatchCheckLayerAvailability takes no more (botocore's ecr model)


class Calls(Protocol):
    """The part of aws.Aws that a push needs."""

    def call(self, service: str, operation: str, **parameters: Any) -> Any: ...


def push(aws: Calls, repository: str, tag: str, image: BuiltImage, tell: Tell = tell_nobody) -> str:
    """Upload what the repository lacks, put the image under a tag, and say what was uploaded and
    what was there.

    The manifest goes last, so nothing half-pushed can ever be used; layers that made it are not
    sent again by the next run.

    Raises:
        AwsError: a call was refused.
        BuildError: ECR stored the image under another digest than ours.
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
    parameters = {
        "imageManifest": image.manifest,
        "imageManifestMediaType": MANIFEST_TYPE,
        "imageTag": tag,
    }
    try:
        stored = aws.call("ecr", "put_image", repositoryName=repository, **parameters)["image"][
            "imageId"
        ]["imageDigest"]
    except AwsError as error:
        if (
            error.code != "ImageAlreadyExistsException"
        ):  # Img-10: another run was faster with the same image
            raise
        stored = image.digest
    if stored != image.digest:
        raise BuildError(
            f"ECR stored {repository}:{tag} as {stored}, but it was pushed as {image.digest}"
        )
    tell(_sizes(image, present), lasting=True)
    return image.digest


def _sizes(image: BuiltImage, present: set[str]) -> str:
    """Say how large an image's layers are, and how much of it was uploaded."""
    layers = {blob.digest: blob for blob in image.layers}.values()
    parts = sizes_by_kind((blob.kind, blob.size) for blob in layers)
    sent = sum(blob.size for blob in layers if blob.digest not in present)
    there = sum(blob.size for blob in layers) - sent
    return f"{parts}; uploaded {format_size(sent)}, {format_size(there)} were there"


def _present(aws: Calls, repository: str, blobs: Iterable[Blob]) -> set[str]:
    digests = list(dict.fromkeys(blob.digest for blob in blobs))
    present = set()
    for first in range(0, len(digests), _LAYERS_PER_CHECK):
        asked = digests[first : first + _LAYERS_PER_CHECK]
        answer = aws.call(
            "ecr", "batch_check_layer_availability", repositoryName=repository, layerDigests=asked
        )
        present |= {
            each["layerDigest"]
            for each in answer["layers"]
            if each["layerAvailability"] == "AVAILABLE"
        }
    return present


def _upload(aws: Calls, repository: str, blob: Blob, tell: Tell) -> None:
    """Upload a layer in parts; when an answer was lost, and ECR therefore refuses a part sent
    twice, look and begin anew.
    """
    for attempt in range(_UPLOAD_ATTEMPTS):
        try:
            _upload_parts(aws, repository, blob, tell)
            return
        except AwsError as error:
            if error.code == "LayerAlreadyExistsException":
                return
            if error.code not in _RESTARTABLE or attempt == _UPLOAD_ATTEMPTS - 1:
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
    """Read an image back as Lambda will, and raise BuildError for what Lambda would refuse later.

    That is an index (Img-4, Img-8), an unknown media type (Img-7), or another architecture, which
    CreateFunction accepts and the first invocation does not survive (Img-9).
    """
    wanted = {
        "imageIds": [{"imageDigest": digest}],
        "acceptedMediaTypes": [*IMAGE_TYPES, *INDEX_TYPES],
    }
    answer = aws.call("ecr", "batch_get_image", repositoryName=repository, **wanted)
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
    found = (config.get("os"), config.get("architecture"))
    if found != ("linux", PLATFORM[architecture]):
        raise BuildError(
            f"the pushed image is for {'/'.join(map(str, found))}, but the functions are for "
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
