"""The program that loads a model and writes a report of it.

    python -c "..." JOB REPORT     both are JSON files

The report is {"refused", "advice"}, {"unknown", "remarks"}, or all that `add` writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from deployer.project.inspection.conclusions import Asked, Conclusion, conclude
from deployer.project.inspection.names import Job
from deployer.project.inspection.records import same
from deployer.project.inspection.refusal import Refused
from deployer.project.inspection.unpickling import Loaded, load, sort_modules


def main(argv: list[str]) -> None:
    job = json.loads(Path(argv[0]).read_text(encoding="utf-8"))
    sys.path[:0] = job["path"]
    # The model's code may print what it likes: to stderr, which nobody reads as a result.
    os.dup2(2, 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = inspect(job)
    except Refused as refused:
        report = {"refused": str(refused), "advice": refused.advice}
    Path(argv[1]).write_text(json.dumps(report, allow_nan=False), encoding="utf-8")


def inspect(job: dict[str, Any]) -> dict[str, Any]:
    """Load the model and return the report of it; write the file that is to be served.

    Raises:
        Refused: it cannot be served.
    """
    path = Path(job["file"])
    loaded = load(path)
    packages, own = sort_modules(loaded.modules, Path(job["own"]).resolve())
    known = Job(**job["known"])
    concluded = conclude(loaded.model, known)
    report = {"remarks": concluded.remarks, "unknown": concluded.unknown}
    if concluded.unknown:
        return report
    entry = concluded.entry
    if entry["input"] == "table":
        packages["pandas"] = metadata.version("pandas")
    if packages:
        entry["packages"] = dict(sorted(packages.items()))
    entry["libraries"] = libraries()
    save(loaded, path, Path(job["output"]), concluded)
    content = Path(job["output"]).read_bytes()
    entry |= {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    return {**report, "entry": entry, "estimator": described(loaded.model), "modules": own}


def libraries() -> dict[str, str]:
    versions = {
        name: metadata.version(name) for name in ("scikit-learn", "numpy", "scipy", "joblib")
    }
    return {"python": ".".join(map(str, sys.version_info[:2])), **versions}


def described(model: Any) -> str:
    """Name a model, and the steps of a pipeline."""
    name = type(model).__name__
    steps = [step for _, step in getattr(model, "steps", ()) if not isinstance(step, str)]
    inner = getattr(model, "best_estimator_", None)
    steps = steps or ([inner] if inner is not None else [])
    return f"{name}({', '.join(map(described, steps))})" if steps else name


def save(loaded: Loaded, path: Path, output: Path, concluded: Conclusion) -> None:
    """Write the file to serve: a copy, or the model dumped by joblib with one thread."""
    import joblib

    threaded = [part for part in parts(loaded.model) if part.n_jobs not in (None, 1)]
    if loaded.by_joblib and not threaded:
        shutil.copyfile(path, output)
        return
    number = threaded[0].n_jobs if threaded else 1
    for part in threaded:
        part.n_jobs = 1
    try:
        joblib.dump(loaded.model, output, compress=3)
        saved = joblib.load(output)
    except Exception as error:  # a function that was pickled by value, for example
        if threaded:
            raise Refused(
                f"it was saved with n_jobs={number}, and cannot be saved again with n_jobs=1: "
                f"{type(error).__name__}: {error}",
                "call set_params(n_jobs=1) after fit, and save it again",
            ) from error
        shutil.copyfile(path, output)
        concluded.remarks.append("it stays a plain pickle: joblib cannot save it again")
        return
    if threaded:
        concluded.remarks.append(
            f"it was saved with n_jobs={number}; the copy has n_jobs=1, since on Lambda a second "
            "thread only makes a prediction slower"
        )
    if not loaded.by_joblib:
        concluded.remarks.append("it is a plain pickle; the copy is a joblib file")
    _check_nothing_lost(saved, concluded.entry)


def _check_nothing_lost(saved: Any, entry: dict[str, Any]) -> None:
    example = entry.get("example")
    if example is None:
        return
    asked = Asked(saved, [], [], Job(), {})
    rows = asked.served_input(entry["input"], entry["features"], example["instances"])
    if not same(asked.ask(rows), example["answer"]):
        raise Refused("its copy by joblib gives other answers than the file itself")


def parts(model: Any) -> Iterator[Any]:
    """Yield the estimators of a model that have the parameter n_jobs, at any depth."""
    waiting, seen = [model], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, (list, tuple)):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
        elif hasattr(part, "get_params") and not isinstance(part, type):
            if isinstance(getattr(part, "n_jobs", None), int):
                yield part
            waiting += vars(part).values()
