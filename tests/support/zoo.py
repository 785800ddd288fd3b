"""Fit models of many kinds, and save them as train.py saves models.

    python zoo.py DATA FOLDER

A program, so that it can run with any supported scikit-learn; it uses only what all of them have.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import sklearn
from sklearn.base import is_classifier
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostRegressor,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingRegressor,
)
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import (
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    RidgeCV,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeRegressor

FOREST = RandomForestRegressor(n_estimators=5, random_state=1)
# Evaluated with numpy alone (fast/registry.py).
KNOWN = {
    "linear": LinearRegression(),
    "lasso": Lasso(),
    "forest": FOREST,
    "extra_trees": ExtraTreesRegressor(n_estimators=5, random_state=1),
    "tree": DecisionTreeRegressor(max_depth=6, random_state=1),
    "vectors": make_pipeline(StandardScaler(), SVR(C=50.0, gamma=0.05)),
    "boosting": GradientBoostingRegressor(n_estimators=5, random_state=1),
    "categories": make_pipeline(
        ColumnTransformer(
            [("scaled", StandardScaler(), [0, 5]), ("category", OneHotEncoder(), [3])]
        ),
        Ridge(),
    ),
    "histograms": HistGradientBoostingRegressor(max_iter=5),
    "histograms_of_codes": HistGradientBoostingRegressor(categorical_features=[3, 8], max_iter=5),
    "huber": make_pipeline(StandardScaler(), HuberRegressor()),
    "no_zero": make_pipeline(
        ColumnTransformer([("category", OneHotEncoder(), [8])]), Ridge()
    ),  # RAD begins at 1
    "scaled": make_pipeline(
        SimpleImputer(strategy="constant", fill_value=0), MinMaxScaler(clip=True), RidgeCV()
    ),
    # Their answers have more members than predictions.
    "bayes_labels": GaussianNB(),
    "boosted_labels": HistGradientBoostingClassifier(max_iter=5),
    "decided_labels": make_pipeline(StandardScaler(), SVC()),
    "gradient_labels": GradientBoostingClassifier(n_estimators=5, random_state=1),
    "labels": make_pipeline(StandardScaler(), LogisticRegression()),
    "ridge_labels": make_pipeline(RobustScaler(), RidgeClassifier()),
    "stochastic_labels": make_pipeline(
        StandardScaler(), SGDClassifier(loss="log_loss", random_state=1)
    ),
    "voted_labels": RandomForestClassifier(n_estimators=5, random_state=1),
}
# Evaluated by scikit-learn. No two of them import the same modules.
OTHERS = {
    "ada_boost": AdaBoostRegressor(n_estimators=5, random_state=1),
    "components": make_pipeline(PCA(3), Ridge()),
    "gaussian_process": GaussianProcessRegressor(),
    "grid": GridSearchCV(Ridge(), {"alpha": [1.0, 2.0]}),
    "imputed": make_pipeline(KNNImputer(), Ridge()),
    "kernel_ridge": KernelRidge(),
    "logarithm": TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=np.exp),
    "neighbours": KNeighborsRegressor(),
    "network": MLPRegressor(hidden_layer_sizes=(4,), max_iter=20, random_state=1),
    "normal": make_pipeline(PowerTransformer(), SVR()),
    "poisson": PoissonRegressor(max_iter=5),
    "polynomials": make_pipeline(PolynomialFeatures(2), Ridge()),
    "quantiles": make_pipeline(QuantileTransformer(n_quantiles=50), SVR()),
    "selected": make_pipeline(SelectKBest(f_regression, k=3), RidgeCV()),
    "stacked": StackingRegressor([("linear", Ridge()), ("forest", FOREST)]),
    # Their answers have more members than predictions.
    "clusters": make_pipeline(StandardScaler(), KMeans(3, n_init=1, random_state=1)),
    "outliers": IsolationForest(n_estimators=5, random_state=1),
    "reduced": make_pipeline(StandardScaler(), PCA(3)),
}


def main(data: Path, folder: Path, chosen: list[str]) -> None:
    """Train the chosen models, or all of them, and write them and their manifest."""
    table = np.loadtxt(data, delimiter=",", skiprows=1)
    names = data.read_text(encoding="utf-8").splitlines()[0].split(",")[:-1]
    x, y = table[:, :-1], table[:, -1]
    labels = np.where(y > 21, "dear", "cheap")
    features = [
        {"name": name, "range": [float(column.min()), float(column.max())]}
        for name, column in zip(names, x.T, strict=True)
    ]
    folder.mkdir(parents=True)
    models = {}
    zoo = {**KNOWN, **OTHERS}
    for name in chosen or zoo:
        model = zoo[name]
        path = folder / f"{name}.joblib"
        joblib.dump(model.fit(x, labels if is_classifier(model) else y), path, compress=3)
        models[name] = {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "features": features,
        }
    libraries = {"scikit-learn": sklearn.__version__, "python": platform.python_version()}
    (folder / "manifest.json").write_text(
        json.dumps({"libraries": libraries, "models": models}), encoding="utf-8"
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
