"""Pushing an image through the ECR API: missing layers only, then the manifest, which makes the image exist."""

from __future__ import annotations

from deployer.aws import Aws
from deployer.errors import AwsError, BuildError
from deployer.images.layers import MANIFEST_TYPE, Blob, BuiltImage


def push(aws: Aws, repository: str, tag: str, image: BuiltImage) -> str:
    """Upload what the repository lacks, put the image under a tag and return its digest.

    The manifest goes last, so nothing half-pushed can ever be used.

    Raises:
        AwsError: a call was refused.
        BuildError: ECR stored the image under another digest than ours.
    """
    digests = [blob.digest for blob in image.blobs]
    answer = aws.call("ecr", "batch_check_layer_availability", repositoryName=repository, layerDigests=digests)
    present = {each["layerDigest"] for each in answer["layers"] if each["layerAvailability"] == "AVAILABLE"}
    for blob in image.blobs:
        if blob.digest not in present:
            _upload(aws, repository, blob)
    parameters = {"imageManifest": image.manifest, "imageManifestMediaType": MANIFEST_TYPE, "imageTag": tag}
    try:
        stored = aws.call("ecr", "put_image", repositoryName=repository, **parameters)["image"]["imageId"][
            "imageDigest"
        ]
    except AwsError as error:
        if error.code != "ImageAlreadyExistsException":  # Img-10: another run was faster with the same image
            raise
        return image.digest
    if stored != image.digest:
        raise BuildError(f"ECR stored {repository}:{tag} as {stored}, but it was pushed as {image.digest}")
    return image.digest


def _upload(aws: Aws, repository: str, blob: Blob) -> None:
    start = aws.call("ecr", "initiate_layer_upload", repositoryName=repository)
    upload = {"repositoryName": repository, "uploadId": start["uploadId"]}
    size = int(start["partSize"])
    for first in range(0, len(blob.content), size):
        part = blob.content[first : first + size]
        aws.call(
            "ecr",
            "upload_layer_part",
            **upload,
            partFirstByte=first,
            partLastByte=first + len(part) - 1,
            layerPartBlob=part,
        )
    try:
        aws.call("ecr", "complete_layer_upload", **upload, layerDigests=[blob.digest])
    except AwsError as error:
        if error.code != "LayerAlreadyExistsException":
            raise
