"""IAM's policy evaluation: what policy documents say of a request. Pure.

moto's own knows no resources and takes a condition that does not hold for a denial, so it cannot
judge a policy that is narrower than `*`. Here: Effect, Action, NotAction, Resource, NotResource,
Principal, NotPrincipal, and Condition with IAM's operators. An operator that is not known never
holds, so such a statement allows nothing, and as a denial it denies.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Context = Mapping[str, "str | list[str]"]  # condition keys and their values


class Verdict(Enum):
    """What policies say of a request; IAM refuses what no policy allows."""

    ALLOWED = "allowed"
    DENIED = "denied explicitly"
    NEUTRAL = "not mentioned"


@dataclass(frozen=True)
class Request:
    """An action on a resource.

    Args:
        resource: its ARN; None if it is not known, and then a statement that allows the action on
            anything allows it, and one that denies it on something does not deny it.
        context: IAM's condition keys.
        principal: kind and name of the caller, such as ("Service", "lambda.amazonaws.com"); it
            matters for policies of resources and of trust.
    """

    action: str
    resource: str | None
    context: Context = field(default_factory=dict)
    principal: tuple[str, str] | None = None

    def values(self, key: str) -> list[str] | None:
        """Return the values of a condition key, whose case does not matter; None without it."""
        for name, value in self.context.items():
            if name.lower() == key.lower():
                return [value] if isinstance(value, str) else list(value)
        return None


def verdict(documents: Iterable[Mapping[str, Any]], request: Request) -> Verdict:
    """Judge a request by all policies together: one denial outweighs everything."""
    found = Verdict.NEUTRAL
    for document in documents:
        for statement in _listed(document["Statement"]):
            if not _applies(statement, request):
                continue
            if statement["Effect"] == "Deny":
                return Verdict.DENIED
            found = Verdict.ALLOWED
    return found


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    return (
        _principal_matches(statement, request.principal)
        and _matches(statement, "Action", request.action, _action_matches)
        and _covers_resource(statement, request.resource)
        and all(
            _holds(operator, key, _listed(wanted), request, statement["Effect"] == "Deny")
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _covers_resource(statement: Mapping[str, Any], resource: str | None) -> bool:
    """Tell whether a statement is about a resource; policies of trust and of ECR name none."""
    if resource is not None:
        return _matches(statement, "Resource", resource, _arn_matches)
    return statement["Effect"] == "Allow" or statement.get("Resource") == "*"


def _matches(
    statement: Mapping[str, Any], element: str, value: str, like: Callable[[str, str], bool]
) -> bool:
    """Tell whether an element of a statement, or its negation, covers a value."""
    if element in statement:
        return any(like(pattern, value) for pattern in _listed(statement[element]))
    if f"Not{element}" in statement:
        return not any(like(pattern, value) for pattern in _listed(statement[f"Not{element}"]))
    return element == "Resource"


def _principal_matches(statement: Mapping[str, Any], principal: tuple[str, str] | None) -> bool:
    if "NotPrincipal" in statement:
        return not _names(statement["NotPrincipal"], principal)
    return "Principal" not in statement or _names(statement["Principal"], principal)


def _names(element: Any, principal: tuple[str, str] | None) -> bool:
    if element == "*":
        return True
    if principal is None:
        return False
    kind, name = principal
    return any(entry in ("*", name) for entry in _listed(element.get(kind, [])))


def _action_matches(pattern: str, action: str) -> bool:
    return _glob(pattern.lower()).fullmatch(action.lower()) is not None


def _arn_matches(pattern: str, arn: str) -> bool:
    """Compare ARNs part by part: a wildcard does not reach over a colon, but in the last part."""
    if pattern == "*":
        return True
    patterns, parts = pattern.split(":", 5), arn.split(":", 5)
    return len(patterns) == len(parts) and all(
        _glob(one).fullmatch(other) for one, other in zip(patterns, parts, strict=True)
    )


@functools.lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    text = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(text, re.DOTALL)


def _equal(wanted: str, value: str) -> bool:
    return wanted == value


def _equal_but_case(wanted: str, value: str) -> bool:
    return wanted.lower() == value.lower()


def _like(wanted: str, value: str) -> bool:
    return _glob(wanted).fullmatch(value) is not None


def _numbers(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def compared(wanted: str, value: str) -> bool:
        try:
            return compare(float(value), float(wanted))
        except ValueError:
            return False

    return compared


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "stringequals": _equal,
    "stringequalsignorecase": _equal_but_case,
    "stringlike": _like,
    "arnequals": _arn_matches,
    "arnlike": _arn_matches,
    "bool": _equal_but_case,
    "numericequals": _numbers(lambda value, wanted: value == wanted),
    "numericlessthan": _numbers(lambda value, wanted: value < wanted),
    "numericlessthanequals": _numbers(lambda value, wanted: value <= wanted),
    "numericgreaterthan": _numbers(lambda value, wanted: value > wanted),
    "numericgreaterthanequals": _numbers(lambda value, wanted: value >= wanted),
}
_NEGATED = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "numericnotequals": "numericequals",
}


def _holds(operator: str, key: str, wanted: list[str], request: Request, unknown: bool) -> bool:
    """Tell whether one line of a condition holds.

    Args:
        unknown: the answer for an operator that is not known.
    """
    name, values = operator.lower(), request.values(key)
    if name == "null":
        return (values is None) == (str(wanted[0]).lower() == "true")
    quantifier, _, name = name.rpartition(":")
    optional, name = name.endswith("ifexists"), name.removesuffix("ifexists")
    negated = name in _NEGATED
    compare = _OPERATORS.get(_NEGATED.get(name, name))
    if compare is None:
        return unknown
    if values is None:
        return optional or negated or quantifier == "forallvalues"
    results = [any(compare(str(one), value) for one in wanted) != negated for value in values]
    return all(results) if quantifier == "forallvalues" or negated else any(results)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
