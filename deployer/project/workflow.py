"""Checks of a workflow in Amazon States Language that need no AWS: targets, reachability, and what
EXPRESS refuses. Pure.

AWS checks all of this when the state machine is created, which is after everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

TYPES = ("Task", "Pass", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map")
_LISTS = ("Choices", "Catch", "Branches")
_TERMINAL = ("Succeed", "Fail")
_NAME_LIMIT = 80  # characters of a state's name
# Sfn-7: an execution that answers at once cannot wait for a job or a person.
_NOT_EXPRESS = (".sync", ".sync:2", ".waitForTaskToken")


def problems(machine: Any, path: str = "$") -> Iterator[str]:
    """Yield what is wrong with a state machine, or with a branch or an item processor in it, each
    with its path.
    """
    states = machine.get("States") if isinstance(machine, Mapping) else None
    if not isinstance(states, Mapping) or not states:
        yield f"{path}: has no States"
        return
    start = machine.get("StartAt")
    if not _names(start, states):
        yield f"{path}.StartAt: {start!r} is none of its States"
    for name, state in states.items():
        place = f"{path}.States.{name}"
        if not isinstance(state, Mapping):
            yield f"{place}: must be an object"
            continue
        if len(name) > _NAME_LIMIT:
            yield f"{place}: the name has {len(name)} characters; at most {_NAME_LIMIT} are allowed"
        yield from _state(state, states, place)
    reached = _reached(start, states)
    for name in states:
        if reached and name not in reached:
            yield f"{path}.States.{name}: no state leads here"


def _state(state: Mapping[str, Any], states: Mapping[str, Any], place: str) -> Iterator[str]:
    kind = state.get("Type")
    if kind not in TYPES:
        yield f"{place}.Type: {kind!r} is none of {', '.join(TYPES)}"
        return
    yield from (
        f"{place}.{where}: must be a list"
        for where in _LISTS
        if not isinstance(state.get(where, []), list)
    )
    for where, target in _targets(state):
        if not _names(target, states):
            yield f"{place}.{where}: {target!r} is no state beside it"
    yield from _way_out(kind, state, place)
    if kind == "Choice" and not state.get("Choices"):
        yield f"{place}.Choices: must not be empty"
    if kind == "Task":
        yield from _resource(state.get("Resource"), place)
    for where, inner in _machines(state):
        yield from problems(inner, f"{place}.{where}")


def _way_out(kind: str, state: Mapping[str, Any], place: str) -> Iterator[str]:
    leaves = state.get("End") is True
    if kind in (*_TERMINAL, "Choice"):
        if leaves or "Next" in state:
            yield f"{place}: a {kind} state has neither Next nor End"
    elif leaves == ("Next" in state):
        yield f"{place}: needs either Next or End"


def _resource(resource: Any, place: str) -> Iterator[str]:
    if not isinstance(resource, str) or not resource:
        yield f"{place}.Resource: must be ${{name}} of a trained model, or an ARN"
    elif resource.endswith(_NOT_EXPRESS) or ":activity:" in resource:
        yield (
            f"{place}.Resource: an EXPRESS workflow cannot wait for "
            f"{resource.rpartition(':')[2]} (Sfn-7)"
        )


def _targets(state: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in ("Next", "Default"):
        if name in state:
            yield name, state[name]
    for name in ("Choices", "Catch"):
        for number, each in enumerate(_list(state, name)):
            yield f"{name}[{number}].Next", each.get("Next") if isinstance(each, Mapping) else None


def _machines(state: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for number, branch in enumerate(_list(state, "Branches")):
        yield f"Branches[{number}]", branch
    for name in ("ItemProcessor", "Iterator"):
        if name in state:
            yield name, state[name]


def _reached(start: Any, states: Mapping[str, Any]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if _names(name, states) and name not in reached:
            reached.add(name)
            state = states[name]
            waiting.extend(
                target for _, target in _targets(state if isinstance(state, Mapping) else {})
            )
    return reached


def _names(target: Any, states: Mapping[str, Any]) -> bool:
    return isinstance(target, str) and target in states


def _list(state: Mapping[str, Any], name: str) -> list[Any]:
    value = state.get(name)
    return value if isinstance(value, list) else []
