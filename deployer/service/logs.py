"""The logs of a service, merged: functions by the workflow's names, the workflow, and the API."""

from __future__ import annotations

import difflib
import heapq
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from deployer.aws.access import Aws, Tell
from deployer.errors import DENIED, AwsError, LogsUnavailable
from deployer.project.declared import logs_answers
from deployer.project.settings import Settings
from deployer.service.log_lines import Event
from deployer.service.release import declared_names
from deployer.service.releases import functions_of, workflow_of

VENDED = ("workflow", "api")
_ABSENT = ("ResourceNotFoundException",)
_SINCE = re.compile(r"(\d+)(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# Lines arrive late (Logs-9), and streams do not wait for each other.
_OVERLAP_MS = 15_000
# FilterLogEvents allows five calls a second (Logs-15): a poll of many groups must leave some.
_POLL_S = 2.0
_CALLS_A_SECOND = 2.5
_SKEW_S = 30.0


@dataclass(frozen=True)
class Source:
    """A log group that exists.

    Args:
        name: of the function in the workflow, `workflow` or `api`.
        retention_days: None keeps lines for ever.
        quiet: see `is_quiet`.
    """

    name: str
    group: str
    retention_days: int | None
    quiet: bool = False


@dataclass(frozen=True)
class Sources:
    """The log groups of a service, and AWS's time.

    Args:
        remarks: what a reader should know: groups that are gone, and clocks that differ.
        gone: the groups that do not exist, by the name of their source.
    """

    groups: Sequence[Source]
    now: datetime
    remarks: Sequence[str] = ()
    gone: Mapping[str, str] = field(default_factory=dict)


def since(text: str) -> timedelta:
    """Read a span such as 30s, 10m, 2h, 1d or 1w; raise ValueError for another text."""
    match = _SINCE.fullmatch(text.strip())
    if match is None or int(match[1]) == 0 or len(match[1]) > 6:
        raise ValueError(f"{text!r} must be a span such as 30s, 10m, 2h, 1d or 1w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def find_sources(aws: Aws, settings: Settings, names: Collection[str] = ()) -> Sources:
    """Find the log groups of a service, or of some of its parts.

    Raises:
        LogsUnavailable: nothing is deployed, a name is not known, or all groups are gone.
    """
    answers = aws.together(
        lambda: _functions(aws, settings),
        *(
            partial(_listed, aws, prefix)
            for prefix in (settings.log_group(""), *map(settings.log_group, VENDED))
        ),
    )
    functions, listings = answers[0], answers[1:]
    found = {group["logGroupName"]: group for groups, _ in listings for group in groups}
    if functions is None and not any(settings.log_group(user) in found for user in VENDED):
        raise _nothing_deployed(settings)
    known = [*(functions or declared_names(settings)), *VENDED]
    _refuse_unknown(names, known, lambda name: settings.log_group(name) in found)
    wanted = list(dict.fromkeys(names)) or known
    groups = {name: settings.log_group(name) for name in wanted}
    gone = {name: group for name, group in groups.items() if group not in found}
    sources = [
        Source(name, group, found[group].get("retentionInDays"), is_quiet(settings, name))
        for name, group in groups.items()
        if group in found
    ]
    remarks = [
        f"the log group {group} of {name} is gone; to make it again: python -m deployer up"
        for name, group in gone.items()
    ]
    if not sources:
        raise LogsUnavailable("\n".join(remark.partition(";")[0] for remark in remarks), remarks[0])
    now = next((moment for _, moment in listings if moment), None) or aws.now
    skew = (aws.now - now).total_seconds()
    if abs(skew) > _SKEW_S:
        where = "ahead of" if skew > 0 else "behind"
        remarks.append(
            f"this machine's clock is {abs(skew):.0f} s {where} AWS's; the times here are AWS's"
        )
    return Sources(sources, now, remarks, gone)


def is_quiet(settings: Settings, name: str) -> bool:
    """Tell whether a source is a function that logs no line about answered requests."""
    return name not in VENDED and not logs_answers(settings.function(name).log_level)


def _functions(aws: Aws, settings: Settings) -> list[str] | None:
    """Return the functions of the live workflow; None without a workflow."""
    definition = workflow_of(settings).definition(aws)
    if definition is None:
        return None
    return function_names(settings, definition.workflow)


def function_names(settings: Settings, workflow: Mapping[str, Any]) -> list[str]:
    """Return the functions that a deployed workflow calls, by the names in the folder's one."""
    declared = {name.replace("-", "_"): name for name in declared_names(settings)}
    return [declared.get(name, name) for name in functions_of(settings, workflow)]


def _listed(aws: Aws, prefix: str) -> tuple[list[dict[str, Any]], datetime | None]:
    """Return the groups with a prefix, and AWS's time (Logs-3: there is no get-by-name)."""
    groups: list[dict[str, Any]] = []
    parameters: dict[str, Any] = {"logGroupNamePrefix": prefix}
    while True:
        answer = aws.call("logs", "describe_log_groups", **parameters)
        groups += answer["logGroups"]
        if not answer.get("nextToken"):
            return groups, _date(answer)
        parameters["nextToken"] = answer["nextToken"]


def _date(answer: Any) -> datetime | None:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return None


def _refuse_unknown(
    names: Collection[str], known: Sequence[str], has_group: Callable[[str], bool]
) -> None:
    """Refuse a name that the workflow does not name and that has no group of its own either."""
    for name in names:
        if name not in known and not has_group(name):
            close = difflib.get_close_matches(name, known, n=1)
            meant = f"; did you mean {close[0]}?" if close else ""
            raise LogsUnavailable(
                f"nothing here is called {name!r}{meant}",
                f"these have logs: {', '.join(known)}",
            )


def _nothing_deployed(settings: Settings) -> LogsUnavailable:
    return LogsUnavailable(
        f"nothing of service {settings.service}, stage {settings.stage}, is deployed in account "
        f"{settings.account}, {settings.region}",
        "deploy it first: python -m deployer up",
    )


def beyond_retention(sources: Sequence[Source], span: timedelta) -> Iterator[str]:
    """Yield a remark for each retention that is shorter than the span that is asked for."""
    shorter: dict[int, list[str]] = {}
    for source in sources:
        if source.retention_days is not None and span > timedelta(days=source.retention_days):
            shorter.setdefault(source.retention_days, []).append(source.name)
    for days, names in shorter.items():
        yield f"older lines than {days} days are deleted (log_retention_days): {', '.join(names)}"


class Reader:
    """Reads log groups; a group that cannot be read is told once, and left out.

    Args:
        tell: is told why.
    """

    def __init__(self, aws: Aws, tell: Tell) -> None:
        self._aws = aws
        self._tell = tell
        self._unreadable: dict[str, AwsError] = {}

    def merged(
        self, sources: Sequence[Source], start: datetime, end: datetime | None = None
    ) -> Iterator[Event]:
        """Yield the lines of all groups from a time on, in the order of time."""
        streams = [self.lines(source, start, end) for source in sources]
        yield from heapq.merge(*streams, key=lambda event: event.time_ms)
        self.refuse_if_none(sources)

    def lines(
        self,
        source: Source,
        start: datetime,
        end: datetime | None = None,
        containing: str = "",
    ) -> Iterator[Event]:
        """Yield the lines of one group; `containing` is a text without quotes."""
        if source.group in self._unreadable:
            return
        parameters: dict[str, Any] = {
            "logGroupName": source.group,
            "startTime": max(0, round(1000 * start.timestamp())),
        }
        if end is not None:
            parameters["endTime"] = round(1000 * end.timestamp())
        if containing:
            parameters["filterPattern"] = f'"{containing}"'
        while True:
            try:
                answer = self._aws.call("logs", "filter_log_events", **parameters)
            except AwsError as error:
                self._note(source, error)
                return
            for event in answer["events"]:
                yield Event(
                    source.name,
                    event["timestamp"],
                    event.get("logStreamName", ""),
                    event["message"],
                    event.get("eventId", ""),
                )
            # Logs-16: a page can be empty although there are more.
            if not answer.get("nextToken"):
                return
            parameters["nextToken"] = answer["nextToken"]

    def unreadable(self, source: Source) -> bool:
        """Tell whether a group could not be read."""
        return source.group in self._unreadable

    def _note(self, source: Source, error: AwsError) -> None:
        if error.code in DENIED:
            text = (
                f"no permission logs:FilterLogEvents on {source.group}: {source.name} is left out"
            )
        elif error.code in _ABSENT:
            text = f"the log group {source.group} of {source.name} is gone"
        else:
            raise error
        self._unreadable[source.group] = error
        self._tell(text)

    def refuse_if_none(self, sources: Sequence[Source]) -> None:
        """Raise the error of a group if none of them can be read."""
        errors = [self._unreadable.get(source.group) for source in sources]
        if errors and errors[0] is not None and all(errors):
            raise errors[0]

    def followed(
        self, sources: Sequence[Source], start: datetime, wait: Callable[[float], object]
    ) -> Iterator[Event]:
        """Yield lines as they arrive, without end.

        Args:
            wait: for some seconds; raises KeyboardInterrupt to end it.
        """
        seen: dict[str, int] = {}
        begin_ms = round(1000 * start.timestamp())
        while True:
            newest_ms = begin_ms
            moment = start.fromtimestamp(max(0, begin_ms) / 1000, start.tzinfo)
            for event in self.merged(sources, moment):
                newest_ms = max(newest_ms, event.time_ms)
                if event.id not in seen:
                    seen[event.id] = event.time_ms
                    yield event
            begin_ms = max(begin_ms, newest_ms - _OVERLAP_MS)
            seen = {key: time_ms for key, time_ms in seen.items() if time_ms >= begin_ms}
            wait(max(_POLL_S, len(sources) / _CALLS_A_SECOND))
