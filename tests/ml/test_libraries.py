"""Traits of other libraries' estimators, which these tests imitate: the libraries are not here."""

from __future__ import annotations

import importlib
import io
from typing import Any

import joblib
import numpy as np
import pytest

from deployer.project.inspection.conclusions import conclude
from deployer.project.inspection.names import Job
from tests.support.handlers import described
from tests.support.projects import ROOT


class LikeCatBoost:
    """Knows its columns by `feature_names_`, and says that it has none once it is loaded."""

    n_features_in_ = 0

    def __init__(self, names: list[str] | None) -> None:
        self.feature_names_ = names

    def fit(self, rows: Any, target: Any) -> LikeCatBoost:
        return self

    def predict(self, rows: Any) -> Any:
        return np.asarray(rows, dtype=float).sum(axis=1)


class OfThree(LikeCatBoost):
    n_features_in_ = 3


def saved(model: Any) -> bytes:
    stream = io.BytesIO()
    joblib.dump(model, stream)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def handler_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "lambda_src")


def test_a_model_that_says_it_has_no_features_is_served() -> None:
    """CatBoost after joblib.load; a number that differs is still refused."""
    contract, loading, signature = map(
        importlib.import_module, ("contract", "loading", "signature")
    )
    of_two = signature.parse(described(["a", "b"]))
    evaluate = loading.load_with_sklearn(saved(LikeCatBoost(["a", "b"])), of_two)
    assert callable(evaluate) and evaluate(np.array([[1.0, 2.0]])).tolist() == [3.0]
    with pytest.raises(contract.ModelError, match="trained with 3 features"):
        loading.load_with_sklearn(saved(OfThree(["a", "b"])), of_two)


@pytest.mark.parametrize(
    ("names", "columns"),
    [(["a", "b"], {}), (None, {"a": [1.0], "b": [2.0]})],
)
def test_a_model_that_says_it_has_no_features_is_described(
    names: list[str] | None, columns: dict[str, list[Any]]
) -> None:
    """By its own names, or by those of the example, as in a pipeline."""
    entry = conclude(LikeCatBoost(names), Job(columns=columns)).entry
    assert [feature["name"] for feature in entry["features"]] == ["a", "b"]
