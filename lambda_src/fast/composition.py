"""Estimators that consist of others: pipelines, and transformations side by side."""

from __future__ import annotations

import numpy as np

from fast.data import Table, joined
from fast.stages import Model, Stage, adapted, same
from fast.unpickling import Partial, Unknown

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from fast.building import Builder
    from fast.unpickling import Fitted


def pipeline(model: Fitted, build: Builder) -> Stage:
    steps = [step for _, step in model.steps if step not in (None, "passthrough")]
    stage: Stage = build(steps[-1])
    for step in reversed(steps[:-1]):
        stage = stage.after(build(step))
    return stage


def union(model: Fitted, build: Builder) -> Stage:
    weights = model.transformer_weights or {}
    parts = [
        weighted(adapted(Stage(same) if step == "passthrough" else build(step)), weights.get(name))
        for name, step in model.transformer_list
        if step != "drop"
    ]
    check_transforming(parts)
    return Stage(
        lambda rows: joined([part.run(rows) for part in parts]),
        takes_table=True,
        needs_table=any(part.needs_table for part in parts),
        takes_nan=all(part.takes_nan for part in parts),
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
        stage = Stage(same) if step == "passthrough" else build(step)
        one = isinstance(spec, str | int) and not isinstance(spec, bool)
        needs_table |= one or stage.needs_table
        select = selecting_one(places[0]) if one else selecting([int(place) for place in places])
        parts.append((select, weighted(stage if one else adapted(stage), weights.get(name))))
    if not parts:
        raise Unknown("ColumnTransformer without columns")
    stages = [stage for _, stage in parts]
    check_transforming(stages)
    return Stage(
        lambda rows: joined([stage.run(select(rows)) for select, stage in parts]),
        takes_table=True,
        needs_table=needs_table,
        gives_sparse=any(stage.gives_sparse for stage in stages),
    )


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
    if model.kw_args:
        raise Unknown("FunctionTransformer with arguments")
    if called is None or is_check(called):
        return Stage(same)
    if isinstance(called, np.ufunc):
        return Stage(called)
    raise Unknown(f"FunctionTransformer of {getattr(called, '__name__', called)}")


def is_check(called: Any) -> bool:
    """Tell whether a function is scikit-learn's check of an array, which changes no number."""
    return (
        isinstance(called, Partial)
        and getattr(called.arguments[0], "kind", "") == "sklearn.utils.validation.check_array"
    )
