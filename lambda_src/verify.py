"""Compare the handler's predictions with scikit-learn's.

Runs before an image is built; not included in it (.dockerignore).

    python verify.py MODELS NAME...

MODELS is the folder of models and their manifest. Each model is loaded twice: as a function loads
it, in a process of its own, and by joblib, in a process for all models. Both predict the same
records: random ones in and around the ranges of the features, or of their categories; the corners
of these ranges; and those of the model's example.

Exit code 0: equal to 1e-9 of the largest prediction. 1: different, with a line on stdout for each
such model. 2: cannot be compared, with the reason on stderr.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import inputs
from contract import Features
from signature import Signature

TOLERANCE = 1e-9
ROWS = 100  # of each kind
NULL_SHARE = 0.1  # of the values of a nullable feature
KINDS = ("rows", "corners", "one row", "example")

Load = Callable[[bytes, Signature], tuple[Any, str]]
Outcome = dict[str, Any]  # {"way", "predictions": {kind of rows: numbers, or an error}}
Run = Callable[..., dict[str, Outcome]]


def main() -> None:
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
        load = LOADERS[options.way]
        results = {name: outcome(load, options.models, name, manifest) for name in options.names}
        print("\n" + json.dumps(results))
    else:
        sys.exit(compare(options.models, options.names))


def outcomes(way: str, models: Path, *names: str) -> dict[str, Outcome]:
    """Run a process that loads the models in this way, and return its outcome for each."""
    command = [sys.executable, __file__, "--with", way, str(models), *names]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode == 0:
        results: dict[str, Outcome] = json.loads(done.stdout.splitlines()[-1])
        return results
    reason = (done.stderr.strip().splitlines() or [f"{way} ended with {done.returncode}"])[-1]
    if way == "handler":
        return {
            name: {"way": "nothing", "predictions": dict.fromkeys(KINDS, reason)} for name in names
        }
    print(reason, file=sys.stderr)
    sys.exit(2)


def compare(models: Path, names: Sequence[str], run: Run = outcomes) -> int:
    """Print differences on stdout and failures to compare on stderr; return the exit code."""
    with ThreadPoolExecutor(2) as pool:
        reference = pool.submit(run, "scikit-learn", models, *names)
        actual = list(pool.map(lambda name: run("handler", models, name)[name], names))
    code = 0
    for name, own in zip(names, actual, strict=True):
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


def difference(own: Any, expected: Any) -> str | None:
    """Describe how predictions differ, or return None.

    Two errors in place of predictions are equal, whatever their messages.
    """
    if isinstance(own, str) and isinstance(expected, str):
        return None
    if isinstance(own, str) or isinstance(expected, str):
        ours, theirs = (first(values) for values in (own, expected))
        return f"{ours} where scikit-learn has {theirs}"
    if isinstance(own, dict) or isinstance(expected, dict):
        return member_difference(as_members(own), as_members(expected))
    own, expected = np.array(own), np.array(expected)
    if own.shape != expected.shape:
        return f"{len(own)} predictions where scikit-learn has {len(expected)}"
    largest = np.nanmax(abs(expected), initial=0)
    same = np.isclose(own, expected, rtol=0, atol=TOLERANCE * largest, equal_nan=True)
    return None if same.all() else f"{own[~same][0]} where scikit-learn has {expected[~same][0]}"


def first(values: Any) -> Any:
    """Return an error, or the first prediction."""
    if isinstance(values, dict):
        values = next(iter(values.values()))
    return values if isinstance(values, str) else values[0]


def as_members(values: Any) -> dict[str, Any]:
    return values if isinstance(values, dict) else {"predictions": values}


def member_difference(own: dict[str, Any], expected: dict[str, Any]) -> str | None:
    """Describe the first member of an answer that differs; labels must be equal."""
    if own.keys() != expected.keys():
        return f"{', '.join(own)} where scikit-learn has {', '.join(expected)}"
    for name, values in expected.items():
        numbers = np.array(values, dtype=object).ravel()
        if all(isinstance(value, float) for value in numbers):
            problem = difference(own[name], values)
        else:
            problem = (
                None if own[name] == values else f"{own[name]} where scikit-learn has {values}"
            )
        if problem:
            return f"{name}: {problem}"
    return None


def outcome(load: Load, models: Path, name: str, manifest: dict[str, Any]) -> Outcome:
    """Load one model and predict all kinds of rows."""
    described = manifest["models"][name]
    try:
        signature = signature_of(described, manifest)
        predict, way = load((models / f"{name}.joblib").read_bytes(), signature)
    except Exception as error:
        return {
            "way": "nothing",
            "predictions": dict.fromkeys(KINDS, f"{type(error).__name__}: {error}"),
        }
    predictions = {}
    build = getattr(predict, "build", None) or inputs.BUILDERS[signature.input]
    for kind, model_input in inputs_of(signature, described, build).items():
        try:
            predictions[kind] = evaluated(predict, model_input)
        except Exception as error:
            predictions[kind] = f"{type(error).__name__}: {error}"
    return {"way": way, "predictions": predictions}


def signature_of(described: dict[str, Any], manifest: dict[str, Any]) -> Signature:
    """Return the signature that the deployed function gets."""
    if manifest.get("format") != 2:
        described = {"features": [{"name": each["name"]} for each in described["features"]]}
    libraries = {**manifest.get("libraries", {}), **described.get("libraries", {})}
    return Signature({**described, "scikit-learn": libraries.get("scikit-learn", "")})


def evaluated(evaluate: Any, model_input: Any) -> Any:
    """Return predictions as a list, or the members of an answer by name (outputs.py)."""
    if hasattr(evaluate, "columns"):
        return evaluate.columns(model_input)
    return evaluate(model_input).tolist()


def inputs_of(
    signature: Signature, described: dict[str, Any], build: inputs.Build
) -> dict[str, Any]:
    """Return the model's input for each kind of records, as `build` makes it of columns."""
    example = described.get("example", {}).get("instances")
    kinds = rows(described["features"]) if signature.numbers_alone else {}
    if not signature.numbers_alone and signature.input != "text":
        made = columns(described["features"])
        kinds = {
            "rows": build(made, signature.features),
            "one row": build([values[:1] for values in made], signature.features),
        }
    if example and signature.numbers_alone:
        kinds["example"] = Features(signature.names).rows(example)
    elif example:
        kinds["example"] = inputs.TypedFeatures(signature, build).rows(example)
    elif not kinds:
        kinds["example"] = inputs.sample(signature, build)
    return kinds


