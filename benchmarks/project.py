"""The project that a benchmark deploys: a copy of this one, of as many functions as are wanted."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ("train.py", "state_machine.json", "setup.cfg", "lambda_src", "data", "samples")


def copy_project(folder: Path) -> None:
    """Copy into an existing folder what a deploy needs, and train there."""
    for name in NEEDED:
        source = ROOT / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy2(
            source, folder / name
        )
    subprocess.run([sys.executable, "train.py"], cwd=folder, check=True, capture_output=True)


def open_account(server: Any) -> None:
    """Let this process and those that it starts call a local AWS."""
    os.environ |= {
        name: value
        for name, value in server.environment("us-east-1").items()
        if "ENDPOINT" not in name
    }


def reset(server: Any) -> None:
    """Empty the account of a local AWS."""
    from deployer.local.process import RESET

    urllib.request.urlopen(
        urllib.request.Request(server.url + RESET, headers=server.signed, method="POST")
    ).read()


def grow(project: Path, functions: int) -> None:
    """Make the service one of so many functions, all copies of its first."""
    workflow, manifest = project / "state_machine.json", project / "models" / "manifest.json"
    definition, described = json.loads(workflow.read_text()), json.loads(manifest.read_text())
    branch = json.dumps(definition["States"]["Predict"]["Branches"][0])
    entry = described["models"]["linear_regression"]
    names = [f"model_{number}" for number in range(functions)]
    definition["States"]["Predict"]["Branches"] = [
        json.loads(branch.replace("linear_regression", n)) for n in names
    ]
    described["models"] = {name: copy.deepcopy(entry) for name in names}
    for name in names:
        shutil.copy2(
            project / "models" / "linear_regression.joblib", project / "models" / f"{name}.joblib"
        )
    workflow.write_text(json.dumps(definition))
    manifest.write_text(json.dumps(described))
