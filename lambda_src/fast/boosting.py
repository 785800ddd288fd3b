"""Gradient boosting: a first guess, and the sum of many small trees."""

from __future__ import annotations

import numpy as np

from fast import stages
from fast.linear import logistic_function, of_both, places, softmax
from fast.trees import ensemble, in_order, in_parts, narrowed
from fast.unpickling import Unknown

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from fast.building import Builder
    from fast.stages import Model, Run
    from fast.unpickling import Fitted


def regressor(model: Fitted, build: Builder) -> Model:
    return stages.regressor(raw(model, build, of_regressor(model.init_)))


def classifier(model: Fitted, build: Builder) -> Model:
    loss = type(model._loss).__name__
    return classifying(
        model.classes_, loss, raw(model, build, of_classifier(model.init_, loss)), 0.0
    )


def classifying(classes: NDArray[Any], loss: str, run: Run, least: float) -> Model:
    """Return the model of a classifier.

    Args:
        least: the least score for the second of two classes.
    """
    if loss not in PROBABILITIES:
        raise Unknown(f"gradient boosting with {loss}")
    methods = {"predict_proba": PROBABILITIES[loss], "decision_function": stages.same}

    def chosen(scores: NDArray[Any]) -> NDArray[Any]:
        return (scores >= least).astype(np.intp) if scores.ndim == 1 else places(scores)

    return stages.classifier(run, classes, methods, chosen)


def raw(model: Fitted, build: Builder, first: Any) -> Run:
    """Return a function to the sums: (n_rows,), or (n_rows, n_classes) for several classes."""
    per_round = model.estimators_.shape[1]
    trees = [member.tree_ for member in model.estimators_.ravel()]
    values = ensemble(trees, missing=False, factor=model.learning_rate)
    narrow = narrowed(build)
    return lambda rows: in_parts(
        lambda part: rounds(first, values(part), per_round), narrow(rows), len(trees)
    )


def rounds(first: Any, values: NDArray[Any], per_round: int) -> NDArray[Any]:
    """Return the sums of a first guess and values of (n_trees, n_rows), round after round.

    That is scikit-learn's order: labels depend on the last bit where two are as likely.
    """
    if per_round == 1:
        values[0] += first
        return in_order(values)
    values = values.reshape(-1, per_round, values.shape[1])
    values[0] += np.reshape(first, (-1, 1))
    return in_order(values).T


def of_regressor(init: Any) -> Any:
    """Return the first guess of a regressor."""
    if init == "zero":
        return 0.0
    if type(init).__name__ != "DummyRegressor":
        raise Unknown(f"gradient boosting that begins with {type(init).__name__}")
    return float(np.ravel(init.constant_)[0])


def of_classifier(init: Any, loss: str) -> Any:
    """Return the first scores of a classifier: those of the classes' shares in the training."""
    if init == "zero":
        return 0.0
    if type(init).__name__ != "DummyClassifier" or init.strategy != "prior":
        raise Unknown(f"gradient boosting that begins with {type(init).__name__}")
    least = np.finfo(np.float32).eps
    shares = np.clip(np.asarray(init.class_prior_, dtype=np.float64), least, 1 - least)
    if loss == "HalfMultinomialLoss":
        logarithms = np.log(shares)
        return logarithms - logarithms.mean()
    logit = float(np.log(shares[1] / (1 - shares[1])))
    return logit / 2 if loss == "ExponentialLoss" else logit


PROBABILITIES: dict[str, Run] = {
    "ExponentialLoss": lambda scores: of_both(logistic_function(2 * scores)),
    "HalfBinomialLoss": lambda scores: of_both(logistic_function(scores)),
    "HalfMultinomialLoss": softmax,
}
