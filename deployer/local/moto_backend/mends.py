"""Mends of moto's control plane: the differences from AWS that matter to the deployer.

Each function mends one of them. tests/local/test_moto_mends.py has a test for each that shows
the gap on an unmended moto: when moto closes it, that test fails and the mend goes.
remember_where_to only saves time.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from typing import Any

from deployer.local.moto_backend import (
    auth_mends,
    concurrency,
    interpreter_mends,
    rest_mends,
    state_machine_versions,
)
from deployer.local.moto_backend.interpreter_mends import CheckTask
from deployer.local.moto_backend.patching import around, remember

Layers = dict[str, bytes]
InvokeFunction = Callable[[str, bytes], tuple[bytes, str | None]]


def apply(
    layers: Layers,
    endpoint: str,
    access_key: str,
    invoke: InvokeFunction,
    check: CheckTask = interpreter_mends.check_nothing,
) -> None:
    """Mend everything. A second call only replaces what the first was given.

    Args:
        layers: takes the bytes of pushed layers, by digest.
        endpoint: the local AWS's URL.
        invoke: invokes a function by its ARN; returns the payload and the kind of its error.
        check: raises unless a role, by its ARN, may invoke a function.
    """
    keep_layers(layers)
    offer_layers(f"{endpoint}/_layers/{{}}?AWSAccessKeyId={access_key}")
    hash_manifests()
    ignore_bucket_policies()
    number_versions()
    update_whole_configuration()
    concurrency.mend_reservations()
    name_this_machine(endpoint)
    refuse_second_route()
    merge_streams()
    rest_mends.apply()
    auth_mends.apply()
    state_machine_versions.apply()
    remember_where_to()
    interpreter_mends.apply(invoke, check)


def keep_layers(layers: Layers) -> None:
    """moto keeps a layer's digest and size and forgets its bytes."""
    from moto.ecr.models import ECRBackend

    @around(ECRBackend, "complete_layer_upload")
    def complete(
        original: Any, self: Any, repository_name: str, upload_id: str, *args: Any, **kwargs: Any
    ) -> Any:
        upload = self._get_repository(repository_name, None).uploads.get(upload_id)
        content = bytes(upload.layer_parts) if upload else b""
        answer = original(self, repository_name, upload_id, *args, **kwargs)
        layers[answer["layerDigest"]] = content
        return answer


def offer_layers(url: str) -> None:
    """moto answers GetDownloadUrlForLayer with 500; AWS with a presigned URL, here the gateway's.

    `url` has {} in place of the digest.
    """
    from moto.core.responses import ActionResult
    from moto.ecr.responses import ECRResponse

    def get_download_url_for_layer(self: Any) -> Any:
        digest = self._get_param("layerDigest")
        return ActionResult({"downloadUrl": url.format(digest), "layerDigest": digest})

    ECRResponse.get_download_url_for_layer = get_download_url_for_layer


def hash_manifests() -> None:
    """moto makes up an image's digest; ECR's is the sha256 of the manifest's bytes."""
    from moto.ecr.models import ECRBackend

    @around(ECRBackend, "put_image")
    def put(
        original: Any,
        self: Any,
        repository: str,
        image_manifest: str,
        tag: str,
        media_type: Any = None,
        digest: Any = None,
    ) -> Any:
        sha256 = f"sha256:{hashlib.sha256(image_manifest.encode()).hexdigest()}"
        return original(self, repository, image_manifest, tag, media_type, sha256)


def ignore_bucket_policies() -> None:
    """moto ignores the conditions of bucket policies: one that denies HTTP denies everything."""
    from moto.iam.access_control import PermissionResult
    from moto.s3.models import FakeBucket

    @around(FakeBucket, "get_permission")
    def get_permission(original: Any, self: Any, action: str, resource: str) -> Any:
        return PermissionResult.NEUTRAL


