"""Train the example's models, and write them to models/.

One function for each stage: read the table, split it, fit and score the estimators, save all files
at once. Replace ESTIMATORS (and data/, or pass --data) to serve your own models: any regressor with
scikit-learn's `predict` works. Imports nothing of deployer, which reads only models/.
"""

from __future__ import annotations

import argparse
import csv
import fcntl
import hashlib
import io
import json
import math
import os
import platform
import re
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

# Your own modules that a model is pickled with belong there, and so into the image.
sys.path.append(str(Path(__file__).resolve().parent / "lambda_src"))

if __name__ == "__main__":  # before the imports below, which take seconds; 130 is the shells' code
    signal.signal(
        signal.SIGINT,
        lambda number, frame: os._exit(130 if os.write(2, b"train.py: interrupted\n") else 1),
    )

import joblib
import numpy as np
import scipy
import sklearn
from numpy.typing import NDArray
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
DATA = HERE / "data" / "boston_housing.csv"
TARGET = "MEDV"
MANIFEST = "manifest.json"
STAGING = ".training"  # the subfolder that holds the output until all of it is written
SEED = 20231
TEST_SHARE = 0.2
FOLDS = 5
LARGEST = 1e18  # squares of it, summed over a table, stay within the float32 of trees
RESERVED = ("instances", "execution", "input")  # of requests, not for features
MINIMUM_ROWS = 25  # five folds of the training share then still hold four rows each

# Every entry becomes a Lambda function; state_machine.json refers to it as ${name}.
# n_jobs stays at one: on Lambda a second thread only makes a prediction slower.
ESTIMATORS: dict[str, RegressorMixin] = {
    "linear_regression": LinearRegression(),
    "random_forest": RandomForestRegressor(n_estimators=100, min_samples_leaf=2, random_state=SEED),
    "support_vector": make_pipeline(StandardScaler(), SVR(C=50.0, epsilon=1.0, gamma=0.05)),
}

# Units of the shipped table (data/README.md). The columns of other tables have no known units.
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

    x: NDArray[np.float64]
    y: NDArray[np.float64]
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
    values = [
        parse_row(path, number, header, cells)
        for number, cells in enumerate(body, start=2)
        if cells
    ]
    if len(values) < MINIMUM_ROWS:
        fail(f"{path} has {len(values)} rows of data; training needs at least {MINIMUM_ROWS}")
    table = np.array(values)
    column = header.index(target)
    features = [name for name in header if name != target]
    return Table(
        np.delete(table, column, axis=1),
        table[:, column],
        features,
        target,
        hashlib.sha256(content).hexdigest(),
    )


def check_output(folder: Path, names: Iterable[str]) -> None:
    """Refuse, before training, to overwrite files that this program did not write."""
    if (folder.is_symlink() or folder.exists()) and not folder.is_dir():
        fail(
            f"{folder} is {'a link' if folder.is_symlink() else 'a file'}; --output must name a "
            f"folder of models"
        )
    aside = folder / STAGING
    if not staged(aside):
        fail(
            f"{aside} is in the way, and was not made by this program: move it away, or choose "
            f"another --output"
        )
    own = written_here(folder)
    for name in (*(f"{name}.joblib" for name in names), MANIFEST):
        path = folder / name
        if path.is_symlink() or path.exists() and own.get(name) != digest(path):
            fail(
                f"{path} was not written by this program, or was changed since: move it away, or "
                f"choose another --output"
            )


def staged(aside: Path) -> bool:
    """Tell whether a staging folder is absent, or holds only files of a killed run."""
    if aside.is_symlink() or not aside.is_dir():
        return not (aside.is_symlink() or aside.exists())
    names = {path.name for path in aside.iterdir()} - {f"{MANIFEST}.part"}
    return names <= ({MANIFEST, *described(aside / MANIFEST)} if MANIFEST in names else set())


