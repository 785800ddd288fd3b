"""What `add` concludes of a model: kind, features, outputs, packages; and what it refuses."""

from __future__ import annotations

import importlib
import json
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.cluster import DBSCAN
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from deployer.project.examples import read_example
from deployer.project.inspection import program
from deployer.project.inspection.refusal import Refused
from tests.support.made_elsewhere import CUSTOMERS, LEAVES, MODELS, NUMBERS, OTHERS, write
from tests.support.projects import ROOT

Inspect = Callable[..., dict[str, Any]]


@pytest.fixture
def inspect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inspect:
    """Inspect a file in this process, with the handler's modules and tmp_path/own on the path."""
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.syspath_prepend(ROOT / "lambda_src")
    monkeypatch.syspath_prepend(own)
    for name in ("inputs", "outputs", "contract"):
        importlib.import_module(name)

    def run(file: Path, example: Path | None = None, **known: Any) -> dict[str, Any]:
        if example is not None:
            read = read_example(example)
            known |= {"columns": read.columns, "raw": read.raw}
        job = {"file": str(file), "own": str(own), "output": str(tmp_path / "out.joblib")}
        with warnings.catch_warnings():  # as the program does
            warnings.simplefilter("ignore")
            return program.inspect({**job, "known": known})

    return run


def saved(folder: Path, model: Any) -> Path:
    joblib.dump(model, folder / "model.joblib")
    return folder / "model.joblib"


def table(folder: Path, frame: Any) -> Path:
    frame.to_csv(folder / "example.csv", index=False)
    return folder / "example.csv"


# name: (input, features as "name type, nullable" or "name type", further members of the entry)
CONCLUDED: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "churn": (
        "table",
        ["town string?", "age number?", "spend number?", "vip boolean"],
        {"classes": ["no", "yes"], "outputs": ["predict", "predict_proba"]},
    ),
    "reviews": ("text", ["review string"], {"classes": ["down", "up"]}),
    "two_targets": (
        "array",
        ["width number", "height number", "depth number", "weight number"],
        {"targets": ["price", "rent"], "outputs": ["predict"]},
    ),
    "outliers": (
        "array",
        ["width number", "height number", "depth number", "weight number"],
        {"outputs": ["predict", "score_samples"]},
    ),
    "components": (
        "array",
        ["width number", "height number", "depth number", "weight number"],
        {"outputs": ["transform"]},
    ),
    "odd": (
        "array",
        ["a b number", "größe (cm) number", " x number", '"quoted", \\ and € number'],
        {"classes": ["no", "yes"]},
    ),
    "clusters": (
        "array",
        ["width number", "height number", "depth number", "weight number"],
        {"outputs": ["predict"]},
    ),
    "category": ("table", ["town string?", "age number?"], {"classes": ["no", "yes"]}),
    "union": ("text", ["review string"], {"outputs": ["transform"]}),
    "imputed": ("array", ["age number?", "spend number?"], {"outputs": ["predict"]}),
    "threads": (
        "array",
        ["width number", "height number", "depth number", "weight number"],
        {"classes": ["no", "yes"]},
    ),
}


def test_a_column_of_another_model_in_the_example_changes_nothing(
    inspect: Inspect, tmp_path: Path
) -> None:
    """Texts among the model's own columns would make its input a table."""
    model = LinearRegression().fit(NUMBERS, NUMBERS["width"])
    example = table(tmp_path, NUMBERS.assign(region="north"))
    entry = inspect(saved(tmp_path, model), example)["entry"]
    assert entry["input"] == "array" and "packages" not in entry