def number_versions() -> None:
    """moto numbers and copies versions otherwise than Lambda.

    It counts the versions to number the next one, so the number of a deleted version comes back.
    Versions share their code with $LATEST, so an update changes them too. And it publishes again
    after any update, though nothing differs from the last version, and not where the last version
    was deleted (Lambda-16, Lambda-36).
    """
    from moto.awslambda.models import LambdaStorage

    own = {"FunctionArn", "LastModified", "Version"}

    def content(function: Any) -> dict[str, Any]:
        members: dict[str, Any] = function.get_configuration()
        return {name: value for name, value in members.items() if name not in own}

    @around(LambdaStorage, "publish_version")
    def publish(original: Any, self: Any, name_or_arn: str, description: str = "") -> Any:
        latest = self.get_function_by_name_or_arn_forbid_qualifier(name_or_arn)
        versions = self._functions[latest.function_name]["versions"]
        if versions and content(latest) == content(versions[-1]):
            return versions[-1]
        latest.code_or_config_updated = True
        arns = dict(self._arns)
        version = original(self, name_or_arn, description)
        latest.last_version = getattr(latest, "last_version", 0) + 1
        version.code = copy.deepcopy(latest.code)
        version.environment_vars = dict(latest.environment_vars)
        version.set_version(latest.last_version)
        # moto's number may be that of another version, which it has replaced in its index.
        self._arns = {**arns, version.function_arn: version}
        return version


def update_whole_configuration() -> None:
    """moto ignores some fields of updates.

    UpdateFunctionConfiguration ignores tracing, the size of /tmp and the image's overrides;
    UpdateFunctionCode ignores the architecture.
    """
    from moto.awslambda.models import ImageConfig, LambdaFunction

    @around(LambdaFunction, "update_configuration")
    def update(original: Any, self: Any, updates: dict[str, Any]) -> Any:
        if "TracingConfig" in updates:
            self.tracing_config = updates["TracingConfig"]
        if "EphemeralStorage" in updates:
            self.ephemeral_storage = updates["EphemeralStorage"]["Size"]
        if "ImageConfig" in updates:
            self.image_config = ImageConfig(updates["ImageConfig"])
        return original(self, updates)

    @around(LambdaFunction, "update_function_code")
    def update_code(original: Any, self: Any, updates: dict[str, Any]) -> Any:
        self.architectures = updates.get("Architectures", self.architectures)
        return original(self, updates)


def name_this_machine(endpoint: str) -> None:
    """moto's ApiEndpoint is a host of AWS, where this API does not exist."""
    from moto.apigatewayv2.models import Api

    @around(Api, "to_json")
    def to_json(original: Any, self: Any) -> Any:
        return {**original(self), "apiEndpoint": f"{endpoint}/_apis/{self.api_id}"}


def refuse_second_route() -> None:
    """moto accepts a second route of a key and a second stage of a name; AWS refuses both.

    AWS answers ConflictException.
    """
    from moto.apigatewayv2.exceptions import APIGatewayV2Error
    from moto.apigatewayv2.models import Api

    class Conflict(APIGatewayV2Error):  # type: ignore[misc]  # moto has no types
        code = 409

        def __init__(self, text: str) -> None:
            super().__init__("ConflictException", text)

    @around(Api, "create_route")
    def create_route(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        if any(route.route_key == kwargs["route_key"] for route in self.routes.values()):
            raise Conflict(f"Route with key {kwargs['route_key']} already exists for this API")
        return original(self, *args, **kwargs)

    @around(Api, "create_stage")
    def create_stage(original: Any, self: Any, config: dict[str, Any]) -> Any:
        if config["stageName"] in self.stages:
            raise Conflict("Stage already exists")
        return original(self, config)


def merge_streams() -> None:
    """moto's FilterLogEvents lists stream after stream, unless it is asked not to; AWS never does.

    AWS's parameter for it has no effect any more.
    """
    from moto.logs.models import LogGroup

    @around(LogGroup, "filter_log_events")
    def merge(original: Any, self: Any, *args: Any) -> Any:
        return original(self, *args[:-1], True)


def remember_where_to() -> None:
    """moto lists its own folder, and then its classes' methods, to route each request.

    That is a fifth of the time of a small request.
    """
    from moto.core import responses
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication

    remember(DomainDispatcherApplication, "get_backend_for_host", 256)
    remember(responses, "method_names_from_class", 256)
