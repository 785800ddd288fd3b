"""Models that return more than one number per record answer as their own methods do."""

from __future__ import annotations

import importlib
import io
import json
import warnings
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import DBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.utils import all_estimators

from tests.support.handlers import described
from tests.support.projects import ROOT
from tests.support.thinning import WHOLE, thinned

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(60, 4))
NUMBER = X @ [1.0, -2.0, 0.5, 0.0] + 3
LABEL = np.where(NUMBER > 3, "yes", "no")
KIND = np.array(["low", "middle", "high"])[np.digitize(NUMBER, [2, 4])]
TWO_NUMBERS = np.column_stack([NUMBER, -NUMBER])
TWO_LABELS = np.column_stack([LABEL, KIND])
MEMBERS = {
    "predictions": "predict",
    "probabilities": "predict_proba",
    "decisions": "decision_function",
    "scores": "score_samples",
    "transformed": "transform",
}
# name: (estimator, target, the members of its answer beside predictions)
MODELS: dict[str, tuple[Any, Any, set[str]]] = {
    "labels": (LogisticRegression(), LABEL, {"probabilities", "classes"}),
    "three labels": (GaussianNB(), KIND, {"probabilities", "classes"}),
    "integers": (RandomForestClassifier(5, random_state=1), LABEL == "yes", {"probabilities"}),
    "booleans": (KNeighborsClassifier(), LABEL == "yes", {"probabilities", "classes"}),
    "boosted trees": (HistGradientBoostingClassifier(max_iter=3), KIND, {"probabilities"}),
    "pipeline": (make_pipeline(StandardScaler(), SVC()), LABEL, {"decisions", "classes"}),
    "no probabilities": (RidgeClassifier(), KIND, {"decisions", "classes"}),
    "objects": (LogisticRegression(), LABEL.astype(object), {"probabilities", "classes"}),
    "two targets": (LinearRegression(), TWO_NUMBERS, set()),
    "forest of two targets": (RandomForestRegressor(5, random_state=1), TWO_NUMBERS, set()),
    "two labels": (
        MultiOutputClassifier(LogisticRegression()),
        TWO_LABELS,
        {"probabilities", "classes"},
    ),
    "clusters": (KMeans(3, n_init=1, random_state=1), None, set()),
    "outliers": (IsolationForest(n_estimators=5, random_state=1), None, {"scores"}),
    "novelties": (LocalOutlierFactor(novelty=True), None, {"scores"}),
    "components": (PCA(2), None, {"transformed"}),
    "sparse": (OneHotEncoder(handle_unknown="ignore"), None, {"transformed"}),
    "constant": (DummyClassifier(), LABEL, {"probabilities", "classes"}),
}


@pytest.fixture(scope="module")
def handler() -> ModuleType:
    """The handler's module, imported beside its own modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "lambda_src")
        for name in ("contract", "inputs", "outputs", "loading"):
            importlib.import_module(name)
        return importlib.import_module("predict")


def served(handler: ModuleType, model: Any, width: int = X.shape[1]) -> Any:
    """Load a fitted model from a file as a function does, without the fast paths."""
    stream = io.BytesIO()
    joblib.dump(model, stream)
    loading: Any = importlib.import_module("loading")
    document = described([f"f{number}" for number in range(width)])
    signature = handler.__dict__["signature"].parse(document)
    evaluate = loading.load_with_sklearn(stream.getvalue(), signature)
    return handler.predictor("model", "0" * 12, evaluate, signature)


def request(rows: Any) -> dict[str, Any]:
    return {"instances": [{f"f{n}": float(v) for n, v in enumerate(row)} for row in rows]}


def own(model: Any, member: str, rows: Any) -> Any:
    """Return the answer of the model's own method, one item per record."""
    result = getattr(model, MEMBERS[member])(rows)
    if isinstance(result, list):
        return [list(values) for values in zip(*(each.tolist() for each in result), strict=True)]
    return (result.toarray() if hasattr(result, "toarray") else result).tolist()


@pytest.mark.parametrize("name", MODELS)
def test_an_answer_is_that_of_the_models_own_methods(handler: ModuleType, name: str) -> None:
    estimator, target, members = MODELS[name]
    model = clone(estimator).fit(X, target)
    answer = served(handler, model).answer(request(X[:7]))
    assert json.loads(json.dumps(answer)) == answer
    assert members <= answer.keys()
    assert ("predictions" in answer) == hasattr(model, "predict")
    for member in answer.keys() & MEMBERS.keys():
        assert answer[member] == own(model, member, X[:7]), member
        assert len(answer[member]) == 7
    if "classes" in answer:
        classes = model.classes_
        several = isinstance(classes, list)
        assert answer["classes"] == (
            [each.tolist() for each in classes] if several else classes.tolist()
        )


