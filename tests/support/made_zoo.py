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
    """Run a program, given as its text or its file, in a new Python.

    `site` is a folder whose packages come before the installed ones.
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
    """Train the models of the zoo into a folder, with the packages of `site`, and return it."""
    done = run(
        str(ROOT / "tests" / "support" / "zoo.py"),
        str(ROOT / "data" / "boston_housing.csv"),
        str(folder),
        site=site,
    )
    assert done.returncode == 0, done.stderr
    return folder


def ways(models: Path, site: str = "") -> dict[str, str]:
    """Return by which path the handler evaluates each model, loading each in a new process."""
    paths = {}
    for name in (*zoo.KNOWN, *zoo.OTHERS):
        done = run(str(VERIFY), "--with", "handler", str(models), name, site=site)
        assert done.returncode == 0, done.stderr
        paths[name] = json.loads(done.stdout.splitlines()[-1])[name]["way"]
    return paths


def check_zoo(models: Path, site: str = "") -> None:
    """Check that verify.py passes every model, and that none takes a slower path than it needs."""
    done = run(str(VERIFY), str(models), *zoo.KNOWN, *zoo.OTHERS, site=site)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    paths = ways(models, site)
    assert {name: path for name, path in paths.items() if path == "numpy"} == dict.fromkeys(
        zoo.KNOWN, "numpy"
    )
    for name in zoo.OTHERS:
        assert re.fullmatch(r"scikit-learn, imported in part \(sklearn\.[\w.]+\)", paths[name]), (
            f"{name}: {paths[name]}"
        )
