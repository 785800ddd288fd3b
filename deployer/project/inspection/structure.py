"""The estimators that a model's input reaches first, and what they say of its columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployer.project.inspection.refusal import Refused

_INNER = ("best_estimator_", "estimator_", "regressor_")
# Numbers of each column that only a transformer of numbers has.
_OF_NUMBERS = ("scale_", "mean_", "center_", "lambdas_", "quantiles_", "bin_edges_")


@dataclass
class Leaf:
    """An estimator at the front of a model.

    Args:
        columns: the positions of the model's columns that it is given; None if it is given the
            whole input, without a ColumnTransformer before it.
        flat: whether it is given one column as a list of values.
    """

    estimator: Any
    columns: list[int] | None
    flat: bool = False


@dataclass
class Column:
    """What the model says of one column."""

    categories: list[Any] | None = None
    null: str | None = None  # "None" or "NaN": the null among the categories, or the imputer's
    takes_null: bool = False
    type: str | None = None
    dtype: str | None = None
    encoded: bool = field(default=False)


def leaves(model: Any, columns: list[int] | None = None, flat: bool = False) -> Iterator[Leaf]:
    """Yield the estimators that are given columns of the model's input unchanged."""
    if hasattr(model, "steps"):
        yield from _of_pipeline(model, columns, flat)
        return
    if hasattr(model, "transformer_list"):
        for _, transformer in model.transformer_list:
            yield from leaves(transformer, columns, flat)
        return
    if hasattr(model, "transformers_"):
        yield from _of_column_transformer(model, columns)
        return
    preprocessor = getattr(model, "_preprocessor", None)  # of histogram boosting
    if hasattr(preprocessor, "transformers_"):
        yield from leaves(preprocessor, columns, flat)
    inner = inner_models(model)
    for part in inner:
        yield from leaves(part, columns, flat)
    if not inner and not isinstance(model, str):
        yield Leaf(model, columns, flat)


def inner_models(model: Any) -> list[Any]:
    """Return the models that a search, a calibration or a vote hands its input to."""
    inner = [getattr(model, name, None) for name in _INNER]
    inner += [part.estimator for part in getattr(model, "calibrated_classifiers_", ())[:1]]
    return [part for part in inner if hasattr(part, "fit")] + _parts(model)


def _parts(model: Any) -> list[Any]:
    """Return the pipelines that a model such as a vote consists of."""
    parts = getattr(model, "estimators_", None)
    whole = isinstance(parts, list)
    return [part for part in parts or () if hasattr(part, "steps")] if whole and parts else []


def _of_pipeline(model: Any, columns: list[int] | None, flat: bool) -> Iterator[Leaf]:
    for _, step in model.steps:
        if step is None or step == "passthrough":
            continue
        yield from leaves(step, columns, flat)
        # An imputer keeps the columns, so that the next step says something of them, too.
        imputes = type(step).__name__.endswith("Imputer") and not step.add_indicator
        if not imputes:
            return


def _of_column_transformer(model: Any, columns: list[int] | None) -> Iterator[Leaf]:
    places = getattr(model, "_transformer_to_input_indices", {})
    for name, transformer, spec in model.transformers_:
        inner = [columns[place] if columns else place for place in places.get(name, ())]
        if transformer != "drop" and inner:
            yield from leaves(transformer, inner, isinstance(spec, str))


def by_name(model: Any) -> bool:
    """Tell whether a ColumnTransformer at the front picks columns by name."""
    if hasattr(model, "transformers_"):
        return any(
            isinstance(spec, str)
            or (hasattr(spec, "__iter__") and any(isinstance(name, str) for name in spec))
            for _, _, spec in model.transformers_
        )
    inner = [step for _, step in getattr(model, "steps", ())]
    inner += [transformer for _, transformer in getattr(model, "transformer_list", ())]
    inner += inner_models(model)
    return any(by_name(part) for part in inner if not isinstance(part, str))


def is_vectorizer(estimator: Any) -> bool:
    return hasattr(estimator, "build_analyzer")


def takes_texts(model: Any) -> bool:
    """Tell whether the model is given documents, a string each."""
    front = [leaf for leaf in leaves(model) if leaf.columns is None]
    return bool(front) and all(is_vectorizer(leaf.estimator) for leaf in front)


