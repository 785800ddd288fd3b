"""How a change gives others more access: policies, in the canonical form of compare.py.

Pure: no AWS, no clock, no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Json = Any
_EVERY_RESOURCE = re.compile(r"\*|arn:[^:]*:[^:]*:[^:]*:[^:]*:\*")
_SHOWN = 3  # values in a sentence


def policy_widenings(before: Mapping[str, Json] | None, after: Mapping[str, Json]) -> Iterator[str]:
    """Yield a sentence for each way in which a policy in `after` allows more than `before` did.

    That is a wildcard, a condition that is gone, and a denial that is gone.
    """
    former = dict(_policies(before or {}, ""))
    for path, policy in _policies(after, ""):
        old, new = _statements(former.get(path)), _statements(policy)
        yield from _added(path, old, new)
    for path, policy in former.items():
        new = _statements(_at(after, path))
        for statement in _statements(policy):
            if statement.get("Effect") == "Deny" and not any(
                _covers(one, statement) for one in new
            ):
                yield f"{path} no longer denies {_values(statement, 'Action')} {_to(statement)}"


def _added(path: str, old: list[Json], new: list[Json]) -> Iterator[str]:
    """Yield what the allowing statements of one policy newly allow."""
    known = {sentence for statement in old for sentence in _wildcards(path, statement)}
    for statement in new:
        for sentence in _wildcards(path, statement):
            if sentence not in known:
                yield sentence
        for former in old:
            if _without_condition(former) == _without_condition(statement):
                kept = _conditions(statement)
                gone = [
                    test for test, value in _conditions(former).items() if kept.get(test) != value
                ]
                if gone and statement.get("Effect") == "Allow" and statement not in old:
                    tests = ", ".join(gone)
                    yield f"{path} drops or changes the condition {tests} {_to(statement)}"


def _wildcards(path: str, statement: Mapping[str, Json]) -> Iterator[str]:
    if statement.get("Effect") != "Allow":
        return
    keys = ", ".join(sorted({test.partition(" ")[2] for test in _conditions(statement)}))
    only = f", if the condition on {keys} holds" if keys else ""
    actions = _values(statement, "Action")
    if "NotPrincipal" in statement or "*" in _principals(statement):
        yield f"{path} allows anyone (*) {actions}{only}"
    if "NotAction" in statement or any("*" in action for action in _list(statement.get("Action"))):
        yield f"{path} allows actions by a wildcard: {actions}{only}"
    resources = _list(statement.get("Resource"))
    if "NotResource" in statement or any(map(_EVERY_RESOURCE.fullmatch, resources)):
        yield f"{path} allows on every resource (*): {actions}{only}"


def _policies(value: Json, path: str) -> Iterator[tuple[str, Json]]:
    """Yield (path, policy) of the policies in the fields of a resource."""
    if not isinstance(value, Mapping):
        return
    if "Statement" in value:
        yield path, value
        return
    for name, member in value.items():
        yield from _policies(member, f"{path}.{name}" if path else name)


def _at(fields: Mapping[str, Json], path: str) -> Json:
    return dict(_policies(fields, "")).get(path)


def _statements(policy: Json) -> list[Json]:
    statements = policy.get("Statement") if isinstance(policy, Mapping) else None
    return [one for one in _list(statements) if isinstance(one, Mapping)]


def _without_condition(statement: Mapping[str, Json]) -> Json:
    return {name: value for name, value in statement.items() if name != "Condition"}


def _covers(statement: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    """Tell whether a statement says at least what another one says."""
    if statement.keys() != other.keys():
        return False
    return all(
        set(map(str, _list(value))) >= set(map(str, _list(other[name])))
        if name in ("Action", "Resource")
        else value == other[name]
        for name, value in statement.items()
        if name != "Sid"
    )


def _conditions(statement: Mapping[str, Json]) -> dict[str, Json]:
    """Return the tests of a statement's condition, each as "operator key", with their values."""
    return {
        f"{operator} {key}": values
        for operator, tests in (statement.get("Condition") or {}).items()
        for key, values in tests.items()
    }


def _principals(statement: Mapping[str, Json]) -> list[str]:
    principal = statement.get("Principal")
    if isinstance(principal, Mapping):
        return [name for names in principal.values() for name in _list(names)]
    return _list(principal)


def _to(statement: Mapping[str, Json]) -> str:
    principals = _principals(statement)
    everyone = "anyone" if "*" in principals else ", ".join(map(str, principals))
    return f"to {everyone}" if principals else "to the role"


def _values(statement: Mapping[str, Json], name: str) -> str:
    """List the first actions of a statement, and count the others."""
    inverted = f"Not{name}" in statement
    values = _list(statement.get(f"Not{name}" if inverted else name))
    more = len(values) - _SHOWN
    shown = ", ".join(map(str, values[:_SHOWN])) + (f" and {more} more" if more > 0 else "")
    return f"everything but {shown}" if inverted else shown


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [] if value is None else [value]
