"""What AWS's services tell of the data plane: metrics, access logs, execution logs."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from deployer.local.access_log import Request, access_line
from deployer.local.answers import Answer
from deployer.local.invocation import Response, Version
from deployer.local.moto_backend.account import HttpApi, MotoAccount
from deployer.local.moto_backend.interpreter import Execution
from deployer.local.moto_backend.metrics import Dimensions, Value
from deployer.local.moto_backend.rest_definition import AccessLog, RestStage

_ENDINGS = {"SUCCEEDED": "Succeeded", "FAILED": "Failed", "TIMED_OUT": "TimedOut"}


@dataclass
class Invocation:
    """An invocation that is counted; `response` is set by the one who makes it."""

    response: Response


class Telemetry:
    """Puts metrics into CloudWatch, and lines into log groups."""

    def __init__(self, account: MotoAccount) -> None:
        self._account = account
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()  # by function and, "", of all

    # Lambda

    @contextmanager
    def invocation(self, version: Version) -> Iterator[Invocation]:
        """Count an invocation, and time it. Requests that wait for the environment run, too."""
        arn, name = version.arn, version.name
        with self._lock:
            self._running.update(("", name))
            concurrent = self._running.copy()
        began = time.monotonic()
        invocation = Invocation(Response(b""))
        try:
            yield invocation
        finally:
            with self._lock:
                self._running.subtract(("", name))
        values = [
            Value("Invocations", 1),
            Value("Errors", int(invocation.response.is_error)),
            Value("Throttles", 0),
            Value("Duration", 1000 * (time.monotonic() - began), "Milliseconds"),
        ]
        own = {"FunctionName": name}
        resource = name if version.version == "$LATEST" else f"{name}:{arn.split(':')[7]}"
        sets: tuple[Dimensions, ...] = ({}, own, {**own, "Resource": resource})
        put = self._account.put_metrics
        put(version.region, "AWS/Lambda", values, *sets)
        for one, running in (({}, concurrent[""]), (own, concurrent[name])):
            put(version.region, "AWS/Lambda", [Value("ConcurrentExecutions", running)], one)

    def throttled(self, function: str, region: str) -> None:
        """Count an invocation that was refused; `function` is a name or an ARN."""
        parts = function.split(":")[6:] if function.startswith("arn:") else function.split(":")
        own = {"FunctionName": parts[0]}
        resource = {**own, "Resource": ":".join(parts)}
        self._account.put_metrics(region, "AWS/Lambda", [Value("Throttles", 1)], {}, own, resource)

    # Step Functions

    def executed(self, record: Mapping[str, Any], execution: Execution) -> None:
        """Count an execution by its record, and write its events into the execution log."""
        arn = ":".join(record["stateMachineArn"].split(":")[:7])
        milliseconds = 1000 * (record["stopDate"] - record["startDate"])
        values = [
            Value("ExecutionsStarted", 1),
            *(
                Value(f"Executions{name}", int(record["status"] == status))
                for status, name in _ENDINGS.items()
            ),
            Value("ExecutionTime", milliseconds, "Milliseconds"),
        ]
        region, name = arn.split(":")[3], arn.split(":")[6]
        self._account.put_metrics(region, "AWS/States", values, {"StateMachineArn": arn})
        if execution.log_group and execution.events:
            region, group = _group(execution.log_group)
            stream = f"states/{name}/{time.strftime('%Y-%m-%d-%H', time.gmtime())}"
            lines = [json.dumps(event.document) for event in execution.events]
            times_s = [event.seconds for event in execution.events]
            self._account.write_log(region, group, stream, lines, times_s)

    # API Gateway

    def requested_http(self, api: HttpApi, request: Request, answer: Answer) -> None:
        """Count a request to an HTTP API, and write its line into the access log."""
        own = {"ApiId": api.api_id}
        sets = (own, {**own, "Stage": "$default"})
        self._requested(api.region, ("4xx", "5xx"), sets, request, answer)
        self._write_access(api.access_log, request, answer)

    def requested_rest(
        self, stage: RestStage, stage_name: str, request: Request, answer: Answer
    ) -> None:
        """Count a request to a REST API, and write its line into the access log."""
        own = {"ApiName": stage.api_name}
        sets = (own, {**own, "Stage": stage_name})
        self._requested(stage.region, ("4XXError", "5XXError"), sets, request, answer)
        self._write_access(stage.access_log, request, answer)

    def _requested(
        self,
        region: str,
        names: tuple[str, str],
        sets: Sequence[Dimensions],
        request: Request,
        answer: Answer,
    ) -> None:
        values = [
            Value("Count", 1),
            Value(names[0], int(answer[0] // 100 == 4)),
            Value(names[1], int(answer[0] // 100 == 5)),
            Value("Latency", request.milliseconds(), "Milliseconds"),
        ]
        if request.integration_ms is not None:
            values.append(Value("IntegrationLatency", request.integration_ms, "Milliseconds"))
        self._account.put_metrics(region, "AWS/ApiGateway", values, *sets)

    def _write_access(self, log: AccessLog | None, request: Request, answer: Answer) -> None:
        if log is None:
            return
        region, group = _group(log.destination)
        stream = hashlib.md5(log.destination.encode(), usedforsecurity=False).hexdigest()
        line = access_line(log.format, request.variables(answer))
        self._account.write_log(region, group, stream, [line])


def _group(arn: str) -> tuple[str, str]:
    """Return region and name of a log group."""
    parts = arn.split(":")
    return parts[3], parts[6]
