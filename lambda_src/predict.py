"""The handler of every model. Functions differ only in their environment.

    MODEL                 the model's name, repeated in every answer
    BUCKET, KEY           the S3 object that is its joblib file
    SHA256                the hash that the file must have before it is unpickled
    FEATURES              the features' names in the order of the training columns, a JSON array
    SCIKIT_LEARN_VERSION  the version that trained it
    FAST_PATHS            on or off, see loading.py; set in the Dockerfile

Everything that does not depend on a request is done once, at import. Lambda imports the module
before the first request and keeps the process for later ones. A problem found at import ends the
init, so a wrong model never answers.
"""

from __future__ import annotations

import gc
import json
import math
import os

import loading
import storage
from contract import Features, ModelError, instances

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from fast.estimators import Evaluate


class Predictor:
    """A fitted model and the features that it expects."""

    def __init__(
        self, name: str, version: str, evaluate: Evaluate, features: Sequence[str]
    ) -> None:
        """`evaluate` takes an array of (n_rows, n_features), with the columns in the order of
        `features`, and returns (n_rows,).
        """
        self.name = name
        self.version = version
        self.evaluate = evaluate
        self.features = Features(features)
        rows = self.features.rows([dict.fromkeys(features, 0.0)])
        try:
            self.predict(rows)  # the first call imports modules: during init, not in a request
        except ValueError as error:  # zeros may be no category of the training; other rows may work
            if isinstance(error, AttributeError):  # scikit-learn's NotFittedError is both
                raise
            print(
                f"{name} cannot predict a row of zeros, so its first request takes longer: {error}"
            )

    def predict(self, rows: NDArray[Any]) -> list[float]:
        """Predict an array of (n_rows, n_features) in one vectorised call."""
        predictions: list[float] = self.evaluate(rows).tolist()
        return predictions

    def answer(self, request: Any) -> dict[str, Any]:
        """Check a request and return this model's entry of the result."""
        predictions = self.predict(self.features.rows(instances(request)))
        if not all(map(math.isfinite, predictions)):  # JSON has no NaN and no Infinity
            raise ModelError("the model's prediction is not a finite number")
        return {"model": self.name, "version": self.version, "predictions": predictions}


class OutputsPredictor(Predictor):
    """A fitted model whose answer is more than one number per record; see outputs.py."""

    def predict(self, rows: NDArray[Any]) -> Any:
        return self.evaluate(rows)

    def answer(self, request: Any) -> dict[str, Any]:
        from outputs import check  # imported by now

        columns = self.predict(self.features.rows(instances(request)))
        for member, values in columns.items():
            check(member, values)
        return {"model": self.name, "version": self.version, **columns}


def from_environment(environment: Mapping[str, str]) -> Predictor:
    """Make the predictor that a function's environment describes."""
    fetching = storage.Fetching(environment["BUCKET"], environment["KEY"])
    loading.preload()  # while the file is on its way
    try:
        content = fetching.result()
    except storage.NotFetched as error:
        raise ModelError(str(error)) from error
    features = json.loads(environment["FEATURES"])
    evaluate, path = loading.load(
        content, environment["SHA256"], environment["SCIKIT_LEARN_VERSION"], len(features)
    )
    print(f"{environment['MODEL']} is evaluated with {path}")
    return predictor(environment["MODEL"], environment["SHA256"][:12], evaluate, features)


def predictor(name: str, version: str, evaluate: Any, features: Sequence[str]) -> Predictor:
    """Return the predictor of an evaluation: a function, or Outputs (loading.load)."""
    columns = getattr(evaluate, "columns", None)
    if columns is not None:
        return OutputsPredictor(name, version, columns, features)
    return Predictor(name, version, evaluate, features)


# AWS_LAMBDA_RUNTIME_API is set wherever a Lambda runtime runs this module, and nowhere else.
# Garbage collection is off during init: nothing that init makes is garbage, and scanning it would
# cost a tenth of the init. gc.freeze exempts it from later collections, which would otherwise take
# tens of milliseconds of a request now and then.
PREDICTOR: Predictor | None = None
if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    gc.disable()
    PREDICTOR = from_environment(os.environ)
    gc.freeze()
    gc.enable()


def handler(event: Any, context: object) -> dict[str, Any]:
    """Answer one request (see contract.instances) with {"model", "version", "predictions", ...}."""
    return PREDICTOR.answer(event)  # type: ignore[union-attr]  # no branch in a request's path