@pytest.mark.parametrize("name", CONCLUDED)
def test_a_model_is_described_as_it_is(inspect: Inspect, tmp_path: Path, name: str) -> None:
    kind, features, members = CONCLUDED[name]
    model, _ = {**MODELS, **OTHERS}[name]
    path, example = write(tmp_path, name)
    entry = inspect(path, example)["entry"]
    described = [
        f"{feature['name']} {feature['type']}{'?' if feature['nullable'] else ''}"
        for feature in entry["features"]
    ]
    assert (entry["input"], described) == (kind, features)
    assert {member: entry.get(member) for member in members} == members
    assert entry.get("packages", {}) == ({"pandas": pd.__version__} if kind == "table" else {})
    assert entry["libraries"]["scikit-learn"] == sklearn.__version__
    instances = entry["example"]["instances"]
    assert 1 <= len(instances) <= 5
    rows = own_rows(kind, entry, instances)
    answer = entry["example"]["answer"]
    method = {"predictions": "predict", "transformed": "transform"}
    for member in method.keys() & answer.keys():
        with warnings.catch_warnings():  # a forest of a frame is given an array
            warnings.simplefilter("ignore")
            own = getattr(model, method[member])(rows)
        own = own.toarray() if hasattr(own, "toarray") else own
        assert answer[member] == own.tolist()


def own_rows(kind: str, entry: dict[str, Any], instances: list[dict[str, Any]]) -> Any:
    if kind == "text":
        return [next(iter(record.values())) for record in instances]
    frame = pd.DataFrame(instances)
    if kind == "array":
        return frame.to_numpy(dtype=float)
    for feature in entry["features"]:
        if feature["dtype"] == "category":
            frame[feature["name"]] = pd.Categorical(
                frame[feature["name"]], categories=feature["categories"]
            )
        elif feature["dtype"] == "float64":
            frame[feature["name"]] = frame[feature["name"]].astype("float64")
    return frame


def test_a_table_has_its_dtypes_categories_and_ranges(inspect: Inspect, tmp_path: Path) -> None:
    entry = inspect(*write(tmp_path, "churn"))["entry"]
    town, age, spend, vip = entry["features"]
    assert town["categories"] == ["Bonn", "Ulm"] and town["dtype"] in ("str", "object")
    assert (age["dtype"], age["range"]) == (
        "int64",
        [CUSTOMERS["age"].min(), CUSTOMERS["age"].max()],
    )
    assert (spend["dtype"], vip["dtype"]) == ("float64", "bool")
    assert inspect(*write(tmp_path, "category"))["entry"]["features"][0]["dtype"] == "category"


def test_none_and_nan_are_told_apart_by_the_encoder(inspect: Inspect, tmp_path: Path) -> None:
    """Where the encoder knows None, NaN would be an unknown category and another probability."""
    for null, expected in ((None, "None"), (np.nan, "NaN")):
        town = pd.Series(["Ulm", "Bonn", null] * 20, dtype="object")
        frame = pd.DataFrame({"town": town})
        encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["town"]))
        labels = np.where(frame["town"].isna(), "gone", "here")
        model = make_pipeline(encoder, LogisticRegression()).fit(frame, labels)
        entry = inspect(saved(tmp_path, model), table(tmp_path, frame[:3]))["entry"]
        (feature,) = entry["features"]
        assert feature["nullable"]
        assert (feature["dtype"], feature.get("null")) in (
            ("object", expected),
            ("str" if expected == "NaN" else "", None),
        )
        assert entry["example"]["answer"]["predictions"] == ["here", "here", "gone"]


def test_digits_are_text_where_the_model_was_trained_on_text(
    inspect: Inspect, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"zip": ["01067", "89073"] * 10})
    encoder = make_column_transformer((OneHotEncoder(), ["zip"]))
    model = make_pipeline(encoder, LogisticRegression()).fit(frame, [0, 1] * 10)
    entry = inspect(saved(tmp_path, model), table(tmp_path, frame[:2]))["entry"]
    assert entry["features"][0]["type"] == "string"
    assert entry["example"]["instances"] == [{"zip": "01067"}, {"zip": "89073"}]
    assert entry["example"]["answer"]["predictions"] == [0, 1]


