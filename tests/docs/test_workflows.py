"""docs/workflows.md: its workflows run, whole and with failing models, and it shows them truly."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployer.local.moto_backend import jsonata_mends
from deployer.project.workflow import problems, timeout_problems, uncaught
from deployer.service.invoke import Client
from tests.local.test_journey import predicted, records
from tests.ml.test_state_machine import (
    LambdaError,
    Workflow,
    entry,
    fails,
    refused,
    workflow,
)
from tests.support.command_line import deployer
from tests.support.projects import ROOT

# Its tests share a server, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("docs workflows")

PAGE = (ROOT / "docs" / "workflows.md").read_text(encoding="utf-8")
FOLDER = ROOT / "docs" / "workflows"
NAMES = ("choice", "two_stages", "average", "map")
DEFINITIONS = {name: json.loads((FOLDER / f"{name}.json").read_text()) for name in NAMES}
SECTIONS = {
    name: section
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)
    for name in re.findall(r"cp docs/workflows/(\w+)\.json", section)
}
__all__ = ["workflow"]  # a fixture


def block(name: str, language: str) -> str:
    found: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```$", SECTIONS[name], re.MULTILINE | re.DOTALL
    )
    (text,) = found
    return text


def holds(whole: Any, part: Any) -> bool:
    """Tell whether a JSON value has every member of another, at any depth."""
    if isinstance(part, dict):
        return all(name in whole and holds(whole[name], value) for name, value in part.items())
    return bool(whole == part)


# The page and the files.


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_has_no_problem_and_catches_every_error(name: str) -> None:
    definition = DEFINITIONS[name]
    assert list(problems(definition)) == []
    assert list(timeout_problems(definition, lambda function: 20)) == []
    assert list(uncaught(definition)) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_states_as_they_are_in_the_file(name: str) -> None:
    states = json.loads(block(name, "json"))
    assert holds(DEFINITIONS[name]["States"], states)
    assert f"[{name}.json](workflows/{name}.json)" in PAGE


def test_the_error_on_the_page_is_what_check_says() -> None:
    definition = json.loads(json.dumps(DEFINITIONS["average"]))
    definition["States"]["Average"]["Output"]["models"] = "{% [$states.input.model %}"
    (problem,) = problems(definition)
    assert f"\nstate_machine.json {problem}\n" in PAGE


# Through the local AWS, with the real models.


def deploy(folder: Path, name: str) -> str:
    """Deploy a workflow as its section says, and return what invoke prints."""
    copy, up, invoke = (shlex.split(line) for line in block(name, "sh").splitlines())
    assert copy[0] == "cp"
    shutil.copy(ROOT / copy[1], folder / copy[2])
    deployer(folder, *up[3:])
    request = [str(ROOT / part) if part.startswith("docs/") else part for part in invoke[3:]]
    return deployer(folder, *request).out


def shape(text: str) -> list[str]:
    """Return lines without versions and digits, which depend on the libraries that trained."""
    return re.sub(
        r"(?<=^request )\S+|\b[0-9a-f]{12}\b|\d[\d.]*", "#", text, flags=re.M
    ).splitlines()


def post(folder: Path, request: Any) -> Any:
    url = deployer(folder, "plan", "--local", "--json").json["outputs"]["url"]
    with Client(url) as client:
        return client.post(json.dumps(request).encode())


def close_to(predictions: Any) -> Any:
    """Return predictions to compare with: the handler adds in another order than scikit-learn."""
    return pytest.approx(predictions.tolist(), rel=1e-12)


def refuses(folder: Path, request: Any, cause: str) -> bool:
    record = post(folder, request).record
    return bool((record["error"], record["cause"]) == ("InvalidInput", cause))


def choice_answers(folder: Path) -> None:
    small, large = ({**records(1)[0], "RM": rooms} for rooms in (6.0, 7.0))
    for record, model in ((small, "linear_regression"), (large, "random_forest")):
        answer = post(folder, record).output
        assert answer["model"] == model
        assert answer["predictions"] == close_to(predicted(folder, model, [record]))
    batch = post(folder, {"instances": [small, large]}).output
    assert batch["predictions"] == close_to(predicted(folder, "linear_regression", [small, large]))
    assert refuses(folder, {**small, "RM": "x"}, "RM: must be a number, not string")


def two_stages_answer(folder: Path) -> None:
    (record,) = records(1)
    first = predicted(folder, "linear_regression", [record])
    second = predicted(folder, "random_forest", [{**record, "ZN": first[0]}])
    answer = post(folder, record).output
    assert list(answer.items()) == [
        ("linear_regression", close_to(first[0])),
        ("random_forest", close_to(second[0])),
    ]
    assert second != close_to(predicted(folder, "random_forest", [record]))
    assert refuses(folder, {**record, "CRIM": "x"}, "CRIM: must be a number, not string")
    assert post(folder, {"instances": [record]}).record["error"] == "InvalidInput"


def average_answers(folder: Path) -> None:
    rows = records(3)
    names = ["linear_regression", "random_forest", "support_vector"]
    averages = np.mean([predicted(folder, name, rows) for name in names], axis=0)
    for count in (1, 3):
        answer = post(folder, {"instances": rows[:count]}).output
        assert answer["models"] == names
        assert answer["predictions"] == close_to(averages[:count])
    assert refuses(folder, {**rows[0], "CRIM": "x"}, "CRIM: must be a number, not string")


def map_answers(folder: Path) -> None:
    rows = records(12)
    predictions = predicted(folder, "support_vector", rows)
    faulty = {**rows[0], "CRIM": None}
    answer = post(folder, {"instances": [faulty, *rows]}).output
    assert answer[0] == {"error": "InvalidInput", "cause": "CRIM: must be a number, not null"}
    assert [item["prediction"] for item in answer[1:]] == close_to(predictions)
    for request in (rows[0], {"instances": 5}):
        assert refuses(folder, request, "instances must be a list of records")
    assert post(folder, {"instances": []}).output == []


@pytest.mark.parametrize(
    ("name", "check"),
    [
        pytest.param("choice", choice_answers, marks=pytest.mark.slow),
        pytest.param("two_stages", two_stages_answer, marks=pytest.mark.slow),
        ("average", average_answers),
        pytest.param("map", map_answers, marks=pytest.mark.slow),
    ],
    ids=NAMES,
)
def test_a_workflow_answers_with_the_models_own_predictions(
    deployed: Path, name: str, check: Any
) -> None:
    printed = deploy(deployed, name)
    assert shape(printed) == shape(block(name, "text"))
    check(deployed)


# With functions that fail, in moto's interpreter.

ALL_FAIL = {
    "error": "NoModelAnswered",
    "cause": "No model could answer; the functions' log groups say why.",
}


@pytest.fixture
def jsonata(workflow: Workflow) -> Iterator[Workflow]:
    """The interpreter with the mends that JSONata needs."""
    jsonata_mends.apply()
    yield workflow


def failure(record: dict[str, Any]) -> dict[str, Any]:
    assert record["status"] == "FAILED", record
    return {name: record[name] for name in ("error", "cause")}


@pytest.mark.parametrize("name", ["choice", "two_stages", "average"])
@pytest.mark.parametrize(
    "error", [LambdaError("ModelError"), LambdaError("Sandbox.Timedout"), refused("Denied", 403)]
)
def test_when_no_model_answers_no_cause_gets_out(
    jsonata: Workflow, name: str, error: Exception
) -> None:
    models = ("linear_regression", "random_forest", "support_vector")
    functions = {model: fails(error) for model in models}
    assert failure(jsonata.run(functions, {"RM": 8}, DEFINITIONS[name])) == ALL_FAIL


@pytest.mark.parametrize("name", ["choice", "two_stages", "average"])
def test_a_refused_input_gives_the_message_alone(jsonata: Workflow, name: str) -> None:
    functions = {"linear_regression": fails(LambdaError("InvalidInput", 'RM: "x" {1}'))}
    record = jsonata.run(functions, {"RM": 1}, DEFINITIONS[name])
    assert failure(record) == {"error": "InvalidInput", "cause": 'RM: "x" {1}'}


def test_a_second_stage_that_fails_is_no_answer(jsonata: Workflow) -> None:
    functions = {"random_forest": fails(LambdaError("ModelError"))}
    assert failure(jsonata.run(functions, {}, DEFINITIONS["two_stages"])) == ALL_FAIL


@pytest.mark.parametrize("records", [1, 2])
def test_the_average_is_of_the_models_that_answered(jsonata: Workflow, records: int) -> None:
    functions = {
        "linear_regression": lambda request: {**entry("a"), "predictions": [1, 5][:records]},
        "random_forest": fails(LambdaError("ModelError")),
        "support_vector": lambda request: {**entry("b"), "predictions": [2, 6][:records]},
    }
    record = jsonata.run(functions, {}, DEFINITIONS["average"])
    assert json.loads(record["output"]) == {
        "models": ["a", "b"],
        "predictions": [1.5, 5.5][:records],
    }
    functions["support_vector"] = fails(LambdaError("ModelError"))
    record = jsonata.run(functions, {}, DEFINITIONS["average"])
    assert json.loads(record["output"]) == {"models": ["a"], "predictions": [1, 5][:records]}


def test_a_record_whose_model_fails_has_the_errors_name(jsonata: Workflow) -> None:
    def function(request: Any) -> Any:
        if request["RM"] == 1:
            raise LambdaError("ModelError")
        return entry("support_vector")

    request = {"instances": [{"RM": 1}, {"RM": 2}]}
    record = jsonata.run({"support_vector": function}, request, DEFINITIONS["map"])
    (prediction,) = entry("support_vector")["predictions"]
    assert json.loads(record["output"]) == [{"error": "ModelError"}, {"prediction": prediction}]
