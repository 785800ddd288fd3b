"""Where the repository is, and copies of the example project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from deployer.children import child
from deployer.project.template import copy_template

ROOT = Path(__file__).resolve().parents[2]


def read_definition(path: str) -> dict[str, Any]:
    """Return a workflow of the repository, by its path in it."""
    definition: dict[str, Any] = json.loads((ROOT / path).read_text(encoding="utf-8"))
    return definition


def make_project(folder: Path, trained: Path) -> Path:
    """Copy the example project, with trained models, into a folder.

    Its base image is pinned to a made-up digest, so that no registry is asked for one.
    """
    copy_template(folder)
    shutil.copytree(trained, folder / "models")
    base = f"public.ecr.aws/lambda/python:{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "lambda_src" / "base.lock").write_text(json.dumps({base: f"sha256:{'0' * 64}"}))
    return folder.resolve()


def train(folder: Path, *arguments: str) -> None:
    """Run a project's train.py, in a warm Python if programs are started by one."""
    command = [sys.executable, "train.py", *arguments]
    pipe = subprocess.PIPE
    with child(command, folder, dict(os.environ), stdout=pipe, stderr=pipe) as program:
        _, err = program.communicate()
    assert program.returncode == 0, err
