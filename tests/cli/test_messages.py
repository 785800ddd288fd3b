"""Errors with --json, and hints that can be copied."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deployer.local import process
from tests.support.accounts import keys, reset
from tests.support.processes import deployer
from tests.support.projects import ROOT


def run(
    project: Path, *arguments: str, environment: Mapping[str, str] | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deployer", *arguments]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, env=environment, timeout=120, **more
    )


@pytest.mark.parametrize(
    ("arguments", "kind", "code"),
    [
        (("plan", "--json", "--stage", "No"), "ConfigError", 1),
        (("up", "--json"), "NoCredentials", 1),
        (("down", "--json", "--endpoint-url", "http://127.0.0.1:9"), "NoCredentials", 1),
        (("invoke", "--json", "--sample", "--local"), "NotRunning", 1),
        (("env", "--json", "--local"), "NotRunning", 1),
        (("invoke", "--json"), "UsageError", 2),
        (("plan", "--json", "--nonsense"), "UsageError", 2),
        (("--json", "plan", "--local"), "UsageError", 2),
        (("plan", "--local", "--json=1"), "UsageError", 2),
        (("plan", "--json", "--endpoint-url", "http://127.0.0.1:99999"), "UsageError", 2),
        (("plan", "--json", "--endpoint-url", "foo"), "UsageError", 2),
        (("image", "--json", "--output", "x.tar", "--builder", "direct"), "BuildError", 1),
    ],
)
def test_json_is_one_document_on_errors_too(
    project: Path, arguments: tuple[str, ...], kind: str, code: int
) -> None:
    (project / "lambda_src" / "base.lock").write_text("5")
    environment = {**os.environ, "AWS_REGION": "us-east-1"}
    done = run(project, *arguments, environment=environment)
    assert done.returncode == code, done.stderr
    error = json.loads(done.stdout)["error"]
    assert (
        error["type"] == kind and error["message"] and set(error) == {"type", "message", "advice"}
    )
    assert "Traceback" not in done.stderr


def test_a_failed_run_prints_one_document_with_what_it_was_to_change(
    project: Path, server: process.Server
) -> None:
    reset(server)
    environment = {**os.environ, **keys(server), "DEPLOYER_BASE_IMAGE": "127.0.0.1:9/x/python:1"}
    done = run(
        project,
        "up",
        "--json",
        "--endpoint-url",
        server.url,
        "--builder",
        "direct",
        environment=environment,
    )
    document = json.loads(done.stdout)
    assert done.returncode == 1 and document["error"]["type"] in ("ApplyFailed", "BuildError")
    assert "base image 127.0.0.1:9/x/python:1" in document["error"]["message"]


def test_down_without_a_local_aws_prints_a_document_too(project: Path) -> None:
    ran = deployer(project, "down", "--local", "--json")
    assert ran.json["changes"] == [] and "nothing to delete" in ran.err


@pytest.mark.parametrize(
    ("typed", "meant"), [("pln", "plan"), ("dwon", "down"), ("invok", "invoke"), ("chek", "check")]
)
def test_a_mistyped_command_gets_a_suggestion(project: Path, typed: str, meant: str) -> None:
    done = run(project, typed)
    assert done.returncode == 2 and re.search(rf"(?i)did you mean '?{meant}'?", done.stderr)


def test_hints_keep_where_and_with_what_the_command_was_typed(
    project: Path, tmp_path: Path
) -> None:
    options = (
        "--stage",
        "side",
        "--service",
        "other",
        "--region",
        "eu-west-1",
        "--project",
        str(project),
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    try:
        ran = deployer(elsewhere, "up", "--local", *options)
        hint = next(
            line for line in ran.err.splitlines() if line.startswith("next: ")
        ).removeprefix("next: ")
        done = subprocess.run(["sh", "-c", hint], cwd=elsewhere, capture_output=True, text=True)
        assert done.returncode == 0 and "linear_regression" in done.stdout, (hint, done.stderr)
        declined = deployer(elsewhere, "down", "--local", *options, code=1).err
        command = declined.splitlines()[-1].removeprefix("to agree: ")
        done = subprocess.run(["sh", "-c", command], cwd=elsewhere, capture_output=True, text=True)
        assert done.returncode == 0 and "18 deleted" in done.stderr, (command, done.stderr)
    finally:
        process.force_stop(project)
    missing = deployer(elsewhere, "invoke", "--sample", "--local", *options, code=1).err
    assert (
        f"-m deployer up --project {project} --service other --stage side --region eu-west-1 "
        f"--local" in missing
    )


def test_the_sample_fits_the_models_that_are_there(project: Path) -> None:
    """Of another table: a record made of the middle of each feature's range, where no file of
    samples/ fits.
    """
    shutil.copy(ROOT / "tests" / "cases" / "other_table.csv", project / "table.csv")
    subprocess.run(
        [sys.executable, "train.py", "--data", "table.csv", "--target", "y"],
        cwd=project,
        check=True,
    )
    try:
        deployer(project, "up", "--local")
        results = deployer(project, "invoke", "--sample", "--local", "--json").json
        assert all("predictions" in entry for entry in results) and len(results) == 3
        (project / "samples" / "own.json").write_text(
            '{"instances": [{"a": 0.1, "b": 0.2}, {"b": 0.3, "a": 0.4}]}'
        )
        results = deployer(project, "invoke", "--sample", "--local", "--json").json
        assert [len(entry["predictions"]) for entry in results] == [2, 2, 2]
    finally:
        process.force_stop(project)
