"""Hold what the handler predicts against what scikit-learn alone predicts. Run before an image is
made; a part of none.

    python verify.py MODELS NAME...

MODELS is the folder of models and their manifest. Each model is loaded in a process of its own as a
function loads it, and all of them by joblib in another process. Both predict the same rows: random
ones in and around the ranges of the features, and corners of these. Exit code 0: the same to 1e-9
of the largest prediction; 1: not so, a line on stdout for each such model; 2: it cannot be told,
with the reason on stderr.
"""

import argparse
import json
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

TOLERANCE = 1e-9
ROWS = 100  # of each kind


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--with", dest="way", choices=LOADERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        manifest = json.loads((options.models / "manifest.json").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        print(f"cannot read the manifest: {error}", file=sys.stderr)
        sys.exit(2)
    if options.way:
        found = {
            name: outcome(LOADERS[options.way], options.models, name, manifest)
            for name in options.names
        }
        print("\n" + json.dumps(found))
    else:
        sys.exit(compare(options.models, options.names))


def compare(models, names):
    """Say what differs, on stdout, and what could not be compared, on stderr; return the exit code."""
    with ThreadPoolExecutor(2) as pool:
        reference = pool.submit(outcomes, "scikit-learn", models, *names)
        found = list(pool.map(lambda name: outcomes("handler", models, name)[name], names))
    code = 0
    for name, own in zip(names, found):
        expected = reference.result()[name]["predictions"]
        problems = [
            difference(own["predictions"][kind], values) for kind, values in expected.items()
        ]
        if any(problems):
            code = 1
            print(f"{name}, evaluated with {own['way']}: {next(filter(None, problems))}")
        elif all(isinstance(values, str) for values in expected.values()):
            code = code or 2
            print(
                f"{name} predicts nothing that could be compared: {expected['rows']}",
                file=sys.stderr,
            )
    return code


def outcomes(way, models, *names):
    """Return what a process of its own finds for each model."""
    command = [sys.executable, __file__, "--with", way, str(models), *names]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    reason = (done.stderr.strip().splitlines() or [f"{way} ended with {done.returncode}"])[-1]
    if way == "handler":
        return {
            name: {"way": "nothing", "predictions": dict.fromkeys(KINDS, reason)} for name in names
        }
    print(reason, file=sys.stderr)
    sys.exit(2)


def difference(own, expected):
    """Say how predictions differ, if they do. An error in place of predictions is one for both, in
    whatever words.
    """
    if isinstance(own, str) and isinstance(expected, str):
        return None
    if isinstance(own, str) or isinstance(expected, str):
        ours, theirs = (each if isinstance(each, str) else each[0] for each in (own, expected))
        return f"{ours} where scikit-learn has {theirs}"
    own, expected = np.array(own), np.array(expected)
    if own.shape != expected.shape:
        return f"{len(own)} predictions where scikit-learn has {len(expected)}"
    largest = np.nanmax(abs(expected), initial=0)
    same = np.isclose(own, expected, rtol=0, atol=TOLERANCE * largest, equal_nan=True)
    return None if same.all() else f"{own[~same][0]} where scikit-learn has {expected[~same][0]}"


def outcome(load, models, name, manifest):
    """Return {"way", "predictions": {kind of rows: numbers, or an error}} of one model."""
    described = manifest["models"][name]
    try:
        predict, way = load((models / f"{name}.joblib").read_bytes(), described, manifest)
    except Exception as error:
        return {
            "way": "nothing",
            "predictions": dict.fromkeys(KINDS, f"{type(error).__name__}: {error}"),
        }
    found = {}
    for kind, table in rows(described["features"]).items():
        try:
            found[kind] = predict(table).tolist()
        except Exception as error:
            found[kind] = f"{type(error).__name__}: {error}"
    return {"way": way, "predictions": found}


KINDS = ("rows", "corners", "one row")


def rows(features):
    """Return {kind: (n_rows, n_features)}; a feature without a range in the manifest gets -1 to 1."""
    low, high = np.array([each.get("range") or (-1, 1) for each in features], dtype=float).T
    draw, shape, span = np.random.default_rng(0), (ROWS, len(features)), high - low
    around = draw.uniform(low - span / 2, high + span / 2, shape)
    return dict(zip(KINDS, (around, np.where(draw.integers(0, 2, shape), high, low), around[:1])))


def load_as_handler(content, described, manifest):
    import predict

    width = len(described["features"])
    return predict.load(content, described["sha256"], manifest["libraries"]["scikit-learn"], width)


def load_with_sklearn(content, described, manifest):
    import io

    import joblib
    import sklearn

    trained_with = manifest["libraries"]["scikit-learn"]
    if sklearn.__version__ != trained_with:
        reason = (
            f"the models were trained with scikit-learn {trained_with}, and here is "
            f"{sklearn.__version__}"
        )
        print(reason, file=sys.stderr)
        sys.exit(2)
    return joblib.load(io.BytesIO(content)).predict, "scikit-learn"


LOADERS = {"handler": load_as_handler, "scikit-learn": load_with_sklearn}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
