"""fast/estimators.py predicts as scikit-learn does, and leaves every other model to it."""

from __future__ import annotations

import importlib
import io
import os
import pickle
import tracemalloc
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor

from tests.support.handlers import NAMES
from tests.support.projects import ROOT

TABLE = np.loadtxt(ROOT / "data" / "boston_housing.csv", delimiter=",", skiprows=1)
X, Y = TABLE[:, :-1], TABLE[:, -1]
RANDOM = np.random.default_rng(5).normal(X.mean(axis=0), 3 * X.std(axis=0), (300, X.shape[1]))
KNOWN: dict[str, Any] = {
    "linear": LinearRegression(),
    "no intercept": LinearRegression(fit_intercept=False),
    "ridge": Ridge(),
    "lasso": Lasso(),
    "elastic net": ElasticNet(),
    "forest": RandomForestRegressor(n_estimators=7, random_state=1),
    "one tree of a forest": RandomForestRegressor(n_estimators=1, max_depth=2, random_state=1),
    "stumps that never split": RandomForestRegressor(
        n_estimators=3, min_samples_leaf=506, random_state=1
    ),
    "extra trees": ExtraTreesRegressor(n_estimators=7, random_state=1),
    "tree": DecisionTreeRegressor(max_depth=6, random_state=1),
    "vectors": SVR(C=10.0),
    "scaled vectors": make_pipeline(StandardScaler(), SVR(C=50.0, gamma=0.05)),
    "scaled": make_pipeline(StandardScaler(with_mean=False), LinearRegression()),
    "scaled twice": make_pipeline(StandardScaler(with_std=False), StandardScaler(), Ridge()),
}
UNKNOWN: dict[str, tuple[Any, str]] = {
    "boosting": (
        GradientBoostingRegressor(n_estimators=3),
        "sklearn.ensemble._gb.GradientBoostingRegressor",
    ),
    "another kernel": (SVR(kernel="sigmoid"), "SVR with kernel sigmoid"),
    "another step": (
        make_pipeline(MinMaxScaler(), Ridge()),
        "sklearn.preprocessing._data.MinMaxScaler",
    ),
}


@pytest.fixture(scope="module")
def estimators() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "lambda_src")
        return importlib.import_module("fast.estimators")


def dumped(model: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    joblib.dump(model, stream, **options)
    return stream.getvalue()


def largest_difference(predict: Any, model: Any) -> float:
    """Compare the whole table at once, single rows, and inputs far outside of the table."""
    whole = np.abs(predict(X) - model.predict(X)).max()
    pairs = zip(X[:60], model.predict(X[:60]), strict=True)
    single = max(abs(float(predict(row[None])[0]) - one) for row, one in pairs)
    return max(whole, single, np.abs(predict(RANDOM) - model.predict(RANDOM)).max())


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_models_need_no_scikit_learn_and_predict_the_same(
    estimators: ModuleType, trained: Path, name: str
) -> None:
    content = (trained / f"{name}.joblib").read_bytes()
    predict = estimators.load(content, sklearn.__version__)
    assert largest_difference(predict, joblib.load(io.BytesIO(content))) <= 1e-9


@pytest.mark.parametrize("name", KNOWN)
def test_every_known_estimator_predicts_the_same(estimators: ModuleType, name: str) -> None:
    model = KNOWN[name].fit(X, Y)
    for options in ({}, {"compress": 3}):
        predict = estimators.load(dumped(model, **options), sklearn.__version__)
        assert largest_difference(predict, model) <= 1e-9


@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 506])
def test_a_forest_gives_the_same_whatever_the_size_of_the_batch(
    estimators: ModuleType, count: int
) -> None:
    model = KNOWN["forest"].fit(X, Y)
    assert (
        estimators.load(dumped(model), sklearn.__version__)(X[:count]) == model.predict(X[:count])
    ).all()


FOREST = RandomForestRegressor(n_estimators=5, random_state=1).fit(X, Y)
largest = float(np.finfo(np.float32).max)


