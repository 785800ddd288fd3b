"""Common estimators without scikit-learn: a restricted unpickler, and numpy to evaluate them.

Importing scikit-learn, and the parts of scipy that it needs, is most of a cold start; this package
needs neither, and no pandas (benchmarks/inference.py). It predicts as scikit-learn does, to 1e-9.
For anything that it does not support it raises Unknown, and the caller takes scikit-learn.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from fast.building import Builder
from fast.data import is_nan, table
from fast.stages import Model, Refused, Stage, adapted, same
from fast.unpickling import Unknown, read

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import NDArray

    from outputs import Outputs
    from signature import Signature

    Evaluate = Callable[[NDArray[Any]], NDArray[Any]]

DEEPEST = 10  # pipelines within pipelines
# Columns that pandas holds in a way of its own; it computes with less than float64, or knows <NA>.
OF_PANDAS = ("Float32", "float16", "float32", "string")


def load(content: bytes, signature: Signature) -> Evaluate | Outputs:
    """Return the evaluation of the model in a joblib file, as loading.load does.

    Raises:
        Unknown: for another estimator, other parameters of a supported one, another scikit-learn,
            another number of features, other classes or methods than the signature names, or
            another kind of file.
    """
    try:
        return tried(evaluation(stage(content, signature), signature), signature)
    except Unknown:
        raise
    except Exception as error:  # an unforeseen layout must not keep a good model from serving
        raise Unknown(f"{type(error).__name__}: {error}") from error


def tried(evaluate: Evaluate | Outputs, signature: Signature) -> Evaluate | Outputs:
    """Return an evaluation that has answered once: the first call imports parts of numpy.

    A made record may be refused. Any other error is one of the fast path's own.
    """
    if signature.numbers_alone:
        made: Any = np.zeros((1, len(signature.features)))
    else:
        import inputs

        made = inputs.sample(signature, getattr(evaluate, "build", None))
    call = evaluate if callable(evaluate) else evaluate.columns
    with suppress(Refused):
        call(made)
    return evaluate


def stage(content: bytes, signature: Signature) -> Model:
    """Return the model of a joblib file, which takes the input that the signature names."""
    if signature.input == "table":
        check_columns(signature.features)
    fitted = read(content)
    check_features(fitted, signature)
    build = Builder(signature)
    found: Stage = build(fitted)
    if signature.input == "table" and not found.takes_table:
        if build.strings:
            raise Unknown("strings as numbers")
        found = adapted(found)
    elif found.needs_table and signature.input != "table":
        raise Unknown("columns of an array")
    elif found.needs_sparse:
        raise Unknown("a sparse matrix as the input")
    if isinstance(found, Model):
        return found
    if found.gives_sparse:
        raise Unknown("a sparse matrix as the answer")
    return Model(found.run, {"transform": same}, ["transform"])


def check_features(fitted: Any, signature: Signature) -> None:
    """Raise Unknown if the training had other features, or these in another order."""
    for _ in range(DEEPEST):  # the first step of a pipeline takes the input
        if type(fitted).__name__ == "Pipeline":
            fitted = fitted.steps[0][1]
    width, actual = len(signature.features), getattr(fitted, "n_features_in_", None)
    if signature.input != "text" and actual is not None and actual != width:
        raise Unknown(f"{type(fitted).__name__} of {actual} features")
    names = getattr(fitted, "feature_names_in_", None)
    if signature.input != "text" and names is not None and names.tolist() != signature.names:
        raise Unknown("features of other names, or in another order, than in the training")


def check_columns(features: list[dict[str, Any]]) -> None:
    """Raise Unknown for columns that pandas holds in a way that a list does not show."""
    for feature in features:
        if feature.get("dtype") in OF_PANDAS:
            raise Unknown(f"a column of {feature['dtype']}")
        if feature.get("type") == "boolean" and feature.get("nullable") and not is_nan(feature):
            raise Unknown("a column of booleans and None")


def evaluation(model: Model, signature: Signature) -> Evaluate | Outputs:
    """Return a function if the answer is one number per record from an array, and else Outputs."""
    names = signature.outputs or list(model.defaults)
    missing = [name for name in names if name not in model.methods]
    if missing:
        raise Unknown(f"it answers {', '.join(missing)}")
    single = model.classes is None and not model.several
    if names == ["predict"] and single and signature.input == "array":
        return model.run
    import outputs

    classes = None
    if set(names) & outputs.WITH_CLASSES and model.classes is not None:
        classes = outputs.labels(model.classes)
        if signature.classes and classes != signature.classes:
            raise Unknown(f"its classes are {classes}")
    run, methods = model.run, {outputs.MEMBERS[name]: model.methods[name] for name in names}

    def members(rows: Any) -> dict[str, Any]:
        scores = run(rows)
        answer = {member: outputs.plain(method(scores)) for member, method in methods.items()}
        return answer if classes is None else {**answer, "classes": classes}

    return outputs.Outputs(members, table if signature.input == "table" else None)
