"""Models of unlike kinds in one service of the local AWS, and what is refused before it is live."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from tests.support.command_line import deployer
from tests.support.models import put_models

TOWNS = pd.DataFrame({"town": pd.Series(["Bonn", "Ulm"] * 20, dtype="object")})
CHURN = make_pipeline(make_column_transformer((OneHotEncoder(), ["town"])), LogisticRegression())
CHURN.fit(TOWNS, ["no", "yes"] * 20)
TEXT = make_pipeline(TfidfVectorizer(), LogisticRegression())
TEXT.fit(["a good day", "bad night", "good fun", "so bad"], ["glad", "sad", "glad", "sad"])
PRICES = LinearRegression().fit(np.eye(2), [[1.0, 2.0], [3.0, 5.0]])
MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "churn": (
        CHURN,
        {
            "input": "table",
            "features": [{"name": "town", "type": "string", "categories": ["Bonn", "Ulm"]}],
        },
    ),
    "mood": (TEXT, {"input": "text", "features": [{"name": "text", "type": "string"}]}),
    "prices": (
        PRICES,
        {"features": [{"name": "a"}, {"name": "b"}], "targets": ["buy", "rent"]},
    ),
}


def post(url: str, request: Any) -> tuple[dict[str, Any], Any]:
    """Return the execution record, and the response's headers."""
    with urllib.request.urlopen(url, json.dumps(request).encode(), timeout=35) as response:
        return json.load(response), response.headers


@pytest.mark.slow
def test_unlike_models_live_in_one_service(live: Path) -> None:
    put_models(live, MODELS)
    url = deployer(live, "up", "--local").out.splitlines()[-1]
    whole = {"town": "Ulm", "text": "good", "a": 1, "b": 0}
    record, headers = post(url, whole)
    assert record["status"] == "SUCCEEDED", record
    assert record["name"] == headers["apigw-requestid"]  # one id from the API to the functions
    churn, mood, prices = json.loads(record["output"])
    ulm = pd.DataFrame({"town": pd.Series(["Ulm"], dtype="object")})
    assert churn["predictions"] == ["yes"]
    assert churn["probabilities"] == [pytest.approx(CHURN.predict_proba(ulm)[0], rel=1e-12)]
    assert mood["predictions"] == ["glad"]
    assert mood["probabilities"] == [pytest.approx(TEXT.predict_proba(["good"])[0], rel=1e-12)]
    assert prices["predictions"] == [pytest.approx([1.0, 2.0])]
    assert prices["targets"] == ["buy", "rent"]

    part = deployer(live, "invoke", "--local", "--json", "--data", '{"text": "so bad"}').json
    assert part[0] == {"model": "churn", "skipped": "its feature town is not given"}
    assert part[1]["predictions"] == ["sad"]
    assert part[2] == {"model": "prices", "skipped": "its features a, b are not given"}
    table = deployer(live, "invoke", "--local", "--data", '{"a": 1, "b": 0}').out
    assert "skipped: its feature town is not given" in table
    assert "buy 1, rent 2" in table

    for request, cause in (
        ({"a": 1}, "complete for no model: churn lacks town; mood lacks text; prices lacks b"),
        ({"town": "Rom"}, "churn: town: unknown category 'Rom'; known are 'Bonn', 'Ulm'"),
        ({"a": 1, "b": None}, "prices: b: must be a number, not null"),
        ({"a": 1, "b": 2, "c": 3}, "c: unknown feature"),
        ({}, "complete for no model"),
    ):
        refused, _ = post(url, request)
        assert refused["error"] == "InvalidInput", refused
        assert cause in refused["cause"]


def test_what_cannot_answer_is_refused_and_what_is_live_stays_live(live: Path) -> None:
    url = deployer(live, "up", "--local").out.splitlines()[-1]
    sample = json.loads((live / "samples" / "boston_housing.json").read_text())
    before, _ = post(url, sample)
    put_models(live, MODELS)
    manifest = json.loads((live / "models" / "manifest.json").read_text())
    path = live / "models" / "mood.joblib"
    path.write_bytes(path.read_bytes()[:300])
    manifest["models"]["mood"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest["models"]["churn"]["features"][0]["name"] = "city"
    (live / "models" / "manifest.json").write_text(json.dumps(manifest))
    failed = deployer(live, "up", "--local", "--yes", code=1)
    assert "mood does not answer its example: " in failed.err
    assert "churn does not answer its example: " in failed.err
    assert "nothing was written" in failed.err
    assert "creating" not in failed.err
    after, _ = post(url, sample)
    assert json.loads(after["output"]) == json.loads(before["output"])
