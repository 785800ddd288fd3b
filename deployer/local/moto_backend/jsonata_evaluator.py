"""Evaluating one JSONata expression as Step Functions does, with its own functions.

Those functions are documented in "JSONata functions provided by Step Functions". They follow
JSONata's conventions: an undefined argument makes an undefined result, and a sequence of one value
is that value.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import sys
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from deployer.project.expressions import load_jsonata

jsonata: Any = load_jsonata()
NULL = jsonata.Utils.NULL_VALUE
# Frames of Python: each level of recursion in JSONata takes about ten. Python's default suffices
# for some 80 levels.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 3000))
# Of one expression; API Gateway waits 29 s for the whole workflow.
_TIMEOUT_MS = 10_000
_ALGORITHMS = {
    "MD5": hashlib.md5,
    "SHA-1": hashlib.sha1,
    "SHA-256": hashlib.sha256,
    "SHA-384": hashlib.sha384,
    "SHA-512": hashlib.sha512,
}
_PLAIN = (str, int, float, bool, type(None))


class EvaluationError(Exception):
    """An expression has no value that JSON can express; the text completes AWS's cause."""


def evaluate(expression: str, variables: Mapping[str, Any]) -> Any:
    """Return the value of an expression as plain JSON.

    Raises:
        EvaluationError: the expression is faulty, or its value is undefined or a function.
    """
    try:
        program = jsonata.Jsonata(expression, timeout=_TIMEOUT_MS)
        program.set_output_convert_nulls(False)
        program.evaluate_numeric_expression = _numeric(program.evaluate_numeric_expression)
        value = program.evaluate(None, {**_FUNCTIONS, **_bound(variables)})
    except Exception as error:  # also what Python raises in it: ZeroDivisionError, RecursionError
        code = getattr(error, "error", None)
        reason = f"{code}: {error}" if code else str(error)
        raise EvaluationError(f"threw an error during evaluation. {reason}") from error
    if value is None:
        raise EvaluationError("returned nothing (undefined).")
    return _plain(value)


def _numeric(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return arithmetic whose remainder % keeps fractions; jsonata-python's cuts them off."""
    is_numeric = jsonata.Utils.is_numeric

    def evaluate_numeric(left: Any, right: Any, operator: str) -> Any:
        if operator == "%" and is_numeric(left) and is_numeric(right):
            return jsonata.Utils.convert_number(math.fmod(left, right))
        return original(left, right, operator)

    return evaluate_numeric


def _bound(value: Any) -> Any:
    """Return a copy of a value with jsonata-python's null; None is undefined to it, and lost."""
    if isinstance(value, Mapping):
        return {key: _bound(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_bound(item) for item in value]
    return NULL if value is None else value


def _plain(value: Any) -> Any:
    """Return a copy of a value without jsonata-python's own types."""
    if value is NULL:
        return None
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, _PLAIN) or (isinstance(value, float) and not math.isfinite(value)):
        raise EvaluationError("returned an unsupported result type.")
    return value


def _partition(items: Any, size: Any) -> Any:
    if items is None:
        return None
    if not isinstance(items, list):
        raise _unfit("partition", 1)
    length = max(len(items), 1) if size is None else _whole(size, "partition", 2)
    if length < 1:
        raise _unfit("partition", 2)
    return [items[start : start + length] for start in range(0, len(items), length)]


def _range(first: Any, last: Any, step: Any) -> Any:
    if first is None or last is None or step is None:
        return None
    start, end, delta = (
        _whole(number, "range", place) for place, number in enumerate((first, last, step), 1)
    )
    if delta == 0:
        raise _unfit("range", 3)
    numbers = range(start, end + (1 if delta > 0 else -1), delta)
    return jsonata.Utils.create_sequence_from_iter(numbers)


def _hash(text: Any, algorithm: Any) -> Any:
    if text is None or algorithm is None:
        return None
    if text is NULL:
        raise _unfit("hash", 1)
    if algorithm not in _ALGORITHMS:
        raise _unfit("hash", 2)
    return _ALGORITHMS[algorithm](text.encode()).hexdigest()


def _random(seed: Any) -> float:
    return random.Random(None if seed is None else _whole(seed, "random", 1)).random()


def _parse(text: Any) -> Any:
    if text is None:
        return None
    if text is NULL:
        raise _unfit("parse", 1)
    return _bound(json.loads(text, parse_constant=_refuse_constant))


def _lowercase(text: Any) -> Any:
    """Without jsonata-python's case folding, which makes ß into ss."""
    if text is NULL:
        raise _unfit("lowercase", 1)
    return None if text is None else text.lower()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _whole(number: Any, function: str, place: int) -> int:
    """Round down, as Step Functions does where its functions need whole numbers."""
    if number is NULL:
        raise _unfit(function, place)
    return int(math.floor(number))


def _unfit(function: str, place: int) -> Exception:
    error: Exception = jsonata.JException("T0410", -1, place, function)
    return error


def _function(implementation: Callable[..., Any], signature: str) -> Any:
    """Return a function of JSONata; arguments that are left out are undefined, None."""
    return jsonata.Jsonata.JFunction(jsonata.Jsonata.JLambda(implementation), signature)


_FUNCTIONS = {
    "partition": _function(_partition, "<xn?:a>"),
    "range": _function(_range, "<nnn:a>"),
    "hash": _function(_hash, "<ss:s>"),
    "random": _function(_random, "<n?:n>"),
    "uuid": _function(lambda: str(uuid.uuid4()), "<:s>"),
    "parse": _function(_parse, "<s:x>"),
    "lowercase": _function(_lowercase, "<s-:s>"),
}
