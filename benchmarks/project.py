"""The project that a benchmark deploys: a copy of this one, of as many functions as are wanted."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ("train.py", "state_machine.json", "setup.cfg", "lambda_src", "data", "samples")


def copy_project(folder: Path) -> None:
    """Copy into an existing folder what a deploy needs, and train there."""
    for name in NEEDED:
        source = ROOT / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy2(source, folder / name)
    subprocess.run([sys.executable, "train.py"], cwd=folder, check=True, capture_output=True)


def grow(project: Path, functions: int) -> None:
    """Make the service one of so many functions, all copies of its first."""
    workflow, manifest = project / "state_machine.json", project / "models" / "manifest.json"
    definition, described = json.loads(workflow.read_text()), json.loads(manifest.read_text())
    branch = json.dumps(definition["States"]["Predict"]["Branches"][0])
    entry = described["models"]["linear_regression"]
    names = [f"model_{number}" for number in range(functions)]
    definition["States"]["Predict"]["Branches"] = [json.loads(branch.replace("linear_regression", n)) for n in names]
    described["models"] = {name: copy.deepcopy(entry) for name in names}
    for name in names:
        shutil.copy2(project / "models" / "linear_regression.joblib", project / "models" / f"{name}.joblib")
    workflow.write_text(json.dumps(definition))
    manifest.write_text(json.dumps(described))
