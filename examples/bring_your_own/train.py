"""Train a model of the minutes that a taxi takes, and save it to model.joblib.

This script stands for somebody's own: it knows nothing of a deployment, and fits a plain array, so
that the model does not know the names of its features. It may lie anywhere.
"""

from __future__ import annotations

import joblib
import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split

SEED = 3
RIDES = 2000


def main() -> None:
    draw = np.random.default_rng(SEED)
    kilometres = draw.gamma(2, 3, RIDES)
    hour = draw.integers(0, 24, RIDES)
    rain = draw.integers(0, 2, RIDES)
    rush = np.isin(hour, [7, 8, 16, 17, 18])
    minutes = 3 + kilometres * (2 + 1.2 * rush + 0.4 * rain) + draw.normal(0, 1, RIDES)

    x = np.column_stack([kilometres, hour, rain])
    x_train, x_test, y_train, y_test = train_test_split(x, minutes, random_state=SEED)
    model = RandomForestRegressor(n_estimators=50, min_samples_leaf=3, random_state=SEED, n_jobs=-1)
    model.fit(x_train, y_train)
    error = mean_absolute_error(y_test, model.predict(x_test))
    print(f"mean absolute error, held out: {error:.1f} minutes")
    joblib.dump(model, "model.joblib")


if __name__ == "__main__":
    main()
