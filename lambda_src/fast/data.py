"""The inputs of stages beside arrays: tables without pandas, and sparse matrices without scipy."""

from __future__ import annotations

import math

import numpy as np

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    Feature = dict[str, Any]


class Table:
    """Columns of equal length, each a list; a missing value is None, or NaN (math.nan itself)."""

    def __init__(self, columns: list[list[Any]]) -> None:
        self.columns = columns

    def select(self, places: Sequence[int]) -> Table:
        return Table([self.columns[place] for place in places])

    def numbers(self) -> NDArray[Any]:
        """Return an array of (n_rows, n_columns) in Fortran's order, as pandas has it.

        Products of matrices then sum in the same order.
        """
        return np.array(self.columns, dtype=np.float64).T


def table(columns: list[list[Any]], features: list[Feature]) -> Table:
    """Return a table with the missing values of the columns of a training (inputs.series)."""
    return Table(
        [
            with_null(values, math.nan) if feature.get("nullable") and is_nan(feature) else values
            for values, feature in zip(columns, features, strict=True)
        ]
    )


def with_null(values: list[Any], null: Any) -> list[Any]:
    return [null if value is None else value for value in values]


def is_nan(feature: Feature) -> bool:
    """Tell whether the training had NaN for a missing value, and not None."""
    type_ = feature.get("type", "number")
    dtype = feature.get("dtype") or {"number": "float64", "boolean": "bool"}.get(type_, "object")
    return dtype not in ("bool", "object") or feature.get("null") != "None"


def columns_of(rows: Any) -> list[list[Any]]:
    """Return the columns of a table or an array as lists, with math.nan for a missing number."""
    if isinstance(rows, Table):
        return rows.columns
    columns: list[list[Any]] = rows.T.tolist()
    if np.isnan(rows).any():
        return [[value if value == value else math.nan for value in column] for column in columns]
    return columns


class Sparse:
    """A matrix of (n_rows, width) by its elements, in the order of the rows."""

    def __init__(
        self,
        rows: NDArray[Any],
        columns: NDArray[Any],
        values: NDArray[Any],
        shape: tuple[int, int],
    ) -> None:
        self.rows, self.columns, self.values, self.shape = rows, columns, values, shape

    def __matmul__(self, factors: NDArray[Any]) -> NDArray[Any]:
        """Return the product with an array of (width,) or (width, k)."""
        if factors.ndim == 1:
            return self.sums(self.values * factors.take(self.columns))
        return np.stack([self @ column for column in factors.T], axis=1)

    def sums(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the sum of each row's values: (n_rows,)."""
        return np.bincount(self.rows, values, self.shape[0])


def joined(blocks: Sequence[Any]) -> Any:
    """Return matrices side by side: as a Sparse if one of them is, and else as an array."""
    if not any(isinstance(block, Sparse) for block in blocks):
        return np.concatenate(blocks, axis=1) if len(blocks) > 1 else blocks[0]
    parts = [block if isinstance(block, Sparse) else sparse(block) for block in blocks]
    starts = np.cumsum([0] + [part.shape[1] for part in parts])
    rows = np.concatenate([part.rows for part in parts])
    columns = np.concatenate(
        [part.columns + start for part, start in zip(parts, starts, strict=False)]
    )
    order = np.argsort(rows, kind="stable")
    return Sparse(
        rows[order],
        columns[order],
        np.concatenate([part.values for part in parts])[order],
        (parts[0].shape[0], int(starts[-1])),
    )


def sparse(rows: NDArray[Any]) -> Sparse:
    """Return an array as a Sparse that holds all of its elements."""
    count, width = rows.shape
    return Sparse(
        np.repeat(np.arange(count), width),
        np.tile(np.arange(width), count),
        rows.ravel(),
        (count, width),
    )
