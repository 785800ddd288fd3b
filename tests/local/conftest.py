"""Running the command line as a user does: a process of its own, stdout and stderr apart."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployer.local import process
from tests.conftest import make_project


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def deployer(folder: Path, *arguments: str, code: int = 0, stdin: str = "") -> Ran:
    """Run `python -m deployer ...` in a project folder and check its exit code."""
    command = [sys.executable, "-m", "deployer", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, input=stdin, timeout=120)
    assert done.returncode == code, f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Path]:
    """A project folder whose service runs in a local AWS of its own."""
    folder = make_project(tmp_path_factory.mktemp("deployed") / "project", trained)
    deployer(folder, "up", "--local")
    yield folder
    process.stop(folder)