def test_names_and_types_that_a_model_does_not_say_are_open(
    inspect: Inspect, tmp_path: Path
) -> None:
    path = saved(tmp_path, LinearRegression().fit(NUMBERS.to_numpy(), NUMBERS["width"]))
    assert inspect(path)["unknown"] == {"names": ["x0", "x1", "x2", "x3"]}
    entry = inspect(path, names=["a", "b", "c", "d"])["entry"]
    assert [feature["name"] for feature in entry["features"]] == ["a", "b", "c", "d"]
    rest = make_column_transformer(("passthrough", ["age"]), (OneHotEncoder(), ["town"]))
    model = make_pipeline(rest, LogisticRegression()).fit(CUSTOMERS[["age", "town"]], LEAVES)
    path = saved(tmp_path, model)
    assert inspect(path)["unknown"] == {"types": ["age"]}
    assert inspect(path, types={"age": "number"})["entry"]["features"][0]["type"] == "number"


def test_a_model_that_refuses_a_made_record_is_added_without_an_example(
    inspect: Inspect, tmp_path: Path
) -> None:
    own = own_module(
        tmp_path, "own", "own_steps_3", "def log(x):\n    raise ValueError('no ones')\n"
    )
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(NUMBERS, NUMBERS["width"])
    model.steps.append(("last", model.steps.pop()[1]))
    model.steps.insert(1, ("log", FunctionTransformer(own.log)))
    report = inspect(saved(tmp_path, model))
    assert "example" not in report["entry"]
    assert "no example is recorded: the model refuses a made one" in report["remarks"][0]


def test_threads_are_taken_out_of_the_copy_alone(inspect: Inspect, tmp_path: Path) -> None:
    path, example = write(tmp_path, "threads")
    before = path.read_bytes()
    report = inspect(path, example)
    assert joblib.load(tmp_path / "out.joblib").n_jobs == 1
    assert path.read_bytes() == before and joblib.load(path).n_jobs == 2
    assert "it was saved with n_jobs=2" in report["remarks"][0]


def test_a_plain_pickle_becomes_a_joblib_file(inspect: Inspect, tmp_path: Path) -> None:
    model = MODELS["components"][0]
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model))
    report = inspect(path)
    assert report["remarks"][-1] == "it is a plain pickle; the copy is a joblib file"
    assert (tmp_path / "out.joblib").read_bytes()[:1] == b"x"  # zlib
    assert np.array_equal(joblib.load(tmp_path / "out.joblib").components_, model.components_)
    path = saved(tmp_path, model)
    assert inspect(path)["remarks"] and (tmp_path / "out.joblib").read_bytes() == path.read_bytes()


