"""Requests for models that take more than plain numbers: nulls, booleans, strings, tables, texts.

Requests of models with plain numbers alone do not come through this module, unless the models of
the workflow have unlike features.
"""

from __future__ import annotations

import math
from functools import partial

from contract import (
    LARGEST,
    NAMED_UNKNOWN,
    NUMBERS,
    UNKNOWN,
    Features,
    InvalidInput,
    bounded,
    clauses,
    fault,
    is_number,
    kind,
    shown,
)

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from signature import Signature

    Feature = dict[str, Any]
    Build = Callable[[list[list[Any]], list[Feature]], Any]  # of columns and their features

NAMED_CATEGORIES = 10  # how many known categories a refusal lists


class Skipped(Exception):
    """The request is complete for another model, and not for this one; the message says why."""


def sample(signature: Signature, build: Build | None = None) -> Any:
    """Return the model's input for one made record: zeros, first categories, empty strings.

    A model may refuse it. For `build` see features_of.
    """
    empty: dict[str, Any] = {"string": "", "boolean": False}
    columns = [
        [(feature.get("categories") or [empty.get(feature.get("type", "number"), 0.0)])[0]]
        for feature in signature.features
    ]
    return (build or BUILDERS[signature.input])(columns, signature.features)


def features_of(signature: Signature, model: str, build: Build | None = None) -> Features:
    """Return the features of a model, which check requests and make the model's input of them.

    `build` makes it, if not the function that BUILDERS names.
    """
    features = (
        Features(signature.names)
        if signature.numbers_alone
        else TypedFeatures(signature, build or BUILDERS[signature.input])
    )
    return UnlikeFeatures(model, features, signature.others) if signature.others else features


class TypedFeatures(Features):
    """Features of which some are no plain numbers."""

    def __init__(self, signature: Signature, build: Build) -> None:
        super().__init__(signature.names)
        self.features = signature.features
        self._categories = {
            feature["name"]: frozenset(feature.get("categories", ())) for feature in self.features
        }
        self._build = build

    def rows(self, records: list[Any]) -> Any:
        """Return records as the model's input: an array, a table, or a list of texts.

        Raises:
            InvalidInput: naming every offending feature.
        """
        try:
            if all(record.keys() == self._known for record in records):
                columns = [[record[name] for record in records] for name in self.names]
                if all(map(is_valid, columns, self.features)):
                    return self._build(columns, self.features)
        except AttributeError:
            pass  # a record that is no object: reported below
        raise self.refusal(records)

    def explained(self, error: Exception, records: list[Any]) -> Exception:
        """Return a refusal of categories that the training did not have, if there are such.

        Many models take these, so it is asked once a model has failed.
        """
        problems = bounded(clauses(records, self._unknown_categories))
        return InvalidInput(problems) if problems else error

    def _unknown_categories(self, record: dict[str, Any]) -> Iterator[tuple[str, str]]:
        for feature in self.features:
            name, known = feature["name"], feature.get("categories")
            value = record[name]
            if known and value is not None and value not in self._categories[name]:
                listed = ", ".join(map(quoted, known[:NAMED_CATEGORIES]))
                more = len(known) - NAMED_CATEGORIES
                listed += f" and {more} more" if more > 0 else ""
                yield name, f"unknown category {quoted(value)}; known are {listed}"

    def _fault(self, number: int, value: Any) -> str | None:
        feature = self.features[number]
        if is_valid([value], feature):
            return None
        type_ = feature.get("type", "number")
        if type(value) in NUMBERS and type_ == "number":
            if not is_number(value):
                return fault(value)
            return f"must be a whole number that fits into {feature['dtype']}"
        wanted = f"{type_} or null" if feature.get("nullable") else type_
        return f"must be a {wanted}, not {kind(value)}"


def is_valid(values: list[Any], feature: Feature) -> bool:
    """Tell whether all values of a column are of its feature's type."""
    types = set(map(type, values))
    if feature.get("nullable") and type(None) in types:
        types.discard(type(None))
        values = [value for value in values if value is not None]
    type_ = feature.get("type", "number")
    if type_ == "number":
        low, high, whole = bounds(feature.get("dtype", ""))
        return (
            types <= NUMBERS
            and all(low <= value <= high for value in values)
            and not (whole and any(value != int(value) for value in values))
        )
    if type_ == "string":
        return types <= {str}
    return types <= {bool} or (types <= {bool, *NUMBERS} and set(values) <= {0, 1})


def bounds(dtype: str) -> tuple[float, float, bool]:
    """Return the least and the largest number that a column takes, and whether it is of integers.

    A fraction among integers would make all of its column floats, and so change the answers to
    other records of the batch.
    """
    digits = dtype.lstrip("uintI")
    if not digits.isdigit():
        return -LARGEST, LARGEST, False
    signed = dtype[0] != "u"
    half = 2 ** (int(digits) - signed)
    return -half if signed else 0, half - 1, True