def described(path: Path) -> dict[str, str]:
    """Return {file name: sha256} of the files that a manifest of this program lists as written.

    The manifest itself is included unless it was changed since. {} if the file is no such manifest.
    """
    try:
        known = json.loads(path.read_bytes()) if path.is_file() else {}
        entries = {name: entry for name, entry in known["models"].items() if not added(entry)}
        models = {f"{name}.joblib": str(entry["sha256"]) for name, entry in entries.items()}
        if "trained" in known:
            wrote = {str(name): str(sha256) for name, sha256 in known["trained"]["wrote"].items()}
            untouched = known["trained"]["manifest"] == seal(known) and all(
                known["trained"].get("entries", {}).get(name, sealed) == sealed
                for name, sealed in seals(entries).items()
            )
        elif known["models"] and not models:  # `python -m deployer add` wrote it; save() keeps all
            wrote, untouched = {}, known.keys() <= {"format", "libraries", "models"}
        else:  # written by a former version of this program, which kept no such record
            wrote = models
            untouched = "baseline" in known and models.keys() <= {
                f"{name}.joblib" for name in ESTIMATORS
            }
            if not untouched:
                return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {**wrote, MANIFEST: digest(path)} if untouched else wrote


def added(entry: dict[str, Any]) -> bool:
    """Tell whether `python -m deployer add` wrote a model's entry."""
    source = entry.get("source")
    return isinstance(source, dict) and source.get("added") is True


def seal(description: dict[str, Any]) -> str:
    """Return the sha256 of a manifest, leaving out this very value; it shows whether it changed.

    Entries that have seals of their own are left out, so that `python -m deployer remove` can take
    them out, and added ones.
    """
    trained = {name: value for name, value in description["trained"].items() if name != "manifest"}
    own = trained.get("entries", {})
    models = {
        name: entry
        for name, entry in description["models"].items()
        if name not in own and not added(entry)
    }
    return sha256_of({**description, "models": models, "trained": trained})


def seals(models: dict[str, Any]) -> dict[str, str]:
    """Return the sha256 of each model's entry."""
    return {name: sha256_of(entry) for name, entry in models.items()}


