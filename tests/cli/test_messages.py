"""Errors with --json, and hints that can be copied."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.local import process
from tests.support import processes
from tests.support.accounts import keys, reset
from tests.support.command_line import deployer


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
    ran = deployer(project, *arguments, code=code, environment={"AWS_REGION": "us-east-1"})
    error = ran.json["error"]
    assert (
        error["type"] == kind and error["message"] and set(error) == {"type", "message", "advice"}
    )
    assert "Traceback" not in ran.err


def test_a_failed_run_prints_one_document_with_what_it_was_to_change(
    project: Path, server: process.Server
) -> None:
    reset(server)
    environment = {**keys(server), "DEPLOYER_BASE_IMAGE": "127.0.0.1:9/x/python:1"}
    options = ("--json", "--endpoint-url", server.url, "--builder", "direct")
    document = deployer(project, "up", *options, code=1, environment=environment).json
    assert document["error"]["type"] in ("ApplyFailed", "BuildError")
    assert "base image 127.0.0.1:9/x/python:1" in document["error"]["message"]


def test_down_without_a_local_aws_prints_a_document_too(project: Path) -> None:
    ran = deployer(project, "down", "--local", "--json")
    assert ran.json["changes"] == [] and "nothing to delete" in ran.err


@pytest.mark.parametrize(
    ("typed", "meant"), [("pln", "plan"), ("dwon", "down"), ("invok", "invoke"), ("chek", "check")]
)
def test_a_mistyped_command_gets_a_suggestion(project: Path, typed: str, meant: str) -> None:
    ran = deployer(project, typed, code=2)
    assert re.search(rf"(?i)did you mean '?{meant}'?", ran.err)


@pytest.mark.slow
def test_hints_keep_where_and_with_what_the_command_was_typed(live: Path, tmp_path: Path) -> None:
    """Processes, because hints repeat how the command was started."""
    place = f"--service other --stage side --region eu-west-1 --project {live}"
    options = place.split()
    ran = processes.deployer(tmp_path, "up", "--local", *options)
    hint = next(line for line in ran.err.splitlines() if line.startswith("next: "))
    assert "linear_regression" in typed_again(tmp_path, hint.removeprefix("next: ")).stdout
    declined = processes.deployer(tmp_path, "down", "--local", *options, code=1).err
    command = declined.splitlines()[-1].removeprefix("to agree: ")
    assert "18 deleted" in typed_again(tmp_path, command).stderr
    missing = deployer(tmp_path, "invoke", "--sample", "--local", *options, code=1).err
    assert (
        f"-m deployer up --project {live} --service other --stage side --region eu-west-1 "
        f"--local" in missing
    )


def typed_again(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Copy a command out of a message into a shell."""
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, (command, done.stderr)
    return done


@pytest.mark.slow
def test_the_sample_fits_the_models_that_are_there(
    live: Path, retrain: Callable[[Path], None]
) -> None:
    """Where no file of samples/ fits: a record made of the middle of each feature's range."""
    retrain(live)
    deployer(live, "up", "--local")
    results = deployer(live, "invoke", "--sample", "--local", "--json").json
    assert all("predictions" in entry for entry in results) and len(results) == 3
    (live / "samples" / "own.json").write_text(
        '{"instances": [{"a": 0.1, "b": 0.2}, {"b": 0.3, "a": 0.4}]}'
    )
    results = deployer(live, "invoke", "--sample", "--local", "--json").json
    assert [len(entry["predictions"]) for entry in results] == [2, 2, 2]
