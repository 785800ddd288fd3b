"""Two models of one table with features of every type: for descriptions, clients and pages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

ROWS = 60
# An apostrophe, markup and a template's braces: names of features are anybody's text.
ODD = 'it\'s <b>&amp;</b> ${x} "{{1}}"'
FEATURES: list[dict[str, Any]] = [
    {
        "name": "region",
        "type": "string",
        "categories": ["north", "south", "</script><b>abroad"],
        "description": "Where the customer lives",
        "dtype": "object",
    },
    {"name": "plan", "type": "string", "nullable": True, "dtype": "object"},
    {"name": "months", "dtype": "int64", "range": [1, 60], "unit": "months"},
    {"name": "gigabytes", "nullable": True, "range": [0.1, 40.5], "unit": "GB"},
    {"name": "vip", "type": "boolean", "dtype": "bool"},
    {"name": ODD, "range": [-1, 1]},
]
RECORD: dict[str, Any] = {
    "region": "north",
    "plan": None,
    "months": 12,
    "gigabytes": 7.5,
    "vip": True,
    ODD: 0.25,
}


def table() -> pd.DataFrame:
    draw = np.random.default_rng(3)
    categories = FEATURES[0]["categories"]
    return pd.DataFrame(
        {
            "region": pd.Series([categories[row % 3] for row in range(ROWS)], dtype="object"),
            "plan": pd.Series(
                [("basic", "plus", None)[row % 3] for row in range(ROWS)], dtype="object"
            ),
            "months": draw.integers(1, 60, ROWS),
            "gigabytes": draw.uniform(0.1, 40.5, ROWS).round(1),
            "vip": draw.random(ROWS) < 0.5,
            ODD: draw.uniform(-1, 1, ROWS),
        }
    )


def pipeline(estimator: Any) -> Pipeline:
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["region", "plan"]),
        (SimpleImputer(), ["months", "gigabytes", ODD]),
        ("passthrough", ["vip"]),
    )
    return make_pipeline(columns, estimator)


def trained() -> tuple[Pipeline, Pipeline]:
    rows = table()
    leaves = np.where(rows["months"] < 30, "leaves", "stays")
    spends = rows["gigabytes"] * 1.5 + rows["months"]
    classifier = pipeline(LogisticRegression(C=0.01, max_iter=500)).fit(rows, leaves)
    return classifier, pipeline(LinearRegression()).fit(rows, spends)


CHURN, SPEND = trained()
TABLE = {"input": "table", "features": FEATURES}
MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "churn": (
        CHURN,
        {**TABLE, "outputs": ["predict", "predict_proba"], "classes": ["leaves", "stays"]},
    ),
    "spend": (SPEND, {**TABLE, "outputs": ["predict"]}),
}
