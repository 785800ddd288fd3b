"""Transformations of each feature by itself: scalers, and numbers in place of missing ones."""

from __future__ import annotations

import math

import numpy as np

from fast.data import Table
from fast.stages import Refused, Stage, finite, numbers
from fast.unpickling import Unknown

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from fast.building import Builder
    from fast.unpickling import Fitted


def standard(model: Fitted, build: Builder) -> Stage:
    mean = model.mean_ if model.with_mean else 0.0
    scale = model.scale_ if model.with_std else 1.0
    return Stage(lambda rows: (rows - mean) / scale)


def robust(model: Fitted, build: Builder) -> Stage:
    center = model.center_ if model.with_centering else 0.0
    scale = model.scale_ if model.with_scaling else 1.0
    return Stage(lambda rows: (rows - center) / scale)


def min_max(model: Fitted, build: Builder) -> Stage:
    scale, least = model.scale_, model.min_
    if not model.clip:
        return Stage(lambda rows: rows * scale + least)
    return Stage(lambda rows: np.clip(rows * scale + least, *model.feature_range))


def max_abs(model: Fitted, build: Builder) -> Stage:
    if getattr(model, "clip", False):
        raise Unknown("MaxAbsScaler that clips")
    return Stage(lambda rows: rows / model.scale_)


def imputer(model: Fitted, build: Builder) -> Stage:
    """Return the stage of a SimpleImputer: of numbers, or of a table of any values."""
    if not all(isinstance(value, (int, float)) for value in model.statistics_.tolist()):
        return table_imputer(model)
    missing, kept = model.missing_values, places_kept(model)
    statistics = model.statistics_[kept].astype(np.float64)
    is_nan = isinstance(missing, float) and math.isnan(missing)
    if not is_nan and not isinstance(missing, (int, float)):
        raise Unknown(f"SimpleImputer of {missing!r} among numbers")
    indicated = places_indicated(model)

    def run(rows: Any) -> NDArray[Any]:
        rows = numbers(rows)
        absent = np.isnan(rows) if is_nan else finite(rows) == missing
        filled: NDArray[Any] = np.where(absent[:, kept], statistics, rows[:, kept])
        if indicated is None:
            return filled
        return np.concatenate([filled, absent[:, indicated]], axis=1)

    return Stage(run, takes_table=True)


def table_imputer(model: Fitted) -> Stage:
    """Return the stage of an imputer of strings; it takes a table, and returns one."""
    missing = model.missing_values
    if model.add_indicator or len(places_kept(model)) < len(model.statistics_):
        raise Unknown("SimpleImputer of strings that adds or leaves out columns")
    is_nan = isinstance(missing, float) and math.isnan(missing)
    statistics = model.statistics_.tolist()

    def is_missing(value: Any) -> bool:
        return bool(value != value if is_nan else value is missing or value == missing)

    def is_refused(value: Any) -> bool:
        return not is_nan and isinstance(value, float) and value != value

    def run(rows: Table) -> Table:
        if any(is_refused(value) for column in rows.columns for value in column):
            raise Refused("Input contains NaN")
        return Table(
            [
                [statistic if is_missing(value) else value for value in column]
                for column, statistic in zip(rows.columns, statistics, strict=True)
            ]
        )

    return Stage(run, needs_table=True, gives_table=True)


def places_kept(model: Fitted) -> NDArray[Any]:
    """Return the features that an imputer keeps: the others were empty in the training."""
    statistics = model.statistics_
    empty = any(value != value for value in statistics.tolist())
    if empty and model.strategy == "constant" and not model.keep_empty_features:
        raise Unknown("SimpleImputer of a constant for nothing")  # 1.9 leaves such columns out
    if model.strategy == "constant" or model.keep_empty_features:
        return np.arange(len(statistics))
    return np.flatnonzero(statistics == statistics)


def places_indicated(model: Fitted) -> NDArray[Any] | None:
    """Return the features for which an imputer tells whether they were missing."""
    if not model.add_indicator:
        return None
    if model.indicator_.error_on_new:
        raise Unknown("SimpleImputer whose indicator refuses")
    return np.asarray(model.indicator_.features_)
