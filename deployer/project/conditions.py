"""The conditions of a Choice state in words. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from deployer.project.expressions import expression_in

_ORDERS = {
    "Equals": "=",
    "LessThanEquals": "<=",
    "GreaterThanEquals": ">=",
    "LessThan": "<",
    "GreaterThan": ">",
    "Matches": "matches",
}
_COMPARISON = re.compile(rf"(?:String|Numeric|Timestamp|Boolean)({'|'.join(_ORDERS)})(Path)?")


def condition(rule: Mapping[str, Any]) -> str:
    """Return the condition of a rule, such as `$.RM >= 7 and $.CHAS is present`."""
    if isinstance(rule.get("Condition"), str):
        return plain(rule["Condition"])
    for name, word in (("And", " and "), ("Or", " or ")):
        if name in rule:
            return word.join(map(_inner, rule[name]))
    if "Not" in rule:
        return f"not {_inner(rule['Not'])}"
    for name, value in rule.items():
        if match := _COMPARISON.fullmatch(name):
            other = value if match[2] else json.dumps(value, ensure_ascii=False)
            return f"{rule.get('Variable')} {_ORDERS[match[1]]} {other}"
        if name.startswith("Is"):
            kind = re.sub(r"(Numeric)", r"number", name[2:]).lower()
            a = "" if kind in ("present", "null") else "a "
            return f"{rule.get('Variable')} is {'' if value else 'not '}{a}{kind}"
    return json.dumps(rule.get("Condition"), ensure_ascii=False)


def plain(value: Any) -> str:
    """Return a value as it is written, an expression of JSONata without its braces."""
    if isinstance(value, str):
        is_expression = value.startswith("{%") and value.endswith("%}")
        return " ".join(expression_in(value).split()) if is_expression else value
    return json.dumps(value, ensure_ascii=False)


def _inner(rule: Mapping[str, Any]) -> str:
    text = condition(rule)
    return f"({text})" if "And" in rule or "Or" in rule else text
