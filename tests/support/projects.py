"""Where the repository is, and copies of the example project."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


PROJECT_FILES = ("train.py", "state_machine.json", "setup.cfg", "lambda_src", "samples", "data")


def make_project(folder: Path, trained: Path) -> Path:
    """Copy what a user clones, with trained models, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROJECT_FILES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    shutil.copytree(trained, folder / "models")
    base = f"public.ecr.aws/lambda/python:{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "lambda_src" / "base.lock").write_text(
        json.dumps({base: f"sha256:{'0' * 64}"})
    )  # asks no registry
    return folder.resolve()