def rows(features: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return {kind: (n_rows, n_features)} for numbers.

    Features without a range in the manifest get the range from -1 to 1.
    """
    ranges = [feature.get("range") or (-1, 1) for feature in features]
    low, high = np.array(ranges, dtype=float).T
    draw, shape, span = np.random.default_rng(0), (ROWS, len(features)), high - low
    around = draw.uniform(low - span / 2, high + span / 2, shape)
    corners = np.where(draw.integers(0, 2, shape), high, low)
    return dict(zip(KINDS, (around, corners, around[:1]), strict=False))


def columns(features: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """Return a column of random values for each feature."""
    draw = np.random.default_rng(0)
    made = []
    for feature in features:
        few: dict[str, list[Any]] = {"boolean": [False, True], "string": [""]}
        choices = feature.get("categories") or few.get(feature.get("type", "number"))
        if choices:
            values = [choices[place] for place in draw.integers(0, len(choices), ROWS)]
        else:
            low, high = feature.get("range") or (-1, 1)
            values = draw.uniform(low, high, ROWS).tolist()
            if "int" in feature.get("dtype", "").lower():
                values = [round(value) for value in values]
        missing = draw.uniform(size=ROWS) < NULL_SHARE * bool(feature.get("nullable"))
        made.append([None if gone else value for gone, value in zip(missing, values, strict=True)])
    return made


def load_as_handler(content: bytes, signature: Signature) -> tuple[Any, str]:
    import loading

    return loading.load(content, signature)


def load_with_sklearn(content: bytes, signature: Signature) -> tuple[Any, str]:
    import io

    import joblib
    import sklearn

    if sklearn.__version__ != signature.trained_with:
        reason = (
            f"the models were trained with scikit-learn {signature.trained_with}, and here is "
            f"{sklearn.__version__}"
        )
        print(reason, file=sys.stderr)
        sys.exit(2)
    import outputs

    return outputs.evaluation(joblib.load(io.BytesIO(content)), signature), "scikit-learn"


LOADERS: dict[str, Load] = {"handler": load_as_handler, "scikit-learn": load_with_sklearn}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
