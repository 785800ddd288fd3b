"""The contract with callers: which requests are taken, and how the others are refused.

The messages of InvalidInput reach callers unchanged.
"""

from __future__ import annotations

import math
from itertools import chain
from operator import itemgetter

TYPE_CHECKING = False  # known to type checkers; a cold start does without importing typing for it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from numpy.typing import NDArray

MAXIMUM_INSTANCES = 1000
ENVELOPE = {"execution", "input"}
LARGEST = (2 - 2**-23) * 2**127  # of float32
NUMBERS = {int, float}
NAMED_INSTANCES = 5  # how many offending records of one feature a refusal lists
UNKNOWN = "unknown feature"
LONGEST = 9500  # characters of a refusal
NAMED_UNKNOWN = 20  # how many unknown features it lists; a request may hold any number of them


class InvalidInput(ValueError):
    """The request breaks the contract. The execution fails with this class's name as its error."""


class ModelError(RuntimeError):
    """The model cannot be served: unreadable, not the deployed one, or of another scikit-learn."""


class Features:
    """A model's features in the order of its training columns."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._known = frozenset(self.names)
        # itemgetter of one name returns the bare value; `rows` wants a tuple.
        getter = itemgetter(*self.names)
        self._values: Callable[[Any], Any] = (
            getter if len(self.names) > 1 else lambda record: (getter(record),)
        )

    def rows(self, records: list[Any]) -> NDArray[Any]:
        """Return records as a float64 array of (n_records, n_features).

        A valid batch is checked as a whole, in a tenth of the time of checking value by value.

        Raises:
            InvalidInput: naming every offending feature.
        """
        import numpy  # imported by now; see predict.from_environment

        try:
            rows = [self._values(record) for record in records if record.keys() == self._known]
            if len(rows) == len(records) and set(map(type, chain.from_iterable(rows))) <= NUMBERS:
                table = numpy.array(rows, dtype=numpy.float64)
                if (abs(table) <= LARGEST).all():  # False for NaN
                    return table
        except (AttributeError, OverflowError):
            pass  # a record that is no object, or an integer beyond float64: reported below
        raise self.refusal(records)

    def explained(self, error: Exception, records: list[Any]) -> Exception:
        """Return the error of a model, or the refusal of the values that it failed for."""
        return error

    def refusal(self, records: list[Any]) -> InvalidInput:
        """Return the refusal of records, with a clause for each offending feature."""
        return InvalidInput(bounded(clauses(records, self._faults)))

    def _faults(self, record: Any) -> Iterator[tuple[str, str]]:
        """Yield (feature, problem) for one record; the feature is "" if the record is no object."""
        if not isinstance(record, dict):
            yield "", f"a record must be an object of features, not {kind(record)}"
            return
        for number, feature in enumerate(self.names):
            if feature not in record:
                yield feature, "missing"
            elif problem := self._fault(number, record[feature]):
                yield feature, problem
        for feature in sorted(record.keys() - self._known):
            yield shown(feature), UNKNOWN

    def _fault(self, number: int, value: Any) -> str | None:
        """Say why a value is none of the feature with this number."""
        return None if is_number(value) else fault(value)


def clauses(
    records: list[Any], faults: Callable[[Any], Iterator[tuple[str, str]]]
) -> Iterator[str]:
    """Yield one clause for each offending feature, naming the records in which it offends.

    `faults` yields (feature, problem) for one record.
    """
    instances_of: dict[tuple[str, str], list[int]] = {}
    for number, record in enumerate(records):
        for place, problem in faults(record):
            instances_of.setdefault((place, problem), []).append(number)
    unknown = 0
    for (place, problem), numbers in instances_of.items():
        if problem == UNKNOWN:
            unknown += 1
            if unknown > NAMED_UNKNOWN:
                continue
        where = f" (in {listing(numbers)})" if len(records) > 1 else ""
        yield f"{place}: {problem}{where}" if place else f"{problem}{where}"
    if unknown > NAMED_UNKNOWN:
        yield f"and {unknown - NAMED_UNKNOWN} more unknown features"


def bounded(problems: Iterator[str]) -> str:
    """Join clauses as far as a message goes; beyond Step Functions' limit it would be lost."""
    listed: list[str] = []
    room = LONGEST
    for problem in problems:
        room -= len(problem) + 2
        if room < 0:
            return "; ".join([*listed, f"and {1 + sum(1 for _ in problems)} more problems"])
        listed.append(problem)
    return "; ".join(listed)


def instances(request: Any) -> list[Any]:
    """Return the records of {"instances": [...]}, or a bare record as a batch of one.

    The shipped workflow wraps the request: {"execution": name, "input": request}.
    """
    if isinstance(request, dict) and request.keys() == ENVELOPE:
        request = request["input"] if isinstance(request["execution"], str) else request
    if not isinstance(request, dict):
        raise InvalidInput(
            f'the request must be a record or {{"instances": [...]}}, not {kind(request)}'
        )
    if "instances" not in request:
        return [request]
    if len(request) > 1:
        others = ", ".join(
            sorted(shown(key) for key in request if key != "instances")[:NAMED_UNKNOWN]
        )
        raise InvalidInput(f"beside instances the request must hold nothing, but it holds {others}")
    records = request["instances"]
    if not isinstance(records, list):
        raise InvalidInput(f"instances: must be a list of records, not {kind(records)}")
    if not 1 <= len(records) <= MAXIMUM_INSTANCES:
        raise InvalidInput(
            f"instances: holds {len(records)} records, but 1 to {MAXIMUM_INSTANCES} are allowed"
        )
    return records


def is_number(value: Any) -> bool:
    """Tell whether a JSON value is a number within float32, in which trees compare.

    true, false and NaN are not.
    """
    return type(value) in NUMBERS and -LARGEST <= value <= LARGEST


def fault(value: Any) -> str:
    """Say why `is_number` is False for a value."""
    if type(value) not in NUMBERS:
        return f"must be a number, not {kind(value)}"
    return (
        "not a finite number"
        if type(value) is float and not math.isfinite(value)
        else "larger than 3.4e38"
    )


def shown(name: str) -> str:
    """Shorten a name from a request to 64 characters, and escape lone surrogates.

    UTF-8 cannot hold these, and the error message is sent as UTF-8.
    """
    return name[:64].encode("utf-8", "backslashreplace").decode("utf-8")


def kind(value: Any) -> str:
    """Name a JSON value's type as JSON names it."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def listing(numbers: list[int]) -> str:
    """Name records of a batch: instances 0, 2, 7 and 11 more."""
    first = ", ".join(map(str, numbers[:NAMED_INSTANCES]))
    more = len(numbers) - NAMED_INSTANCES
    return f"{'instance' if len(numbers) == 1 else 'instances'} {first}" + (
        f" and {more} more" if more > 0 else ""
    )
