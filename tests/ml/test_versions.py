"""The fast paths are exact with the oldest supported scikit-learn, and with the newest.

By default, with the oldest alone: the rest of the suite runs with a new one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.containers import unavailable
from tests.support.made_zoo import check_zoo, made_zoo
from tests.support.thinning import thinned

# setup.cfg names the first. All versions between the two were tried by hand.
VERSIONS = ["1.5.2", "1.9.1"]


@pytest.mark.parametrize("version", thinned(VERSIONS, every=2))
def test_every_kind_of_model_predicts_the_same(version: str, tmp_path: Path) -> None:
    if version == VERSIONS[1] and sys.version_info < (3, 11):
        pytest.skip("this scikit-learn wants a newer Python")
    site = tmp_path / "site"
    options = [
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary=:all:",
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
    check_zoo(made_zoo(tmp_path / "models", str(site)), str(site))
