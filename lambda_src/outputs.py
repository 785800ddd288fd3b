"""The answers of models that return more than one number per record.

A classifier returns labels, with probabilities or else decisions; an outlier detector adds scores;
a model with several targets returns a list per record; a model without `predict` transforms. The
requests of a plain regressor do not come through this module.
"""

from __future__ import annotations

import math

from contract import InvalidInput, ModelError

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from numpy.typing import NDArray

    from inputs import Build
    from signature import Signature

    Columns = dict[str, list[Any]]  # one item per record, except for `classes`
    Evaluate = Callable[[NDArray[Any]], Any]
    Evaluation = Callable[[Any], Columns]  # of an array, a table, or a list of texts

# The methods of an estimator, and the members of the answer that they fill.
MEMBERS = {
    "predict": "predictions",
    "predict_proba": "probabilities",
    "decision_function": "decisions",
    "score_samples": "scores",
    "transform": "transformed",
}
# `classes` name the columns of these.
WITH_CLASSES = {"predict_proba", "decision_function"}
LABELS = (str, bool, int, float)
LIMIT = 262_144  # bytes that Step Functions takes of a function's answer
SHORTEST = 2  # bytes of a number in JSON, with its comma


class TooLarge(Exception):
    """An answer would exceed LIMIT."""


def too_large(records: int) -> Exception:
    """Return the refusal of a request whose answer would be lost on the way."""
    if records == 1:
        return ModelError(f"its answer to one record is larger than {LIMIT} bytes")
    return InvalidInput(
        f"instances: the answer to {records} records is larger than {LIMIT} bytes: send fewer"
    )


def is_large(columns: Columns) -> bool:
    """Tell whether an answer may be near LIMIT, from its number of values."""
    values = sum(
        len(member) * (len(member[0]) if isinstance(member[0], list) else 1)
        for member in columns.values()
        if member
    )
    return values > LIMIT / 64


class Outputs:
    """An evaluation of records that returns the members of an answer, by name.

    Attributes:
        build: makes the input of `columns`, if not the function that inputs.BUILDERS names.
    """

    def __init__(self, columns: Evaluation, build: Build | None = None) -> None:
        self.columns = columns
        self.build = build


def evaluation(model: Any, signature: Signature) -> Evaluate | Outputs:
    """Return the model's own `predict` if it gives one number per record, and Outputs otherwise.

    Raises:
        ModelError: the model lacks one of the methods, has other classes than its signature says,
            or labels that JSON cannot hold.
    """
    names = signature.outputs or list(methods(model))
    missing = [name for name in names if not hasattr(model, name)]
    if missing:
        raise ModelError(f"{type(model).__name__} has no {', '.join(missing)}")
    classes = classes_of(model) if set(names) & WITH_CLASSES else None
    if signature.classes and classes and classes != signature.classes:
        raise ModelError(
            f"the model's classes are {classes}, but its manifest names {signature.classes}"
        )
    if names == ["predict"] and gives_numbers(model, signature):
        predict: Evaluate = model.predict
        return predict
    classes = classes or (signature.classes if set(names) & WITH_CLASSES else None)

    def members(rows: Any) -> Columns:
        answer = {MEMBERS[name]: plain(getattr(model, name)(rows)) for name in names}
        return answer if classes is None else {**answer, "classes": classes}

    return Outputs(members)


def columns(evaluate: Evaluate | Outputs) -> Evaluation:
    """Return an evaluation that returns the members of an answer."""
    if isinstance(evaluate, Outputs):
        return evaluate.columns
    return lambda rows: {"predictions": evaluate(rows).tolist()}


def methods(model: Any) -> Iterator[str]:
    """Yield the methods whose results the answer holds."""
    if hasattr(model, "predict"):
        yield "predict"
        further = [name for name in MEMBERS if name != "transform" and hasattr(model, name)][1:]
        # Asked only of a model that has such methods: the question imports more of scikit-learn.
        if further and is_a("classifier", model):
            yield from [name for name in further if name != "score_samples"][:1]
        elif "score_samples" in further and is_a("outlier_detector", model):
            yield "score_samples"
    elif hasattr(model, "transform"):
        yield "transform"
    else:
        raise ModelError(f"{type(model).__name__} has neither predict nor transform")


def is_a(kind: str, model: Any) -> bool:
    """Tell whether scikit-learn takes a model for a classifier or an outlier detector."""
    from sklearn import base

    try:
        answer: bool = getattr(base, f"is_{kind}")(model)
    except AttributeError:  # an estimator of somebody else's, without scikit-learn's tags
        return kind == "classifier" and hasattr(model, "classes_")
    return answer


def gives_numbers(model: Any, signature: Signature) -> bool:
    """Tell whether `predict` gives one number for a made record; False if it refuses that."""
    import numpy

    import inputs

    try:
        answer = model.predict(inputs.sample(signature))
    except Exception as error:  # of anybody's model: a made record may have no right values
        if type(error).__name__ in ("NotDeferred", "NotFittedError"):
            raise
        return False
    return isinstance(answer, numpy.ndarray) and answer.ndim == 1 and answer.dtype.kind in "iuf"


def classes_of(model: Any) -> list[Any] | None:
    """Return the labels in the order of the probabilities; one list per target for several.

    Raises:
        ModelError: JSON cannot hold a label.
    """
    classes = getattr(model, "classes_", None)
    return None if classes is None else labels(classes)


def labels(classes: Any) -> list[Any]:
    """Return labels as plain values.

    Raises:
        ModelError: JSON cannot hold one.
    """
    listed = [each.tolist() for each in classes] if nested(classes) else list(plain(classes))
    check("classes_", listed)
    return listed


def nested(result: Any) -> bool:
    """Tell whether a result is a list of arrays: one for each of several targets."""
    return isinstance(result, list) and all(getattr(each, "ndim", 0) > 0 for each in result)


def plain(result: Any) -> list[Any]:
    """Return a method's result as plain values, one per record."""
    if nested(result):
        targets = (each.tolist() for each in result)
        return [list(values) for values in zip(*targets, strict=True)]
    if not hasattr(result, "shape"):  # a list or a tuple
        return [value.tolist() if hasattr(value, "tolist") else value for value in result]
    size = 1
    for count in result.shape:
        size *= count
    if size * SHORTEST > LIMIT:
        raise TooLarge
    if hasattr(result, "to_numpy"):
        result = result.to_numpy()
    values: list[Any] = (result.toarray() if hasattr(result, "toarray") else result).tolist()
    return values


def check_targets(predictions: list[Any] | None, targets: list[str] | None) -> None:
    """Raise ModelError if the manifest names another number of targets than are predicted."""
    if targets and predictions:
        count = len(predictions[0]) if isinstance(predictions[0], list) else 1
        if count != len(targets):
            raise ModelError(
                f"the model predicts {count} values per record, but its manifest names "
                f"{len(targets)} targets"
            )


def check(member: str, values: Any) -> None:
    """Raise ModelError for a value of an answer that JSON cannot hold."""
    for value in values:
        if isinstance(value, list):
            check(member, value)
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise ModelError(f"the model's {member} hold a number that is not finite")
        elif not isinstance(value, LABELS):
            raise ModelError(
                f"the model's {member} hold a {type(value).__name__}, but a label must be a "
                "string, a number or a boolean"
            )
