"""The handlers that a benchmark compares, and the program that measures one in its process.

usual    boto3, joblib, a pandas DataFrame for each request, `predict_proba` or `predict`
ours     lambda_src/predict.py
empty    does nothing, so only the time of Python, the runtime and HTTP remains
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MODULES = {"usual": "usual", "ours": "predict", "empty": "empty"}
COUNTS = (1, 100, 1000)  # records of a request
TABLE = "table"  # the model of a table, and its columns of strings
STRINGS = ("RAD", "CHAS")
USUAL = """
import os
import boto3, joblib, pandas, sklearn
path = "/tmp/" + os.environ["KEY"]
boto3.client("s3").download_file(os.environ["BUCKET"], os.environ["KEY"], path)
model = joblib.load(path)
predict = getattr(model, "predict_proba", model.predict)
def handler(event, context):
    return {"predictions": predict(pandas.DataFrame(event["instances"])).tolist()}
"""
EMPTY = "def handler(event, context):\n    return None\n"

# python -c PROGRAM MODULE RECORDS: times a handler in a new process, and prints a line of JSON.
PROGRAM = """
import subprocess, sys, time
INNER = '''
import importlib, json, os, resource, sys, time
handler = importlib.import_module(sys.argv[1]).handler
cpu = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
found = {"init": time.time() - float(sys.argv[3]), "init CPU": cpu}
records = json.load(open(sys.argv[2]))
records = records.get(os.environ["MODEL"], records["default"])
def timed(event):
    begun = time.perf_counter()
    answer = handler(event, None)
    return answer, time.perf_counter() - begun
found["first request"] = timed({"instances": records[:1]})[1]
for count in (1, 100, 1000):
    repeats = range(30 + 2000 // (count + 20))
    times = sorted(timed({"instances": records[:count]})[1] for _ in repeats)
    found[f"{count} p50"] = times[len(times) // 2]
    found[f"{count} p99"] = times[int(len(times) * 0.99)]
answer = timed({"instances": records})[0]
found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([found, answer and answer.get("probabilities", answer.get("predictions"))]))
'''
command = [sys.executable, "-W", "ignore", "-c", INNER, sys.argv[1], sys.argv[2], str(time.time())]
sys.exit(subprocess.run(command).returncode)
"""


def write_files(folder: Path) -> None:
    """Write the handlers and the records that the program reads into a folder."""
    (folder / "usual.py").write_text(USUAL)
    (folder / "empty.py").write_text(EMPTY)
    of_numbers = records(1000)
    given = {"default": of_numbers, TABLE: [table_record(record) for record in of_numbers]}
    (folder / "records.json").write_text(json.dumps(given))


def records(count: int) -> list[dict[str, float]]:
    """Return this number of rows of the table, chosen at random with a fixed seed."""
    rows = list(csv.DictReader((ROOT / "data" / "boston_housing.csv").open()))
    chosen = random.Random(0).choices(rows, k=count)
    return [{name: float(value) for name, value in row.items() if name != "MEDV"} for row in chosen]


def table_record(record: dict[str, float]) -> dict[str, Any]:
    """Return a record of a table with strings and nulls, made of one of numbers."""
    strings = {"RAD": f"road {record['RAD']:g}", "CHAS": "river" if record["CHAS"] else None}
    return {**record, **strings, "LSTAT": None if record["LSTAT"] > 25 else record["LSTAT"]}


def train_others(folder: Path) -> None:
    """Add models of other kinds to a folder, and write the signatures of all."""
    import joblib
    import numpy
    import pandas
    from sklearn.base import is_classifier
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import (
        GradientBoostingClassifier,
        GradientBoostingRegressor,
        HistGradientBoostingClassifier,
        RandomForestClassifier,
    )
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table = numpy.loadtxt(ROOT / "data" / "boston_housing.csv", delimiter=",", skiprows=1)
    manifest = json.loads((folder / "manifest.json").read_text())
    features = next(iter(manifest["models"].values()))["features"]
    numbers = [name for name in table_names() if name not in STRINGS]
    filled = make_pipeline(SimpleImputer(), StandardScaler())
    encoder = OneHotEncoder(handle_unknown="ignore")  # a null alone comes as None, not as NaN
    columns = [("numbers", filled, numbers), ("strings", encoder, list(STRINGS))]
    others = {
        "gradient_boosting": GradientBoostingRegressor(random_state=0),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
        "forest_classifier": RandomForestClassifier(random_state=0),
        "boosting_classifier": GradientBoostingClassifier(random_state=0),
        "histograms": HistGradientBoostingClassifier(random_state=0),
        TABLE: make_pipeline(ColumnTransformer(columns), LogisticRegression(max_iter=1000)),
        "neighbours": make_pipeline(StandardScaler(), KNeighborsRegressor()),
    }
    x, prices = table[:, :-1], table[:, -1]
    classes = numpy.where(prices > 25, "dear", numpy.where(prices > 18, "middle", "cheap"))
    of_numbers = [dict(zip(table_names(), row, strict=True)) for row in x.tolist()]
    frame = pandas.DataFrame([table_record(record) for record in of_numbers])
    for name, model in others.items():
        path = folder / f"{name}.joblib"
        targets = classes if is_classifier(model) else prices
        joblib.dump(model.fit(frame if name == TABLE else x, targets), path, compress=3)
        manifest["models"][name] = {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            **({"input": "table", "features": table_features()} if name == TABLE else {}),
            **({} if name == TABLE else {"features": features}),
        }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for name in manifest["models"]:
        (folder / f"{name}.json").write_bytes(signature(name, manifest))


def signature(model: str, manifest: dict[str, Any]) -> bytes:
    """Return the signature's file of a model."""
    described = manifest["models"][model]
    kept = ("name", "type", "dtype", "nullable")
    features = [
        {member: feature[member] for member in kept if member in feature}
        for feature in described["features"]
    ]
    version = manifest["libraries"]["scikit-learn"]
    document = {
        "input": described.get("input", "array"),
        "features": features,
        "scikit-learn": version,
    }
    return json.dumps(document).encode()


def table_names() -> list[str]:
    return list(records(1)[0])


def table_features() -> list[dict[str, Any]]:
    """Return the features of the model of a table."""
    strings = {"type": "string", "dtype": "str", "nullable": True}  # as pandas 3 makes of records
    nullable = {"LSTAT": {"nullable": True}}
    return [
        {"name": name, **(strings if name in STRINGS else nullable.get(name, {}))}
        for name in table_names()
    ]


def environment(model: str, manifest: dict[str, Any], url: str) -> dict[str, str]:
    """Return a function's environment; `url` is the S3's."""
    described = manifest["models"][model]
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MODEL": model,
        "BUCKET": "models",
        "KEY": f"{model}.joblib",
        "SHA256": described["sha256"],
        "SIGNATURE_KEY": f"{model}.json",
        "SIGNATURE_SHA256": hashlib.sha256(signature(model, manifest)).hexdigest(),
    }
