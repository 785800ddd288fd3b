"""The manifest's format 2: what is taken, and one line with its place for every violation."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from deployer.project.manifest import violations
from deployer.project.samples import made_record

GOOD: dict[str, Any] = {
    "format": 2,
    "seed": 1,
    "libraries": {"python": "3.12", "scikit-learn": "1.9.1"},
    "models": {
        "churn": {
            "sha256": "0" * 64,
            "input": "table",
            "features": [
                {"name": "town", "type": "string", "nullable": True, "categories": ["Bonn", "Ulm"]},
                {"name": "age", "type": "number", "dtype": "int64", "range": [18, 90]},
                {"name": "vip", "type": "boolean"},
            ],
            "outputs": ["predict", "predict_proba"],
            "classes": ["no", "yes"],
            "packages": {"pandas": "3.1.1"},
            "example": {
                "instances": [{"town": None, "age": 44, "vip": 1}],
                "answer": {"predictions": ["no"], "probabilities": [[0.7, 0.3]]},
            },
            "metrics": {"anything": [1]},
        },
    },
}
CHURN = "$.models.churn"


def feature(number: int, **members: Any) -> Callable[[dict[str, Any]], None]:
    return lambda entry: entry["features"][number].update(members)


def put(**members: Any) -> Callable[[dict[str, Any]], None]:
    return lambda entry: entry.update(members)


def example(**members: Any) -> Callable[[dict[str, Any]], None]:
    return lambda entry: entry["example"].update(members)


VIOLATIONS: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda entry: entry.pop("sha256"), f"{CHURN}.sha256: must be the file's sha256 as a string"),
    (put(input="frame"), f"{CHURN}.input: must be array, table or text"),
    (put(features=[]), f"{CHURN}.features: must be a list of features, at least one"),
    (put(outputs=["predict_log_proba"]), f"{CHURN}.outputs[0]: must be predict, predict_proba, "),
    (put(outputs=["predict", "predict"]), f"{CHURN}.outputs: must be a list of methods of the "),
    (put(output=["predict"]), f"{CHURN}.output: is unknown; known are sha256, "),
    (put(targets=[1]), f"{CHURN}.targets[0]: must be a string"),
    (put(packages=["pandas"]), f"{CHURN}.packages: must be an object of versions by library"),
    (put(n_jobs="two"), f"{CHURN}.n_jobs: must be a whole number or null"),
    (feature(0, type="text"), f"{CHURN}.features[0].type: must be number, boolean or string"),
    (feature(0, nulable=True), f"{CHURN}.features[0].nulable: is unknown; known are name, type, "),
    (feature(0, name=""), f"{CHURN}.features[0].name: must be a string that is not empty"),
    (feature(0, name="input"), f"{CHURN}.features[0].name: must be another name: instances, "),
    (feature(0, name="age"), f"{CHURN}.features[1].name: 'age' stands twice"),
    (feature(0, nullable="yes"), f"{CHURN}.features[0].nullable: must be true or false"),
    (feature(0, dtype="int64"), f"{CHURN}.features[0].dtype: int64 holds no strings"),
    (feature(0, dtype="varchar"), f"{CHURN}.features[0].dtype: must be a dtype of pandas, such as"),
    (feature(0, range=[1, 2]), f"{CHURN}.features[0].range: belongs to numbers, and this is a str"),
    (feature(1, range=[2, 1]), f"{CHURN}.features[1].range: the lowest number comes first"),
    (feature(1, range=[1]), f"{CHURN}.features[1].range: must be [lowest, highest], two numbers"),
    (feature(0, categories=["a", "a"]), f"{CHURN}.features[0].categories: must be a list of value"),
    (feature(0, categories=[1]), f"{CHURN}.features[0].categories: 1 is no string"),
    (feature(1, dtype="category"), f"{CHURN}.features[1].categories: must be given for dtype cat"),
    (put(input="array"), f"{CHURN}.features[0].type: an array holds no strings: input must be tab"),
    (put(input="text"), f"{CHURN}.features: input: text takes exactly one feature, of "),
    (example(instances=[]), f"{CHURN}.example.instances: must be a list of records, at least one"),
    (
        example(instances=[{"town": "Ulm", "age": 44}]),
        f"{CHURN}.example.instances[0]: must hold exactly the features; missing or unknown: vip",
    ),
    (
        example(answer={"predictions": ["no", "no"]}),
        f"{CHURN}.example.answer.predictions: holds 2 items, but there are 1 instances",
    ),
    (example(answer={"labels": ["no"]}), f"{CHURN}.example.answer.labels: is unknown; known are "),
]


def test_a_good_manifest_has_no_violation() -> None:
    assert list(violations(GOOD)) == []


@pytest.mark.parametrize(
    ("change", "expected"), VIOLATIONS, ids=[expected for _, expected in VIOLATIONS]
)
def test_a_violation_is_one_line_with_its_place(
    change: Callable[[dict[str, Any]], Any], expected: str
) -> None:
    manifest = copy.deepcopy(GOOD)
    change(manifest["models"]["churn"])
    lines = list(violations(manifest))
    assert any(line.startswith(expected) for line in lines), lines
    assert all("\n" not in line for line in lines)


def test_all_violations_are_told_at_once() -> None:
    manifest = copy.deepcopy(GOOD)
    manifest["libraries"]["numpy"] = 2
    manifest["models"]["churn"]["input"] = 1
    manifest["models"]["other"] = []
    assert sorted(violations(manifest)) == [
        "$.libraries.numpy: must be a version, as a string",
        "$.models.churn.input: must be array, table or text",
        "$.models.other: must be an object",
    ]


def test_format_1_keeps_members_of_any_meaning() -> None:
    entry = {"sha256": "0", "features": [{"name": "input", "type": "float", "range": "?"}]}
    assert list(violations({"models": {"a": {**entry, "outputs": "MEDV", "notes": 1}}})) == []
    assert list(violations({"format": 3, "models": {}})) == [
        "$.format: must be 1, which is the default, or 2"
    ]


def test_a_made_record_fits_the_features() -> None:
    features = GOOD["models"]["churn"]["features"]
    assert made_record(features) == {"town": "Bonn", "age": 54, "vip": False}
    assert type(made_record(features)["age"]) is int
    assert made_record([{"name": "a"}, {"name": "b", "range": [0, 1]}]) == {"a": 0.0, "b": 0.5}