class UnlikeFeatures(Features):
    """The features of one of several models that do not have the same features.

    A record may hold the features of all models. A model that lacks some is skipped if the record
    is complete for another one.
    """

    def __init__(self, model: str, features: Features, others: dict[str, list[str]]) -> None:
        super().__init__(features.names)
        self.model = model
        self.own = features
        self.models = {**others, model: features.names}
        self._all = frozenset().union(*self.models.values())

    def rows(self, records: list[Any]) -> Any:
        """Return the input of the model, made of its own features.

        Raises:
            Skipped: the records are complete for another model alone.
            InvalidInput: they name unlike or unknown features, or are complete for no model.
        """
        problems = bounded(clauses(records, partial(self._record_faults, first=records[0])))
        if problems:
            raise InvalidInput(problems)
        given = records[0].keys()
        if given >= self._known:
            own = [dict(zip(self.names, self._values(record), strict=True)) for record in records]
            try:
                return self.own.rows(own)
            except InvalidInput as error:  # another model may take the same value
                raise InvalidInput(f"{self.model}: {error}") from None
        missing = {
            model: [name for name in names if name not in given]
            for model, names in sorted(self.models.items())
        }
        if all(missing.values()):
            lacks = bounded(
                f"{model} lacks {', '.join(names[:NAMED_UNKNOWN])}"
                + (" and more" if len(names) > NAMED_UNKNOWN else "")
                for model, names in missing.items()
            )
            raise InvalidInput(f"the record is complete for no model: {lacks}")
        lacking = [name for name in self.names if name not in given]
        more = " and more" if len(lacking) > NAMED_UNKNOWN else ""
        raise Skipped(
            f"its features {', '.join(lacking[:NAMED_UNKNOWN])}{more} are not given"
            if len(lacking) > 1
            else f"its feature {lacking[0]} is not given"
        )

    def explained(self, error: Exception, records: list[Any]) -> Exception:
        reason = self.own.explained(error, records)
        return InvalidInput(f"{self.model}: {reason}") if reason is not error else error

    def _record_faults(self, record: Any, first: Any) -> Iterator[tuple[str, str]]:
        if not isinstance(record, dict):
            yield "", f"a record must be an object of features, not {kind(record)}"
            return
        for name in sorted(record.keys() - self._all):
            yield shown(name), UNKNOWN
        if isinstance(first, dict) and record.keys() != first.keys():
            names = ", ".join(map(shown, sorted(record.keys() ^ first.keys())[:NAMED_UNKNOWN]))
            same = "all records must name the same features, but this differs from the first in"
            yield "", f"{same} {names}"


def quoted(value: Any) -> str:
    return f"'{shown(value)}'" if isinstance(value, str) else str(value)


def array(columns: list[list[Any]], features: list[Feature]) -> Any:
    """Return a float64 array of (n_records, n_features); null is NaN, true is 1."""
    import numpy

    return numpy.array(
        [[math.nan if value is None else float(value) for value in column] for column in columns]
    ).T.copy()


def texts(columns: list[list[Any]], features: list[Feature]) -> list[str]:
    """Return the texts of the records."""
    return columns[0]


def table(columns: list[list[Any]], features: list[Feature]) -> Any:
    """Return a pandas DataFrame, with the dtypes that the columns had in the training."""
    import pandas

    frame = pandas.DataFrame(
        dict(enumerate(map(partial(series, pandas), columns, features))),
        copy=False,
    )
    frame.columns = pandas.Index([feature["name"] for feature in features], dtype="object")
    return frame


def series(pandas: Any, values: list[Any], feature: Feature) -> Any:
    """Return a column of a table."""
    type_ = feature.get("type", "number")
    dtype = feature.get("dtype") or {"number": "float64", "boolean": "bool"}.get(type_, "object")
    if type_ == "boolean":
        values = [None if value is None else bool(value) for value in values]
    if dtype == "category":
        return categorical(pandas, values, feature["categories"])
    if dtype in ("Int64", "Float64", "boolean", "string", "str"):
        return pandas.Series(values, dtype=dtype)
    if dtype == "object" or (dtype == "bool" and None in values):
        null = None if feature.get("null") == "None" else math.nan
        return pandas.Series([null if value is None else value for value in values], dtype="object")
    if dtype.startswith(("int", "uint")):
        if not feature.get("nullable"):
            return pandas.Series([int(value) for value in values], dtype=dtype)
        dtype = "float64"  # as pandas has a column of whole numbers and nulls
    return pandas.Series(values, dtype=dtype)


def categorical(pandas: Any, values: list[Any], known: list[Any]) -> Any:
    """Return a column of categories; unknown ones follow those of the training."""
    among = frozenset(known)
    unknown = dict.fromkeys(value for value in values if value is not None and value not in among)
    return pandas.Series(pandas.Categorical(values, categories=[*known, *unknown]))


BUILDERS: dict[str, Build] = {"array": array, "table": table, "text": texts}
