"""The fast paths are exact with the oldest supported scikit-learn, and with the newest.

By default, with the oldest alone: the rest of the suite runs with a new one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.containers import unavailable
from tests.support.made_zoo import check_zoo, checked, made_zoo
from tests.support.projects import ROOT
from tests.support.thinning import thinned

pytestmark = pytest.mark.weekly

# setup.cfg names the first. All versions between the two were tried by hand.
VERSIONS = ["1.5.2", "1.9.1"]


TABLES = Path(__file__).with_name("test_tables.py")


@pytest.mark.parametrize("version", thinned(VERSIONS, every=2))
def test_every_kind_of_model_predicts_the_same(version: str, tmp_path: Path) -> None:
    site = installed(version, tmp_path / "site")
    check_zoo(made_zoo(tmp_path / "models", site, checked()), site)


@pytest.mark.parametrize("version", thinned(VERSIONS, every=1, first=len(VERSIONS)))
def test_tables_and_texts_are_answered_the_same(version: str, tmp_path: Path) -> None:
    """By default no version; both with TESTS=every."""
    environment = {**os.environ, "PYTHONPATH": installed(version, tmp_path / "site")}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", str(TABLES)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def installed(version: str, site: Path) -> str:
    """Install a scikit-learn into a folder, and return the folder."""
    if version == VERSIONS[1] and sys.version_info < (3, 11):
        pytest.skip("this scikit-learn wants a newer Python")
    options = [
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary=:all:",
        "--no-compile",  # a tenth of the modules is imported
        "--target",
        str(site),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, f"scikit-learn=={version}"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        unavailable(f"pip cannot fetch scikit-learn {version}: {done.stderr}")
    return str(site)
