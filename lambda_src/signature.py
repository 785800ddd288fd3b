"""What a model takes and gives: the part of its manifest entry that a function reads from S3."""

from __future__ import annotations

import json

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from typing import Any


class Signature:
    """A model's signature. Its format is described in docs/models.md."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.trained_with: str = document.get("scikit-learn", "")
        self.input: str = document.get("input", "array")
        self.features: list[dict[str, Any]] = document["features"]
        self.outputs: list[str] | None = document.get("outputs")
        self.classes: list[Any] | None = document.get("classes")
        self.targets: list[str] | None = document.get("targets")
        self.others: dict[str, list[str]] = document.get("others", {})  # features by other models

    @property
    def names(self) -> list[str]:
        return [feature["name"] for feature in self.features]

    @property
    def numbers_alone(self) -> bool:
        """Whether the model is given an array of numbers in which none is missing."""
        return self.input == "array" and all(
            feature.get("type", "number") == "number" and not feature.get("nullable")
            for feature in self.features
        )

    @property
    def plain(self) -> bool:
        """Whether contract.Features alone checks the requests of the model."""
        return self.numbers_alone and not self.others and len(self.targets or ()) < 2


def parse(content: bytes) -> Signature:
    return Signature(json.loads(content))