def sha256_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def kept(folder: Path) -> dict[str, Any]:
    """Return the manifest's entries that `python -m deployer add` wrote, with their libraries."""
    try:
        known = json.loads((folder / MANIFEST).read_bytes())
        return {
            name: {**entry, "libraries": {**known.get("libraries", {}), **entry["libraries"]}}
            for name, entry in known["models"].items()
            if added(entry)
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def written_here(folder: Path) -> dict[str, str]:
    """Return {file name: sha256} of the files that this program wrote into a folder.

    Includes the files that a killed run had already moved there: the manifest in its staging
    folder lists them.
    """
    killed = described(folder / STAGING / MANIFEST)
    return described(folder / MANIFEST) | {
        name: sha for name, sha in killed.items() if digest(folder / name) == sha
    }


def digest(path: Path) -> str:
    """Return the sha256 of a file, or "" if there is no ordinary file at this path."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def check_header(path: Path, header: list[str], target: str) -> None:
    if not header:
        fail(f"{path} is empty; the first line must name the columns")
    for number, name in enumerate(header, start=1):
        if not name.strip():
            fail(f"{path} row 1, column {number}: the column has no name")
        if header.index(name) != number - 1:
            fail(f"{path} row 1, column {number}: the name {name!r} stands twice")
    if target not in header:
        fail(
            f"{path} has no column {target!r} to predict; it has {', '.join(header)} (see --target)"
        )
    for name in header:
        if name in RESERVED and name != target:
            fail(f"{path} has a column {name!r}, a name that has a meaning in requests: rename it")
    if len(header) < 2:
        fail(f"{path} has no column besides {target!r} to predict from")


def parse_row(path: Path, number: int, header: list[str], cells: list[str]) -> list[float]:
    if len(cells) != len(header):
        fail(f"{path} row {number}: {len(cells)} cells, but the header names {len(header)} columns")
    return [parse_cell(path, number, name, cell) for name, cell in zip(header, cells, strict=True)]


def parse_cell(path: Path, number: int, name: str, cell: str) -> float:
    try:
        value = float(cell if "_" not in cell else "")  # Python reads 1_0 as 10
    except ValueError:
        fail(f"{path} row {number}, column {name}: {cell!r} is not a number")
    if not math.isfinite(value):
        fail(f"{path} row {number}, column {name}: {cell!r} is not a finite number")
    if abs(value) > LARGEST:
        fail(f"{path} row {number}, column {name}: {cell!r} is too large to train with")
    return value


def score(
    model: RegressorMixin, x: NDArray[np.float64], y: NDArray[np.float64]
) -> dict[str, float]:
    predicted = model.predict(x)
    return {
        "rmse": float(root_mean_squared_error(y, predicted)),
        "mae": float(mean_absolute_error(y, predicted)),
        "r2": float(r2_score(y, predicted)),
    }


def fit_and_score(table: Table) -> tuple[dict[str, RegressorMixin], dict[str, dict[str, float]]]:
    """Fit every estimator on the training share; return the models and their metrics.

    The metrics include "baseline", which predicts the mean.
    """
    x_train, x_test, y_train, y_test = train_test_split(
        table.x, table.y, test_size=TEST_SHARE, random_state=SEED
    )
    models: dict[str, RegressorMixin] = {}
    metrics: dict[str, dict[str, float]] = {}
    folds = KFold(n_splits=FOLDS, shuffle=True, random_state=SEED)
    for name, estimator in {**ESTIMATORS, "baseline": DummyRegressor()}.items():
        cross = cross_val_score(
            estimator, x_train, y_train, cv=folds, scoring="neg_root_mean_squared_error"
        )
        model = estimator.fit(x_train, y_train)
        metrics[name] = {**score(model, x_test, y_test), "cv_rmse": float(-cross.mean())}
        models[name] = model
    del models["baseline"]
    return models, metrics


def dump(model: RegressorMixin) -> bytes:
    """Serialise a fitted model with joblib.

    zlib level 3 reduces a forest to a quarter of its size, at no cost to a cold start.
    """
    stream = io.BytesIO()
    joblib.dump(model, stream, compress=3)
    return stream.getvalue()


def n_jobs(model: RegressorMixin) -> int:
    """Return the number of threads that a model, or an estimator inside it, was saved with.

    deployer refuses more than one.
    """
    settings = [
        value
        for name, value in model.get_params().items()
        if re.search(r"(^|__)n_jobs$", name) and value
    ]
    return next((value for value in settings if value != 1), 1)


def manifest(
    table: Table,
    source: Path,
    models: dict[str, RegressorMixin],
    files: dict[str, bytes],
    metrics: dict[str, dict[str, float]],
) -> dict[str, Any]:
    """Describe the models: for deployer, which configures the functions by it, and for readers."""
    known = source.resolve() == DATA
    features = [
        {
            "name": name,
            "type": "number",
            "nullable": False,
            "unit": UNITS.get(name) if known else None,
            "range": [float(column.min()), float(column.max())],
        }
        for name, column in zip(table.features, table.x.T, strict=True)
    ]
    description: dict[str, Any] = {
        "format": 2,
        "seed": SEED,
        "trained": {
            "command": command(table, source),
            "files": {
                place(Path(__file__).resolve()): digest(Path(__file__)),
                place(source.resolve()): table.sha256,
            },
            "wrote": {
                f"{name}.joblib": hashlib.sha256(content).hexdigest()
                for name, content in files.items()
            },
        },
        "data": {"file": source.name, "sha256": table.sha256, "rows": len(table.y)},
        "target": {"name": table.target, "unit": UNITS.get(table.target) if known else None},
        "libraries": libraries(),
        "baseline": metrics["baseline"],
        "models": {
            name: {
                "sha256": hashlib.sha256(content).hexdigest(),
                "size_bytes": len(content),
                "input": "array",
                "features": features,
                "outputs": ["predict"],
                "targets": [table.target],
                "n_jobs": n_jobs(models[name]),
                "example": example(models[name], table),
                "metrics": metrics[name],
            }
            for name, content in files.items()
        },
    }
    description["trained"]["entries"] = seals(description["models"])
    description["trained"]["manifest"] = seal(description)
    return description


def example(model: RegressorMixin, table: Table) -> dict[str, Any]:
    """Return the first record of the table and the model's answer, which a deploy compares with."""
    record = table.x[:1]
    return {
        "instances": [dict(zip(table.features, record[0].tolist(), strict=True))],
        "answer": {"predictions": model.predict(record).tolist()},
    }


def libraries() -> dict[str, str]:
    """Return the versions that train here; deployer compares them with the image's."""
    return {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "joblib": joblib.__version__,
    }


def command(table: Table, source: Path) -> str:
    """Return the command that trains these models again."""
    given = ["--data", place(source.resolve())] if source.resolve() != DATA else []
    given += ["--target", table.target] if table.target != TARGET else []
    return shlex.join(["python", Path(__file__).name, *given])


def place(path: Path) -> str:
    """Return a path relative to the project's folder if it is inside, else unchanged."""
    return path.relative_to(HERE).as_posix() if path.is_relative_to(HERE) else str(path)


def save(folder: Path, files: dict[str, bytes], description: dict[str, Any]) -> None:
    """Write the models and their manifest into a folder, and remove those of a former training.

    Files that this program did not write are left alone, and the manifest keeps the entries of
    added models. All files are written into a staging folder first and then moved, the manifest
    last. A reader in between finds files that the manifest does not describe. If this run is
    killed, the manifest in the staging folder tells the next run which files are this program's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        check_output(folder, files)
        stale = {name: sha256 for name, sha256 in written_here(folder).items() if name != MANIFEST}
        description = {**description, "models": {**kept(folder), **description["models"]}}
        aside = folder / STAGING
        aside.mkdir(exist_ok=True)
        contents = {f"{name}.joblib": content for name, content in files.items()}
        # The old manifest stays until its files are replaced. The new one must be in the staging
        # folder before the first of them is.
        (aside / f"{MANIFEST}.part").write_text(
            json.dumps(description, indent=2) + "\n", encoding="utf-8"
        )
        (aside / f"{MANIFEST}.part").replace(aside / MANIFEST)
        for name, content in contents.items():
            (aside / name).write_bytes(content)
        for name in (*contents, MANIFEST):
            (aside / name).replace(folder / name)
        for name, sha256 in stale.items():
            if name not in contents and digest(folder / name) == sha256:
                (folder / name).unlink()
        for path in aside.iterdir():  # left by a killed run that wrote other models
            path.unlink()
        aside.rmdir()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder against another training. The system unlocks it when this process ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def report(table: Table, unit: str | None, metrics: dict[str, dict[str, float]]) -> str:
    """Format the metrics as a table, with errors in units of the target."""
    unit = f" [{unit}]" if unit else ""
    lines = [
        f"{len(table.y)} rows, {len(table.features)} features, target {table.target}{unit}",
        "",
    ]
    width = max(map(len, metrics))
    lines.append(f"{'model':{width}}  {'RMSE':>9} {'MAE':>9} {'R2':>7} {f'{FOLDS}-fold RMSE':>13}")
    for name in ["baseline", *ESTIMATORS]:
        row = metrics[name]
        lines.append(
            f"{name:{width}}  {row['rmse']:9.3f} {row['mae']:9.3f} {row['r2']:7.3f} "
            f"{row['cv_rmse']:13.3f}"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train the models and write them to models/.")
    parser.add_argument("--data", type=Path, default=DATA, help="a CSV file with a header")
    parser.add_argument("--target", default=TARGET, help="the column to predict")
    parser.add_argument("--output", type=Path, default=HERE / "models", help="the folder to write")
    options = parser.parse_args(argv)
    try:
        check_output(options.output, ESTIMATORS)
        table = read_table(options.data, options.target)
        models, metrics = fit_and_score(table)
        files = {name: dump(model) for name, model in models.items()}
        description = manifest(table, options.data, models, files, metrics)
        save(options.output, files, description)
        print(report(table, description["target"]["unit"], metrics), flush=True)
    except OSError as error:
        fail(f"cannot write {error.filename or options.output}: {error.strerror}")


if __name__ == "__main__":
    main()
