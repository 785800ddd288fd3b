"""A canary: one workflow made of two, whose first state chooses at random which one answers. Pure.

The graphs of both lie side by side, not nested, so that their outputs, errors and tasks' timeouts
stay the same. Their states are renamed, "live: Predict" and "canary: Predict", because names are
unique in a state machine (Sfn-36). What the composite does not show otherwise is kept as JSON in
the Comment of its first state: both heads, the names that were too long, and which states said
JSONata by themselves (Sfn-38).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# Unlike any name that the states of the two workflows get.
CHOOSER = "Choose live or canary"
LIVE, CANDIDATE = "live", "canary"
_NAME_LIMIT = 80  # characters of a state's name
_JSONATA = "JSONata"
_LANGUAGE = "QueryLanguage"
_TARGETS = ("StartAt", "Next", "Default")
_LISTS = ("Choices", "Catch", "Branches")
_MACHINES = ("ItemProcessor", "Iterator")

_Rename = Callable[[str], str]
_Edit = Callable[[str, Any], Any]


@dataclass(frozen=True)
class Canary:
    """The live workflow beside a candidate, and the candidate's share of the requests."""

    percent: int
    live: Mapping[str, Any]
    candidate: Mapping[str, Any]


def compose(live: Mapping[str, Any], candidate: Mapping[str, Any], percent: int) -> dict[str, Any]:
    """Return a workflow that runs the candidate for a share of the requests, else the live one.

    The larger TimeoutSeconds holds for both. A state that reads its own name reads the new one, and
    so does the cause of an error in the state itself (Sfn-40).

    Args:
        live: a workflow without problems. In its states, any value may be a Ref.
        candidate: likewise.
        percent: the share, from 1 to 99.
    """
    if type(percent) is not int or not 1 <= percent <= 99:
        raise ValueError(f"a canary's share is a whole number from 1 to 99, not {percent!r}")
    both_jsonata = _is_jsonata(live) and _is_jsonata(candidate)
    live_part, live_record = _part(LIVE, live, both_jsonata)
    candidate_part, candidate_record = _part(CANDIDATE, candidate, both_jsonata)
    record = {"percent": percent, LIVE: live_record, CANDIDATE: candidate_record}
    condition = f"{{% $random() < {percent / 100} %}}"
    chooser = {
        "Type": "Choice",
        "Comment": _json(record),
        _LANGUAGE: _JSONATA,
        "Choices": [{"Condition": condition, "Next": candidate_part["StartAt"]}],
        "Default": live_part["StartAt"],
    }
    return {
        "Comment": f"{percent} % of the executions run the canary, the others the live workflow.",
        **({_LANGUAGE: _JSONATA} if both_jsonata else {}),
        **_timeout(live, candidate),
        "StartAt": CHOOSER,
        "States": {CHOOSER: chooser, **live_part["States"], **candidate_part["States"]},
    }


def decompose(definition: Any) -> Canary | None:
    """Return the two workflows of a composite as they were; None for any other workflow.

    A composite that was edited since is another workflow.
    """
    try:
        canary = _read(definition)
        composite = compose(canary.live, canary.candidate, canary.percent)
        same_head = _json(_head(composite)) == _json(_head(definition))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return None  # a part is absent, or of another kind
    return canary if same_head and composite["States"] == definition["States"] else None


def _read(definition: Any) -> Canary:
    """Take a composite apart; anything may be wrong with another workflow."""
    record = json.loads(definition["States"][CHOOSER]["Comment"])
    live, candidate = (_restored(side, definition, **record[side]) for side in (LIVE, CANDIDATE))
    return Canary(record["percent"], live, candidate)


def _part(
    side: str, machine: Mapping[str, Any], both_jsonata: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a workflow as one side of a composite, and the record by which it is restored."""
    long_names: dict[str, str] = {}
    explicit: set[str] = set()

    def rename(name: str) -> str:
        new = f"{side}: {name}"
        if len(new) > _NAME_LIMIT:
            digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
            new = f"{side}~{digest[:16]}: {name}"[:_NAME_LIMIT]
            long_names[new] = name
        return new

    def mark(name: str, state: Any) -> Any:
        if state.get(_LANGUAGE) == _JSONATA:
            explicit.add(name)
        return {_LANGUAGE: _JSONATA, **state}

    marked = _is_jsonata(machine) and not both_jsonata
    part = _rewritten(machine, rename, mark if marked else _keep)
    record = {"head": _head(machine), "long_names": long_names, "explicit": sorted(explicit)}
    return part, record


def _restored(
    side: str, definition: Any, head: Any, long_names: Any, explicit: Any
) -> dict[str, Any]:
    """Return one side of a composite as the workflow that it was."""

    def rename(name: str) -> str:
        original: str = long_names.get(name, name.removeprefix(f"{side}: "))
        return original

    def unmark(name: str, state: Any) -> Any:
        if state.get(_LANGUAGE) != _JSONATA or rename(name) in explicit:
            return state
        return _without(_LANGUAGE, state)

    states = definition["States"]
    own = {"States": {name: states[name] for name in states if name.startswith(side)}}
    marked = _is_jsonata(head) and not _is_jsonata(definition)
    return {**head, **_rewritten(own, rename, unmark if marked else _keep)}


def _rewritten(part: Any, rename: _Rename, edit: _Edit) -> Any:
    """Return a machine, a state or a rule with all states in it renamed and edited.

    Args:
        edit: takes a state's name, before it is renamed, and the state.
    """
    if not isinstance(part, Mapping):
        return part
    fields = dict(part)
    for name in _TARGETS:
        if isinstance(part.get(name), str):
            fields[name] = rename(part[name])
    for name in _LISTS:
        if isinstance(part.get(name), list):
            fields[name] = [_rewritten(item, rename, edit) for item in part[name]]
    for name in _MACHINES:
        if name in part:
            fields[name] = _rewritten(part[name], rename, edit)
    if isinstance(part.get("States"), Mapping):
        fields["States"] = {
            rename(name): edit(name, _rewritten(state, rename, edit))
            for name, state in part["States"].items()
        }
    return fields


def _keep(name: str, state: Any) -> Any:
    return state


def _is_jsonata(machine: Mapping[str, Any]) -> bool:
    """Tell whether the states of a machine are in JSONata unless they say otherwise."""
    return machine.get(_LANGUAGE) == _JSONATA


def _head(machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a machine beside its states."""
    return _without("States", machine)


def _without(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in fields.items() if field != name}


def _timeout(live: Mapping[str, Any], candidate: Mapping[str, Any]) -> dict[str, int]:
    """Return the timeout of a composite: none if one of the workflows has none."""
    seconds = [
        machine["TimeoutSeconds"]
        for machine in (live, candidate)
        if type(machine.get("TimeoutSeconds")) is int
    ]
    return {"TimeoutSeconds": max(seconds)} if len(seconds) == 2 else {}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
