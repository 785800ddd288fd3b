"""All lines of one request: of the API, the workflow, and the functions that it invoked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from deployer.aws.access import Aws, tell_nobody
from deployer.errors import DENIED, AwsError, LogsUnavailable
from deployer.project.declared import logs_answers
from deployer.project.settings import Settings
from deployer.resources.base import Ownership
from deployer.resources.logs import group_tags, listed
from deployer.service.log_lines import (
    Absence,
    Event,
    execution_name,
    invocations,
    named_in_causes,
)
from deployer.service.logs import VENDED, Reader, Source, Sources

# What API Gateway, Step Functions and Lambda give for ids, and ARNs of executions.
_ID = re.compile(r"[\w.:/+=-]{1,256}")
# A request takes 30 s at most (Api-13); the access log has a line at its end, in whole seconds.
_BEFORE, _AFTER = timedelta(seconds=32), timedelta(seconds=5)
_WHOLE_S = 1.0  # by which the time of such a line may be off
_OTHER_STAGES = 10  # that are looked into for a request
UNNAMED = (
    "its lines do not name the request: the workflow passes it no execution "
    "(docs/operating.md, One request)"
)
SILENT = "its log_level is warning or error: of its requests only failures are logged"
NOT_INVOKED = "no line names the request: it was not invoked, or its lines have not arrived yet"


def check_id(text: str) -> str:
    """Return the id in a text, of which an execution's ARN is one; raise ValueError for others."""
    if not _ID.fullmatch(text.strip()):
        raise ValueError(
            f"{text!r} is no id of a request: invoke prints it, as the header apigw-requestid or "
            "x-request-id of an answer does"
        )
    return execution_name(text.strip())


@dataclass(frozen=True)
class RequestLines:
    """The lines of one request in the order of time.

    Args:
        absent: the functions that have none, by name.
    """

    events: Sequence[Event] = ()
    absent: Mapping[str, Absence] = field(default_factory=dict)


def of_request(
    aws: Aws, reader: Reader, sources: Sources, request: str, start: datetime
) -> RequestLines:
    """Return the lines of one request; none if nothing names it.

    Args:
        request: the API's id of it, which is the execution's name, or Lambda's of an invocation.
    """
    naming = _naming(aws, reader, sources.groups, request, start)
    executions = {event.request for event in naming if event.is_handlers} - {None, request}
    if executions:  # `request` is Lambda's
        naming = _naming(aws, reader, sources.groups, executions.pop() or "", start)
    if not naming:
        reader.refuse_if_none(sources.groups)
        return RequestLines()
    first, last = naming[0].time - _BEFORE, naming[-1].time + _AFTER
    functions = [source for source in sources.groups if source.name not in VENDED]
    nearby = _sorted(
        event
        for lines in aws.together(
            *(partial(_read, reader, source, first, last) for source in functions)
        )
        for event in lines
    )
    wanted = {event.invocation for event in naming if event.source not in VENDED}
    wanted |= named_in_causes(naming)
    own = [
        event
        for lines in invocations(nearby)
        if wanted & {line.invocation for line in lines if line.invocation}
        for event in lines
    ]
    vended = [event for event in naming if event.source in VENDED]
    unnamed = _unnamed(nearby, vended)
    absent = _absences(reader, sources, {event.source for event in own}, unnamed, naming[0].time)
    is_one_invocation = not vended and all(event.request is None for event in naming)
    return RequestLines(_sorted([*vended, *own]), {} if is_one_invocation else absent)


def _absences(
    reader: Reader,
    sources: Sources,
    present: Collection[str],
    unnamed: Collection[str],
    moment: datetime,
) -> dict[str, Absence]:
    """Return the functions without a line of a request, and why.

    Args:
        present: the functions that have one.
        unnamed: see `_unnamed`.
    """
    absent = {name: _gone(group) for name, group in sources.gone.items() if name not in VENDED}
    for source in sources.groups:
        if source.name in present or source.name in VENDED:
            continue
        days = source.retention_days
        if reader.unreadable(source):
            absent[source.name] = Absence(f"its log group {source.group} cannot be read")
        elif days is not None and moment < sources.now - timedelta(days=days):
            absent[source.name] = Absence(
                f"its lines are deleted after {days} days (log_retention_days)"
            )
        elif source.quiet:
            absent[source.name] = Absence(SILENT)
        elif source.name in unnamed:
            absent[source.name] = Absence(UNNAMED)
        else:
            absent[source.name] = Absence(NOT_INVOKED, may_arrive=True)
    return absent


