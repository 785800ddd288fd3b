"""Models of every kind, saved, and their predictions compared."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support import zoo
from tests.support.projects import ROOT

VERIFY = ROOT / "lambda_src" / "verify.py"


def run(
    program: str, *arguments: str, site: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program text, or a file, in a Python of its own whose packages are those of `site`
    first.
    """
    paths = [site, str(ROOT / "lambda_src")] if site else [str(ROOT / "lambda_src")]
    environment |= {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
    }
    first = ["-c", program] if "\n" in program else [program]
    command = [sys.executable, "-B", *first, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def made_zoo(folder: Path, site: str = "") -> Path:
    done = run(
        str(ROOT / "tests" / "support" / "zoo.py"),
        str(ROOT / "data" / "boston_housing.csv"),
        str(folder),
        site=site,
    )
    assert done.returncode == 0, done.stderr
    return folder


def ways(models: Path, site: str = "") -> dict[str, str]:
    """Return how the handler evaluates each model, each loaded in a process of its own."""
    found = {}
    for name in (*zoo.KNOWN, *zoo.OTHERS):
        done = run(str(VERIFY), "--with", "handler", str(models), name, site=site)
        assert done.returncode == 0, done.stderr
        found[name] = json.loads(done.stdout.splitlines()[-1])[name]["way"]
    return found


def check_zoo(models: Path, site: str = "") -> None:
    done = run(str(VERIFY), str(models), *zoo.KNOWN, *zoo.OTHERS, site=site)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = ways(models, site)
    assert {name: way for name, way in found.items() if way == "numpy"} == dict.fromkeys(
        zoo.KNOWN, "numpy"
    )
    for name in zoo.OTHERS:
        assert re.fullmatch(r"scikit-learn, imported in part \(sklearn\.[\w.]+\)", found[name]), (
            f"{name}: {found[name]}"
        )
