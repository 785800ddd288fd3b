"""The states that an execution went through, by the events of its log.

With `workflow_log = errors` the log has only the states and tasks that failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deployer.service.log_lines import Event

_ENTERED, _EXITED, _FAIL = "StateEntered", "StateExited", "FailStateEntered"
_TASKS, _ERRORS = ("LambdaFunction", "Task"), ("Failed", "TimedOut")


@dataclass(frozen=True)
class Passage:
    """How an execution went through a state.

    Args:
        times: how often; in a Map or a loop, more than once.
        milliseconds: in all of them; None as long as the state has not been left.
        errors: of its attempts, in their order.
    """

    times: int = 0
    milliseconds: float | None = None
    errors: tuple[str, ...] = ()


def passages(happened: Sequence[Event]) -> dict[str, Passage]:
    """Return the passage of each state, by its name, that events of one execution tell of."""
    events = {str(event.fields.get("id")): event for event in happened}
    found: dict[str, Passage] = {}
    for event in happened:
        entry = _entry(event, events)
        named = event if _kind(event).endswith(_EXITED) else entry
        name = _name(named) if named is not None else None
        if name is not None:
            found[name] = _extended(found.get(name, Passage()), event, entry)
    return found


def _extended(passage: Passage, event: Event, entry: Event | None) -> Passage:
    """Return a passage with one more event, whose state was entered by `entry`."""
    kind = _kind(event)
    if kind.endswith(_ENTERED):
        errors = (_error(event),) if kind == _FAIL else ()
        return replace(passage, times=passage.times + 1, errors=passage.errors + errors)
    if kind.endswith(_EXITED) and entry is not None:
        lasted = (passage.milliseconds or 0) + moment(event) - moment(entry)
        return replace(passage, milliseconds=lasted)
    if kind.startswith(_TASKS) and kind.endswith(_ERRORS):
        return replace(passage, errors=(*passage.errors, _error(event)))
    return passage


def moment(event: Event) -> float:
    """Return when an event of an execution happened, which its line says by itself."""
    text = str(event.fields.get("event_timestamp"))
    return float(text) if text.isdecimal() else float(event.time_ms)


def _entry(event: Event, events: Mapping[str, Event]) -> Event | None:
    """Return the event with which the state of an event was entered, if that is logged.

    A Parallel or Map is left after the events of the states in it.
    """
    name = _name(event) if _kind(event).endswith(_EXITED) else None
    seen: set[str] = set()
    found: Event | None = event
    while found is not None:
        if _kind(found).endswith(_ENTERED) and name in (None, _name(found)):
            return found
        before = str(found.fields.get("previous_event_id"))
        found = None if before in seen else events.get(before)
        seen.add(before)
    return None


def _kind(event: Event) -> str:
    return str(event.fields.get("type"))


def _details(event: Event) -> Mapping[str, Any]:
    details = event.fields.get("details")
    return details if isinstance(details, Mapping) else {}


def _name(event: Event) -> str | None:
    name = _details(event).get("name")
    return name if isinstance(name, str) else None


def _error(event: Event) -> str:
    return str(_details(event).get("error") or _kind(event))
