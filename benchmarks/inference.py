"""Time the handler against one as it is usually written, side by side in fresh processes. Needs no engine and no AWS.

    python benchmarks/inference.py [--rounds 7]

The usual handler: boto3, joblib, `model.predict`, and a pandas DataFrame for each request if pandas is installed. Both fetch
the model from an S3 on loopback. Init is process start to handler ready, and beside it that of a handler that does nothing.
A call is the handler's own time for 1, 100 and 1,000 records. What this does not show: Lambda's own provisioning, its share
of CPU, the network to S3 and TLS.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import http.server
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
USUAL = """
import io, os
import boto3, joblib
try:
    import pandas
except ImportError:
    pandas = None
body = boto3.client("s3").get_object(Bucket=os.environ["BUCKET"], Key=os.environ["KEY"])["Body"].read()
model = joblib.load(io.BytesIO(body))
def handler(event, context):
    records = event.get("instances", [event])
    rows = pandas.DataFrame(records) if pandas else [list(record.values()) for record in records]
    return {"predictions": model.predict(rows).tolist()}
"""
EMPTY = "def handler(event, context):\n    return None\n"
PROGRAM = """
import importlib, json, resource, sys, time
handler = importlib.import_module(sys.argv[1]).handler
ready = time.time() - float(sys.argv[2])
records = json.load(open(sys.argv[3]))
found = {"init": ready, "init CPU": sum(resource.getrusage(resource.RUSAGE_SELF)[:2])}
for count in (1, 100, 1000):
    event = {"instances": records[:count]}
    times = []
    for _ in range(3 + 2000 // (count + 20)):
        began = time.perf_counter()
        answer = handler(event, None)
        times.append(time.perf_counter() - began)
    found[f"{count} records"] = sorted(times)[len(times) // 2]
found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([found, (answer or {"predictions": []})["predictions"][:1]]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    manifest = json.loads((ROOT / "models" / "manifest.json").read_text())
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, serving(ROOT / "models") as url:
        for name, text in (("usual", USUAL), ("empty", EMPTY)):
            Path(folder, f"{name}.py").write_text(text)
        Path(folder, "records.json").write_text(json.dumps(records(1000)))
        for model in manifest["models"]:
            found = measure(folder, model, manifest, url, options.rounds)
            print(f"{model}: the usual handler's median as a multiple of ours (spread of the rounds)")
            for what in found["predict"]:
                ratios = sorted(usual / own for usual, own in zip(found["usual"][what], found["predict"][what]))
                empty = statistics.median(found["empty"][what]) / statistics.median(found["predict"][what])
                print(
                    f"  {what:12} {statistics.median(ratios):6.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f});"
                    f" an empty handler's is {empty:.2f} of ours"
                )


def records(count: int) -> list[dict[str, float]]:
    """Return so many rows of the table, in a random order that is always the same."""
    rows = list(csv.DictReader((ROOT / "data" / "boston_housing.csv").open()))
    chosen = random.Random(0).choices(rows, k=count)
    return [{name: float(value) for name, value in row.items() if name != "MEDV"} for row in chosen]


def measure(folder: str, model: str, manifest: dict, url: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the figures of every round by handler and by what was measured; stop if predictions differ."""
    described = manifest["models"][model]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT / 'lambda_src'}",
        "AWS_LAMBDA_RUNTIME_API": "benchmark",
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
        "FEATURES": json.dumps([each["name"] for each in described["features"]]),
        "SCIKIT_LEARN_VERSION": manifest["libraries"]["scikit-learn"],
    }
    found: dict[str, dict[str, list[float]]] = {"usual": {}, "predict": {}, "empty": {}}
    for _ in range(rounds):
        answers = {}
        for handler in found:
            command = [
                sys.executable,
                "-W",
                "ignore",
                "-c",
                PROGRAM,
                handler,
                str(time.time()),
                f"{folder}/records.json",
            ]
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            figures, answers[handler] = json.loads(done.stdout.splitlines()[-1])
            for what, value in figures.items():
                found[handler].setdefault(what, []).append(value)
        if abs(answers["usual"][0] - answers["predict"][0]) > 1e-9:
            sys.exit(f"{model}: predictions differ: {answers}")
    return found


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder's files as the objects of any bucket."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = (folder / self.path.rpartition("/")[2].partition("?")[0]).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


if __name__ == "__main__":
    main()
