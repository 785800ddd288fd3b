"""Support vector machines with radial basis functions."""

from __future__ import annotations

import numpy as np

from fast import stages
from fast.unpickling import Unknown

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from fast.building import Builder
    from fast.stages import Model, Run
    from fast.unpickling import Fitted


def regressor(model: Fitted, build: Builder) -> Model:
    return stages.regressor(weighted(model, model.dual_coef_[0], model.intercept_[0]))


def classifier(model: Fitted, build: Builder) -> Model:
    """Return the model of a classifier without probabilities, which libsvm couples by its own."""
    if model.probability is True:  # a string since scikit-learn 1.9
        raise Unknown("SVC with probabilities")
    if model.break_ties:
        raise Unknown("SVC that breaks ties")
    classes = model.classes_
    if len(classes) == 2:
        run = weighted(model, model.dual_coef_[0], model.intercept_[0])
        methods: dict[str, Run] = {"decision_function": stages.same}
        # libsvm's own scores have the other sign, and their zero is no win of the first class.
        return stages.classifier(
            run, classes, methods, lambda scores: (scores >= 0).astype(np.intp)
        )
    pairs = [(i, j) for i in range(len(classes)) for j in range(i + 1, len(classes))]
    run = weighted(model, pair_weights(model, pairs), model.intercept_)
    by_pair = model.decision_function_shape == "ovo"
    methods = {
        "decision_function": lambda scores: (
            scores if by_pair else one_against_the_rest(scores, pairs)
        )
    }
    return stages.classifier(run, classes, methods, lambda scores: votes(scores, pairs).argmax(1))


def pair_weights(model: Fitted, pairs: list[tuple[int, int]]) -> NDArray[Any]:
    """Return the weights of all vectors for each pair of classes: (n_vectors, n_pairs)."""
    ends = np.cumsum(model._n_support)
    own = [slice(end - count, end) for end, count in zip(ends, model._n_support, strict=True)]
    weights = np.zeros((ends[-1], len(pairs)))
    for number, (i, j) in enumerate(pairs):
        weights[own[i], number] = model.dual_coef_[j - 1, own[i]]
        weights[own[j], number] = model.dual_coef_[i, own[j]]
    return weights


def votes(scores: NDArray[Any], pairs: list[tuple[int, int]]) -> NDArray[Any]:
    """Return how many pairs each class wins: (n_rows, n_classes)."""
    counted = np.zeros((len(scores), pairs[-1][1] + 1))
    for number, (i, j) in enumerate(pairs):
        wins = scores[:, number] > 0
        counted[:, i] += wins
        counted[:, j] += ~wins
    return counted


def one_against_the_rest(scores: NDArray[Any], pairs: list[tuple[int, int]]) -> NDArray[Any]:
    """Return the votes of each class, and as their fraction how clear its pairs are."""
    clear = np.zeros((len(scores), pairs[-1][1] + 1))
    for number, (i, j) in enumerate(pairs):
        clear[:, i] += scores[:, number]
        clear[:, j] -= scores[:, number]
    decisions: NDArray[Any] = votes(scores, pairs) + clear / (3 * (np.abs(clear) + 1))
    return decisions


def weighted(model: Fitted, weights: NDArray[Any], intercept: Any) -> Run:
    """Sum radial basis functions by one product of matrices.

    -gamma |x - s|^2 is 2 gamma xs - gamma |s|^2 - gamma |x|^2. It is computed in place: for a
    batch, allocating a new array at each step takes longer than the arithmetic.
    """
    if model.kernel != "rbf" or model._sparse:
        raise Unknown(f"{type(model).__name__} with kernel {model.kernel}")
    # The middle is taken out: large numbers would cancel each other, and leave few digits.
    middle = model.support_vectors_.mean(axis=0)
    vectors, gamma = model.support_vectors_ - middle, float(model._gamma)
    factors, squares = np.ascontiguousarray(2 * gamma * vectors.T), gamma * (vectors**2).sum(axis=1)

    def run(rows: NDArray[Any]) -> NDArray[Any]:
        rows = rows - middle
        exponents = rows @ factors
        exponents -= squares
        exponents -= gamma * (rows**2).sum(axis=1)[:, None]
        np.minimum(exponents, 0, out=exponents)
        sums: NDArray[Any] = np.exp(exponents, out=exponents) @ weights + intercept
        return sums

    return run
