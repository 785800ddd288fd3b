"""Records as a model's input, made here and not by the handler; comparing answers."""

from __future__ import annotations

import math
from typing import Any

TOLERANCE = 1e-9
Feature = dict[str, Any]


def own_input(kind: str, features: list[Feature], records: list[dict[str, Any]]) -> Any:
    """Return the example as somebody who has the model would hand it over."""
    columns = {
        feature["name"]: [record[feature["name"]] for record in records] for feature in features
    }
    if kind == "text":
        return next(iter(columns.values()))
    if kind == "array":
        import numpy

        rows = zip(*columns.values(), strict=True)
        return numpy.array(
            [[math.nan if value is None else float(value) for value in row] for row in rows]
        )
    import pandas

    return pandas.DataFrame(
        {
            feature["name"]: own_column(pandas, columns[feature["name"]], feature)
            for feature in features
        }
    )


def own_column(pandas: Any, values: list[Any], feature: Feature) -> Any:
    dtype = feature["dtype"]
    if dtype == "category":
        known = list(feature["categories"])
        known += [v for v in dict.fromkeys(values) if v is not None and v not in known]
        return pandas.Series(values, dtype=pandas.CategoricalDtype(known))
    if dtype == "object":
        null = None if feature.get("null") == "None" else math.nan
        return pandas.Series([null if v is None else v for v in values], dtype="object")
    if dtype in ("bool", "int64", "int32") and any(value is None for value in values):
        dtype = "object" if dtype == "bool" else "float64"
    return pandas.Series(values, dtype=dtype)


def made_record(features: list[Feature]) -> dict[str, Any]:
    """Return a record of ones, first categories and empty strings.

    Not of zeros: a sum that should be zero is noise, which other machines round otherwise.
    """
    empty: dict[str, Any] = {"string": "", "boolean": False}
    return {
        feature["name"]: (feature.get("categories") or [empty.get(feature["type"], 1.0)])[0]
        for feature in features
    }


def same(a: Any, b: Any) -> bool:
    """Compare answers: numbers within TOLERANCE, everything else exactly."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(a) is type(b) and bool(a == b)


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}..."
