"""Linear models: one product with the coefficients."""

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
    several = np.ndim(model.coef_) == 2
    return stages.regressor(scores(model), several=several, takes_sparse=True)


def classifier(model: Fitted, build: Builder) -> Model:
    """Return the model of a classifier without probabilities."""
    return classifying(model, {"decision_function": stages.same})


def logistic(model: Fitted, build: Builder) -> Model:
    several = getattr(model, "multi_class", "auto")  # gone since scikit-learn 1.8
    separate = several in ("ovr", "warn") or (
        several in ("auto", "deprecated")
        and (len(model.classes_) <= 2 or model.solver == "liblinear")
    )
    probabilities = one_against_the_rest if separate else softmax
    return classifying(model, {"predict_proba": probabilities, "decision_function": stages.same})


def stochastic(model: Fitted, build: Builder) -> Model:
    """Return the model of an SGDClassifier, whose loss decides whether it has probabilities."""
    losses = {"log_loss": one_against_the_rest, "modified_huber": bounded}
    methods: dict[str, Run] = {"decision_function": stages.same}
    if model.loss in losses:
        methods = {"predict_proba": losses[model.loss], **methods}
    return classifying(model, methods)


def classifying(model: Fitted, methods: dict[str, Run]) -> Model:
    labels = getattr(model, "_label_binarizer", None)  # of a RidgeClassifier
    if labels is not None and labels.y_type_.startswith("multilabel"):
        raise Unknown("a classifier of several targets")
    classes = labels.classes_ if labels is not None else model.classes_
    return stages.classifier(flat_scores(model), classes, methods, places, takes_sparse=True)


def scores(model: Fitted) -> Run:
    """Return a function of rows to (n_rows,), or to (n_rows, k) for coefficients of (k, n)."""
    coefficients, intercept = np.asarray(model.coef_), model.intercept_
    if coefficients.ndim == 1 and np.ndim(intercept) == 1:
        intercept = intercept[0]  # of a stochastic regressor
    factors = np.ascontiguousarray(coefficients.T)

    def run(rows: Any) -> Any:
        return rows @ factors + intercept

    return run


def flat_scores(model: Fitted) -> Run:
    """Return `scores` of a classifier, with (n_rows,) for two classes."""
    run = scores(model)
    if np.shape(model.coef_)[0] > 1:
        return run
    return lambda rows: run(rows).ravel()


def places(scores: NDArray[Any]) -> NDArray[Any]:
    return (scores > 0).astype(np.intp) if scores.ndim == 1 else stages.most_likely(scores)


def logistic_function(scores: NDArray[Any]) -> NDArray[Any]:
    """Return 1 / (1 + exp(-x)), without an overflow."""
    small = np.exp(-np.abs(scores))
    likely: NDArray[Any] = np.where(scores >= 0, 1.0, small) / (1.0 + small)
    return likely


def of_both(second: NDArray[Any]) -> NDArray[Any]:
    """Return the probabilities of two classes from those of the second."""
    return np.stack([1.0 - second, second], axis=1)


def one_against_the_rest(scores: NDArray[Any]) -> NDArray[Any]:
    likely = logistic_function(scores)
    if scores.ndim == 1:
        return of_both(likely)
    likely /= likely.sum(axis=1, keepdims=True)
    return likely


def softmax(scores: NDArray[Any]) -> NDArray[Any]:
    if scores.ndim == 1:
        scores = np.stack([-scores, scores], axis=1)
    likely: NDArray[Any] = np.exp(scores - scores.max(axis=1, keepdims=True))
    likely /= likely.sum(axis=1, keepdims=True)
    return likely


def bounded(scores: NDArray[Any]) -> NDArray[Any]:
    """Return the probabilities of the loss modified_huber: scores within -1 and 1, as shares."""
    likely = (np.clip(scores, -1, 1) + 1) / 2
    if scores.ndim == 1:
        return of_both(likely)
    none = ~likely.any(axis=1)
    likely[none] = 1
    likely /= likely.sum(axis=1, keepdims=True)
    return likely
