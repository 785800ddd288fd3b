"""Train a classifier that says which customers will leave, and save it to churn.joblib.

The table has text and numbers, both with gaps, as tables of customers do.
"""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

SEED = 7
ROWS = 2000


def customers() -> tuple[pd.DataFrame, pd.Series]:
    """Return made-up customers, and whether they stayed or left."""
    draw = np.random.default_rng(SEED)
    table = pd.DataFrame(
        {
            "contract": draw.choice(["monthly", "one year", "two years"], ROWS, p=[0.5, 0.3, 0.2]),
            "payment": draw.choice(["card", "invoice"], ROWS),
            "months": draw.integers(1, 72, ROWS),
            "charge": draw.normal(65, 20, ROWS).round(2),
            "support_calls": draw.poisson(1.5, ROWS),
        }
    )
    risk = (
        1.5 * (table["contract"] == "monthly")
        - 0.05 * table["months"]
        + 0.02 * table["charge"]
        + 0.5 * table["support_calls"]
    )
    target = pd.Series(np.where(risk + draw.logistic(size=ROWS) > 1.5, "leaves", "stays"))
    table.loc[draw.random(ROWS) < 0.1, "payment"] = np.nan
    table.loc[draw.random(ROWS) < 0.1, "charge"] = np.nan
    return table, target


def main() -> None:
    table, target = customers()
    x_train, x_test, y_train, y_test = train_test_split(table, target, random_state=SEED)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer(
        [
            ("text", OneHotEncoder(handle_unknown="ignore"), ["contract", "payment"]),
            ("numbers", numbers, ["months", "charge", "support_calls"]),
        ]
    )
    model = make_pipeline(columns, LogisticRegression()).fit(x_train, y_train)
    area = roc_auc_score(y_test == "stays", model.predict_proba(x_test)[:, 1])
    print(f"area under the ROC curve, held out: {area:.2f}")
    joblib.dump(model, "churn.joblib")


if __name__ == "__main__":
    main()
