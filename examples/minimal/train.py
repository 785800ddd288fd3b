"""Train a model and save it to trained.joblib. Put your own table and estimator in."""

import joblib
import numpy as np
from sklearn.linear_model import LinearRegression

draw = np.random.default_rng(7)
x = draw.uniform(1, 9, (200, 2))  # a row for each record, a column for each feature
y = 3 * x[:, 0] - x[:, 1] + draw.normal(0, 0.1, 200)  # what is to be predicted
model = LinearRegression().fit(x, y)
print(f"R2 on the training data: {model.score(x, y):.3f}")

# setup.cfg names this file for `add`, and samples/model.json, which names the columns of x.
joblib.dump(model, "trained.joblib")