def _unnamed(nearby: Sequence[Event], vended: Sequence[Event]) -> set[str]:
    """Return the functions that ran during a request, and whose lines name no execution at all.

    Before it, `up` may have asked them their examples, which are of no execution either.
    """
    handlers = [event for event in nearby if event.is_handlers]
    naming = {event.source for event in handlers if event.request is not None}
    return {
        event.source
        for api in vended
        if "latencyMs" in api.fields
        for event in handlers
        if event.source not in naming
        and abs((event.time - api.time).total_seconds()) <= _lasted_s(api) + _WHOLE_S
    }


def _lasted_s(api: Event) -> float:
    text = str(api.fields["latencyMs"])
    return float(text) / 1000 if text.isdecimal() else 0.0


def _gone(group: str) -> Absence:
    return Absence(f"its log group {group} is gone; to make it again: python -m deployer up")


def _naming(
    aws: Aws, reader: Reader, sources: Sequence[Source], request: str, start: datetime
) -> list[Event]:
    """Return the lines that name a request."""
    groups = aws.together(
        *(partial(_read, reader, source, start, None, request) for source in sources)
    )
    return _sorted(event for lines in groups for event in lines if _names(event, request))


def _names(event: Event, request: str) -> bool:
    """Tell whether a line is about a request; one that only contains the id is not."""
    return request in (event.request, event.invocation) or request in named_in_causes([event])


def _read(
    reader: Reader, source: Source, start: datetime, end: datetime | None, containing: str = ""
) -> list[Event]:
    return list(reader.lines(source, start, end, containing))


def _sorted(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda event: event.time_ms)


def not_found(aws: Aws, settings: Settings, request: str, start: datetime) -> LogsUnavailable:
    """Return the error for a request that nothing names here: it may be of another stage."""
    stage = _stage_of(aws, settings, request, start)
    if stage is not None:
        return LogsUnavailable(
            f"request {request} is of stage {stage}, not of {settings.stage}",
            f"to see it: add --stage {stage}",
        )
    return LogsUnavailable(
        f"no line of service {settings.service}, stage {settings.stage}, names request {request} "
        f"since {start:%Y-%m-%d %H:%M} UTC",
        "lines arrive some seconds late; for an older request, add --since 7d; of a request that "
        "the API refused, only its access log tells" + _of_levels(settings),
    )


def _of_levels(settings: Settings) -> str:
    """Return what the level of the functions' logs has to do with lines that are missing."""
    some = (settings.defaults, *settings.per_function.values())
    levels = sorted({one.log_level for one in some if not logs_answers(one.log_level)})
    if not levels:
        return ""
    return f"; with log_level = {' or '.join(levels)}, a function logs nothing of what it answers"


def _stage_of(aws: Aws, settings: Settings, request: str, start: datetime) -> str | None:
    """Return another stage of this service whose API's log names a request.

    None as well if the caller may not read the others' logs.
    """
    own = settings.log_group("api")
    prefix = own.removesuffix(settings.stage)
    ours = Ownership({"deployer:service": settings.service})
    reader = Reader(aws, tell_nobody)
    try:
        others = [group for group in listed(aws, prefix, prefix) if group["logGroupName"] != own]
        for group in others[:_OTHER_STAGES]:
            tags = group_tags(aws, group) or {}
            source = Source("api", group["logGroupName"], None)
            if ours.marks(tags) and any(reader.lines(source, start, containing=request)):
                return tags.get("deployer:stage")
    except AwsError as error:
        if error.code not in DENIED:
            raise
    return None
