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
        labels = name == "predictions" and "classes" in answer
        same = _same_columns if name == "predictions" and not labels else _same
        if not same(answer[name], values, 0.0 if labels else tolerance):
            return f"{name}: {_shown(answer[name])} where {_shown(values)} was expected"
    return None


def _same_columns(actual: Any, expected: Any, relative: float) -> bool:
    """Compare predictions; those of several targets column by column, each in its own scale."""
    lists = (actual, expected)
    if not all(isinstance(values, list) and values for values in lists):
        return bool(actual == expected)
    if not all(isinstance(value, list) for values in lists for value in values):
        return _same(actual, expected, relative)
    if [len(value) for value in actual] != [len(value) for value in expected]:
        return False
    columns = zip(*(map(list, zip(*values, strict=True)) for values in lists), strict=True)
    return all(_same(own, trained, relative) for own, trained in columns)


def refuses_values(error: str, message: str) -> bool:
    """Tell whether a handler that failed for a made record would answer other values.

    Zeros, or empty strings, may be no category of the training. Any other failure is one.
    """
    return error == "InvalidInput" or "unknown categor" in message


def _same(actual: Any, expected: Any, relative: float) -> bool:
    """Compare values: whole numbers and labels exactly, floats relative to the largest of all."""
    return _close(actual, expected, relative * _largest(expected))


def _close(actual: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(actual) == len(expected)
            and all(_close(a, e, tolerance) for a, e in zip(actual, expected, strict=True))
        )
    if _is_number(expected) and _is_number(actual):
        whole = isinstance(expected, int) and isinstance(actual, int)
        return bool(abs(actual - expected) <= (0 if whole else tolerance))
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
