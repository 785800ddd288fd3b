"""The handler of every model. Functions differ only in their environment.

    MODEL             the model's name, repeated in every answer
    BUCKET, KEY       the S3 object that is its joblib file
    SHA256            the hash that the file must have before it is unpickled
    SIGNATURE_KEY     the object of the same bucket that says what the model takes and gives
    SIGNATURE_SHA256  the hash that this object must have
    FAST_PATHS        on or off, see loading.py; set in the Dockerfile
    LOG_INPUTS        yes: the line that is logged about a request holds the request, too
    LOG_LEVEL         debug, info, warning or error; info if it is not set

Everything that does not depend on a request is done once, at import. Lambda imports the module
before the first request and keeps the process for later ones. A problem found at import ends the
init, so a wrong model never answers.
"""

from __future__ import annotations

import gc
import json
import math
import os
import time

import loading
import signature
import storage
from contract import ENVELOPE, Features, InvalidInput, ModelError, instances

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from fast.estimators import Evaluate
    from outputs import Evaluation, Outputs
    from signature import Signature


LOG_INPUTS = os.environ.get("LOG_INPUTS") == "yes"
LOG_LEVEL = os.environ.get("LOG_LEVEL", "info")
LEVELS = ("debug", "info", "warning", "error")
if LOG_LEVEL not in LEVELS:
    raise ModelError(f"LOG_LEVEL is {LOG_LEVEL!r}, but must be one of {', '.join(LEVELS)}")


def logs(level: str) -> bool:
    """Tell whether lines of this level are logged."""
    return LEVELS.index(level) >= LEVELS.index(LOG_LEVEL)


