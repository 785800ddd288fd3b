"""From the attributes of a fitted estimator to its stage."""

from __future__ import annotations

from importlib import import_module

from fast import registry
from fast.stages import Stage, finite
from fast.unpickling import Fitted, Unknown

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from typing import Any


class Builder:
    """Makes stages.

    Attributes:
        trained_with: the version of scikit-learn that the estimators must be of.
        nullable: numbers of a request may be missing.
    """

    def __init__(self, trained_with: str, nullable: bool = False) -> None:
        self.trained_with = trained_with
        self.nullable = nullable

    def __call__(self, fitted: Any) -> Any:
        """Return the stage of an estimator.

        Raises:
            Unknown: numpy does not evaluate the estimator, or not with its parameters, or it is of
                another scikit-learn.
        """
        row = registry.row(fitted.kind) if isinstance(fitted, Fitted) else None
        name = type(fitted).__name__
        if row is None:
            raise Unknown(f"a {name}")
        version = getattr(fitted, "_sklearn_version", None)
        if version != self.trained_with:
            raise Unknown(f"{name} of scikit-learn {version}")
        output = getattr(fitted, "_sklearn_output_config", {})
        if output.get("transform", "default") != "default":
            raise Unknown(f"{name} whose output is {output['transform']}")
        module, _, function = row.partition(":")
        stage: Stage = getattr(import_module(f"fast.{module}"), function)(fitted, self)
        if self.nullable and not stage.takes_nan:
            stage = stage.after(Stage(finite, takes_table=stage.takes_table, takes_sparse=True))
        return stage
