"""Other models than the example's, put into a copy of its project."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib


def put_models(project: Path, models: Mapping[str, tuple[Any, dict[str, Any]]]) -> None:
    """Replace a project's models, their manifest and the workflow's branches.

    Args:
        models: by name, a fitted model and the members of its manifest entry.
    """
    manifest_path = project / "models" / "manifest.json"
    manifest = json.loads(manifest_path.read_text())
    manifest["models"] = {}
    for name, (model, entry) in models.items():
        path = project / "models" / f"{name}.joblib"
        joblib.dump(model, path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        manifest["models"][name] = {"sha256": sha256, **entry}
    manifest_path.write_text(json.dumps(manifest))
    workflow_path = project / "state_machine.json"
    workflow = json.loads(workflow_path.read_text())
    branch = json.dumps(workflow["States"]["Predict"]["Branches"][0])
    workflow["States"]["Predict"]["Branches"] = [
        json.loads(branch.replace("linear_regression", name)) for name in models
    ]
    workflow_path.write_text(json.dumps(workflow))
