"""Models of another table than the example's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.once import made_once
from tests.support.projects import ROOT, make_project, train

TABLE = "table.csv"


@pytest.fixture(scope="session")
def trained_on_another_table(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """A project whose models were trained on tests/cases/other_table.csv; do not write here."""

    def make(folder: Path) -> None:
        make_project(folder, trained)
        shutil.copy(ROOT / "tests" / "cases" / "other_table.csv", folder / TABLE)
        train(folder, "--data", TABLE, "--target", "y")

    return made_once(tmp_path_factory, "another_table", make)


@pytest.fixture
def retrain(trained_on_another_table: Path) -> Callable[[Path], None]:
    """Put the models of the other table, and the table, into a project."""

    def put(project: Path) -> None:
        shutil.copy(trained_on_another_table / TABLE, project / TABLE)
        shutil.rmtree(project / "models")
        shutil.copytree(trained_on_another_table / "models", project / "models")

    return put


@pytest.fixture(autouse=True)
def warm_programs(warm: None) -> None:
    """Start the programs of commands that run in this process in a warm Python."""
