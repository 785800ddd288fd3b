"""Train an XGBoost regressor of the hire bikes that an hour needs, and save it to bikes.joblib.

Gaps in the measurements stay gaps: boosted trees learn which way to send a missing value.
"""

from __future__ import annotations

import joblib
import numpy as np
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split
from xgboost import XGBRegressor

SEED = 11
HOURS = 3000


def main() -> None:
    draw = np.random.default_rng(SEED)
    hour = draw.integers(0, 24, HOURS)
    workday = draw.random(HOURS) < 0.7
    temperature = draw.normal(14, 8, HOURS)
    wind = draw.gamma(2, 2, HOURS)
    commute = 60 * workday * np.isin(hour, [7, 8, 17, 18])
    leisure = 2.5 * np.clip(temperature, 0, 28) * ((hour > 9) & (hour < 21))
    bikes = np.clip(20 + commute + leisure - 3 * wind + draw.normal(0, 6, HOURS), 0, None)
    temperature[draw.random(HOURS) < 0.05] = np.nan
    wind[draw.random(HOURS) < 0.05] = np.nan

    x = np.column_stack([hour, workday, temperature, wind])
    x_train, x_test, y_train, y_test = train_test_split(x, bikes, random_state=SEED)
    # One thread: on Lambda a second one only makes a prediction slower.
    model = XGBRegressor(n_estimators=80, max_depth=4, learning_rate=0.1, n_jobs=1)
    model.fit(x_train, y_train)
    error = mean_absolute_error(y_test, model.predict(x_test))
    print(f"mean absolute error, held out: {error:.1f} bikes")
    joblib.dump(model, "bikes.joblib")


if __name__ == "__main__":
    main()