def columns_of(model: Any, width: int) -> list[Column]:
    """Return what the model says of each of its columns."""
    columns = [Column() for _ in range(width)]
    for leaf in leaves(model):
        places = list(range(width)) if leaf.columns is None else leaf.columns
        for place in places:
            if place < width:
                _add_evidence(columns[place], leaf, places.index(place), len(places))
    return columns


def _add_evidence(column: Column, leaf: Leaf, number: int, count: int) -> None:
    """Add what an estimator says of the column that it is given as its `number` of `count`."""
    estimator = leaf.estimator
    if leaf.flat and is_vectorizer(estimator):
        column.type, column.encoded = "string", True
    known = getattr(estimator, "categories_", None)
    if isinstance(known, list) and len(known) == count:
        _add_categories(column, known[number])
    if type(estimator).__name__.endswith("Imputer"):
        column.takes_null = True
        missing = getattr(estimator, "missing_values", math.nan)
        column.null = column.null or ("None" if missing is None else "NaN")
        statistics = getattr(estimator, "statistics_", None)
        if statistics is not None and column.type is None:
            kind = getattr(statistics, "dtype", None)
            column.type = "number" if kind is not None and kind.kind in "iuf" else None
    elif _takes_nan(estimator):
        column.takes_null = True
    if column.type is None and any(hasattr(estimator, name) for name in _OF_NUMBERS):
        column.type = "number"
    own = lightgbm_categories(estimator).get(number)
    if own is not None:
        _add_categories(column, own)
        column.dtype, column.takes_null = "category", True
    mask = getattr(estimator, "is_categorical_", None)
    if mask is not None and len(mask) == count and bool(mask[number]):
        column.dtype = "category"


def lightgbm_categories(estimator: Any) -> dict[int, list[Any]]:
    """Return the categories of the columns that LightGBM was fitted on as pandas categories.

    The booster keeps them without the columns' names. It has values of the columns that its trees
    ask for; if these are not all, the places are unknown.
    """
    booster = getattr(estimator, "booster_", None)
    known = getattr(booster, "pandas_categorical", None)
    if not known or booster is None:
        return {}
    infos = booster.dump_model()["feature_infos"]
    names = booster.feature_name()
    places = [place for place, name in enumerate(names) if infos.get(name, {}).get("values")]
    return dict(zip(places, known, strict=True)) if len(places) == len(known) else {}


def _add_categories(column: Column, known: Any) -> None:
    if getattr(getattr(known, "dtype", None), "kind", "") in ("m", "M"):
        raise Refused(
            "a column of its training holds dates or times, which JSON has not",
            "turn them into numbers before the model is fitted, such as days since a day",
        )
    values = known.tolist() if hasattr(known, "tolist") else list(known)
    if any(value is None for value in values):
        column.null, column.takes_null = "None", True
    elif any(isinstance(value, float) and math.isnan(value) for value in values):
        column.null, column.takes_null = "NaN", True
    kept = [value for value in values if not is_null(value)]
    type_ = type_of(kept)
    if type_ is None:
        return
    column.categories, column.encoded = kept, True
    column.type = type_


def _takes_nan(estimator: Any) -> bool:
    """Tell whether an estimator takes NaN by its tags.

    Trees and forests take it, too, but say nothing of it in training: only an example shows it.
    """
    from sklearn.ensemble import BaseEnsemble
    from sklearn.tree import BaseDecisionTree

    if isinstance(estimator, (BaseEnsemble, BaseDecisionTree)):
        return False
    try:
        from sklearn.utils import get_tags

        return bool(get_tags(estimator).input_tags.allow_nan)
    except Exception:  # an older scikit-learn, or an estimator without tags
        return False


def is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def type_of(values: Sequence[Any]) -> str | None:
    """Return the type of values that are not null: number, boolean or string; None if mixed."""
    if not values:
        return None
    if all(isinstance(value, str) for value in values):
        return "string"
    if all(isinstance(value, bool) for value in values):
        return "boolean"
    numbers = all(
        isinstance(value, (int, float)) and not isinstance(value, bool) for value in values
    )
    return "number" if numbers else None
