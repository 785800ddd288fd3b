"""The lines of requirements.txt that a model's packages need, and the file that they go into."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from deployer.project.template import copy_template
from deployer.service.libraries import Lines, plan_lines
from deployer.service.removing import plan_removal

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PANDAS = metadata.version("pandas")
LINE = f"pandas=={PANDAS}"


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    copy_template(tmp_path / "project")
    return tmp_path / "project"


def requirements(project: Path, name: str = "") -> Path:
    return project / "lambda_src" / name / "requirements.txt"


def planned(project: Path, remarks: list[str] | None = None) -> Lines | None:
    told: list[str] = [] if remarks is None else remarks
    return plan_lines(project, "churn", {"pandas": PANDAS}, PYTHON, told)


def test_a_function_with_a_folder_gets_the_lines_in_its_own_file(fresh: Path) -> None:
    """A copy of the shared file with the lines; if it has one, that."""
    requirements(fresh, "churn").parent.mkdir()
    shared = requirements(fresh).read_text()
    lines = planned(fresh)
    assert lines is not None and lines.copied and lines.lines == (LINE,)
    assert lines.path == requirements(fresh, "churn")
    assert lines.file == "lambda_src/churn/requirements.txt"
    assert lines.content.decode() == f"{shared}{LINE}\n"
    lines.path.write_text("joblib==1\n")
    lines = planned(fresh)
    assert lines is not None and not lines.copied
    assert lines.content.decode().startswith(f"joblib==1\n{LINE}\n")
    lines.path.write_bytes(lines.content)
    assert planned(fresh) is None


def test_a_users_own_file_with_another_version_is_left_alone(fresh: Path) -> None:
    """`check` says the line."""
    requirements(fresh, "churn").parent.mkdir()
    requirements(fresh, "churn").write_text("pandas==1.0\n")
    assert planned(fresh) is None


def test_a_shared_file_with_another_version_gives_the_function_a_file_of_its_own(
    fresh: Path,
) -> None:
    before = requirements(fresh).read_text()
    requirements(fresh).write_text(f'Pandas==1.0; python_version >= "3"  # old\n{before}')
    lines = planned(fresh)
    assert lines is not None and lines.copied and lines.path == requirements(fresh, "churn")
    assert lines.content.decode() == f'{LINE}; python_version >= "3"\n{before}'
    requirements(fresh).write_text(f"pandas==1.0 \\\n  --hash=sha256:0\n{before}")
    assert planned(fresh) is None  # nobody knows the hash of the other


def test_a_package_of_the_handler_is_no_functions_folder(fresh: Path) -> None:
    (fresh / "lambda_src" / "churn").mkdir()
    (fresh / "lambda_src" / "churn" / "__init__.py").touch()
    lines = planned(fresh)
    assert lines is not None and lines.path == requirements(fresh)


@pytest.mark.parametrize("text", ["FROM x\nCOPY . .\n", "no Dockerfile"])
def test_a_dockerfile_without_requirements_gets_no_lines(fresh: Path, text: str) -> None:
    (fresh / "lambda_src" / "Dockerfile").write_text(text)
    assert planned(fresh) is None


def test_xgboost_with_libraries_of_a_gpu_counts_and_is_warned_of(fresh: Path) -> None:
    path, remarks = requirements(fresh), list[str]()
    path.write_text(f"{path.read_text()}xgboost==3.2.0\n")
    assert plan_lines(fresh, "churn", {"xgboost-cpu": "3.2.0"}, PYTHON, remarks) is None
    assert "xgboost-cpu==3.2.0 is the same without them" in remarks[0]


def test_a_removed_model_leaves_lines_that_are_told(fresh: Path) -> None:
    """Those that another model needs are not."""
    path = requirements(fresh)
    path.write_text(f"{path.read_text()}{LINE}\nlightgbm==4.7.0\n")
    (fresh / "models").mkdir()
    models = {
        "churn": '"packages": {"pandas": "1", "lightgbm": "4.7.0"}',
        "price": '"packages": {"pandas": "1"}',
    }
    entries = ", ".join(
        f'"{name}": {{"sha256": "0", "features": [{{"name": "a"}}], {packages}}}'
        for name, packages in models.items()
    )
    text = f'{{"format": 2, "models": {{{entries}}}}}'
    (fresh / "models" / "manifest.json").write_text(text)
    remark = "lambda_src/requirements.txt still names lightgbm, which no other model needs"
    assert [line for line in plan_removal(fresh, ["churn"]).remarks if line.startswith(remark)]
    requirements(fresh, "churn").parent.mkdir()
    requirements(fresh, "churn").touch()
    assert "lambda_src/churn/ stays" in " ".join(plan_removal(fresh, ["churn"]).remarks)