def own_module(tmp_path: Path, folder: str, name: str, text: str) -> Any:
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / f"{name}.py").write_text(text)
    sys.path.insert(0, str(tmp_path / folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


TEXT = "import yaml\n\ndef doubled(x):\n    return x * 2\n"


def test_own_modules_of_lambda_src_are_no_packages_and_what_they_import_is(
    inspect: Inspect, tmp_path: Path
) -> None:
    own = own_module(tmp_path, "own", "own_steps_1", TEXT)
    model = make_pipeline(FunctionTransformer(own.doubled), LinearRegression())
    report = inspect(saved(tmp_path, model.fit(NUMBERS, NUMBERS["width"])))
    assert report["modules"] == ["own_steps_1"]
    assert list(report["entry"]["packages"]) == ["PyYAML"]


def test_a_module_that_the_image_would_lack_is_refused(inspect: Inspect, tmp_path: Path) -> None:
    own = own_module(tmp_path, "elsewhere", "own_steps_2", TEXT)
    model = make_pipeline(FunctionTransformer(own.doubled), LinearRegression())
    path = saved(tmp_path, model.fit(NUMBERS, NUMBERS["width"]))
    sys.path.append(str(tmp_path / "elsewhere"))
    try:
        with pytest.raises(Refused, match="needs the module own_steps_2") as refused:
            inspect(path)
    finally:
        sys.path.pop()
    assert "lambda_src/own_steps_2.py" in refused.value.advice


def written(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "model.pkl").write_bytes(content)
        return folder / "model.pkl"

    return write


def of_another_version(folder: Path) -> Path:
    path = saved(folder, LinearRegression().fit(NUMBERS, NUMBERS["width"]))
    content = path.read_bytes()
    version = sklearn.__version__.encode()
    assert version in content
    path.write_bytes(content.replace(version, b"1.6.1"))
    return path


def cut_off(folder: Path) -> Path:
    path = saved(folder, MODELS["odd"][0])
    path.write_bytes(path.read_bytes()[:-500])
    return path


def holding(model: Any) -> Callable[[Path], Path]:
    return lambda folder: saved(folder, model)


DATES = np.array(["2026-11-25", "2026-11-26"] * 30, "datetime64[D]")
REFUSED: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "cut off": (cut_off, "cut off, damaged, or no pickle", ""),
    "no pickle": (written(b"hello, I am a text"), "cut off, damaged, or no pickle", ""),
    "a function of the script": (
        written(b"c__main__\nclean\n."),
        "needs clean, which was defined in the training script itself",
        "move it to lambda_src/NAME.py",
    ),
    "a package that is not here": (
        written(b"cnot_installed.sub\nModel\n."),
        "needs the module not_installed",
        "pip install not_installed",
    ),
    "another scikit-learn": (
        of_another_version,
        "saved by scikit-learn 1.6.1",
        "scikit-learn==1.6.1",
    ),
    "a dict": (holding({"model": LinearRegression(), "scaler": 1}), "a dict", "one Pipeline"),
    "a class": (holding(LinearRegression), "the class LinearRegression", ""),
    "not fitted": (holding(LogisticRegression()), "LogisticRegression is not fitted", "call fit"),
    "no predict": (holding(DBSCAN().fit(NUMBERS)), "neither predict nor transform", ""),
    "labels that JSON has not": (
        holding(DummyClassifier().fit(NUMBERS, DATES)),
        "classes_ hold a date, but a label must be",
        "",
    ),
    "a reserved name": (
        holding(LinearRegression().fit(NUMBERS.rename(columns={"width": "input"}), [1] * 60)),
        "called 'input', a name that has a meaning",
        "rename",
    ),
    "a table as its answer": (
        holding(StandardScaler().set_output(transform="pandas").fit(NUMBERS)),
        "transform returns a DataFrame",
        "set_output",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of joblib's files
def test_what_cannot_be_served_is_refused_in_words(
    inspect: Inspect, tmp_path: Path, case: str
) -> None:
    make, message, advice = REFUSED[case]
    with pytest.raises(Refused, match=message) as refused:
        inspect(make(tmp_path))
    assert advice in refused.value.advice


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (NUMBERS.assign(price=1.0), r"has 5 columns \(width, .*price\), but the model takes 4"),
        (NUMBERS[["width"]], "has 1 columns"),
    ],
)
def test_an_example_of_another_width_is_refused(
    inspect: Inspect, tmp_path: Path, frame: Any, message: str
) -> None:
    path = saved(tmp_path, LinearRegression().fit(NUMBERS.to_numpy(), NUMBERS["width"]))
    with pytest.raises(Refused, match=message):
        inspect(path, table(tmp_path, frame))


def test_an_example_without_a_column_or_that_the_model_refuses_is_refused(
    inspect: Inspect, tmp_path: Path
) -> None:
    path, _ = write(tmp_path, "churn")
    with pytest.raises(Refused, match="the example has no column age; the model was trained on"):
        inspect(path, table(tmp_path, CUSTOMERS.drop(columns="age")))
    with pytest.raises(Refused, match="record 1, age: 'old' is no number"):
        inspect(path, table(tmp_path, CUSTOMERS.assign(age="old")))


def test_two_thousand_features_are_described(inspect: Inspect, tmp_path: Path) -> None:
    wide = pd.DataFrame(np.ones((30, 2000)), columns=[f"feature number {n}" for n in range(2000)])
    model = LinearRegression().fit(wide, np.arange(30))
    report = inspect(saved(tmp_path, model))
    assert len(report["entry"]["features"]) == 2000
    json.dumps(report, allow_nan=False)


def test_a_table_without_pandas_is_refused_with_what_to_install(
    inspect: Inspect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, example = write(tmp_path, "churn")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(Refused, match="pandas is not installed here") as refused:
        inspect(path, example)
    assert refused.value.advice == "python -m pip install pandas"
