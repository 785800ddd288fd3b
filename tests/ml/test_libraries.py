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
from deployer.project.inspection.structure import columns_of
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


class LikeLightGBM:
    """Keeps the categories of pandas' columns in its booster, by their order alone."""

    def __init__(self, values: list[list[int]]) -> None:
        self.booster_ = self
        self.pandas_categorical = [["Bonn", "Ulm"], [1, 2, 3]]
        self.values = values

    def fit(self, rows: Any, target: Any) -> LikeLightGBM:
        return self

    def feature_name(self) -> list[str]:
        return ["town", "age", "rooms"]

    def dump_model(self) -> dict[str, Any]:
        named = zip(self.feature_name(), self.values, strict=True)
        return {"feature_infos": {name: {"values": values} for name, values in named}}


def test_categories_that_a_booster_keeps_are_those_of_its_columns() -> None:
    """None are concluded if the trees do not ask for all such columns: the places are unknown."""
    town, age, rooms = columns_of(LikeLightGBM([[-1, 0, 1], [], [0, 1, 2]]), 3)
    assert (town.dtype, town.type, town.categories) == ("category", "string", ["Bonn", "Ulm"])
    assert (age.dtype, age.categories) == (None, None)
    assert (rooms.dtype, rooms.type, rooms.categories) == ("category", "number", [1, 2, 3])
    unknown = columns_of(LikeLightGBM([[-1, 0, 1], [], []]), 3)
    assert [column.dtype for column in unknown] == [None, None, None]
