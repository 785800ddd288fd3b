"""What moto's control plane gets wrong or lacks, mended where the deployer needs it and nowhere
else.

Each function mends one gap, and tests/local/test_moto_gaps.py has one test for each that shows the
gap on an unmended
moto: when moto closes it, that test fails and the mend goes. parse_once, copy_plainly and
let_threads_go only save time and memory; all tests of tests/ml/test_state_machine.py run with them.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import re
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deployer.local.gateway import Gateway

Layers = dict[str, bytes]
_ATOMS = {str, int, float, bool, type(None)}


def mend(layers: Layers, layer_url: str, gateway: Gateway) -> None:
    """Mend everything, once per process.

    Args:
        layers: where the bytes of pushed layers go, by digest.
        layer_url: where the gateway serves a layer, with {} in place of its digest.
    """
    keep_layers(layers)
    offer_layers(layer_url)
    hash_manifests()
    leave_bucket_policies_alone()
    number_versions()
    update_whole_configuration()
    name_this_machine(gateway.endpoint)
    refuse_second_route()
    invoke_directly(gateway.invoke_for_workflow)
    name_task_errors()
    validate_definitions()
    parse_once()
    copy_plainly()
    let_threads_go()


def _around(owner: type, name: str) -> Callable[[Callable[..., Any]], None]:
    """Replace a method by one that gets the original as its first argument."""
    original = getattr(owner, name)

    def replace(wrapper: Callable[..., Any]) -> None:
        @functools.wraps(original)
        def method(*args: Any, **kwargs: Any) -> Any:
            return wrapper(original, *args, **kwargs)

        setattr(owner, name, method)

    return replace


def parse_once() -> None:
    """moto parses the definition anew for each execution, and each path in it when it is evaluated:
    most of a request.

    What it parses to keeps nothing of an execution: that, a retry's attempts as well, is in the
    execution's environment.
    """
    from moto.stepfunctions.parser.asl.component.common.path import result_path
    from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
    from moto.stepfunctions.parser.asl.utils import json_path
    from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

    for module in (result_path, json_path):
        module.parse = functools.lru_cache(maxsize=1024)(module.parse)

    @functools.lru_cache(maxsize=32)
    def program(definition: str) -> Any:
        return AmazonStateLanguageParser.parse(definition)[0]

    @_around(ExecutionWorker, "_get_evaluation_entrypoint")
    def entry(original: Any, self: Any) -> Any:
        return program(self._evaluation_details.state_machine_details.definition)


def copy_plainly() -> None:
    """moto copies data with deepcopy dozens of times for each execution; the data is JSON, for
    which less will do.
    """
    from moto.stepfunctions.parser.asl.component.common.path import result_path
    from moto.stepfunctions.parser.asl.component.common.string import string_expression
    from moto.stepfunctions.parser.asl.component.state.exec import execute_state
    from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import state_parallel
    from moto.stepfunctions.parser.asl.eval import environment, states
    from moto.stepfunctions.parser.asl.eval.event import event_manager

    plain = SimpleNamespace(deepcopy=copied)
    for module in (
        result_path,
        string_expression,
        execute_state,
        state_parallel,
        environment,
        states,
        event_manager,
    ):
        module.copy = plain


def copied(value: Any) -> Any:
    """Return a deep copy of what JSON may hold; what is more than that is copied as ever."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is dict:
        return {key: copied(each) for key, each in value.items()}
    return [copied(each) for each in value] if kind is list else copy.deepcopy(value)


def let_threads_go() -> None:
    """moto keeps every thread of an execution, and with it the execution's data, for ever; and it
    names the thread of a parallel branch after all that the branch consists of."""
    from moto.stepfunctions.parser.asl.component.program import program
    from moto.stepfunctions.parser.asl.component.state.exec import execute_state
    from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import (
        inline_iteration_component,
    )
    from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import branch_worker
    from moto.stepfunctions.parser.backend import execution_worker

    for module in (
        program,
        execute_state,
        inline_iteration_component,
        branch_worker,
        execution_worker,
    ):
        module.TMP_THREADS = deque(maxlen=0)
    program.Program.__str__ = lambda self: f"({type(self).__name__})"


