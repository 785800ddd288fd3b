"""Train two unlike models of a phone company's customers: price.joblib and churn.joblib.

`price` is a regressor of numbers: what a customer spends in a month. `churn` is a classifier of a
table with text and gaps: whether a customer leaves. They share one feature, `months`.
"""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

SEED = 5
ROWS = 1500


def customers() -> pd.DataFrame:
    """Return made-up customers: features, `spends` and `leaves`."""
    draw = np.random.default_rng(SEED)
    table = pd.DataFrame(
        {
            "months": draw.integers(1, 60, ROWS),
            "gigabytes": draw.gamma(2, 4, ROWS).round(1),
            "calls": draw.poisson(20, ROWS),
            "region": draw.choice(["north", "south", "abroad"], ROWS),
            "complaints": draw.poisson(0.7, ROWS).astype(float),
        }
    )
    spends = 8 + 1.5 * table["gigabytes"] + 0.2 * table["calls"] - 0.05 * table["months"]
    risk = 1.5 * table["complaints"] + (table["region"] == "abroad") - 0.06 * table["months"]
    table["spends"] = spends + draw.normal(0, 2, ROWS)
    table["leaves"] = np.where(risk + draw.logistic(size=ROWS) > 0.5, "leaves", "stays")
    table.loc[draw.random(ROWS) < 0.1, "complaints"] = np.nan
    return table


def main() -> None:
    table = customers()
    price = LinearRegression().fit(table[["months", "gigabytes", "calls"]], table["spends"])
    joblib.dump(price, "price.joblib")

    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["region"]),
        (SimpleImputer(), ["months", "complaints"]),
    )
    forest = RandomForestClassifier(n_estimators=50, min_samples_leaf=5, random_state=SEED)
    churn = make_pipeline(columns, forest)
    churn.fit(table[["months", "region", "complaints"]], table["leaves"])
    joblib.dump(churn, "churn.joblib")


if __name__ == "__main__":
    main()
