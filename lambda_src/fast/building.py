"""From the attributes of a fitted estimator to its stage."""

from __future__ import annotations

from importlib import import_module

from fast import registry
from fast.stages import Stage, finite
from fast.unpickling import Fitted, Unknown

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from typing import Any

    from signature import Signature

NARROW = ("bool", "int8", "int16", "int32", "uint8", "uint16", "uint32")


class Builder:
    """Makes stages.

    Attributes:
        trained_with: the version of scikit-learn that the estimators must be of.
        nullable: numbers of a request may be missing.
        strings: the places of a table's columns of strings.
        narrow: the places of its booleans, and of its integers of less than 64 bits.
        selected: the places that the stage being made is given.
        derived: the stages that are being made come after others.
    """

    def __init__(self, signature: Signature) -> None:
        self.trained_with = signature.trained_with
        features = signature.features
        self.nullable = any(feature.get("nullable") for feature in features)
        is_table = signature.input == "table"
        kinds = [(feature.get("type"), feature.get("dtype")) for feature in features]
        places = list(enumerate(kinds if is_table else ()))
        self.strings = {place for place, (type_, _) in places if type_ == "string"}
        self.narrow = {
            place for place, (type_, dtype) in places if type_ == "boolean" or dtype in NARROW
        }
        self.selected = set(range(len(features)))
        self.derived = False

    def version(self) -> tuple[int, ...]:
        """Return the first two numbers of scikit-learn's version."""
        return tuple(int(number) for number in self.trained_with.split(".")[:2])

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
        if self.nullable and not self.derived and not stage.takes_nan:
            check = Stage(finite, takes_table=stage.takes_table, clean=True)
            stage = stage.after(check)
        return stage
