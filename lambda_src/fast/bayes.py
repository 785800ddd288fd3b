"""Naive Bayes classifiers: the scores are the classes' log likelihoods."""

from __future__ import annotations

import numpy as np

from fast import stages
from fast.linear import softmax
from fast.unpickling import Unknown

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from fast.building import Builder
    from fast.stages import Model, Run
    from fast.unpickling import Fitted


def gaussian(model: Fitted, build: Builder) -> Model:
    means, variances = model.theta_, model.var_
    constants = np.log(model.class_prior_) - 0.5 * np.log(2.0 * np.pi * variances).sum(axis=1)

    def run(rows: NDArray[Any]) -> NDArray[Any]:
        distances = [
            (((rows - mean) ** 2) / variance).sum(axis=1)
            for mean, variance in zip(means, variances, strict=True)
        ]
        likelihoods: NDArray[Any] = constants - 0.5 * np.stack(distances, axis=1)
        return likelihoods

    return classifying(model, run)


def multinomial(model: Fitted, build: Builder) -> Model:
    return classifying(model, weighing(model.feature_log_prob_, model.class_log_prior_), True)


def complement(model: Fitted, build: Builder) -> Model:
    if len(model.classes_) == 1:
        raise Unknown("ComplementNB of one class")
    return classifying(model, weighing(model.feature_log_prob_, 0.0), True)


def weighing(weights: NDArray[Any], priors: Any) -> Run:
    factors = np.ascontiguousarray(weights.T)
    return lambda rows: rows @ factors + priors


def classifying(model: Fitted, run: Run, takes_sparse: bool = False) -> Model:
    methods = {"predict_proba": softmax}
    return stages.classifier(
        run, model.classes_, methods, stages.most_likely, takes_sparse=takes_sparse
    )
