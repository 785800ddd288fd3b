"""Train the models that the service answers with, and write them to models/.

One function per stage: read the table, split it, fit and score each estimator, save everything at once. Replace
ESTIMATORS (and data/, or pass --data) to serve your own models: every regressor with scikit-learn's `predict` will do.
Imports nothing of deployer: the two meet through models/ alone.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import math
import os
import platform
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import joblib
import numpy as np
import scipy
import sklearn
from sklearn.base import RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import KFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

HERE = Path(__file__).resolve().parent
SEED = 20231
TEST_SHARE = 0.2
FOLDS = 5
LARGEST = 1e18  # squares of it, summed over a table, stay within the float32 of trees
MINIMUM_ROWS = 25  # five folds of the training share then still hold four rows each

# Every entry becomes one Lambda function; its name is what state_machine.json refers to as ${name}.
# n_jobs stays at one: on Lambda a second thread only makes a prediction slower.
ESTIMATORS: dict[str, RegressorMixin] = {
    "linear_regression": LinearRegression(),
    "random_forest": RandomForestRegressor(n_estimators=100, min_samples_leaf=2, random_state=SEED),
    "support_vector": make_pipeline(StandardScaler(), SVR(C=50.0, epsilon=1.0, gamma=0.05)),
}

# Units of the shipped table (data/README.md); columns of another table have none that we know.
UNITS = {
    "CRIM": "crimes per capita",
    "ZN": "% of land",
    "INDUS": "% of acres",
    "CHAS": "0 or 1",
    "NOX": "parts per 10 million",
    "RM": "rooms",
    "AGE": "% of units",
    "DIS": "weighted miles",
    "RAD": "index",
    "TAX": "$ per $10,000",
    "PTRATIO": "pupils per teacher",
    "B": "1000(Bk - 0.63)^2",
    "LSTAT": "% of population",
    "MEDV": "$1000",
}


class Table(NamedTuple):
    """A regression problem: `x` is (n_rows, n_features), `y` is (n_rows,), both float64."""

    x: np.ndarray
    y: np.ndarray
    features: list[str]
    target: str
    sha256: str


def fail(message: str) -> NoReturn:
    """End the program with one line on stderr and exit code 1."""
    sys.exit(f"train.py: {message}")


def read_table(path: Path, target: str) -> Table:
    """Read a CSV file with a header line; every cell must be a finite number."""
    try:
        content = path.read_bytes()
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except OSError as error:
        fail(f"cannot read {path}: {error.strerror}")
    except (UnicodeDecodeError, csv.Error) as error:
        fail(f"{path} is not a CSV file in UTF-8: {error}")
    header, body = (rows[0] if rows else []), rows[1:]
    check_header(path, header, target)
    values = [parse_row(path, number, header, cells) for number, cells in enumerate(body, start=2) if cells]
    if len(values) < MINIMUM_ROWS:
        fail(f"{path} has {len(values)} rows of data; training needs at least {MINIMUM_ROWS}")
    table = np.array(values)
    column = header.index(target)
    features = [name for name in header if name != target]
    return Table(
        np.delete(table, column, axis=1), table[:, column], features, target, hashlib.sha256(content).hexdigest()
    )


def check_output(folder: Path) -> None:
    """Refuse, before training, to replace what is no folder of models."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        fail(f"{folder} is {'a link' if folder.is_symlink() else 'a file'}; --output must name a folder of models")


def check_header(path: Path, header: list[str], target: str) -> None:
    if not header:
        fail(f"{path} is empty; the first line must name the columns")
    for number, name in enumerate(header, start=1):
        if not name.strip():
            fail(f"{path} row 1, column {number}: the column has no name")
        if header.index(name) != number - 1:
            fail(f"{path} row 1, column {number}: the name {name!r} stands twice")
    if target not in header:
        fail(f"{path} has no column {target!r} to predict; it has {', '.join(header)} (see --target)")
    if len(header) < 2:
        fail(f"{path} has no column besides {target!r} to predict from")


def parse_row(path: Path, number: int, header: list[str], cells: list[str]) -> list[float]:
    if len(cells) != len(header):
        fail(f"{path} row {number}: {len(cells)} cells, but the header names {len(header)} columns")
    return [parse_cell(path, number, name, cell) for name, cell in zip(header, cells)]


def parse_cell(path: Path, number: int, name: str, cell: str) -> float:
    try:
        value = float(cell if "_" not in cell else "")  # Python would read 1_0 as 10
    except ValueError:
        fail(f"{path} row {number}, column {name}: {cell!r} is not a number")
    if not math.isfinite(value):
        fail(f"{path} row {number}, column {name}: {cell!r} is not a finite number")
    if abs(value) > LARGEST:
        fail(f"{path} row {number}, column {name}: {cell!r} is too large to train with")
    return value


