"""Classifiers, several targets, outliers and transformers in one service of the local AWS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.support.command_line import deployer
from tests.support.handlers import FEATURES
from tests.support.models import put_models
from tests.support.projects import ROOT

pytestmark = pytest.mark.slow

TABLE = np.loadtxt(ROOT / "data" / "boston_housing.csv", delimiter=",", skiprows=1)
X, PRICE = TABLE[:, :-1], TABLE[:, -1]
LABELS = np.where(PRICE > 21, "dear", "cheap")
MODELS: dict[str, Any] = {
    "labels": make_pipeline(StandardScaler(), LogisticRegression()).fit(X, LABELS),
    "many_labels": RandomForestClassifier(5, random_state=1).fit(X, np.digitize(PRICE, [15, 25])),
    "two_targets": LinearRegression().fit(X, np.column_stack([PRICE, -PRICE])),
    "outliers": IsolationForest(n_estimators=5, random_state=1).fit(X),
    "components": make_pipeline(StandardScaler(), PCA(2)).fit(X),
}


def test_models_of_every_kind_answer_as_they_do_themselves(live: Path) -> None:
    manifest = json.loads((live / "models" / "manifest.json").read_text())
    features = manifest["models"]["random_forest"]["features"]
    put_models(live, {name: (model, {"features": features}) for name, model in MODELS.items()})
    assert deployer(live, "check", "--offline").out == "check: nothing found\n"
    deployer(live, "up", "--local")
    records = [dict(zip(FEATURES, row, strict=True)) for row in X[:3].tolist()]
    body = json.dumps({"instances": records})
    results = deployer(live, "invoke", "--data", body, "--local", "--json").json
    answers = {entry.pop("model"): entry for entry in results}
    for entry in answers.values():
        entry.pop("version")
    labels, many = MODELS["labels"], MODELS["many_labels"]
    assert answers["labels"]["predictions"] == labels.predict(X[:3]).tolist()
    assert answers["labels"]["classes"] == ["cheap", "dear"]
    for name, model in (("labels", labels), ("many_labels", many)):
        for own, expected in zip(
            answers[name]["probabilities"], model.predict_proba(X[:3]), strict=True
        ):
            assert own == pytest.approx(expected.tolist(), rel=1e-12, abs=1e-12)
    assert answers["many_labels"]["classes"] == [0, 1, 2]
    for own, expected in zip(
        answers["two_targets"]["predictions"], MODELS["two_targets"].predict(X[:3]), strict=True
    ):
        assert own == pytest.approx(expected.tolist(), rel=1e-12, abs=1e-12)
    outliers = MODELS["outliers"]
    assert answers["outliers"]["predictions"] == outliers.predict(X[:3]).tolist()
    assert answers["outliers"]["scores"] == pytest.approx(outliers.score_samples(X[:3]).tolist())
    assert answers["components"].keys() == {"transformed"}
    assert np.allclose(answers["components"]["transformed"], MODELS["components"].transform(X[:3]))
    table = deployer(live, "invoke", "--data", body, "--local").out
    assert f"{labels.predict(X[:1])[0]} ({labels.predict_proba(X[:1]).max():.6g})" in table
