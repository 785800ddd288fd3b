"""Models made elsewhere, added one by one to an empty project, answer together as they do alone."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployer.local import process
from deployer.project.template import copy_template
from tests.support.command_line import deployer
from tests.support.made_elsewhere import MODELS, write

pytestmark = pytest.mark.slow

FURTHER = ("predict_proba", "score_samples")
MEMBERS = {
    "predict": "predictions",
    "predict_proba": "probabilities",
    "score_samples": "scores",
    "transform": "transformed",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with handler and settings, and neither models, nor workflow, nor samples."""
    folder = (tmp_path_factory.mktemp("added") / "project").resolve()
    copy_template(folder)
    for name in ("train.py", "state_machine.json"):
        (folder / name).unlink()
    for name in ("samples", "data"):
        shutil.rmtree(folder / name)
    yield folder
    process.force_stop(folder)


def own_answers(model: Any, rows: Any) -> dict[str, Any]:
    """Return the answers of the model's own methods to its own input."""
    methods = ["predict"] if hasattr(model, "predict") else ["transform"]
    methods += [name for name in FURTHER if hasattr(model, name) and methods == ["predict"]]
    return {MEMBERS[name]: getattr(model, name)(rows).tolist() for name in methods}


def records(table: Any) -> list[dict[str, Any]]:
    return [
        {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in row.items()
        }
        for row in table.to_dict("records")
    ]


def same(actual: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        return all(same(actual[name], value) for name, value in expected.items())
    if isinstance(expected[0], str):
        return bool(actual == expected)
    return np.allclose(actual, expected, rtol=1e-9, atol=1e-12)


def test_six_models_made_elsewhere_answer_as_they_do_themselves(
    project: Path, tmp_path: Path
) -> None:
    for name in MODELS:
        path, example = write(tmp_path, name)
        given = ("--example", str(example)) if example else ()
        document = deployer(project, "add", str(path), *given, "--yes", "--json").json
        assert document["model"] == name and document["branch"] is None
    assert deployer(project, "check", "--local").out == "check: nothing found\n"
    deployer(project, "up", "--local")
    # Each model's own features alone: the others are skipped.
    for name, (model, example) in MODELS.items():
        table = MODELS["outliers"][1][:3] if example is None else example[:3]
        if name in ("two_targets",):
            table = table[["width", "height", "depth", "weight"]]
        rows = table["review"] if name == "reviews" else table
        rows = rows.to_numpy() if name == "outliers" else rows
        body = json.dumps({"instances": records(table)})
        results = deployer(project, "invoke", "--data", body, "--local", "--json").json
        answers = {result["model"]: result for result in results}
        assert answers.keys() == MODELS.keys()
        assert same(answers[name], own_answers(model, rows)), name
    # All models at once, by the samples that `add` wrote.
    results = deployer(project, "invoke", "--sample", "--local", "--json").json
    assert [result["model"] for result in results] == list(MODELS)
    assert all("version" in result for result in results)
    deployer(project, "remove", "odd", "--yes")
    deployer(project, "up", "--local", "--yes")
    results = deployer(project, "invoke", "--sample", "--local", "--json").json
    assert [result["model"] for result in results] == [name for name in MODELS if name != "odd"]
