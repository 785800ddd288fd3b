"""The handlers that a benchmark compares, and the program that measures one in its process.

usual    boto3, joblib, a pandas DataFrame for each request, `model.predict`
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
USUAL = """
import os
import boto3, joblib, pandas, sklearn
path = "/tmp/" + os.environ["KEY"]
boto3.client("s3").download_file(os.environ["BUCKET"], os.environ["KEY"], path)
model = joblib.load(path)
def handler(event, context):
    return {"predictions": model.predict(pandas.DataFrame(event["instances"])).tolist()}
"""
EMPTY = "def handler(event, context):\n    return None\n"

# python -c PROGRAM MODULE RECORDS: times a handler in a new process, and prints a line of JSON.
PROGRAM = """
import subprocess, sys, time
INNER = '''
import importlib, json, resource, sys, time
handler = importlib.import_module(sys.argv[1]).handler
cpu = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
found = {"init": time.time() - float(sys.argv[3]), "init CPU": cpu}
records = json.load(open(sys.argv[2]))
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
print(json.dumps([found, answer and answer["predictions"]]))
'''
command = [sys.executable, "-W", "ignore", "-c", INNER, sys.argv[1], sys.argv[2], str(time.time())]
sys.exit(subprocess.run(command).returncode)
"""


def write_files(folder: Path) -> None:
    """Write the handlers and the records that the program reads into a folder."""
    (folder / "usual.py").write_text(USUAL)
    (folder / "empty.py").write_text(EMPTY)
    (folder / "records.json").write_text(json.dumps(records(1000)))


def records(count: int) -> list[dict[str, float]]:
    """Return this number of rows of the table, chosen at random with a fixed seed."""
    rows = list(csv.DictReader((ROOT / "data" / "boston_housing.csv").open()))
    chosen = random.Random(0).choices(rows, k=count)
    return [{name: float(value) for name, value in row.items() if name != "MEDV"} for row in chosen]


def train_others(folder: Path) -> None:
    """Add models to a folder that numpy alone cannot evaluate (lambda_src/fast/estimators.py)."""
    import joblib
    import numpy
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = numpy.loadtxt(ROOT / "data" / "boston_housing.csv", delimiter=",", skiprows=1)
    manifest = json.loads((folder / "manifest.json").read_text())
    features = next(iter(manifest["models"].values()))["features"]
    others = {
        "gradient_boosting": GradientBoostingRegressor(random_state=0),
        "neighbours": make_pipeline(StandardScaler(), KNeighborsRegressor()),
    }
    for name, model in others.items():
        path = folder / f"{name}.joblib"
        joblib.dump(model.fit(table[:, :-1], table[:, -1]), path, compress=3)
        manifest["models"][name] = {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "features": features,
        }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for name in manifest["models"]:
        (folder / f"{name}.json").write_bytes(signature(name, manifest))


def signature(model: str, manifest: dict[str, Any]) -> bytes:
    """Return the signature's file of a model of numbers."""
    features = [{"name": feature["name"]} for feature in manifest["models"][model]["features"]]
    document = {"features": features, "scikit-learn": manifest["libraries"]["scikit-learn"]}
    return json.dumps(document).encode()


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
