"""Measure functions of XGBoost, LightGBM and CatBoost beside that of the linear regression.

    python benchmarks/libraries.py [--rounds 7] [--cpus 1,0.58] [--base IMAGE]

Needs a Docker engine. Trains a regressor of each library, with 100 trees, on the example's table,
and builds an image for each, whose requirements.txt has that library alone in addition. Every round
starts a new container of each image under Lambda's own emulator, with that share of CPUs, and calls
it over HTTP: the first request includes the cold start. Prints the bytes above the base, and times
as ratios to the linear regression's: medians of the rounds, smallest to largest in brackets.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import handlers
from containers import DOCKERFILES, Images
from inference import find_engine, repeated, spread, timed
from project import copy_project

PLAIN = "linear_regression"
# Up to Python 3.11, versions with wheels for AWS's base image.
OLD = sys.version_info < (3, 12)
REQUIREMENTS = {
    "xgboost": ["xgboost-cpu==3.0.5" if OLD else "xgboost-cpu==3.2.0"],
    "lightgbm": ["lightgbm==3.3.5" if OLD else "lightgbm==4.7.0"],
    "catboost": ["catboost==1.2.10", "pandas==3.1.1"],
}
TRAIN = """
import sys
import catboost, joblib, lightgbm, numpy, xgboost

table = numpy.loadtxt("data/boston_housing.csv", delimiter=",", skiprows=1)
models = {
    "xgboost": xgboost.XGBRegressor(n_estimators=100, max_depth=6, n_jobs=1),
    "lightgbm": lightgbm.LGBMRegressor(n_estimators=100, n_jobs=1, verbose=-1),
    "catboost": catboost.CatBoostRegressor(
        iterations=100, depth=6, thread_count=1, verbose=0, allow_writing_files=False
    ),
}
for name, model in models.items():
    joblib.dump(model.fit(table[:, :-1], table[:, -1]), f"models/{name}.joblib", compress=3)
"""


class LibraryImages(Images):
    """An image with each library, and one without."""

    images = ("empty", PLAIN, *REQUIREMENTS)

    def _build(self) -> None:
        self.build_by_engine({"empty": DOCKERFILES["empty"]})
        self.sizes[PLAIN] = self.build_direct(PLAIN, self.folder / "project")
        for name, lines in REQUIREMENTS.items():
            project = self.folder / name
            shutil.copytree(self.folder / "project", project)
            with (project / "lambda_src" / "requirements.txt").open("a") as file:
                file.write("\n".join([*lines, ""]))
            self.sizes[name] = self.build_direct(name, project)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cpus", default="1,0.58")
    parser.add_argument("--base", default="public.ecr.aws/lambda/python:3.11")
    options = parser.parse_args()
    engine = find_engine()
    if engine is None:
        sys.exit("no Docker engine answers")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name).resolve()
        handlers.write_files(folder)
        (folder / "project").mkdir()
        copy_project(folder / "project")
        train(folder)
        with LibraryImages.opened(engine, folder, options.base) as images:
            print(f"on {options.base}, {options.rounds} rounds; above the base, compressed:")
            for image, size in images.sizes.items():
                print(f"  {image:18} {size / 1e6:6.1f} MB")
            for share in options.cpus.split(","):
                compare(images, folder, float(share), options.rounds)


def train(folder: Path) -> None:
    """Add a model of each library to the project's folder of models."""
    site, project = folder / "site", folder / "project"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    lines = [line for lines in REQUIREMENTS.values() for line in lines]
    needed = [] if OLD else ["narwhals"]
    options = ["--no-deps", "--target", str(site)]
    subprocess.run([*pip, *options, *lines, *needed], check=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-W", "ignore", "-c", TRAIN]
    subprocess.run(command, cwd=project, env=environment, check=True)


def described(folder: Path) -> dict[str, Any]:
    """Return a manifest of all models; write their signatures beside them."""
    models = folder / "project" / "models"
    manifest: dict[str, Any] = json.loads((models / "manifest.json").read_text())
    features = manifest["models"][PLAIN]["features"]
    for name in REQUIREMENTS:
        digest = hashlib.sha256((models / f"{name}.joblib").read_bytes()).hexdigest()
        manifest["models"][name] = {"sha256": digest, "features": features}
    for name in manifest["models"]:
        (models / f"{name}.json").write_bytes(handlers.signature(name, manifest))
    return manifest


def compare(images: Images, folder: Path, cpus: float, rounds: int) -> None:
    manifest, records = described(folder), handlers.records(1000)
    rows: dict[str, dict[str, list[float]]] = {name: {} for name in (PLAIN, *REQUIREMENTS)}
    for _ in range(rounds):
        for name, times in rows.items():
            variables = handlers.environment(name, manifest, images.url)
            with images.serving(name, variables, cpus) as call:
                seconds = {"first request of a new container": [timed(call, first(records, 1))]}
                for count, calls in ((1, 40), (100, 40), (1000, 20)):
                    again = partial(timed, call, first(records, count))
                    seconds[f"{count} records, p50"] = repeated(again, calls, cpus)
                for row, values in seconds.items():
                    times.setdefault(row, []).append(statistics.median(values))
    print(f"{cpus:g} CPUs: how many times longer than {PLAIN}")
    for row, plain in rows[PLAIN].items():
        for name in REQUIREMENTS:
            ratios = [own / other for own, other in zip(rows[name][row], plain, strict=True)]
            print(f"  {row:34} {name:10} {spread(ratios)}")
    print(flush=True)


def first(records: list[dict[str, float]], count: int) -> dict[str, Any]:
    return {"instances": records[:count]}


if __name__ == "__main__":
    main()
