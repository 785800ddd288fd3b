"""What CloudWatch counted of a service in the last hour: requests, errors, latency, cold starts.

Metrics are of a function, not of one of its versions, so during the hour after a switch they hold
for both. CloudWatch shows them a minute or so after the request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from deployer.aws.access import Aws
from deployer.errors import DENIED, AwsError
from deployer.project.settings import Settings
from deployer.resources.apigateway.apis import ApiMetrics

WINDOW = timedelta(hours=1)
_PERIOD_S = 3600
_MOST_QUERIES = 500  # of one request (Cw-1)
# No metric tells of cold starts, but the REPORT line of an invocation that began with one (Cw-3).
_COLD = '"Init Duration:"'
_PAGES = 3  # of the search for them, so that a busy hour takes no minutes (Cw-6)


@dataclass(frozen=True)
class Query:
    """One number: a statistic of a metric over the window, Sum or a percentile such as p99."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str = "Sum"

    def document(self, number: int) -> dict[str, Any]:
        """Return the query as GetMetricData takes it, with the id q<number>."""
        metric = {
            "Namespace": self.namespace,
            "MetricName": self.metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in self.dimensions],
        }
        stat = {"Metric": metric, "Period": _PERIOD_S, "Stat": self.statistic}
        return {"Id": f"q{number}", "MetricStat": stat}


@dataclass(frozen=True)
class ModelMetrics:
    """What a function did in the window.

    Args:
        requests: its invocations, repeated and throttled ones included.
        errors: invocations that failed or were throttled.
        throttled: those of them that never came to run.
        p50_ms, p99_ms: of the invocations' duration; None without any.
        cold_starts: None where the log may not be read.
        more: there are more cold starts than were counted.
    """

    requests: int
    errors: int
    p50_ms: float | None
    p99_ms: float | None
    cold_starts: int | None
    more: bool = False
    throttled: int = 0


@dataclass(frozen=True)
class ServiceMetrics:
    """What a service did in the window.

    Args:
        failed: executions of the workflow that failed or timed out.
        requests: to the API; None without an API.
        client_errors, server_errors: requests that the API answered with a status from 400, or
            from 500 on.
        p99_ms: of the API's answers; None without any.
    """

    models: Mapping[str, ModelMetrics]
    executions: int
    failed: int
    requests: int | None
    client_errors: int | None
    server_errors: int | None
    p99_ms: float | None


def read_metrics(
    aws: Aws, settings: Settings, names: Sequence[str], api: ApiMetrics | None
) -> ServiceMetrics:
    """Read the metrics of the last hour; one call serves for almost 100 models.

    Raises:
        AwsError: CloudWatch may not be asked.
    """
    now = _end_of_minute(aws.now)
    functions = {name: _of_function(settings, name) for name in names}
    workflow = _of_workflow(settings)
    gateway = _of_api(api) if api else []
    queries = [*(query for some in functions.values() for query in some), *workflow, *gateway]
    numbers, *starts = aws.together(
        partial(_numbers, aws, queries, now),
        *(partial(cold_starts, aws, settings, name, now - WINDOW) for name in names),
    )
    models = {
        name: _model([numbers[query] for query in some], started)
        for (name, some), started in zip(functions.items(), starts, strict=True)
    }
    begun, failed, timed_out = (int(numbers[query] or 0) for query in workflow)
    *counts, p99_ms = [numbers[query] for query in gateway] or [None] * 4
    whole = [int(count or 0) if gateway else None for count in counts]
    return ServiceMetrics(models, begun, failed + timed_out, whole[0], whole[1], whole[2], p99_ms)


def _end_of_minute(moment: datetime) -> datetime:
    """Return the next whole minute: a window between whole minutes is one period (Cw-2)."""
    return moment.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _of_function(settings: Settings, name: str) -> list[Query]:
    own = (("FunctionName", settings.function_name(name)),)
    counts = ("Invocations", "Errors", "Throttles")
    return [
        *(Query("AWS/Lambda", count, own) for count in counts),
        *(Query("AWS/Lambda", "Duration", own, statistic) for statistic in ("p50", "p99")),
    ]


def _of_workflow(settings: Settings) -> list[Query]:
    own = (("StateMachineArn", settings.workflow_arn),)
    counts = ("ExecutionsStarted", "ExecutionsFailed", "ExecutionsTimedOut")
    return [Query("AWS/States", count, own) for count in counts]


def _of_api(api: ApiMetrics) -> list[Query]:
    own = tuple(api.dimensions.items())
    counts = ("Count", api.client_errors, api.server_errors)
    latency = Query("AWS/ApiGateway", "Latency", own, "p99")
    return [*(Query("AWS/ApiGateway", count, own) for count in counts), latency]


def _model(numbers: Sequence[float | None], started: tuple[int, bool] | None) -> ModelMetrics:
    requests, errors, throttles, p50_ms, p99_ms = numbers
    throttled = int(throttles or 0)  # these count neither as invocations nor as errors (Cw-4)
    count, more = started or (None, False)
    return ModelMetrics(
        int(requests or 0) + throttled,
        int(errors or 0) + throttled,
        p50_ms,
        p99_ms,
        count,
        more,
        throttled,
    )


def _numbers(aws: Aws, queries: Sequence[Query], now: datetime) -> dict[Query, float | None]:
    """Return the number of each query; None where CloudWatch has no data."""
    found: dict[Query, float | None] = {}
    for first in range(0, len(queries), _MOST_QUERIES):
        some = queries[first : first + _MOST_QUERIES]
        values = _values(aws, some, now)
        for number, query in enumerate(some):
            points = values.get(f"q{number}")
            # Cw-2: percentiles of two parts of the window have no common one.
            whole = sum if query.statistic == "Sum" else max
            found[query] = whole(points) if points else None
    return found


def _values(aws: Aws, queries: Sequence[Query], now: datetime) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    documents = [query.document(number) for number, query in enumerate(queries)]
    for result in aws.pages(
        "cloudwatch",
        "get_metric_data",
        "MetricDataResults",
        MetricDataQueries=documents,
        StartTime=now - WINDOW,
        EndTime=now,
    ):
        values.setdefault(result["Id"], []).extend(result["Values"])
    return values


def cold_starts(
    aws: Aws, settings: Settings, name: str, since: datetime
) -> tuple[int, bool] | None:
    """Count cold starts; tell whether there may be more. None where the log may not be read."""
    parameters: dict[str, Any] = {
        "logGroupName": settings.log_group(name),
        "filterPattern": _COLD,
        "startTime": int(since.timestamp() * 1000),
    }
    count = 0
    for _ in range(_PAGES):
        try:
            page = aws.find(
                ("ResourceNotFoundException",), "logs", "filter_log_events", **parameters
            )
        except AwsError as error:
            if error.code not in DENIED:
                raise
            return None
        if page is None:
            return None
        count += len(page["events"])
        if not page.get("nextToken"):
            return count, False
        parameters["nextToken"] = page["nextToken"]
    return count, True