def keep_layers(layers: Layers) -> None:
    """moto keeps a layer's digest and size and forgets its bytes."""
    from moto.ecr.models import ECRBackend

    @_around(ECRBackend, "complete_layer_upload")
    def complete(
        original: Any, self: Any, repository_name: str, upload_id: str, *args: Any, **kwargs: Any
    ) -> Any:
        upload = self._get_repository(repository_name, None).uploads.get(upload_id)
        content = bytes(upload.layer_parts) if upload else b""
        answer = original(self, repository_name, upload_id, *args, **kwargs)
        layers[answer["layerDigest"]] = content
        return answer


def offer_layers(url: str) -> None:
    """moto answers GetDownloadUrlForLayer with 500; here the gateway serves a layer's bytes, as
    presigned as AWS's.
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

    @_around(ECRBackend, "put_image")
    def put(
        original: Any,
        self: Any,
        repository: str,
        image_manifest: str,
        tag: str,
        media_type: Any = None,
        digest: Any = None,
    ) -> Any:
        own = f"sha256:{hashlib.sha256(image_manifest.encode()).hexdigest()}"
        return original(self, repository, image_manifest, tag, media_type, own)


def leave_bucket_policies_alone() -> None:
    """moto enforces bucket policies but ignores their conditions, so one that denies plain HTTP
    denies everything.
    """
    from moto.iam.access_control import PermissionResult
    from moto.s3.models import FakeBucket

    @_around(FakeBucket, "get_permission")
    def get_permission(original: Any, self: Any, action: str, resource: str) -> Any:
        return PermissionResult.NEUTRAL


def number_versions() -> None:
    """moto counts a function's versions to number the next, so a deleted one's number comes back;
    versions share their code with $LATEST, so an update changes them too; and the first publication
    does not count as one (Lambda-16)."""
    from moto.awslambda.models import LambdaStorage

    @_around(LambdaStorage, "publish_version")
    def publish(original: Any, self: Any, name_or_arn: str, description: str = "") -> Any:
        latest = self.get_function_by_name_or_arn_forbid_qualifier(name_or_arn)
        versions = self._functions[latest.function_name]["versions"]
        if versions and not latest.code_or_config_updated:
            return versions[-1]
        known = dict(self._arns)
        version = original(self, name_or_arn, description)
        latest.code_or_config_updated = False
        latest.last_version = getattr(latest, "last_version", 0) + 1
        version.code = copy.deepcopy(latest.code)
        version.environment_vars = dict(latest.environment_vars)
        version.set_version(latest.last_version)
        self._arns = {
            **known,
            version.function_arn: version,
        }  # moto's number may be that of a version that lives
        return version


def update_whole_configuration() -> None:
    """moto's UpdateFunctionConfiguration drops tracing, /tmp size and the image's overrides;
    UpdateFunctionCode the architecture."""
    from moto.awslambda.models import ImageConfig, LambdaFunction

    @_around(LambdaFunction, "update_configuration")
    def update(original: Any, self: Any, updates: dict[str, Any]) -> Any:
        if "TracingConfig" in updates:
            self.tracing_config = updates["TracingConfig"]
        if "EphemeralStorage" in updates:
            self.ephemeral_storage = updates["EphemeralStorage"]["Size"]
        if "ImageConfig" in updates:
            self.image_config = ImageConfig(updates["ImageConfig"])
        return original(self, updates)

    @_around(LambdaFunction, "update_function_code")
    def update_code(original: Any, self: Any, updates: dict[str, Any]) -> Any:
        self.architectures = updates.get("Architectures", self.architectures)
        return original(self, updates)


def name_this_machine(endpoint: str) -> None:
    """moto's ApiEndpoint is AWS's own host, where this API does not exist."""
    from moto.apigatewayv2.models import Api

    @_around(Api, "to_json")
    def to_json(original: Any, self: Any) -> Any:
        return {**original(self), "apiEndpoint": f"{endpoint}/_apis/{self.api_id}"}


def refuse_second_route() -> None:
    """moto accepts a second route of the same key and a second stage of the same name; AWS answers
    ConflictException.
    """
    from moto.apigatewayv2.exceptions import APIGatewayV2Error
    from moto.apigatewayv2.models import Api

    class Conflict(APIGatewayV2Error):  # type: ignore[misc]
        code = 409

        def __init__(self, text: str) -> None:
            super().__init__("ConflictException", text)

    @_around(Api, "create_route")
    def create_route(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        if any(route.route_key == kwargs["route_key"] for route in self.routes.values()):
            raise Conflict(f"Route with key {kwargs['route_key']} already exists for this API")
        return original(self, *args, **kwargs)

    @_around(Api, "create_stage")
    def create_stage(original: Any, self: Any, config: dict[str, Any]) -> Any:
        if config["stageName"] in self.stages:
            raise Conflict("Stage already exists")
        return original(self, config)


def invoke_directly(invoke: Callable[[str, bytes], tuple[bytes, str | None]]) -> None:
    """moto's interpreter makes a boto3 client for each task, which costs more than the prediction;
    it calls us instead.
    """
    from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils

    def call(parameters: dict[str, Any], region: str, state_credentials: Any) -> dict[str, Any]:
        payload, function_error = invoke(parameters["FunctionName"], parameters["Payload"])
        answer: dict[str, Any] = {"StatusCode": 200, "Payload": json.loads(payload)}
        return {**answer, "FunctionError": function_error} if function_error else answer

    lambda_eval_utils._invoke_lambda_function = call


def name_task_errors() -> None:
    """moto calls every refused invocation "Exception"; Step Functions says Lambda.<code> (Sfn-28)."""
    from botocore.exceptions import ClientError
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (
        StateTaskServiceLambda,
    )
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_lambda import (
        StateTaskLambda,
    )

    @_around(StateTaskLambda, "_from_error")
    def from_error(original: Any, self: Any, env: Any, ex: Exception) -> Any:
        failure = original(self, env=env, ex=ex)
        if isinstance(ex, ClientError):
            error, cause = StateTaskServiceLambda._error_cause_from_client_error(ex)
            failure.error_name.error_name = error
            details = failure.event_details["lambdaFunctionFailedEventDetails"]
            details["error"], details["cause"] = error, cause
        return failure


def validate_definitions() -> None:
    """moto has no ValidateStateMachineDefinition; its interpreter's parser says whether it could
    run a definition.
    """
    from moto.core.responses import ActionResult
    from moto.stepfunctions.parser.api import InvalidDefinition
    from moto.stepfunctions.parser.models import StepFunctionsParserBackend
    from moto.stepfunctions.responses import StepFunctionResponse

    def validate_state_machine_definition(self: Any) -> Any:
        try:
            StepFunctionsParserBackend._validate_definition(
                definition=self._get_param("definition")
            )
        except InvalidDefinition as error:
            diagnostic = {
                "severity": "ERROR",
                "code": "SCHEMA_VALIDATION_FAILED",
                "message": str(error.message),
            }
            return ActionResult({"result": "FAIL", "diagnostics": [diagnostic], "truncated": False})
        return ActionResult({"result": "OK", "diagnostics": [], "truncated": False})

    StepFunctionResponse.validate_state_machine_definition = validate_state_machine_definition


_STAGE = re.compile(r"/v2/apis/(?P<api>[^/]+)/stages/(?P<stage>[^/]+)(?P<log>/accesslogsettings)?$")


def missing_operation(
    method: str, path: str, body: Callable[[], bytes], region: str, account: str
) -> dict[str, Any] | None:
    """Answer what moto does not have: UpdateStage, DeleteAccessLogSettings, GetAccountSettings.
    None: it is for moto.
    """
    from urllib.parse import unquote

    if method == "GET" and path.rstrip("/") == "/2016-08-19/account-settings":
        limits = {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000}
        return {"AccountLimit": limits, "AccountUsage": {"FunctionCount": 0, "TotalCodeSize": 0}}
    match = _STAGE.search(path)
    if not match or (method, bool(match["log"])) not in (("PATCH", False), ("DELETE", True)):
        return None
    from moto.apigatewayv2.models import apigatewayv2_backends

    stage = apigatewayv2_backends[account][region].get_stage(match["api"], unquote(match["stage"]))
    if method == "DELETE":
        stage.access_log_settings = None
        return {}
    changes = json.loads(body() or b"{}")
    for name, attribute in (
        ("autoDeploy", "auto_deploy"),
        ("defaultRouteSettings", "default_route_settings"),
        ("accessLogSettings", "access_log_settings"),
        ("description", "description"),
    ):
        if name in changes:
            setattr(stage, attribute, changes[name])
    answer: dict[str, Any] = stage.to_json()
    return answer
