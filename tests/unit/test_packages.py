"""Packages that models need are compared with their images, or with this Python."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deployer.cli import cli
from deployer.errors import ConfigError
from deployer.project.settings import load_settings
from deployer.service.release import load_release

PANDAS = metadata.version("pandas")


def problems(project: Path, packages: dict[str, str], **changes: Any) -> list[str]:
    """Return the problems of a project whose forest needs these packages."""
    path = project / "models" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["models"]["random_forest"]["packages"] = packages
    path.write_text(json.dumps(manifest))
    settings = load_settings(project, {}, {}).located(
        account="1" * 12, partition="aws", region="eu-central-1"
    )
    try:
        load_release(replace(settings, **changes))
    except ConfigError as error:
        return list(error.problems)
    return []


def test_an_image_that_lacks_a_package_is_refused_with_the_line_to_add(project: Path) -> None:
    needed = {"xgboost-cpu": "3.2.0"}
    assert problems(project, needed) == [
        "models/manifest.json: random_forest needs xgboost-cpu 3.2.0, which "
        "lambda_src/requirements.txt does not name: add the line xgboost-cpu==3.2.0"
    ]
    requirements = project / "lambda_src" / "requirements.txt"
    text = requirements.read_text()
    requirements.write_text(f"{text}XGBoost_CPU==3.2.0\n")
    assert problems(project, needed) == []
    requirements.write_text(f"{text}xgboost-cpu==3.1.0\n")
    (problem,) = problems(project, needed)
    assert problem.startswith(
        "models/manifest.json: random_forest needs xgboost-cpu 3.2.0, but "
        "lambda_src/requirements.txt line "
    )
    assert problem.endswith("pins xgboost-cpu==3.1.0")


@pytest.mark.parametrize("needed", ["xgboost", "xgboost-cpu"])
@pytest.mark.parametrize("named", ["xgboost", "xgboost-cpu"])
def test_either_distribution_of_xgboost_has_its_modules(
    project: Path, needed: str, named: str
) -> None:
    assert problems(project, {needed: "3.2.0"}) == [
        f"models/manifest.json: random_forest needs {needed} 3.2.0, which "
        "lambda_src/requirements.txt does not name: add the line xgboost-cpu==3.2.0"
    ]
    requirements = project / "lambda_src" / "requirements.txt"
    requirements.write_text(f"{requirements.read_text()}{named}==3.2.0\n")
    assert problems(project, {needed: "3.2.0"}) == []
    (problem,) = problems(project, {needed: "3.1.0"})
    assert f"pins {named}==3.2.0" in problem


def test_check_warns_of_libraries_of_a_gpu(project: Path) -> None:
    (project / "lambda_src" / "verify.py").unlink()  # it would compare predictions, for seconds
    requirements = project / "lambda_src" / "requirements.txt"
    text = requirements.read_text()
    count = len(text.splitlines())
    requirements.write_text(f"{text}xgboost==3.2.0\n")
    assert (
        f"warning: lambda_src/requirements.txt line {count + 1}: xgboost==3.2.0 brings hundreds of "
        "megabytes of GPU libraries, which Lambda cannot use; xgboost-cpu==3.2.0 is the same "
        "without them"
    ) in check(project)
    requirements.write_text(f"{text}xgboost-cpu==3.2.0\nxgboost==1.7.6\n")
    assert "GPU" not in check(project)


def check(project: Path) -> str:
    result = CliRunner().invoke(cli, ["check", "--project", str(project), "--offline"])
    return f"{result.stdout}\n{result.stderr}"


def test_only_the_image_of_the_model_needs_its_packages(project: Path) -> None:
    own = project / "lambda_src" / "random_forest"
    own.mkdir()
    text = (project / "lambda_src" / "requirements.txt").read_text()
    (own / "requirements.txt").write_text(f"{text}pandas=={PANDAS}\n")
    assert problems(project, {"pandas": PANDAS}) == []


@pytest.mark.parametrize(
    ("packages", "reason"),
    [
        ({"pandas": PANDAS}, ""),
        ({"pandas": "1.0"}, f"needs pandas 1.0, but {PANDAS} is installed here: "),
        ({"not-there": "1.0"}, "needs not-there 1.0, which is not installed here: "),
    ],
)
def test_without_an_image_this_python_must_have_the_packages(
    project: Path, packages: dict[str, str], reason: str
) -> None:
    name, version = next(iter(packages.items()))
    with (project / "lambda_src" / "requirements.txt").open("a") as requirements:
        requirements.write(f"{name}=={version}\n")
    found = problems(project, packages, bare=True)
    expected = f"models/manifest.json: random_forest {reason}python -m pip install {name}==1.0"
    assert found == ([expected] if reason else [])


def test_without_an_image_the_requirements_must_name_the_packages_all_the_same(
    project: Path,
) -> None:
    (problem,) = problems(project, {"pandas": PANDAS}, bare=True)
    assert problem.endswith(f"does not name: add the line pandas=={PANDAS}")
