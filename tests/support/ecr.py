"""ECR's API in front of a real registry, as far as the deployer calls it."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import requests

from deployer.errors import AwsError

SMALLEST_PART = 5 << 20  # all parts but the last (botocore's ecr model, PartSizeInBytes)


class RegistryEcr:
    """The part of aws.Aws that pushing needs. `uploaded`: (digest, size) of each uploaded blob."""

    def __init__(self, host: str, part_size: int = SMALLEST_PART) -> None:
        self.host = host
        self.part_size = part_size
        self.operations: list[str] = []
        self.uploaded: list[tuple[str, int]] = []
        self.fails: dict[str, AwsError] = {}
        self._uploads: dict[str, tuple[str, int]] = {}

    def call(self, service: str, operation: str, **parameters: Any) -> Any:
        assert service == "ecr"
        self.operations.append(operation)
        if operation in self.fails:
            raise self.fails[operation]
        repository = parameters.pop("repositoryName", "")
        return getattr(self, f"_{operation}")(f"http://{self.host}/v2/{repository}", **parameters)

    def _get_authorization_token(self, url: str) -> Any:
        token = base64.b64encode(b"AWS:password").decode()
        return {
            "authorizationData": [
                {"authorizationToken": token, "proxyEndpoint": f"http://{self.host}"}
            ]
        }

    def _batch_check_layer_availability(self, url: str, layerDigests: list[str]) -> Any:
        assert 1 <= len(layerDigests) <= 100
        present = {digest: requests.head(f"{url}/blobs/{digest}").ok for digest in layerDigests}
        state = {True: "AVAILABLE", False: "UNAVAILABLE"}
        return {
            "layers": [
                {"layerDigest": digest, "layerAvailability": state[ok]}
                for digest, ok in present.items()
            ]
        }

    def _initiate_layer_upload(self, url: str) -> Any:
        answer = requests.post(f"{url}/blobs/uploads/")
        upload = answer.headers["Docker-Upload-UUID"]
        self._uploads[upload] = (answer.headers["Location"], 0)
        return {"uploadId": upload, "partSize": self.part_size}

    def _upload_layer_part(
        self, url: str, uploadId: str, partFirstByte: int, partLastByte: int, layerPartBlob: bytes
    ) -> Any:
        location, received = self._uploads[uploadId]
        if partFirstByte != received or partLastByte - partFirstByte + 1 != len(layerPartBlob):
            raise AwsError("InvalidLayerPartException", f"expected a part from byte {received}")
        answer = requests.patch(
            location, data=layerPartBlob, headers={"Content-Type": "application/octet-stream"}
        )
        answer.raise_for_status()
        self._uploads[uploadId] = (answer.headers["Location"], partLastByte + 1)
        return {"lastByteReceived": partLastByte}

    def _complete_layer_upload(self, url: str, uploadId: str, layerDigests: list[str]) -> Any:
        location, size = self._uploads.pop(uploadId)
        answer = requests.put(location, params={"digest": layerDigests[0]})
        if not answer.ok:
            raise AwsError("InvalidLayerException", answer.text)
        self.uploaded.append((layerDigests[0], size))
        return {"layerDigest": layerDigests[0]}

    def _put_image(
        self, url: str, imageManifest: str, imageManifestMediaType: str, imageTag: str
    ) -> Any:
        answer = requests.put(
            f"{url}/manifests/{imageTag}",
            data=imageManifest.encode(),
            headers={"Content-Type": imageManifestMediaType},
        )
        if not answer.ok:
            raise AwsError("LayersNotFoundException", answer.text)
        return {
            "image": {
                "imageId": {
                    "imageDigest": answer.headers["Docker-Content-Digest"],
                    "imageTag": imageTag,
                }
            }
        }

    def _manifest(self, url: str, version: str, types: list[str]) -> requests.Response:
        return requests.get(f"{url}/manifests/{version}", headers={"Accept": ", ".join(types)})

    def _batch_get_image(
        self, url: str, imageIds: list[dict[str, str]], acceptedMediaTypes: list[str]
    ) -> Any:
        (wanted,) = imageIds
        answer = self._manifest(
            url, wanted.get("imageDigest") or wanted["imageTag"], acceptedMediaTypes
        )
        if not answer.ok:
            return {"images": [], "failures": [{"imageId": wanted, "failureCode": "ImageNotFound"}]}
        digest = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
        media_type = answer.headers["Content-Type"]
        image = {
            "imageId": {"imageDigest": digest},
            "imageManifest": answer.text,
            "imageManifestMediaType": media_type,
        }
        return {"images": [image], "failures": []}

    def _get_download_url_for_layer(self, url: str, layerDigest: str) -> Any:
        if not requests.head(f"{url}/blobs/{layerDigest}").ok:
            raise AwsError("LayersNotFoundException", layerDigest)
        return {"downloadUrl": f"{url}/blobs/{layerDigest}", "layerDigest": layerDigest}

    def _batch_delete_image(self, url: str, imageIds: list[dict[str, str]]) -> Any:
        for each in imageIds:
            requests.delete(f"{url}/manifests/{each['imageDigest']}").raise_for_status()
        return {"imageIds": imageIds, "failures": []}