@given(arrays(np.float64, (3, 13), elements=st.floats(-largest, largest)))
@settings(max_examples=50)
def test_any_numbers_go_the_same_way_through_the_trees(
    estimators: ModuleType, rows: np.ndarray
) -> None:
    """Thresholds are compared with float32, as scikit-learn compares them."""
    predict = estimators.load(dumped(FOREST), sklearn.__version__)
    with np.errstate(all="ignore"):  # scikit-learn sums the rows, to see whether they are finite
        expected = FOREST.predict(rows)
    assert np.abs(predict(rows) - expected).max() <= 1e-9


@given(st.integers(0, 505), st.integers(0, 12))
def test_values_on_a_threshold_go_the_same_way(
    estimators: ModuleType, row: int, feature: int
) -> None:
    predict = estimators.load(dumped(FOREST), sklearn.__version__)
    tree = FOREST.estimators_[0].tree_
    rows = np.repeat(X[row][None], tree.node_count, axis=0)
    rows[:, feature] = np.where(tree.feature == feature, tree.threshold, rows[:, feature])
    assert np.abs(predict(rows) - FOREST.predict(rows)).max() <= 1e-9


def test_a_large_forest_is_loaded_in_little_more_memory_than_it_keeps(
    estimators: ModuleType,
) -> None:
    """File, inflated file, trees and the arrays made of them would else live at once."""
    table = np.random.default_rng(2).normal(size=(4000, 4))
    model = RandomForestRegressor(n_estimators=30, random_state=1).fit(table[:, :3], table[:, 3])
    stream = io.BytesIO()
    joblib.dump(model, stream, compress=3)
    content = stream.getvalue()
    assert len(content) > estimators.LARGE
    tracemalloc.start()
    try:
        forest = estimators.load(content, sklearn.__version__)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * kept  # nine times, without
    assert np.allclose(forest(table[:50, :3]), model.predict(table[:50, :3]), rtol=1e-9, atol=0)
    with pytest.raises(estimators.Unknown, match="incomplete or truncated"):
        estimators.load(content[: len(content) // 2], sklearn.__version__)


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_named_and_left_to_scikit_learn(
    estimators: ModuleType, name: str
) -> None:
    model, what = UNKNOWN[name]
    with np.errstate(all="ignore"):
        fitted = model.fit(X[:50], Y[:50])
    with pytest.raises(estimators.Unknown, match=what):
        estimators.load(dumped(fitted), sklearn.__version__)


def test_several_targets_are_left_to_scikit_learn(estimators: ModuleType) -> None:
    both = np.stack([Y, -Y], axis=1)
    for model in (LinearRegression(), RandomForestRegressor(n_estimators=2)):
        with pytest.raises(estimators.Unknown, match="several targets"):
            estimators.load(dumped(model.fit(X, both)), sklearn.__version__)


def test_another_scikit_learn_is_left_to_scikit_learn_to_refuse(estimators: ModuleType) -> None:
    with pytest.raises(
        estimators.Unknown, match=f"LinearRegression of scikit-learn {sklearn.__version__}"
    ):
        estimators.load(dumped(LinearRegression().fit(X, Y)), "0.24.2")


class Command:
    """Unpickling this would run a program."""

    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


@pytest.mark.parametrize("where", ["alone", "in an estimator"])
def test_a_file_cannot_run_code(
    estimators: ModuleType, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = LinearRegression().fit(X, Y)
    model.extra_ = Command()
    content = pickle.dumps(Command()) if where == "alone" else dumped(model)
    with pytest.raises(estimators.Unknown, match="posix.system|nt.system"):
        estimators.load(content, sklearn.__version__)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content", [b"", b"\x78", b"\x78\x9cnothing", b"nothing at all", dumped(KNOWN["tree"])[:200]]
)
def test_a_file_that_cannot_be_read_is_left_to_scikit_learn(
    estimators: ModuleType, content: bytes
) -> None:
    with pytest.raises(estimators.Unknown):
        estimators.load(content, sklearn.__version__)


def test_arrays_of_objects_are_refused(estimators: ModuleType) -> None:
    model = LinearRegression().fit(X, Y)
    model.coef_ = np.array([1, "x"], dtype=object)
    with pytest.raises(estimators.Unknown):
        estimators.load(dumped(model), sklearn.__version__)
