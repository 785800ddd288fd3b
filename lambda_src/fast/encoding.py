"""Categories as numbers: one column for each, or one number for each.

Values are looked up in dictionaries, which find a number, a string, None and math.nan alike; this
takes less time than arrays of objects.
"""

from __future__ import annotations

import math

import numpy as np

from fast.data import columns_of
from fast.stages import Refused, Stage
from fast.unpickling import Unknown

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from fast.building import Builder
    from fast.unpickling import Fitted

    Places = list[dict[Any, Any]]  # for each feature: {category: what it becomes}

WIDEST = 4096  # columns that an encoder may have: scikit-learn holds them as a sparse matrix
REFUSED = object()  # in place of an unknown category


def one_hot(model: Fitted, build: Builder) -> Stage:
    """Return the stage of a OneHotEncoder; it returns an array where that has a sparse matrix."""
    check_dtype(model)
    width = int(sum(model._n_features_outs))
    if width > WIDEST:
        raise Unknown(f"OneHotEncoder of {width} columns")
    starts = np.cumsum([0, *model._n_features_outs]).tolist()
    features = [places_of(model, number, start) for number, start in enumerate(starts[:-1])]

    def run(rows: Any) -> NDArray[Any]:
        columns = columns_of(rows)
        encoded = np.zeros((len(columns[0]), width))
        for number, (column, (known, otherwise)) in enumerate(zip(columns, features, strict=True)):
            for row, value in enumerate(column):
                place = known.get(value, otherwise)
                if place is REFUSED:
                    raise unknown_category(value, number)
                if place is not None:
                    encoded[row, place] = 1.0
        return encoded

    return Stage(run, takes_table=True, takes_infinity=True, clean=True)


def places_of(model: Fitted, number: int, start: int) -> tuple[dict[Any, int | None], Any]:
    """Return {category: its column}, None for no column, and the same for unknown categories."""
    categories = model.categories_[number]
    groups = grouped(model, number, len(categories))
    dropped = model._drop_idx_after_grouping
    dropped = None if dropped is None else dropped[number]

    def place(group: int) -> int | None:
        if group == dropped:
            return None
        return start + group - (dropped is not None and group > dropped)

    known = lookup(categories, [place(group) for group in groups])
    if model.handle_unknown == "error":
        return known, REFUSED
    infrequent = model._infrequent_indices[number] if model._infrequent_enabled else None
    if infrequent is not None and model.handle_unknown == "warn":
        raise Unknown("OneHotEncoder that warns")  # which column it takes depends on the version
    if infrequent is None or model.handle_unknown == "ignore":
        return known, None
    return known, place(groups[infrequent[0]])


def ordinal(model: Fitted, build: Builder) -> Stage:
    """Return the stage of an OrdinalEncoder."""
    check_dtype(model)
    otherwise = REFUSED if model.handle_unknown == "error" else float(model.unknown_value)
    known: Places = []
    for number, categories in enumerate(model.categories_):
        missing = model._missing_indices.get(number)
        codes = [float(group) for group in grouped(model, number, len(categories), missing)]
        if missing is not None:
            codes = [
                float(model.encoded_missing_value) if code == missing else code for code in codes
            ]
        known.append(lookup(categories, codes))

    def run(rows: Any) -> NDArray[Any]:
        encoded = [
            [codes.get(value, otherwise) for value in column]
            for column, codes in zip(columns_of(rows), known, strict=True)
        ]
        for number, column in enumerate(encoded):
            if REFUSED in column:
                raise unknown_category(columns_of(rows)[number][column.index(REFUSED)], number)
        return np.array(encoded, dtype=np.float64).T

    return Stage(run, takes_table=True, takes_infinity=True)


def check_dtype(model: Fitted) -> None:
    if np.dtype(model.dtype) != np.float64:
        raise Unknown(f"{type(model).__name__} of {np.dtype(model.dtype)}")


def lookup(categories: NDArray[Any], becomes: list[Any]) -> dict[Any, Any]:
    """Return {category: what it becomes}; a category that is not a number has the key math.nan."""
    values = [value if value == value else math.nan for value in categories.tolist()]
    return dict(zip(values, becomes, strict=True))


def grouped(model: Fitted, number: int, count: int, missing: int | None = None) -> list[int]:
    """Return the group of each category: rare ones may share one, and the missing one does not."""
    mappings = getattr(model, "_default_to_infrequent_mappings", None)
    if not model._infrequent_enabled or mappings is None or mappings[number] is None:
        return list(range(count))
    groups: list[int] = mappings[number].tolist()
    if missing is not None:  # it is the last, and may lack a group
        groups[missing:] = [missing]
    return groups


def unknown_category(value: Any, number: int) -> Refused:
    return Refused(f"Found unknown categories [{value!r}] in column {number} during transform")