def say(level: str, text: str) -> None:
    """Print a line, unless lines of its level are not logged."""
    if logs(level):
        print(text)


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
            say(
                "warning",
                f"{name} cannot predict a row of zeros, so its first request takes longer: {error}",
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


class GeneralPredictor:
    """A fitted model that takes or gives more than one plain number; see inputs.py, outputs.py."""

    def __init__(
        self,
        name: str,
        version: str,
        columns: Evaluation,
        features: Features,
        targets: list[str] | None,
    ) -> None:
        """`columns` takes what `features.rows` returns, and returns the members of the answer."""
        self.name = name
        self.version = version
        self.columns = columns
        self.features = features
        self.targets = {"targets": targets} if len(targets or ()) > 1 else {}

    def answer(self, request: Any) -> dict[str, Any]:
        """Check a request and return this model's entry of the result."""
        from inputs import Skipped  # imported by now
        from outputs import LIMIT, TooLarge, check, check_targets, is_large, too_large

        records = instances(request)
        try:
            rows = self.features.rows(records)
        except Skipped as skipped:
            return {"model": self.name, "skipped": str(skipped)}
        try:
            columns = self.columns(rows)
        except TooLarge as error:
            raise too_large(len(records)) from error
        except Exception as error:  # the model may be anybody's
            raise self.features.explained(error, records) from error
        for member, values in columns.items():
            check(member, values)
        check_targets(columns.get("predictions"), self.targets.get("targets"))
        answer = {"model": self.name, "version": self.version, **columns, **self.targets}
        if is_large(columns) and len(json.dumps(answer)) > LIMIT:
            raise too_large(len(records))
        return answer


def from_environment(environment: Mapping[str, str]) -> Predictor | GeneralPredictor:
    """Make the predictor that a function's environment describes."""
    began = time.perf_counter()
    fetching = storage.Fetching(
        environment["BUCKET"], environment["SIGNATURE_KEY"], environment["KEY"]
    )
    loading.preload()  # while the files are on their way
    try:
        described, content = fetching.result()
    except storage.NotFetched as error:
        raise ModelError(str(error)) from error
    fetched = time.perf_counter()
    loading.check_hash("signature", described, environment["SIGNATURE_SHA256"])
    loading.check_hash("model", content, environment["SHA256"])
    model = signature.parse(described)
    evaluate, path = loading.load(content, model)
    say("info", f"{environment['MODEL']} is evaluated with {path}")
    made = predictor(environment["MODEL"], environment["SHA256"][:12], evaluate, model)
    if logs("debug"):
        import debugging

        times = (began, fetched, time.perf_counter())
        print(json.dumps(debugging.init(made, len(content), len(described), path, times)))
    return made


def predictor(
    name: str, version: str, evaluate: Evaluate | Outputs, model: Signature
) -> Predictor | GeneralPredictor:
    """Return the predictor of an evaluation (loading.load)."""
    if model.plain and not hasattr(evaluate, "columns"):
        return Predictor(name, version, evaluate, model.names)
    import inputs
    import outputs

    features = inputs.features_of(model, name, getattr(evaluate, "build", None))
    return GeneralPredictor(name, version, outputs.columns(evaluate), features, model.targets)


# AWS_LAMBDA_RUNTIME_API is set wherever a Lambda runtime runs this module, and nowhere else.
# Garbage collection is off during init: nothing that init makes is garbage, and scanning it would
# cost a tenth of the init. gc.freeze exempts it from later collections, which would otherwise take
# tens of milliseconds of a request now and then.
PREDICTOR: Predictor | GeneralPredictor | None = None
if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    gc.disable()
    PREDICTOR = from_environment(os.environ)
    gc.freeze()
    gc.enable()


def handler(event: Any, context: object) -> dict[str, Any]:
    """Answer one request (see contract.instances) with {"model", "version", "predictions", ...}.

    Logs one line of JSON about it.
    """
    began = time.perf_counter()
    try:
        answer = PREDICTOR.answer(event)  # type: ignore[union-attr]  # no branch in a request's path
    except Exception as error:
        log_failure(event, context, began, error)
        raise
    log_answer(event, context, began, answer)
    return answer


def log_failure(event: Any, context: object, began: float, error: Exception) -> None:
    """Log a request that failed; one that was refused from level warning on."""
    if not isinstance(error, InvalidInput) or logs("warning"):
        log(event, context, began, described(error))


def answered(event: Any, context: object, began: float, answer: dict[str, Any]) -> None:
    """Log a request that was answered."""
    log(event, context, began, {"outcome": "skipped" if "skipped" in answer else "answered"})


def unlogged(event: Any, context: object, began: float, answer: dict[str, Any]) -> None:
    """Log nothing about a request that was answered."""


def debugged(event: Any, context: object, began: float, answer: dict[str, Any]) -> None:
    """Log a request that was answered, with what its answer and this process took."""
    import debugging  # the init has imported it

    outcome = "skipped" if "skipped" in answer else "answered"
    log(event, context, began, {"outcome": outcome, **debugging.request(answer, context)})


def answer_logger(level: str) -> Callable[[Any, object, float, dict[str, Any]], None]:
    """Return what logs answered requests, so that none of them asks for the level."""
    return {"debug": debugged, "info": answered}.get(level, unlogged)


log_answer = answer_logger(LOG_LEVEL)


def log(event: Any, context: object, began: float, outcome: dict[str, Any]) -> None:
    """Print the line about a request: its ids, the model, records, time and outcome.

    Values of the request are in it only with LOG_INPUTS.
    """
    assert PREDICTOR is not None  # it has just answered
    wrapped = isinstance(event, dict) and event.keys() == ENVELOPE
    request = event["input"] if wrapped else event
    batch = request.get("instances", [request]) if isinstance(request, dict) else None
    line = {
        "execution": event["execution"] if wrapped else None,
        "request": getattr(context, "aws_request_id", None),
        "model": PREDICTOR.name,
        "version": PREDICTOR.version,
        "records": len(batch) if isinstance(batch, list) else 0,
        "ms": round(1000 * (time.perf_counter() - began), 2),
        **outcome,
    }
    if LOG_INPUTS:
        line["input"] = request
    print(json.dumps(line))


def described(error: Exception) -> dict[str, Any]:
    """Return how a request failed: a refusal without its message, which can quote the request.

    A traceback holds the message of a ModelError, which is this code's own. The messages of other
    libraries quote values, so they are left out, unless LOG_INPUTS allows them.
    """
    kind = type(error).__name__
    message = {"message": str(error)} if LOG_INPUTS or isinstance(error, ModelError) else {}
    if isinstance(error, InvalidInput):
        return {"outcome": "refused", "error": kind, **message}
    import traceback  # only when something fails

    frames = "".join(traceback.format_tb(error.__traceback__, limit=-30))
    return {"outcome": "failed", "error": kind, **message, "traceback": frames}
