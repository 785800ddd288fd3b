"""Mistakes while installing: the next run of make continues, or one sentence says what to do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.projects import ROOT


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return f"./{path.name}"


@pytest.mark.slow
def test_half_an_environment_is_completed_by_the_next_run(folder: Path) -> None:
    """Debian without python3-venv makes an environment without pip, and fails."""
    python = program(
        folder / "fakepy",
        f'[ "$2" != venv ] || {{ {sys.executable} -m venv --without-pip "$3"; echo "no '
        f'ensurepip" >&2; exit 1; }}\n'
        f'exec {sys.executable} "$@"',
    )
    failed = make(folder, ".venv/bin/pip", f"PYTHON={python}")
    assert failed.returncode != 0 and "no ensurepip" in failed.stderr
    assert (folder / ".venv" / "bin" / "python").exists()
    (folder / ".venv" / "mine.txt").write_text("kept")
    assert make(folder, ".venv/bin/pip", f"PYTHON={sys.executable}").returncode == 0
    assert (folder / ".venv" / "bin" / "pip").exists() and (
        folder / ".venv" / "mine.txt"
    ).read_text() == "kept"


def test_an_old_python_is_one_sentence(folder: Path) -> None:
    python = program(
        folder / "oldpy", f'exec {sys.executable} -c "import sys; sys.version_info = (3, 9, 2); $2"'
    )
    failed = make(folder, ".venv/bin/pip", f"PYTHON={python}")
    assert failed.returncode != 0
    assert failed.stderr.splitlines()[0] == (
        "deployer needs Python 3.10 or newer; ./oldpy is 3.9: name another, as in make "
        "PYTHON=python3.12"
    )
    assert not (folder / ".venv").exists()


def test_installing_is_no_dead_screen() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "--quiet" not in makefile and makefile.count('@echo "installing what') == 2
