"""Reading the trace of a request, and what the request cost."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from deployer.aws.access import Aws
from deployer.errors import AwsError
from deployer.project.settings import Settings
from deployer.resources.apigateway.rest_stage import account_may_log
from deployer.service.cost import Item, Model, request_items
from deployer.service.logs import Reader, Sources, is_quiet
from deployer.service.releases import workflow_of
from deployer.service.request_logs import of_request
from deployer.service.tracing import Trace, trace_of

# Lambda and API Gateway deliver lines within seconds, as a rule.
_ARRIVAL_S = 30.0


def read_trace(
    aws: Aws,
    settings: Settings,
    reader: Reader,
    sources: Sources,
    request: str,
    start: datetime,
    api_logs: bool,
) -> Trace | None:
    """Return the trace of a request; None if no line names it.

    Args:
        api_logs: see `logs_requests`.
    """
    lines = of_request(aws, reader, sources, request, start)
    if not lines.events:
        return None
    names = [*(source.name for source in sources.groups), *sources.gone]
    functions = {settings.function_name(name): name for name in names}
    name = next((event.request for event in lines.events if event.request), request)
    has_api = any(one.name == "api" and not reader.unreadable(one) for one in sources.groups)
    trace = trace_of(name, lines.events, functions)
    return replace(trace, api_logs=api_logs and has_api, absent=lines.absent)


def logs_requests(aws: Aws, settings: Settings) -> bool:
    """Tell whether the API writes an access log; a REST API needs a role of the account's."""
    return settings.api == "http" or account_may_log(aws)


def await_trace(
    aws: Aws,
    settings: Settings,
    reader: Reader,
    sources: Sources,
    request: str,
    start: datetime,
    api_logs: bool,
    models: Collection[str],
) -> Trace | None:
    """Return the trace of a request that has just ended, once all of its lines have arrived.

    After half a minute, return what has arrived. Lines that cannot arrive are not waited for.

    Args:
        models: that answered, so that each has an invocation.
    """
    found: list[Trace | None] = []

    def check() -> Trace | None:
        trace = read_trace(aws, settings, reader, sources, request, start, api_logs)
        found[:] = [trace]
        if trace is None or trace.missing:
            return None
        absent = {name for name, absence in trace.absent.items() if not absence.may_arrive}
        return trace if set(models) <= trace.models.keys() | absent else None

    try:
        return aws.wait_until(
            check,
            reason="for CloudWatch: lines of the request have not arrived yet",
            deadline_s=_ARRIVAL_S,
        )
    except AwsError as error:
        if error.code != "TimedOut":
            raise
        return found[0]


def leaves_no_line(settings: Settings, models: Collection[str], api_logs: bool) -> bool:
    """Tell whether nothing logs a request that these models answered."""
    quiet = all(is_quiet(settings, name) for name in models)
    return quiet and not api_logs and settings.workflow_log == "errors"


def cost_of(aws: Aws, settings: Settings, trace: Trace) -> tuple[Item, ...]:
    """Price a request by what its trace measured.

    Raises:
        Unpriced: the table has no prices of the region.
    """
    definition = workflow_of(settings).definition(aws)
    models = [
        Model(name, report.memory_mb, report.billed_ms, 1, 0.0)
        for name, several in trace.models.items()
        for report in (one.report for one in several)
        if report is not None
    ]
    begin, end = trace.workflow[:2] if trace.workflow else (None, None)
    lasted = end - begin if begin is not None and end is not None else trace.end_ms - trace.begin_ms
    return request_items(
        settings.region or "",
        settings.architecture,
        definition.workflow if definition else {},
        models,
        lasted,
        trace.log_kb,
        settings.api,
    )
