"""What numpy evaluates from arrays is what scikit-learn predicts; the rest is left to it."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    BayesianRidge,
    ElasticNet,
    ElasticNetCV,
    HuberRegressor,
    Lasso,
    LassoCV,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from tests.support.fast_paths import check_equal, dumped, handler, numbers, signature
from tests.support.handlers import NAMES
from tests.support.projects import ROOT

TABLE = np.loadtxt(ROOT / "data" / "boston_housing.csv", delimiter=",", skiprows=1)
X, Y = TABLE[:, :-1], TABLE[:, -1]
RANDOM = np.random.default_rng(5).normal(X.mean(axis=0), 3 * X.std(axis=0), (300, X.shape[1]))
SCALED = (X - X.mean(axis=0)) / X.std(axis=0)
HOLES = np.where(np.random.default_rng(7).uniform(size=X.shape) < 0.1, np.nan, X)
LABELS: dict[str, Any] = {
    "two": np.where(Y > 21, "dear", "cheap"),
    "three": np.digitize(Y, [18, 24]),
    "booleans": Y > 21,
}
REGRESSORS: dict[str, Any] = {
    "linear": LinearRegression(),
    "no intercept": LinearRegression(fit_intercept=False),
    "ridge": Ridge(),
    "ridge by cross-validation": RidgeCV(),
    "lasso": Lasso(),
    "lasso by cross-validation": LassoCV(cv=3),
    "elastic net": ElasticNet(),
    "elastic net by cross-validation": ElasticNetCV(cv=3),
    "bayesian": BayesianRidge(),
    "huber": make_pipeline(StandardScaler(), HuberRegressor()),
    "stochastic": make_pipeline(StandardScaler(), SGDRegressor(random_state=1)),
    "linear vectors": make_pipeline(StandardScaler(), LinearSVR(random_state=1)),
    "forest": RandomForestRegressor(n_estimators=7, random_state=1),
    "shallow forest": RandomForestRegressor(n_estimators=9, max_depth=4, random_state=1),
    "one tree of a forest": RandomForestRegressor(n_estimators=1, max_depth=2, random_state=1),
    "stumps that never split": RandomForestRegressor(
        n_estimators=3, min_samples_leaf=506, random_state=1
    ),
    "extra trees": ExtraTreesRegressor(n_estimators=7, random_state=1),
    "tree": DecisionTreeRegressor(max_depth=6, random_state=1),
    "extra tree": ExtraTreeRegressor(random_state=1),
    "vectors": SVR(C=10.0),
    "scaled vectors": make_pipeline(StandardScaler(), SVR(C=50.0, gamma=0.05)),
    "boosting": GradientBoostingRegressor(n_estimators=20, random_state=1),
    "deep boosting": GradientBoostingRegressor(n_estimators=5, max_depth=10, random_state=1),
    "boosting of a quantile": GradientBoostingRegressor(loss="quantile", n_estimators=9),
    "boosting from nothing": GradientBoostingRegressor(init="zero", n_estimators=9),
    "histograms": HistGradientBoostingRegressor(max_iter=20),
    "histograms of many leaves": HistGradientBoostingRegressor(
        max_iter=5, max_leaf_nodes=60, min_samples_leaf=2
    ),
    "histograms of counts": HistGradientBoostingRegressor(loss="poisson", max_iter=9),
    "histograms of errors": HistGradientBoostingRegressor(loss="absolute_error", max_iter=9),
}
CLASSIFIERS: dict[str, Any] = {
    "logistic": LogisticRegression(),
    "logistic by cross-validation": LogisticRegressionCV(cv=3),
    "linear vectors": LinearSVC(random_state=1),
    "ridge": RidgeClassifier(),
    "ridge by cross-validation": RidgeClassifierCV(),
    "perceptron": Perceptron(),
    "hinges": SGDClassifier(random_state=1),
    "logarithms": SGDClassifier(loss="log_loss", random_state=1),
    "modified huber": SGDClassifier(loss="modified_huber", random_state=1),
    "bayes": GaussianNB(),
    "tree": DecisionTreeClassifier(random_state=1),
    "shallow tree": DecisionTreeClassifier(max_depth=3, random_state=1),
    "extra tree": ExtraTreeClassifier(random_state=1),
    "forest": RandomForestClassifier(n_estimators=9, random_state=1),
    "shallow forest": RandomForestClassifier(n_estimators=9, max_depth=4, random_state=1),
    "extra trees": ExtraTreesClassifier(n_estimators=9, random_state=1),
    "vectors": SVC(),
    "vectors by pairs": SVC(decision_function_shape="ovo"),
    "boosting": GradientBoostingClassifier(n_estimators=9, random_state=1),
    "deep boosting": GradientBoostingClassifier(n_estimators=3, max_depth=10, random_state=1),
    "histograms": HistGradientBoostingClassifier(max_iter=9),
}
SCALERS: dict[str, Any] = {
    "standard": StandardScaler(),
    "without means": StandardScaler(with_mean=False),
    "means alone": make_pipeline(StandardScaler(with_std=False), StandardScaler()),
    "ranges": MinMaxScaler(),
    "clipped ranges": MinMaxScaler(clip=True, feature_range=(-1, 2)),
    "robust": RobustScaler(),
    "largest": MaxAbsScaler(),
    "nothing": FunctionTransformer(),
    "squares": FunctionTransformer(np.square),
    "side by side": make_union(StandardScaler(), MinMaxScaler()),
    "columns": ColumnTransformer(
        [("a", StandardScaler(), [0, 2]), ("b", "passthrough", slice(3, 5)), ("c", "drop", [1])],
        remainder=MinMaxScaler(),
        transformer_weights={"a": 2.0},
    ),
}
WITH_HOLES: dict[str, Any] = {
    "tree": DecisionTreeClassifier(random_state=1),
    "forest": RandomForestClassifier(n_estimators=9, random_state=1),
    "shallow forest": RandomForestClassifier(n_estimators=9, max_depth=4, random_state=1),
    "histograms": HistGradientBoostingClassifier(max_iter=9),
    "filled": make_pipeline(SimpleImputer(), StandardScaler(), GaussianNB()),
    "told": make_pipeline(SimpleImputer(strategy="median", add_indicator=True), RidgeClassifier()),
    "filled last": make_pipeline(
        StandardScaler(), SimpleImputer(strategy="constant", fill_value=0), GaussianNB()
    ),
}
UNKNOWN: dict[str, tuple[Any, str]] = {
    "another estimator": (
        AdaBoostRegressor(n_estimators=2),
        "sklearn.ensemble._weight_boosting.AdaBoostRegressor",
    ),
    "another kernel": (SVR(kernel="sigmoid"), "SVR with kernel sigmoid"),
    "another step": (
        make_pipeline(PolynomialFeatures(2), Ridge()),
        "sklearn.preprocessing._polynomial.PolynomialFeatures",
    ),
    "another function": (
        make_pipeline(FunctionTransformer(np.cos), Ridge()),
        "numpy.cos",
    ),
    "another first guess": (
        GradientBoostingRegressor(n_estimators=2, init=LinearRegression()),
        "gradient boosting that begins with LinearRegression",
    ),
    "frames in between": (
        make_pipeline(StandardScaler().set_output(transform="pandas"), Ridge()),
        "StandardScaler whose output is pandas",
    ),
    "large trees of histograms": (
        HistGradientBoostingRegressor(max_iter=1, max_leaf_nodes=None, min_samples_leaf=1),
        r"gradient boosting with trees of \d+ leaves",
    ),
}
PLAIN = signature(numbers(X.shape[1]))
NULLABLE = signature(numbers(X.shape[1], nullable=True))


@pytest.fixture(scope="module")
def estimators() -> ModuleType:
    module: ModuleType = handler().estimators
    return module


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
    predict = estimators.load(content, PLAIN)
    assert largest_difference(predict, joblib.load(trained / f"{name}.joblib")) <= 1e-9


@pytest.mark.parametrize("name", REGRESSORS)
def test_every_known_regressor_predicts_the_same(estimators: ModuleType, name: str) -> None:
    model = clone(REGRESSORS[name]).fit(X, Y)
    for options in ({}, {"compress": 3}):
        predict = estimators.load(dumped(model, **options), PLAIN)
        assert largest_difference(predict, model) <= 1e-9


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("labels", LABELS)
def test_every_known_classifier_answers_the_same(name: str, labels: str) -> None:
    model = clone(CLASSIFIERS[name]).fit(SCALED, LABELS[labels])
    check_equal(model, PLAIN, [SCALED, SCALED[:1], SCALED[3:5], RANDOM])


def test_a_classifier_answers_what_its_manifest_asks_for() -> None:
    model = LogisticRegression().fit(SCALED, LABELS["three"])
    outputs = ["decision_function", "predict_proba"]
    check_equal(model, signature(numbers(13), outputs=outputs), [SCALED, SCALED[:1]])
    boosted = GradientBoostingClassifier(loss="exponential", n_estimators=5)
    check_equal(boosted.fit(X, LABELS["two"]), signature(numbers(13), outputs=outputs), [X, X[:1]])


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"outputs": ["score_samples"]}, "it answers score_samples"),
        ({"classes": ["cheap", "expensive"]}, r"its classes are \['cheap', 'dear'\]"),
    ],
)
def test_other_methods_and_classes_are_left_to_scikit_learn_to_refuse(
    estimators: ModuleType, members: dict[str, Any], reason: str
) -> None:
    content = dumped(LogisticRegression().fit(SCALED, LABELS["two"]))
    with pytest.raises(handler().unpickling.Unknown, match=reason):
        estimators.load(content, signature(numbers(13), **members))


@pytest.mark.parametrize("name", SCALERS)
def test_every_known_transformation_gives_the_same(name: str) -> None:
    alone = clone(SCALERS[name]).fit(X)
    check_equal(alone, PLAIN, [X, X[:1], RANDOM])
    before = make_pipeline(clone(SCALERS[name]), Ridge()).fit(X, Y)
    check_equal(before, PLAIN, [X, X[:1], RANDOM])


@pytest.mark.parametrize("name", WITH_HOLES)
def test_missing_numbers_go_the_same_way(name: str) -> None:
    model = clone(WITH_HOLES[name]).fit(HOLES, LABELS["three"])
    check_equal(model, NULLABLE, [HOLES, X, HOLES[:1], np.full((2, 13), np.nan)])


@pytest.mark.parametrize(
    "model", [Ridge(), GradientBoostingRegressor(n_estimators=2), SVR()], ids=lambda it: str(it)[:5]
)
def test_missing_numbers_are_refused_where_scikit_learn_refuses_them(model: Any) -> None:
    check_equal(clone(model).fit(X, Y), NULLABLE, [X, HOLES])


def test_categories_by_their_codes_go_the_same_way_unknown_ones_included() -> None:
    rows = SCALED.copy()
    draw = np.random.default_rng(3)
    rows[:, 0], rows[:, 3] = draw.integers(0, 40, len(rows)), draw.integers(0, 5, len(rows))
    y = np.sin(rows[:, 0]) * (rows[:, 3] - 2) + rows[:, 5]
    model = HistGradientBoostingRegressor(categorical_features=[0, 3], max_iter=20).fit(rows, y)
    unknown = rows.copy()
    unknown[::7, 0], unknown[::5, 3], unknown[::11, 0] = 55, -1, np.nan
    check_equal(model, NULLABLE, [rows, unknown, unknown[:1]])


TIES = np.array([[-1.0], [1.0]])
FAR = np.array([[0.0], [1e6], [-1e6]])
TIMES = 1.6e9 + 1e5 * np.random.default_rng(2).normal(size=(120, 1))
# Models with parameters or inputs that once were answered otherwise than by scikit-learn.
ODD: dict[str, tuple[Any, Any, Any, list[Any]]] = {
    "vectors without an intercept": (
        LinearSVC(fit_intercept=False, random_state=1),
        SCALED,
        LABELS["two"],
        [SCALED],
    ),
    "vectors that tie": (SVC(), TIES, [0, 1], [FAR]),
    "vectors of large numbers": (SVR(), TIMES, TIMES[:, 0] - 1.6e9, [TIMES]),
    "classes of large numbers": (SVC(), TIMES, np.digitize(TIMES[:, 0], [1.6e9]), [TIMES]),
    "bayes that ties": (
        GaussianNB(),
        np.array([[-4.0, 0, 1], [4, 0, -1], [-2, 1, 0], [2, -1, 0]]),
        [0, 1, 0, 1],
        [np.array([[4.0, 0, -1], [0, 0, 0], [1, -1, 0]])],
    ),
    "logarithms of what has none, into trees": (
        make_pipeline(FunctionTransformer(np.log1p), RandomForestRegressor(5, random_state=1)),
        np.abs(SCALED),
        Y,
        [np.abs(SCALED) - 1.5, np.abs(SCALED)],
    ),
    "logarithms of what has none, into a line": (
        make_pipeline(FunctionTransformer(np.log1p), Ridge()),
        np.abs(SCALED),
        Y,
        [np.abs(SCALED) - 1.5, np.abs(SCALED)],
    ),
    "logarithms of what has none, into boosting": (
        make_pipeline(FunctionTransformer(np.log1p), GradientBoostingRegressor(n_estimators=3)),
        np.abs(SCALED),
        Y,
        [np.abs(SCALED) - 1.5, np.abs(SCALED)],
    ),
    "logarithms of nothing": (
        make_pipeline(FunctionTransformer(np.log), RandomForestRegressor(5, random_state=1)),
        np.abs(SCALED),
        Y,
        [np.zeros((2, 13)), np.abs(SCALED)],
    ),
    "scaled beyond float32": (
        make_pipeline(StandardScaler(), DecisionTreeRegressor(random_state=1)),
        SCALED * 1e-10,
        Y,
        [np.full((1, 13), 3e38), SCALED * 1e-10],
    ),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_answered_or_refused_the_same(name: str) -> None:
    model, x, y, rows = ODD[name]
    check_equal(clone(model).fit(x, y), signature(numbers(x.shape[1])), rows)


def test_unknown_categories_that_become_missing_go_their_way_through_trees() -> None:
    rows = np.round(SCALED)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    forest = RandomForestClassifier(n_estimators=5, random_state=1)
    model = make_pipeline(encoder, forest).fit(rows, LABELS["three"])
    check_equal(model, PLAIN, [rows, rows + 40, -np.ones((2, 13))])


@pytest.mark.parametrize(
    ("model", "y", "reason"),
    [
        (DecisionTreeClassifier(), np.zeros(len(Y)), "trees of one class"),
        (make_pipeline(TfidfTransformer(), Ridge()), Y, "a sparse matrix as the input"),
        (RidgeClassifier(), np.stack([Y > 20, Y < 30], axis=1).astype(int), "several targets"),
        (make_pipeline(FunctionTransformer(validate=True), Ridge()), Y, "or a check"),
    ],
    ids=["one class", "weights", "labels", "check"],
)
def test_what_would_be_answered_otherwise_is_left_to_scikit_learn(
    estimators: ModuleType, model: Any, y: Any, reason: str
) -> None:
    content = dumped(clone(model).fit(np.abs(X), y))
    with pytest.raises(handler().unpickling.Unknown, match=reason):
        estimators.load(content, PLAIN)


def test_features_of_another_order_are_left_to_scikit_learn_to_refuse(
    estimators: ModuleType,
) -> None:
    names = [f"x{number}" for number in range(13)]
    frame = pd.DataFrame(X, columns=names)
    model = Ridge().fit(frame, Y)
    assert np.allclose(estimators.load(dumped(model), PLAIN)(X), model.predict(frame), atol=1e-9)
    with pytest.raises(handler().unpickling.Unknown, match="in another order"):
        estimators.load(dumped(model), signature(numbers(13)[::-1]))


def test_a_file_cannot_change_how_others_are_read_nor_forge_a_type(
    estimators: ModuleType,
) -> None:
    """A state for a function, and an object among bytes that are none."""
    unknown = handler().unpickling.Unknown
    change = b"\x80\x02c_codecs\nencode\n}X\x01\x00\x00\x00aK\x01sb."
    with pytest.raises(unknown):
        handler().unpickling.read(change)
    forged = (
        b"\x80\x02cnumpy._core.numeric\n_frombuffer\n(X\x08\x00\x00\x00AAAAAAAA"
        b"cnumpy\ndtype\nX\x02\x00\x00\x00V8\x85R(K\x03X\x01\x00\x00\x00|NX\x01\x00\x00\x00a\x85}"
        b"X\x01\x00\x00\x00acnumpy\ndtype\nX\x02\x00\x00\x00O8\x85RK\x00\x86sK\x08K\x01K\x00tb"
        b"K\x01\x85X\x01\x00\x00\x00CtR."
    )
    with pytest.raises(unknown, match="a type of elements V8"):
        handler().unpickling.read(forged)


@pytest.mark.parametrize("targets", [1, 2])
def test_the_targets_of_linear_models_are_answered_as_lists(targets: int) -> None:
    """One target that was given as a column too."""
    columns = np.stack([Y, -Y], axis=1)[:, :targets]
    check_equal(LinearRegression().fit(X, columns), PLAIN, [X, X[:1]])


@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 506])
def test_a_forest_gives_the_same_whatever_the_size_of_the_batch(
    estimators: ModuleType, count: int
) -> None:
    for name in ("forest", "shallow forest"):
        model = clone(REGRESSORS[name]).fit(X, Y)
        predict = estimators.load(dumped(model), PLAIN)
        assert (predict(X[:count]) == model.predict(X[:count])).all()


FOREST = RandomForestRegressor(n_estimators=5, random_state=1).fit(X, Y)
SHALLOW = RandomForestRegressor(n_estimators=5, max_depth=4, random_state=1).fit(X, Y)
largest = float(np.finfo(np.float32).max)


@given(arrays(np.float64, (3, 13), elements=st.floats(-largest, largest)))
@settings(max_examples=50)
def test_any_numbers_go_the_same_way_through_the_trees(
    estimators: ModuleType, rows: np.ndarray
) -> None:
    """Thresholds are compared with float32, as scikit-learn compares them."""
    for forest in (FOREST, SHALLOW):
        predict = estimators.load(dumped(forest), PLAIN)
        with np.errstate(
            all="ignore"
        ):  # scikit-learn sums the rows, to see whether they are finite
            expected = forest.predict(rows)
        assert np.abs(predict(rows) - expected).max() <= 1e-9


@given(st.integers(0, 505), st.integers(0, 12))
def test_values_on_a_threshold_go_the_same_way(
    estimators: ModuleType, row: int, feature: int
) -> None:
    for forest in (FOREST, SHALLOW):
        predict = estimators.load(dumped(forest), PLAIN)
        tree = forest.estimators_[0].tree_
        rows = np.repeat(X[row][None], tree.node_count, axis=0)
        rows[:, feature] = np.where(tree.feature == feature, tree.threshold, rows[:, feature])
        assert np.abs(predict(rows) - forest.predict(rows)).max() <= 1e-9


HISTOGRAMS = HistGradientBoostingRegressor(max_iter=9).fit(X, Y)


@given(st.integers(0, 505), st.integers(0, 12))
def test_values_on_a_threshold_of_histograms_go_the_same_way(
    estimators: ModuleType, row: int, feature: int
) -> None:
    """Here they are compared with float64."""
    predict = estimators.load(dumped(HISTOGRAMS), PLAIN)
    nodes = np.concatenate([tree.nodes for (tree,) in HISTOGRAMS._predictors])
    thresholds = nodes["num_threshold"][nodes["feature_idx"] == feature]
    around = [np.nextafter(thresholds, end) for end in (-np.inf, np.inf)]
    rows = np.repeat(X[row][None], 1 + 3 * len(thresholds), axis=0)
    rows[1:, feature] = np.concatenate([thresholds, *around])
    assert np.abs(predict(rows) - HISTOGRAMS.predict(rows)).max() <= 1e-9


def test_a_large_forest_is_loaded_in_little_more_memory_than_it_keeps(
    estimators: ModuleType,
) -> None:
    """File, inflated file, trees and the arrays made of them would else live at once."""
    table = np.random.default_rng(2).normal(size=(4000, 4))
    model = RandomForestRegressor(n_estimators=30, random_state=1).fit(table[:, :3], table[:, 3])
    content = dumped(model, compress=3)
    assert len(content) > handler().unpickling.LARGE
    tracemalloc.start()
    try:
        forest = estimators.load(content, signature(numbers(3)))
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * kept  # nine times, without
    assert np.allclose(forest(table[:50, :3]), model.predict(table[:50, :3]), rtol=1e-9, atol=0)
    with pytest.raises(handler().unpickling.Unknown, match="incomplete or truncated"):
        estimators.load(content[: len(content) // 2], signature(numbers(3)))


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_named_and_left_to_scikit_learn(
    estimators: ModuleType, name: str
) -> None:
    model, what = UNKNOWN[name]
    with np.errstate(all="ignore"):
        fitted = clone(model).fit(X, Y)
    with pytest.raises(handler().unpickling.Unknown, match=what):
        estimators.load(dumped(fitted), PLAIN)


def test_trees_of_several_targets_are_left_to_scikit_learn(estimators: ModuleType) -> None:
    both = np.stack([Y, -Y], axis=1)
    model = RandomForestRegressor(n_estimators=2).fit(X, both)
    with pytest.raises(handler().unpickling.Unknown, match="several targets"):
        estimators.load(dumped(model), PLAIN)


def test_another_scikit_learn_is_left_to_scikit_learn_to_refuse(estimators: ModuleType) -> None:
    with pytest.raises(
        handler().unpickling.Unknown,
        match=f"LinearRegression of scikit-learn {sklearn.__version__}",
    ):
        estimators.load(
            dumped(LinearRegression().fit(X, Y)),
            signature(numbers(13), **{"scikit-learn": "0.24.2"}),
        )


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
    with pytest.raises(handler().unpickling.Unknown, match="posix.system|nt.system"):
        estimators.load(content, PLAIN)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [b"", b"\x78", b"\x78\x9cnothing", b"nothing at all", dumped(REGRESSORS["tree"])[:200]],
)
def test_a_file_that_cannot_be_read_is_left_to_scikit_learn(
    estimators: ModuleType, content: bytes
) -> None:
    with pytest.raises(handler().unpickling.Unknown):
        estimators.load(content, PLAIN)


def test_an_array_of_objects_holds_no_other_names(estimators: ModuleType) -> None:
    model = LinearRegression().fit(X, Y)
    model.coef_ = np.array([1, Command()], dtype=object)
    with pytest.raises(handler().unpickling.Unknown, match="posix.system|nt.system"):
        estimators.load(dumped(model), PLAIN)