def test_a_plain_regressor_keeps_its_own_predict(handler: ModuleType) -> None:
    model = LinearRegression().fit(X, NUMBER)
    answer = served(handler, model).answer(request(X[:2]))
    assert answer == {
        "model": "model",
        "version": "0" * 12,
        "predictions": model.predict(X[:2]).tolist(),
    }


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (DBSCAN().fit(X), "DBSCAN has neither predict nor transform"),
        (NearestNeighbors().fit(X), "NearestNeighbors has neither predict nor transform"),
        (
            DummyClassifier().fit(X, np.array(["2026-11-25", "2026-11-26"] * 30, "datetime64[D]")),
            "classes_ hold a date, but a label must be a string, a number or a boolean",
        ),
    ],
)
def test_a_model_that_cannot_answer_is_refused_when_it_is_loaded(
    handler: ModuleType, model: Any, message: str
) -> None:
    contract: Any = importlib.import_module("contract")
    with pytest.raises(contract.ModelError, match=message):
        served(handler, model)


def test_a_number_that_json_cannot_hold_is_the_models_failure(handler: ModuleType) -> None:
    model = LinearRegression().fit(X, TWO_NUMBERS)
    model.intercept_ = np.array([0.0, np.inf])
    contract: Any = importlib.import_module("contract")
    with pytest.raises(contract.ModelError, match="predictions hold a number that is not finite"):
        served(handler, model).answer(request(X[:1]))


def test_every_estimator_is_answered_right_or_refused_with_a_reason(
    handler: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """A census of scikit-learn. By default one estimator in ten; all with TESTS=every."""
    contract: Any = importlib.import_module("contract")
    census: dict[str, list[str]] = {"answered": [], "refused": [], "of other data": []}
    kinds = all_estimators(type_filter=["classifier", "regressor", "cluster", "transformer"])
    for name, kind in thinned(kinds, every=10):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = fitted(kind)
            if model is None:
                census["of other data"].append(name)
                continue
            try:
                answer = served(handler, model, X.shape[1]).answer(request(np.abs(X[:3])))
            except (contract.ModelError, AttributeError) as error:  # of a vectorizer: no text here
                census["refused"].append(f"{name} ({error})")
                continue
            for member in answer.keys() & MEMBERS.keys():
                expected = own(model, member, np.abs(X[:3]))
                same = answer[member] == expected
                assert same or np.allclose(answer[member], expected, rtol=1e-9), (name, member)
        census["answered"].append(name)
    with capsys.disabled():
        for outcome, names in census.items():
            print(f"\n{len(names)} {outcome}: {', '.join(names)}")
    assert len(census["answered"]) > (150 if WHOLE else 12)
    assert len(census["refused"]) < 15


# The arguments of estimators that contain others.
INNER: tuple[tuple[Any, ...], ...] = (
    (),
    (LogisticRegression(),),
    (LinearRegression(),),
    ([("one", LogisticRegression())],),
    ([("one", LinearRegression())],),
    ([("one", StandardScaler())],),
    ([("one", StandardScaler(), [0, 1])],),
)


def fitted(kind: Any) -> Any:
    """Return an estimator, fitted to the first target that it takes and able to answer, or None.

    Some regressors take labels when they are fitted, and fail when they predict.
    """
    for inner in INNER:
        for target in (LABEL, NUMBER, np.abs(NUMBER), TWO_NUMBERS, TWO_LABELS):
            try:
                model = kind(*inner).fit(np.abs(X), target)
                for method in ("predict", "transform"):
                    if hasattr(model, method):
                        getattr(model, method)(np.abs(X))
                        break
                return model
            except Exception:  # of any kind: it wants other arguments, or other data
                continue
    return None


@pytest.mark.parametrize(
    ("own", "expected", "problem"),
    [
        ({"predictions": ["a"]}, {"predictions": ["a"]}, None),
        ({"predictions": ["a"]}, {"predictions": ["b"]}, "predictions: ['a'] where"),
        ({"probabilities": [[0.5, 0.5]]}, {"probabilities": [[0.5, 0.5 + 1e-12]]}, None),
        (
            {"probabilities": [[0.5, 0.5]]},
            {"probabilities": [[0.4, 0.6]]},
            "probabilities: 0.5 where",
        ),
        ({"predictions": [1]}, {"predictions": [1], "scores": [0.5]}, "predictions where"),
        ([1.0], {"predictions": [1.0], "scores": [0.5]}, "predictions where"),
        ("ValueError: x", {"predictions": ["a"]}, "ValueError: x where scikit-learn has a"),
    ],
)
def test_a_comparison_sees_every_member(own: Any, expected: Any, problem: str | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "lambda_src")
        verify: Any = importlib.import_module("verify")
    difference = verify.difference(own, expected)
    assert difference is None if problem is None else problem in difference
