"""Plans as JSON values: for programs, and as a file that can be reviewed and applied later.

A saved plan holds the changes, and for each resource a hash of its declared and of its actual
fields. Its digest covers all of it. Whoever applies it plans again: the same digest means that
neither the account nor the declaration has moved. Pure: no AWS, no clock, no I/O.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deployer.engine.differences import FieldChange
from deployer.engine.plan import Change, Fields, Plan, State, references
from deployer.engine.withheld import VARIABLES, WITHHELD, without_secret_values

FORMAT = 1
# What a plan is made for, and with; a saved one holds for the same alone.
PLACE = ("service", "stage", "account", "region", "endpoint")
_MEMBERS = {"deployer_plan", "tool", *PLACE, "adopt", "digest", "changes", "resources"}


@dataclass(frozen=True)
class Basis:
    """What a plan is made of: the declared fields, with their Refs, and the actual states."""

    declared: Mapping[str, Fields]
    actual: Mapping[str, State | None]


def change_document(change: Change) -> dict[str, Any]:
    """Return a change as plain JSON values, without those that look like secrets."""
    change = without_secret_values(change)
    document: dict[str, Any] = {
        "resource": change.key,
        "action": change.action.value,
        "fields": [_field_document(field) for field in change.fields],
    }
    if change.note:
        document["note"] = change.note
    if change.widens:
        document["widens"] = list(change.widens)
    return document


def _field_document(field: FieldChange) -> dict[str, Any]:
    origin = {"origin": field.origin} if field.origin else {}
    return {"path": field.path, "before": field.before, "after": field.after, **origin}


def without_secrets(plan: Plan) -> Plan:
    """Return a plan to be published: undeclared variables of functions are named without values.

    Somebody else set these, and they may be secrets. So are those that look like it.
    """
    return Plan(tuple(_without_secrets(without_secret_values(change)) for change in plan.changes))


def _without_secrets(change: Change) -> Change:
    fields = tuple(
        replace(field, before=_hidden(field.before, field.after))
        if field.name == VARIABLES
        else field
        for field in change.fields
    )
    before = change.before
    if before and VARIABLES in before:
        after = (change.after or {}).get(VARIABLES)
        before = {**before, VARIABLES: _hidden(before[VARIABLES], after)}
    return replace(change, fields=fields, before=before)


def _hidden(before: Any, after: Any) -> Any:
    """Hide what is in `before` alone, member by member."""
    if isinstance(before, Mapping):
        declared = after if isinstance(after, Mapping) else {}
        return {name: _hidden(value, declared.get(name)) for name, value in before.items()}
    return WITHHELD if before is not None and after is None else before


def saved(plan: Plan, basis: Basis, place: Mapping[str, Any], tool: str, adopt: bool) -> Any:
    """Return a plan as the JSON document of its file, digest included.

    Args:
        place: a value for each name of PLACE.
        tool: name and version of this tool, which another version may plan otherwise.
    """
    shown = without_secrets(plan)
    document: dict[str, Any] = {
        "deployer_plan": FORMAT,
        "tool": tool,
        **{name: place[name] for name in PLACE},
        "adopt": adopt,
        "changes": [change_document(change) for change in shown.effective],
        "resources": [_resource(change, basis) for change in shown.changes],
    }
    document = json.loads(json.dumps(document, default=repr))
    return {**document, "digest": digest(document)}


def _resource(change: Change, basis: Basis) -> dict[str, Any]:
    declared = basis.declared.get(change.key)
    return {
        "resource": change.key,
        "action": change.action.value,
        "declared": None if declared is None else _hash(declared),
        "actual": _actual_hash(change, basis),
    }


def _actual_hash(change: Change, basis: Basis) -> str | None:
    """Hash the actual fields that are declared, and the outputs that other resources refer to."""
    state = basis.actual.get(change.key)
    if state is None:
        return None
    declared = basis.declared.get(change.key, {})
    fields = {name: (change.before or {}).get(name) for name in declared}
    outputs = {
        ref.output: state.outputs.get(ref.output)
        for ref in references(list(basis.declared.values()))
        if ref.key == change.key
    }
    return _hash({"fields": fields, "outputs": outputs})


def digest(document: Mapping[str, Any]) -> str:
    """Return the digest of a saved plan's document, of everything in it but the digest."""
    return _hash({name: value for name, value in document.items() if name != "digest"})


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=repr)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def is_sound(document: Any) -> bool:
    """Tell whether a JSON value is a saved plan that nobody has changed."""
    return is_saved(document) and document["digest"] == digest(document)


def is_saved(document: Any) -> bool:
    """Tell whether a JSON value has the form of a saved plan."""
    return isinstance(document, dict) and document.keys() == _MEMBERS


def moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield what has moved between two plans of one place, a sentence for each resource."""
    before, after = (_by_key(document["resources"]) for document in (old, new))
    for key in dict.fromkeys([*before, *after]):
        one, other = before.get(key), after.get(key)
        if one is None or other is None:
            yield f"{key} {'is planned now, but was not' if one is None else 'is gone'}"
            continue
        if one["actual"] != other["actual"]:
            yield f"{key} was changed in the account"
        if one["declared"] != other["declared"]:
            yield f"{key} is declared otherwise: the folder or a setting was changed"


def was_applied(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether nothing is to be changed any more, and the declaration is still the same."""
    before, after = (_by_key(document["resources"]) for document in (old, new))
    declared = {key: one["declared"] for key, one in after.items()}
    return not new["changes"] and declared == {
        key: one.get("declared") for key, one in before.items() if one.get("declared")
    }


def _by_key(resources: Any) -> dict[str, Any]:
    found: Sequence[Any] = resources if isinstance(resources, list) else []
    return {str(one.get("resource")): one for one in found if isinstance(one, dict)}
