"""Loading a model: from the bytes of a joblib file to the function that predicts.

The environment variable FAST_PATHS chooses how. The Dockerfile sets it: ENV FAST_PATHS=off

    on     the default. Common estimators are evaluated with numpy alone (fast/estimators.py); for
           the rest, only the parts of scikit-learn that they need are imported (fast/deferred.py).
    off    every model is loaded by joblib and evaluated by scikit-learn.
"""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import suppress

from contract import ModelError

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fast.estimators import Evaluate
    from outputs import Outputs
    from signature import Signature

SWITCH = "FAST_PATHS"


def fast_paths() -> bool:
    """Read the switch."""
    value = os.environ.get(SWITCH, "on")
    if value not in ("on", "off"):
        raise ModelError(f"{SWITCH} is {value!r}, but must be on or off")
    return value == "on"


def preload() -> None:
    """Import the libraries that `load` needs for certain: most of an init."""
    if fast_paths():
        import fast.estimators  # noqa: F401  imports numpy, and nothing of scikit-learn
    else:
        import joblib  # noqa: F401
        import sklearn  # noqa: F401


def check_hash(what: str, content: bytes, sha256: str) -> None:
    """Raise ModelError for a file that is not the deployed one; called before unpickling."""
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise ModelError(f"the {what} file's sha256 is {actual}, but {sha256} was deployed")


def load(content: bytes, signature: Signature) -> tuple[Evaluate | Outputs, str]:
    """Return the evaluation of the model, and the path taken, for the log.

    The evaluation takes an array of (n_rows, n_features), or the table or the texts that the
    signature names. It is a function that returns (n_rows,), or Outputs for a model that returns
    more than one number per record.

    Raises:
        ModelError: the model is of another scikit-learn, has another number of features, or other
            classes than its signature says.
    """
    if not fast_paths():
        return load_with_sklearn(content, signature), "scikit-learn"
    from fast import estimators
    from fast.unpickling import Unknown

    try:
        return estimators.load(content, signature), "numpy"
    except Unknown as unknown:
        return load_in_part(content, signature, unknown)


def load_in_part(
    content: bytes, signature: Signature, unknown: Exception
) -> tuple[Evaluate | Outputs, str]:
    """Load with as little of scikit-learn as the model needs, or else with all of it.

    `unknown` says why numpy alone does not do; the path for the log repeats it.
    """
    import inputs
    import outputs
    from fast import deferred

    made = inputs.sample(signature)  # imports pandas for a table; packages() leaves it out

    try:
        with deferred.packages():
            evaluate = load_with_sklearn(content, signature)
            first: Callable[..., Any]
            if isinstance(evaluate, outputs.Outputs):
                first = deferred.safely(evaluate.columns)
                evaluate = outputs.Outputs(first)
            else:
                first = evaluate = deferred.safely(evaluate)
            # The first call imports further modules. A model may refuse a made record.
            with suppress(ValueError):
                first(made)
        return evaluate, f"scikit-learn, imported in part ({unknown})"
    except ModelError:
        raise
    except Exception as error:  # of any kind: without stand-ins it loads, or fails for good
        reason = f"{unknown}; {type(error).__name__}: {error}"
        whole = load_with_sklearn(content, signature)
        return whole, f"scikit-learn, imported whole ({reason})"


def load_with_sklearn(content: bytes, signature: Signature) -> Evaluate | Outputs:
    """Load by joblib, and return the evaluation by the estimator's own methods."""
    import joblib
    import sklearn

    if sklearn.__version__ != signature.trained_with:
        raise ModelError(
            f"the model was trained with scikit-learn {signature.trained_with}, but this image has "
            f"{sklearn.__version__}"
        )
    model = joblib.load(io.BytesIO(content))
    width = len(signature.features)
    actual = getattr(model, "n_features_in_", 0) if signature.input == "array" else 0
    actual = actual or width  # CatBoost says 0 once it is loaded
    if actual != width:
        raise ModelError(
            f"the model was trained with {actual} features, but the deployed manifest names {width}"
        )
    check_order(model, signature)
    from outputs import evaluation

    return evaluation(model, signature)


def check_order(model: Any, signature: Signature) -> None:
    """Raise ModelError if an array's columns are those of the training in another order."""
    trained = list(getattr(model, "feature_names_in_", ()))
    if signature.input == "array" and set(trained) == set(signature.names) != set():
        for number, (name, own) in enumerate(zip(signature.names, trained, strict=True)):
            if name != own:
                raise ModelError(
                    f"feature {number} of the deployed manifest is {name}, but the model was "
                    f"trained with {own} there: the order must be the training's"
                )
