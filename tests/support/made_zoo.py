"""Models of every kind, saved, and their predictions compared."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support import zoo
from tests.support.projects import ROOT
from tests.support.thinning import thinned

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


def checked() -> list[str]:
    """Return the models that `check_zoo` checks.

    By default, one in five of those that numpy does not evaluate; all with TESTS=every.
    """
    return [*zoo.KNOWN, *thinned(list(zoo.OTHERS), every=5)]


def made_zoo(folder: Path, site: str = "", chosen: Sequence[str] = ()) -> Path:
    """Train models of the zoo, or all of them, into a folder, with the packages of `site`."""
    done = run(
        str(ROOT / "tests" / "support" / "zoo.py"),
        str(ROOT / "data" / "boston_housing.csv"),
        str(folder),
        *chosen,
        site=site,
    )
    assert done.returncode == 0, done.stderr
    return folder


# Runs verify.py's comparison, and then prints the path that the handler took for every model.
COMPARED = """
import json, sys
from pathlib import Path
import verify
paths = {}
def recording(way, models, *names):
    results = verify.outcomes(way, models, *names)
    if way == "handler":
        paths.update({name: result["way"] for name, result in results.items()})
    return results
code = verify.compare(Path(sys.argv[1]), sys.argv[2:], recording)
print(json.dumps(paths))
sys.exit(code)
"""


def check_zoo(models: Path, site: str = "") -> None:
    """Check that verify.py passes `checked` models, and none takes a slower path than it needs."""
    others = set(checked()) - set(zoo.KNOWN)
    done = run(COMPARED, str(models), *checked(), site=site)
    assert (done.returncode, done.stderr) == (0, "")
    paths = json.loads(done.stdout)  # one document: no line about a difference
    assert {name: path for name, path in paths.items() if path == "numpy"} == dict.fromkeys(
        zoo.KNOWN, "numpy"
    )
    for name in others:
        assert re.fullmatch(r"scikit-learn, imported in part \(sklearn\.[\w.]+\)", paths[name]), (
            f"{name}: {paths[name]}"
        )
