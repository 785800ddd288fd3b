"""The account that moto holds in memory: what the gateway reads and changes of it directly."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from deployer.local.answers import Environ
from deployer.local.enforcement import Enforcement
from deployer.local.moto_backend import auth_mends, concurrency, interpreter, policies
from deployer.local.moto_backend.application import Application
from deployer.local.moto_backend.metrics import Dimensions, MetricStore, Value
from deployer.local.moto_backend.rest_definition import AccessLog, RestStage
from deployer.local.process import ACCOUNT

# Lines that are kept of each stream, such as that of a process; AWS keeps all until their retention
# ends. The line of a cold start, one for a process, stays: nothing else tells of it (Cw-3).
_LOG_LINES, _COLD_START = 5000, "\tInit Duration: "


def trim(events: list[Any]) -> None:
    """Drop the old lines of a stream, but not the one that tells of a cold start."""
    old = events[:-_LOG_LINES]
    events[: len(old)] = [event for event in old if _COLD_START in event.message]


@dataclass(frozen=True)
class Integration:
    """The integration of a route of an HTTP API."""

    subtype: str | None
    parameters: Mapping[str, str]
    timeout_s: float
    role: str | None = None


@dataclass(frozen=True)
class Route:
    """A route of an HTTP API: its integration, if it has one, and who may call it.

    Args:
        authorization: NONE, AWS_IAM or JWT.
        issuer, audience: of the tokens, for JWT.
        scopes: those of which a token must have one; without any, none is asked.
    """

    integration: Integration | None
    authorization: str = "NONE"
    issuer: str = ""
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True)
class HttpApi:
    """An HTTP API and its $default stage. `throttle` is rate and burst."""

    api_id: str
    region: str
    access_log: AccessLog | None
    cors: Mapping[str, Any] | None
    throttle: tuple[float, int] | None
    routes: Mapping[str, Route]


@dataclass(frozen=True)
class MeteredKey:
    """An API key and the limits of its usage plan; those of a plan without some are None.

    Args:
        throttle: rate and burst.
        quota: requests, and the period: DAY, WEEK or MONTH.
    """

    key_id: str
    throttle: tuple[float, int] | None
    quota: tuple[int, str] | None


@dataclass(frozen=True)
class Function:
    """A version of a function with its image as it was pushed; `layers` are gzipped tars."""

    arn: str
    name: str
    version: str
    digest: str
    layers: list[bytes]
    command: str
    environment: Mapping[str, str]
    timeout_s: float
    memory_mb: int


class MotoAccount:
    """moto's backends behind one lock, for they are not made for threads."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lock = threading.RLock()
        self.layers: dict[str, bytes] = {}  # by digest; moto itself forgets them
        self.metrics = MetricStore()
        self.enforcement = Enforcement(self)

    def answer(self, environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        """Let moto's server answer a request."""
        environ["RAW_URI"] = environ.get("REQUEST_URI", "")  # as moto knows it
        with self._lock:
            return list(self._application(environ, start_response))

    def reset(self) -> None:
        """Empty the account."""
        from moto.moto_api._internal.models import moto_api_backend

        with self._lock:
            moto_api_backend.reset()
            self.metrics.clear()

    def function(self, function: str, qualifier: str | None, region: str) -> Function | None:
        """Look a function up by name or ARN, with or without a qualifier."""
        with self._lock:
            model = self._function_model(function, qualifier, region)
            if model is None:
                return None
            digest, layers, config = self._image(model)
        environment = dict(line.split("=", 1) for line in config.get("Env", ()))
        return Function(
            arn=model.function_arn,
            name=model.function_name,
            version=str(model.version),
            digest=digest,
            layers=layers,
            command=(model.image_config.cmd or config.get("Cmd") or [""])[0],
            environment={**environment, **model.environment_vars},
            timeout_s=float(model.timeout),
            memory_mb=int(model.memory_size),
        )

    def event_retries(self, arn: str) -> int:
        """Return how often an event of a function or version is tried again after an error."""
        with self._lock:
            model = self._function_model(arn, None, arn.split(":")[3])
            # moto appends what replaces the former one on AWS.
            configs = model.event_invoke_config if model else ()
            return int(configs[-1].config.get("MaximumRetryAttempts", 2)) if configs else 2

    def has_function(self, name: str, qualifier: str | None, region: str) -> bool:
        with self._lock:
            return self._function_model(name, qualifier, region) is not None

    def lambda_settings(self, region: str) -> dict[str, Any]:
        """Return the answer to GetAccountSettings."""
        with self._lock:
            return concurrency.account_settings(region)

    def provisioned_concurrency(
        self, method: str, function: str, qualifier: str, sent: Mapping[str, Any], region: str
    ) -> tuple[int, dict[str, Any]]:
        """Return status and content of the answer to an operation; see concurrency.configure."""
        with self._lock:
            return concurrency.configure(method, function, qualifier, sent, region)

    def is_stopped(self, function: str, region: str) -> bool:
        """Tell whether a function's reserved concurrency is 0 (Lambda-12); `function` may be an
        ARN.
        """
        name = function.split(":")[6] if function.startswith("arn:") else function.split(":")[0]
        with self._lock:
            model = self._function_model(name, None, region)
            return model is not None and model.reserved_concurrency == 0

    def _function_model(self, function: str, qualifier: str | None, region: str) -> Any:
        from moto.awslambda.exceptions import UnknownFunctionException
        from moto.awslambda.models import lambda_backends

        try:
            return lambda_backends[ACCOUNT][region].get_function(function, qualifier)
        except UnknownFunctionException:
            return None

    def _image(self, function: Any) -> tuple[str, list[bytes], dict[str, Any]]:
        """Return the digest and the layers of a function's image, and its config's `config`."""
        from moto.ecr.models import ecr_backends

        repository, _, digest = function.code["ImageUri"].partition("@")
        name = repository.partition("/")[2]
        backend = ecr_backends[function.account_id][function.region]
        image = backend.repositories[name]._get_image(None, digest)
        manifest = json.loads(image.image_manifest)
        config = json.loads(self.layers[manifest["config"]["digest"]])
        layers = [self.layers[layer["digest"]] for layer in manifest["layers"]]
        return digest, layers, config["config"]

    def http_api(self, api_id: str) -> HttpApi | None:
        """Return an HTTP API of any region, or None without a $default stage."""
        from moto.apigatewayv2.models import apigatewayv2_backends

        with self._lock:
            for backend in apigatewayv2_backends[ACCOUNT].values():
                if api_id in backend.apis:
                    api = backend.apis[api_id]
                    if "$default" not in api.stages:
                        return None
                    return _http_api(api, backend.region_name)
        return None

    def rest_stage(self, api_id: str, stage_name: str) -> RestStage | None:
        """Return what a stage of a REST API of any region serves, None without the stage."""
        from moto.apigateway.models import apigateway_backends

        with self._lock:
            for backend in apigateway_backends[ACCOUNT].values():
                api = backend.apis.get(api_id)
                stage = api.stages.get(stage_name) if api else None
                if stage:
                    settings = stage.method_settings.get("*/*", {})
                    rate, burst = (
                        settings.get(f"throttling{name}Limit") for name in ("Rate", "Burst")
                    )
                    return RestStage(
                        backend.region_name,
                        api.name,
                        api.deployments[stage.deployment_id].definition,
                        None if rate is None or burst is None else (rate, burst),
                        _access_log(stage),
                    )
        return None

    def gateway_tags(self, kind: str, name: str, region: str) -> dict[str, str] | None:
        """Return the tags of a REST API, a usage plan or an API key, to be changed in place.

        None if there is none.
        """
        from moto.apigateway.models import apigateway_backends

        with self._lock:
            backend = apigateway_backends[ACCOUNT][region]
            tagged = getattr(backend, auth_mends.TAGGED[kind]).get(name)
            if tagged is None:
                return None
            tagged.tags = dict(tagged.tags or {})
            tags: dict[str, str] = tagged.tags
            return tags

    def stage_tags(self, api: str, stage: str, region: str) -> dict[str, str] | None:
        """Return the tags of a stage of an HTTP API, to be changed in place; None without it."""
        from moto.apigatewayv2.models import apigatewayv2_backends

        with self._lock:
            found = apigatewayv2_backends[ACCOUNT][region].apis.get(api)
            model = found.stages.get(stage) if found else None
            if model is None:
                return None
            model.tags = dict(model.tags or {})
            tags: dict[str, str] = model.tags
            return tags

    def metered_key(self, value: str, api_id: str, stage: str) -> MeteredKey | None:
        """Return the enabled API key of this value, if a usage plan of the stage has it."""
        from moto.apigateway.models import apigateway_backends

        place = {"apiId": api_id, "stage": stage}
        with self._lock:
            for backend in apigateway_backends[ACCOUNT].values():
                for key in backend.keys.values():
                    if key.enabled and secrets.compare_digest(key.value.encode(), value.encode()):
                        for plan in backend.get_usage_plans(key.id):
                            if any(place.items() <= one.items() for one in plan.api_stages):
                                return _metered(key, plan)
        return None

    def update_stage(
        self, api_id: str, stage_name: str, changes: Mapping[str, Any], region: str
    ) -> dict[str, Any]:
        """Change a stage of an HTTP API as UpdateStage does, and return it."""
        with self._lock:
            stage = self._stage_model(api_id, stage_name, region)
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

    def delete_access_log_settings(self, api_id: str, stage_name: str, region: str) -> None:
        with self._lock:
            self._stage_model(api_id, stage_name, region).access_log_settings = None

    def _stage_model(self, api_id: str, stage_name: str, region: str) -> Any:
        from moto.apigatewayv2.models import apigatewayv2_backends

        return apigatewayv2_backends[ACCOUNT][region].get_stage(api_id, stage_name)

    def write_log(
        self,
        region: str,
        group: str,
        stream: str,
        lines: Sequence[str],
        times_s: Sequence[float] = (),
    ) -> None:
        """Put lines into a log group.

        Without the group they are lost, as on AWS without logs:CreateLogGroup (Logs-9).

        Args:
            times_s: when each line was written, in seconds since 1970; by default now.
        """
        from moto.logs.models import logs_backends

        if not self.enforcement.may_log(region, group, stream):
            return
        with self._lock:
            groups = logs_backends[ACCOUNT][region].groups
            if group not in groups:
                return
            if stream not in groups[group].streams:
                groups[group].create_log_stream(stream)
            times = times_s or [time.time()] * len(lines)
            groups[group].put_log_events(
                stream,
                [
                    {"timestamp": int(1000 * seconds), "message": line}
                    for seconds, line in zip(times, lines, strict=True)
                ],
            )
            trim(groups[group].streams[stream].events)

    def put_metrics(
        self, region: str, namespace: str, values: Sequence[Value], *dimensions: Dimensions
    ) -> None:
        """Add each value to its metric, once for each set of dimensions."""
        with self._lock:
            for own in dimensions:
                for value in values:
                    self.metrics.put(region, namespace, own, value, time.time())

    # For the enforcement of IAM.

    def role(self, arn: str) -> policies.Role | None:
        with self._lock:
            return policies.role(arn)

    def bucket_policy(self, name: str) -> policies.Document | None:
        with self._lock:
            return policies.of_bucket(name)

    def repository_policy(self, function: str) -> policies.Document | None:
        """Return the policy of the repository that the image of a function, by its ARN, is in."""
        region = function.split(":")[3]
        with self._lock:
            model = self._function_model(function, None, region)
            return policies.of_repository(model.code["ImageUri"], region) if model else None

    def function_role(self, function: str) -> str | None:
        """Return the ARN of the role of a function, by its ARN."""
        with self._lock:
            model = self._function_model(function, None, function.split(":")[3])
            return model.role if model else None

    def workflow_role(self, arn: str) -> str | None:
        """Return the ARN of a state machine's role; None if there is no such machine."""
        with self._lock, suppress(interpreter.NoSuchMachine):
            role: str = interpreter.find_machine(ACCOUNT, arn).roleArn
            return role
        return None

    def count_resources(self) -> int:
        """Count the resources of a service, without those that are deleted with their owner."""
        from moto.apigateway.models import apigateway_backends
        from moto.apigatewayv2.models import apigatewayv2_backends
        from moto.awslambda.models import lambda_backends
        from moto.ecr.models import ecr_backends
        from moto.iam.models import iam_backends
        from moto.logs.models import logs_backends
        from moto.s3.models import s3_backends
        from moto.stepfunctions.parser.models import stepfunctions_parser_backends

        with self._lock:
            total = 0
            for region in list(apigatewayv2_backends[ACCOUNT].values()):
                total += len(region.apis)
            for rest_apis in list(apigateway_backends[ACCOUNT].values()):
                total += len(rest_apis.apis) + len(rest_apis.usage_plans) + len(rest_apis.keys)
            for functions in list(lambda_backends[ACCOUNT].values()):
                total += len(list(functions.list_functions()))
            for registry in list(ecr_backends[ACCOUNT].values()):
                total += len(registry.repositories)
            for machines in list(stepfunctions_parser_backends[ACCOUNT].values()):
                total += len(machines.state_machines)
            for logs in list(logs_backends[ACCOUNT].values()):
                total += len(logs.groups)
            total += len(s3_backends[ACCOUNT]["aws"].buckets) + len(
                iam_backends[ACCOUNT]["aws"].roles
            )
            return total


def _access_log(stage: Any) -> AccessLog | None:
    settings = stage.access_log_settings or {}
    destination, text = settings.get("destinationArn"), settings.get("format")
    return AccessLog(destination, text) if destination and text else None


def _http_api(api: Any, region: str) -> HttpApi:
    settings = api.stages["$default"].default_route_settings or {}
    rate, burst = settings.get("throttlingRateLimit"), settings.get("throttlingBurstLimit")
    return HttpApi(
        api_id=api.api_id,
        region=region,
        access_log=_access_log(api.stages["$default"]),
        cors=api.cors_configuration,
        throttle=None if rate is None or burst is None else (rate, burst),
        routes={
            route.route_key: _route(
                route,
                _integration(api.integrations.get(str(route.target).removeprefix("integrations/"))),
                api.authorizers.get(route.authorizer_id),
            )
            for route in api.routes.values()
        },
    )


def _route(route: Any, integration: Integration | None, authorizer: Any) -> Route:
    jwt = (authorizer.jwt_config if authorizer else None) or {}
    return Route(
        integration,
        str(route.authorization_type or "NONE"),
        str(jwt.get("issuer", "")),
        tuple(jwt.get("audience") or ()),
        tuple(route.authorization_scopes or ()),
    )


def _metered(key: Any, plan: Any) -> MeteredKey:
    rate, burst = plan.throttle.get("rateLimit"), plan.throttle.get("burstLimit")
    limit, period = plan.quota.get("limit"), plan.quota.get("period")
    return MeteredKey(
        key.id,
        None if rate is None or burst is None else (float(rate), int(burst)),
        None if limit is None or period is None else (int(limit), str(period)),
    )


def _integration(integration: Any) -> Integration | None:
    if integration is None:
        return None
    return Integration(
        integration.integration_subtype,
        integration.request_parameters or {},
        int(integration.timeout_in_millis or 30000) / 1000,
        integration.credentials_arn,
    )