def score(model: RegressorMixin, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    predicted = model.predict(x)
    return {
        "rmse": float(root_mean_squared_error(y, predicted)),
        "mae": float(mean_absolute_error(y, predicted)),
        "r2": float(r2_score(y, predicted)),
    }


def fit_and_score(table: Table) -> tuple[dict[str, RegressorMixin], dict[str, dict[str, float]]]:
    """Fit every estimator on the training share; return the models and their metrics, "baseline" among these."""
    x_train, x_test, y_train, y_test = train_test_split(table.x, table.y, test_size=TEST_SHARE, random_state=SEED)
    models: dict[str, RegressorMixin] = {}
    metrics: dict[str, dict[str, float]] = {}
    folds = KFold(n_splits=FOLDS, shuffle=True, random_state=SEED)
    for name, estimator in {**ESTIMATORS, "baseline": DummyRegressor()}.items():
        cross = cross_val_score(estimator, x_train, y_train, cv=folds, scoring="neg_root_mean_squared_error")
        model = estimator.fit(x_train, y_train)
        metrics[name] = {**score(model, x_test, y_test), "cv_rmse": float(-cross.mean())}
        models[name] = model
    del models["baseline"]
    return models, metrics


def dump(model: RegressorMixin) -> bytes:
    """Serialise a fitted model with joblib; zlib 3 makes a forest a quarter of its size at no cost to a cold start."""
    stream = io.BytesIO()
    joblib.dump(model, stream, compress=3)
    return stream.getvalue()


def n_jobs(model: RegressorMixin) -> int:
    """Return how many threads a model, or an estimator inside it, was saved to use; deployer refuses more than one."""
    asked = [value for name, value in model.get_params().items() if re.search(r"(^|__)n_jobs$", name) and value]
    return next((value for value in asked if value != 1), 1)


def manifest(
    table: Table,
    source: Path,
    models: dict[str, RegressorMixin],
    files: dict[str, bytes],
    metrics: dict[str, dict[str, float]],
) -> dict[str, Any]:
    """Describe the models: what deployer puts into each function's environment, and what a reader wants to know."""
    known = source.resolve() == HERE / "data" / "boston_housing.csv"
    features = [
        {"name": name, "unit": UNITS.get(name) if known else None, "range": [float(column.min()), float(column.max())]}
        for name, column in zip(table.features, table.x.T)
    ]
    return {
        "seed": SEED,
        "data": {"file": source.name, "sha256": table.sha256, "rows": len(table.y)},
        "target": {"name": table.target, "unit": UNITS.get(table.target) if known else None},
        "libraries": {
            "python": ".".join(platform.python_version_tuple()[:2]),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "scikit-learn": sklearn.__version__,
            "joblib": joblib.__version__,
        },
        "baseline": metrics["baseline"],
        "models": {
            name: {
                "sha256": hashlib.sha256(content).hexdigest(),
                "size_bytes": len(content),
                "features": features,
                "n_jobs": n_jobs(models[name]),
                "metrics": metrics[name],
            }
            for name, content in files.items()
        },
    }


def save(folder: Path, files: dict[str, bytes], description: dict[str, Any]) -> None:
    """Write everything beside the folder, then swap: a reader sees the old models or the new ones, never a mixture."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, content in files.items():
            (aside / f"{name}.joblib").write_bytes(content)
        text = json.dumps(description, indent=2) + "\n"
        (aside / "manifest.json").write_text(text, encoding="utf-8")
        aside.chmod(0o755)
        old = aside.with_name(aside.name + "-old")
        replaced = folder.exists()
        if replaced:
            os.rename(folder, old)
        try:
            os.rename(aside, folder)
        except OSError:
            if replaced:
                os.rename(old, folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def report(table: Table, unit: str | None, metrics: dict[str, dict[str, float]]) -> str:
    """Lay out the metrics as a table, errors in units of the target."""
    unit = f" [{unit}]" if unit else ""
    lines = [f"{len(table.y)} rows, {len(table.features)} features, target {table.target}{unit}", ""]
    width = max(map(len, metrics))
    lines.append(f"{'model':{width}}  {'RMSE':>9} {'MAE':>9} {'R2':>7} {f'{FOLDS}-fold RMSE':>13}")
    for name in ["baseline", *ESTIMATORS]:
        row = metrics[name]
        lines.append(f"{name:{width}}  {row['rmse']:9.3f} {row['mae']:9.3f} {row['r2']:7.3f} {row['cv_rmse']:13.3f}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train the models and write them to models/.")
    parser.add_argument(
        "--data", type=Path, default=HERE / "data" / "boston_housing.csv", help="a CSV file with a header"
    )
    parser.add_argument("--target", default="MEDV", help="the column to predict")
    parser.add_argument("--output", type=Path, default=HERE / "models", help="the folder to write")
    options = parser.parse_args(argv)
    check_output(options.output)
    table = read_table(options.data, options.target)
    models, metrics = fit_and_score(table)
    files = {name: dump(model) for name, model in models.items()}
    try:
        description = manifest(table, options.data, models, files, metrics)
        save(options.output, files, description)
    except OSError as error:
        fail(f"cannot write {options.output}: {error.strerror}")
    print(report(table, description["target"]["unit"], metrics))


if __name__ == "__main__":
    main()
