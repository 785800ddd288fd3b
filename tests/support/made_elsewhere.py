"""Models as other people hand them over: fitted by their own programs, saved as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, StandardScaler

RANDOM = np.random.default_rng(5)
ROWS = 60
CUSTOMERS = pd.DataFrame(
    {
        "town": np.array(["Ulm", "Bonn", None])[RANDOM.integers(0, 3, ROWS)],
        "age": RANDOM.integers(18, 90, ROWS),
        "spend": np.where(RANDOM.random(ROWS) < 0.2, np.nan, RANDOM.random(ROWS) * 100),
        "vip": RANDOM.random(ROWS) < 0.5,
    }
)
LEAVES = np.where(CUSTOMERS["age"] + 30 * (CUSTOMERS["town"] == "Ulm") > 60, "yes", "no")
NUMBERS = pd.DataFrame(
    RANDOM.normal(size=(ROWS, 4)).round(3), columns=["width", "height", "depth", "weight"]
)
ODD = NUMBERS.set_axis(["a b", "größe (cm)", " x", '"quoted", \\ and €'], axis=1)
REVIEWS = pd.DataFrame({"review": ["good stuff", "bad stuff", "really good", "bad, bad"] * 5})


def columns() -> Any:
    """Return a transformer that picks the columns of CUSTOMERS by name."""
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["town"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "spend"]),
        remainder="passthrough",
    )


def churn() -> Any:
    return make_pipeline(columns(), LogisticRegression()).fit(CUSTOMERS, LEAVES)


def reviews() -> Any:
    target = ["up", "down", "up", "down"] * 5
    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(REVIEWS["review"], target)


def two_targets() -> Any:
    y = NUMBERS.to_numpy()
    return LinearRegression().fit(NUMBERS, np.column_stack([y @ [1, 2, 3, 4], y @ [4, 3, 2, 1]]))


# name: (model, example), the six of them that are served together.
MODELS: dict[str, tuple[Any, Any]] = {
    "churn": (churn(), CUSTOMERS),
    "reviews": (reviews(), REVIEWS[:2]),
    "two_targets": (
        two_targets(),
        NUMBERS.assign(price=1.0, rent=2.0),
    ),
    "outliers": (IsolationForest(n_estimators=5, random_state=1).fit(NUMBERS.to_numpy()), NUMBERS),
    "components": (PCA(2, random_state=1).fit(NUMBERS), None),
    "odd": (RandomForestClassifier(5, random_state=1).fit(ODD, LEAVES), ODD),
}
# Further kinds.
OTHERS: dict[str, tuple[Any, Any]] = {
    "clusters": (KMeans(3, n_init=1, random_state=1).fit(NUMBERS), NUMBERS),
    "category": (
        HistGradientBoostingClassifier(max_iter=3, categorical_features="from_dtype").fit(
            CUSTOMERS[["town", "age"]].assign(town=CUSTOMERS["town"].astype("category")), LEAVES
        ),
        CUSTOMERS[["town", "age"]],
    ),
    "union": (
        make_pipeline(make_union(TfidfVectorizer(), TfidfVectorizer(analyzer="char"))).fit(
            REVIEWS["review"]
        ),
        REVIEWS,
    ),
    "imputed": (
        make_pipeline(SimpleImputer(), LinearRegression()).fit(
            CUSTOMERS[["age", "spend"]], CUSTOMERS["age"]
        ),
        None,
    ),
    "threads": (
        RandomForestClassifier(5, random_state=1, n_jobs=2).fit(NUMBERS, LEAVES),
        NUMBERS,
    ),
}


def write(folder: Path, name: str) -> tuple[Path, Path | None]:
    """Write a model's file, and its example as CSV; return both paths."""
    model, example = {**MODELS, **OTHERS}[name]
    path, table = folder / f"{name}.joblib", folder / f"{name}.csv"
    joblib.dump(model, path)
    if example is None:
        return path, None
    example.to_csv(table, index=False)
    return path, table
