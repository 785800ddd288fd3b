"""Gradient boosting on histograms: its trees take missing numbers, and codes of categories."""

from __future__ import annotations

import numpy as np

from fast import stages
from fast.boosting import classifying, rounds
from fast.leaves import MOST, Leaves, Nodes
from fast.trees import in_parts
from fast.unpickling import Unknown

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from fast.building import Builder
    from fast.stages import Model, Run
    from fast.unpickling import Fitted

LOGARITHMIC = ("HalfPoissonLoss", "HalfGammaLoss")
IDENTICAL = ("HalfSquaredError", "AbsoluteError", "PinballLoss")


def regressor(model: Fitted, build: Builder) -> Model:
    loss, run = type(model._loss).__name__, raw(model)
    if loss not in (*LOGARITHMIC, *IDENTICAL):
        raise Unknown(f"gradient boosting with {loss}")
    predict: Run = (lambda rows: np.exp(run(rows))) if loss in LOGARITHMIC else run
    return prepared(stages.regressor(predict, takes_nan=True, takes_infinity=True), model, build)


def classifier(model: Fitted, build: Builder) -> Model:
    found = classifying(model.classes_, type(model._loss).__name__, raw(model), np.nextafter(0, 1))
    found.takes_nan = found.takes_infinity = True
    return prepared(found, model, build)


def prepared(found: Model, model: Fitted, build: Builder) -> Model:
    """Return a model after the encoding of its categories."""
    return found if model._preprocessor is None else found.after(build(model._preprocessor))


def raw(model: Fitted) -> Run:
    """Return a function to the sums: (n_rows,), or (n_rows, n_classes) for several classes."""
    per_round = len(model._predictors[0])
    nodes = nodes_of([tree for round_ in model._predictors for tree in round_])
    if nodes.most_leaves > MOST:
        raise Unknown(f"gradient boosting with trees of {nodes.most_leaves} leaves")
    leaves, first = Leaves(nodes, missing=True), np.ravel(model._baseline_prediction)
    first = first if per_round > 1 else first[0]
    return lambda rows: in_parts(
        lambda part: rounds(first, leaves(part), per_round), rows, len(nodes.roots)
    )


def nodes_of(trees: list[Fitted]) -> Nodes:
    nodes = np.concatenate([tree.nodes for tree in trees])
    bitsets = [tree.raw_left_cat_bitsets for tree in trees]
    sizes = [len(tree.nodes) for tree in trees]
    before = np.cumsum([0, *map(len, bitsets)])[:-1]
    is_leaf, by_category = nodes["is_leaf"] != 0, nodes["is_categorical"] != 0
    return Nodes(
        sizes,
        np.where(is_leaf, -1, nodes["left"].astype(np.int64)),
        np.where(is_leaf, -1, nodes["right"].astype(np.int64)),
        nodes["feature_idx"],
        nodes["num_threshold"],
        nodes["missing_go_to_left"] == 0,
        nodes["value"],
        np.where(by_category & ~is_leaf, nodes["bitset_idx"] + np.repeat(before, sizes), -1),
        unpacked(np.concatenate(bitsets)),
    )


def unpacked(bitsets: NDArray[Any]) -> NDArray[Any]:
    """Return sets of (n, 8) 32-bit words as booleans of (n, 256)."""
    octets = np.ascontiguousarray(bitsets, dtype="<u4").view(np.uint8).reshape(len(bitsets), 32)
    return np.unpackbits(octets, axis=1, bitorder="little").astype(bool)
