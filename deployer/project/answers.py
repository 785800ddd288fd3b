"""Comparing a model's answer with the one that was recorded when it was trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

HERE = 1e-9  # relative: where the libraries are those of the training
THERE = 1e-6  # relative: on another machine, whose processor may order sums otherwise
# The members of which an answer must have one.
MEMBERS = ("predictions", "transformed", "probabilities", "decisions", "scores")


def difference(
    answer: Any, expected: Mapping[str, Any] | None, records: int, tolerance: float
) -> str | None:
    """Say how the answer to an example differs from the expected one; None if it does not.

    Args:
        expected: members of the answer by name; None: a well-formed answer is enough.
        records: how many records the example has.
        tolerance: of numbers, relative to the largest of their member.
    """
    if not isinstance(answer, Mapping):
        return f"the answer must be an object, not {_shown(answer)}"
    if expected is None:
        members = [answer[name] for name in MEMBERS if name in answer]
        formed = any(isinstance(values, list) and len(values) == records for values in members)
        return None if formed else f"no predictions for {records} records: {_shown(answer)}"
    for name, values in expected.items():
        if name not in answer:
            return f"{name}: missing, where {_shown(values)} was expected"
        if not _same(answer[name], values, tolerance * _largest(values)):
            return f"{name}: {_shown(answer[name])} where {_shown(values)} was expected"
    return None


def refuses_values(error: str, message: str) -> bool:
    """Tell whether a handler that failed would answer other values than those of a made record.

    Zeros may be no category of the training. A table without the columns of the training is no
    matter of values.
    """
    other_columns = "columns are missing" in message or "feature names" in message
    return error in ("InvalidInput", "ValueError") and not other_columns


def _same(actual: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(actual) == len(expected)
            and all(_same(a, e, tolerance) for a, e in zip(actual, expected, strict=True))
        )
    if _is_number(expected) and _is_number(actual):
        return bool(abs(actual - expected) <= tolerance)
    return type(actual) is type(expected) and bool(actual == expected)


def _largest(values: Any) -> float:
    if isinstance(values, list):
        return max(map(_largest, values), default=0.0)
    return abs(values) if _is_number(values) else 0.0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
