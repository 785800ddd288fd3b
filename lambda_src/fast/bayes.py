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
    if means.dtype != np.float64:
        raise Unknown(f"GaussianNB of {means.dtype}")
    priors = np.log(model.class_prior_)
    constants = [-0.5 * np.sum(np.log(2.0 * np.pi * variance)) for variance in variances]

    def run(rows: NDArray[Any]) -> NDArray[Any]:
        """Sum in scikit-learn's order: labels depend on the last bit where two are as likely."""
        likelihoods = [
            prior + (constant - 0.5 * np.sum(((rows - mean) ** 2) / variance, axis=1))
            for prior, constant, mean, variance in zip(
                priors, constants, means, variances, strict=True
            )
        ]
        return np.stack(likelihoods, axis=1)

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
