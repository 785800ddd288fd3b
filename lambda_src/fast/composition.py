"""Estimators that consist of others: pipelines, and transformations side by side."""

from __future__ import annotations

import numpy as np

from fast.data import Table, joined
from fast.stages import Model, Stage, adapted, same
from fast.unpickling import Function, Partial, Unknown

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    from fast.building import Builder
    from fast.unpickling import Fitted


IDENTITY = Stage(same, takes_infinity=True, clean=True)


def pipeline(model: Fitted, build: Builder) -> Stage:
    steps = [step for _, step in model.steps if step not in (None, "passthrough")]
    first: Stage = build(steps[0])
    was_derived, build.derived = build.derived, True
    for step in steps[1:]:
        first = build(step).after(first)
    build.derived = was_derived
    return first


def union(model: Fitted, build: Builder) -> Stage:
    weights = model.transformer_weights or {}
    parts = []
    for name, step in model.transformer_list:
        if step != "drop":
            stage = IDENTITY if step == "passthrough" else build(step)
            parts.append(weighted(of_columns(stage, build, build.strings), weights.get(name)))
    check_transforming(parts)
    return Stage(
        lambda rows: joined([part.run(rows) for part in parts]),
        takes_table=True,
        needs_table=any(part.needs_table for part in parts),
        takes_infinity=True,
        apart=True,
        gives_sparse=any(part.gives_sparse for part in parts),
    )


def columns(model: Fitted, build: Builder) -> Stage:
    """Return the stage of a ColumnTransformer, which selects by the columns of the training."""
    weights = model.transformer_weights or {}
    parts, needs_table = [], False
    for name, step, spec in model.transformers_:
        places = model._transformer_to_input_indices.get(name, [])
        if step == "drop" or len(places) == 0:
            continue
        before = build.selected
        build.selected = {int(place) for place in places} if not build.derived else before
        stage = IDENTITY if step == "passthrough" else build(step)
        build.selected = before
        one = isinstance(spec, str | int) and not isinstance(spec, bool)
        needs_table |= one or stage.needs_table
        if not one:
            stage = of_columns(stage, build, build.strings.intersection(places))
        select = selecting_one(places[0]) if one else selecting([int(place) for place in places])
        parts.append((select, weighted(stage, weights.get(name))))
    if not parts:
        raise Unknown("ColumnTransformer without columns")
    stages = [stage for _, stage in parts]
    check_transforming(stages)
    return Stage(
        lambda rows: joined([stage.run(select(rows)) for select, stage in parts]),
        takes_table=True,
        needs_table=needs_table,
        takes_infinity=True,
        apart=True,
        gives_sparse=any(stage.gives_sparse for stage in stages),
    )


def of_columns(stage: Stage, build: Builder, strings: Collection[int]) -> Stage:
    """Return a stage that takes a table; `strings` are those of its columns that are no numbers."""
    if not stage.takes_table and strings and not build.derived:
        raise Unknown("strings as numbers")
    if stage.gives_table:
        raise Unknown("columns of any values beside others")
    return adapted(stage)


def check_transforming(stages: Sequence[Stage]) -> None:
    if any(isinstance(stage, Model) for stage in stages):
        raise Unknown("a model in the place of a transformation")


def weighted(stage: Stage, weight: float | None) -> Stage:
    if weight is None:
        return stage
    if stage.gives_sparse:
        raise Unknown("a weight for a sparse matrix")
    return Stage(lambda rows: rows * weight).after(stage)


def selecting(places: list[int]) -> Any:
    def select(rows: Any) -> Any:
        return rows.select(places) if isinstance(rows, Table) else rows[:, places]

    return select


def selecting_one(place: int) -> Any:
    """Return a function to a single column as a list, which transformers of texts take."""

    return lambda rows: rows.columns[place]


def function(model: Fitted, build: Builder) -> Stage:
    """Return the stage of a FunctionTransformer of one of numpy's functions, or of none."""
    called = model.func
    if model.kw_args or model.validate:
        raise Unknown("FunctionTransformer with arguments, or a check")
    if called is None or is_check(called):
        return IDENTITY
    if isinstance(called, Function):
        if build.narrow & build.selected:
            raise Unknown("a function of columns of less than 64 bits")
        return Stage(getattr(np, called.name), takes_infinity=True)
    raise Unknown(f"FunctionTransformer of {getattr(called, '__name__', called)}")


def is_check(called: Any) -> bool:
    """Tell whether a function is scikit-learn's check of an array, which changes no number."""
    return (
        isinstance(called, Partial)
        and getattr(called.arguments[0], "kind", "") == "sklearn.utils.validation.check_array"
    )
