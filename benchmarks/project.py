"""The project that a benchmark deploys: a copy of the example, with any number of functions."""

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

from deployer.project.template import copy_template


def copy_project(folder: Path) -> None:
    """Copy the example project into a folder, and train its models there."""
    copy_template(folder)
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
    """Give the service this number of functions, all copies of its first."""
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
