"""`check` and `up` ask the models their examples through the handler that the image will hold."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tests.support.command_line import run

NAMES = ["linear_regression", "random_forest", "support_vector"]


def change(project: Path, name: str, **members: Any) -> None:
    """Change members of a model's entry; None removes one."""
    path = project / "models" / "manifest.json"
    manifest = json.loads(path.read_text())
    entry = manifest["models"][name]
    for member, value in members.items():
        if value is None:
            del entry[member]
        else:
            entry[member] = value
    path.write_text(json.dumps(manifest))


def replace_file(project: Path, name: str, model: Any, **members: Any) -> None:
    """Put another model, or other bytes, into the place of a trained one."""
    path = project / "models" / f"{name}.joblib"
    path.write_bytes(model) if isinstance(model, bytes) else joblib.dump(model, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    change(project, name, sha256=sha256, **members)


@pytest.fixture
def project(project: Path) -> Path:
    """A project without verify.py: comparing predictions takes `check` seconds."""
    (project / "lambda_src" / "verify.py").unlink()
    return project


def findings(project: Path, *options: str) -> list[str]:
    result = run(project, "check", "--offline", "--json", *options)
    listed: list[str] = json.loads(result.stdout)["findings"]
    return listed


def local_findings(project: Path) -> list[str]:
    """Return the findings for an image without a base, which has this Python's libraries."""
    return findings(project, "--local")


def test_a_model_that_cannot_be_loaded_or_does_not_fit_is_a_finding(project: Path) -> None:
    """PRE-10: it would only show at a first invocation."""
    replace_file(project, "linear_regression", {"not": "a model"})
    replace_file(project, "support_vector", LinearRegression().fit([[1.0, 2.0]], [1.0]))
    content = (project / "models" / "random_forest.joblib").read_bytes()
    replace_file(project, "random_forest", content[: len(content) // 2])
    linear, forest, vector = local_findings(project)
    assert linear == (
        "linear_regression does not answer its example: ModelError: dict has no predict"
    )
    assert forest.startswith("random_forest does not answer its example: ")
    assert vector == (
        "support_vector does not answer its example: ModelError: the model was trained with 2 "
        "features, but the deployed manifest names 13"
    )


def test_another_answer_than_the_recorded_one_is_a_finding(project: Path) -> None:
    manifest = json.loads((project / "models" / "manifest.json").read_text())
    example = manifest["models"]["random_forest"]["example"]
    (answered,) = example["answer"]["predictions"]
    example["answer"]["predictions"] = [answered * (1 + 1e-7)]
    change(project, "random_forest", example=example)
    (finding,) = local_findings(project)
    pattern = (
        r"random_forest answers its example otherwise than it did when trained: predictions: "
        r"\[(\S+)\] where \[(\S+)\] was expected"
    )
    match = re.fullmatch(pattern, finding)
    assert match
    got, expected = map(float, match.groups())
    assert got == pytest.approx(answered, rel=1e-12)
    assert expected == answered * (1 + 1e-7)


def test_without_an_example_a_made_record_is_asked_and_told(project: Path) -> None:
    for name in NAMES:
        change(project, name, example=None)
    result = run(project, "check", "--offline", code=0)
    assert result.stdout == "check: nothing found\n"
    for name in NAMES:
        assert (
            f"models/manifest.json has no example of {name} with its answer: a made record was "
            "asked, and any well-formed answer counts\n"
        ) in result.stderr


def test_the_files_that_copy_takes_count_and_not_those_in_the_folder(project: Path) -> None:
    dockerfile = project / "lambda_src" / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("COPY *.py ./", "COPY predict.py ./"))
    listed = local_findings(project)
    assert len(listed) == 3
    assert listed[0] == (
        "linear_regression does not answer its example: ModuleNotFoundError: No module named "
        "'loading'; if loading is your own, it belongs into lambda_src/ and into a COPY of the "
        "Dockerfile; else into requirements.txt and this environment"
    )


def test_own_code_beside_the_handler_is_served(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "lambda_src" / "own_steps.py").write_text("def doubled(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(project / "lambda_src")
    own_steps: Any = importlib.import_module("own_steps")
    x, y = np.arange(26.0).reshape(2, 13), [1.0, 2.0]
    model = make_pipeline(FunctionTransformer(own_steps.doubled), LinearRegression()).fit(x, y)
    replace_file(project, "linear_regression", model, example=None)
    run(project, "check", "--offline", "--local", code=0)
    (project / "lambda_src" / "own_steps.py").unlink()
    (finding,) = local_findings(project)
    assert "No module named 'own_steps'; if own_steps is your own, it belongs into" in finding


def test_a_function_of_the_training_program_itself_is_refused_with_where_to_put_it(
    project: Path,
) -> None:
    program = """
import sys, joblib, numpy
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
def doubled(x):
    return 2 * x
x = numpy.arange(26.0).reshape(2, 13)
model = make_pipeline(FunctionTransformer(doubled), LinearRegression()).fit(x, [1.0, 2.0])
joblib.dump(model, "models/linear_regression.joblib")
"""
    subprocess.run([sys.executable, "-c", program], cwd=project, check=True)
    content = (project / "models" / "linear_regression.joblib").read_bytes()
    replace_file(project, "linear_regression", content, example=None)
    (finding,) = local_findings(project)
    assert finding.endswith(
        "; the training program itself defines doubled: move it to a module of its own, "
        "lambda_src/NAME.py, import it from there, and train again"
    )


@pytest.mark.slow
def test_the_memory_that_a_model_needs_is_held_against_the_setting(project: Path) -> None:
    with (project / "setup.cfg").open("a") as file:
        file.write("\n[deployer:random_forest]\nmemory_mb = 128\n")
    x = np.random.default_rng(0).normal(size=(200, 13))
    model = LinearRegression().fit(x, x[:, 0])
    model.ballast_ = np.ones((18, 1024, 1024))  # 144 MB
    replace_file(project, "random_forest", model, example=None)
    (finding,) = local_findings(project)
    assert finding.startswith("random_forest needed ")
    assert "its memory_mb is 128: set memory_mb = " in finding
    assert finding.endswith(" in [deployer:random_forest] of setup.cfg")


def test_other_libraries_than_the_images_are_a_finding_of_check_that_says_so(
    project: Path,
) -> None:
    """With a base, the image may have what this Python has not."""
    own = project / "lambda_src" / "random_forest"
    own.mkdir()
    requirements = (project / "lambda_src" / "requirements.txt").read_text()
    own.joinpath("requirements.txt").write_text(
        re.sub(r"(?m)^scikit-learn==[0-9.]+", "scikit-learn==1.6.1", requirements)
    )
    change(project, "random_forest", libraries={"scikit-learn": "1.6.1"})
    (finding,) = findings(project)
    assert finding.startswith(
        "random_forest: its example could not be compared here: the model was trained with "
        "scikit-learn 1.6.1, but this image has "
    )


def test_two_scikit_learns_in_one_image_are_refused(project: Path) -> None:
    change(project, "random_forest", libraries={"scikit-learn": "1.6.1"})
    assert any(
        "linear_regression was trained with scikit-learn " in finding
        and "and random_forest with 1.6.1, but they share an image: give one of them its own, "
        "lambda_src/random_forest/ with a requirements.txt"
        in finding
        for finding in findings(project)
    )


def test_an_own_folder_needs_only_what_differs(project: Path) -> None:
    own = project / "lambda_src" / "random_forest"
    own.mkdir()
    (own / "predict.py").write_text(
        'def handler(event, context):\n    return {"predictions": [1.0]}\n'
    )
    (finding,) = local_findings(project)
    assert finding.startswith("random_forest answers its example otherwise")
    assert "predictions: [1.0] where [" in finding


def test_with_local_another_scikit_learn_is_refused_because_no_other_will_serve(
    project: Path,
) -> None:
    path = project / "models" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["libraries"]["scikit-learn"] = "1.6.1"
    path.write_text(json.dumps(manifest))
    requirements, installed = local_findings(project)
    assert requirements.startswith("lambda_src/requirements.txt line ")
    assert "the models were trained with scikit-learn 1.6.1, but " in installed
    assert installed.endswith("python -m pip install scikit-learn==1.6.1")
