"""The workflow that `init` writes for GitHub: each step's shell runs as a runner runs it.

The commands go to the local AWS, and `gh` keeps comments in a file. What `uses` an action, and the
job `test`, which tests/cli/test_installed.py runs, is left out.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command_line import deployer
from tests.support.projects import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live")]
EXPRESSIONS = {
    "github.token": "t0ken",
    "github.event.number": "7",
    "secrets.DEPLOYER_API_KEY": "",  # as GitHub gives a secret that is not there
    "secrets.DEPLOYER_TOKEN": "",
}
# Every command of the deployer's goes to the local AWS, as on a runner every one goes to AWS.
PYTHON = """#!/bin/sh
[ "$1 $2" = "-m deployer" ] && exec "{python}" "$@" --local
exec "{python}" "$@"
"""
GH = '''#!{python}
"""`gh api` as the workflow calls it: lists, changes and adds comments, which are in a file."""
import json, os, re, sys
assert os.environ["GH_TOKEN"] == "t0ken"
path = "{comments}"
comments = json.load(open(path)) if os.path.exists(path) else []
command, *arguments = sys.argv[1:]
assert command == "api"
(url,) = [argument for argument in arguments if argument.startswith("repos/octo/shop/issues/")]
if "--jq" in arguments:
    assert url.endswith("/7/comments") and "--paginate" in arguments
    query = arguments[arguments.index("--jq") + 1]
    (login,) = re.findall(r'\\.user\\.login == "([^"]+)"', query)
    (start,) = re.findall(r'startswith\\("([^"]+)"\\)', query)
    for number, comment in enumerate(comments):
        if comment["login"] == login and comment["body"].startswith(start):
            print(number)
else:
    method = arguments[arguments.index("--method") + 1]
    name, _, file = arguments[arguments.index("--field") + 1].partition("=@")
    body = open(file).read()
    assert name == "body" and body
    if method == "POST":
        assert url.endswith("/7/comments")
        comments.append({{"login": "github-actions[bot]", "body": body}})
    else:
        assert method == "PATCH"
        comments[int(url.rpartition("/")[2])]["body"] = body
    json.dump(comments, open(path, "w"))
'''


@dataclass
class Runner:
    """A runner with the project's checkout.

    Args:
        bin: the folder of `python` and `gh`.
    """

    project: Path
    bin: Path
    jobs: Mapping[str, Any]

    @property
    def comments(self) -> list[Any]:
        path = self.bin / "comments.json"
        return json.loads(path.read_text()) if path.exists() else []

    @property
    def summary(self) -> Path:
        return self.bin / "summary.md"

    def run(self, job: str, key: str = "", **inputs: str) -> str:
        """Run the commands of a job, but the installation; return what they print.

        Args:
            key: the repository's secret DEPLOYER_API_KEY.
        """
        expressions = {**EXPRESSIONS, **{f"inputs.{name}": text for name, text in inputs.items()}}
        expressions["secrets.DEPLOYER_API_KEY"] = key
        printed = ""
        for step in self.jobs[job]["steps"]:
            command = step.get("run", "")
            if not command or command.startswith("python -m pip install"):
                continue
            if "if" in step and step["if"] != f"inputs.verb == '{inputs.get('verb')}'":
                continue
            printed += self.shell(command, step.get("env", {}), expressions)
        return printed

    def shell(
        self, command: str, env: Mapping[str, str] = {}, known: Mapping[str, str] = {}
    ) -> str:
        variables = {
            name: known[value.removeprefix("${{ ").removesuffix(" }}")]
            for name, value in env.items()
        }
        assert "${{" not in command  # what a caller gives is never part of a command
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command],
            cwd=self.project,
            env={
                **os.environ,
                "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
                "GITHUB_REPOSITORY": "octo/shop",
                "GITHUB_STEP_SUMMARY": str(self.summary),
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture
def runner(live_empty: Path, tmp_path: Path) -> Runner:
    deployer(live_empty.parent, "init", str(live_empty), "--example", "minimal")
    bin = tmp_path / "bin"
    bin.mkdir()
    texts = {
        "python": PYTHON.format(python=sys.executable),
        "gh": GH.format(python=sys.executable, comments=bin / "comments.json"),
    }
    for name, text in texts.items():
        (bin / name).write_text(text)
        (bin / name).chmod(0o755)
    workflow = live_empty / ".github" / "workflows" / "deploy.yml"
    return Runner(live_empty, bin, yaml.safe_load(workflow.read_text())["jobs"])


def test_reviews_deploys_and_goes_back(runner: Runner) -> None:
    """A pull request, its merge, another change, and by hand a rollback and a promotion."""
    runner.run("review")
    runner.run("comment")
    (comment,) = runner.comments
    assert "### Plan of `" in comment["body"] and "to create" in comment["body"]
    printed = runner.run("deploy")
    assert "### Plan of `" in runner.summary.read_text() and "model  " in printed

    settings = runner.project / "setup.cfg"
    settings.write_text(settings.read_text() + "memory_mb = 1536\n")
    runner.run("review")
    runner.run("comment")
    (comment,) = runner.comments  # the same one
    assert "memory_mb" in comment["body"]
    runner.run("deploy")
    assert "memory_mb" in runner.summary.read_text()

    runner.run("by_hand", verb="rollback", release="1")
    assert live(runner)["back_to"] == 1
    with pytest.raises(AssertionError, match="without a terminal to confirm"):
        runner.run("deploy")
    assert "> live is release 3, back to 1; this folder would" in runner.summary.read_text()
    settings.write_text(settings.read_text() + "timeout_s = 9\n")
    deployer(runner.project, "up", "--local", "--yes", "--canary", "20")
    runner.run("by_hand", verb="promote", release="")
    promoted = live(runner)
    assert promoted["promoted_from"] is not None and promoted["canary"] is None
    runner.run("by_hand", verb="rollback", release="")
    assert live(runner)["back_to"] is not None


def test_a_service_that_asks_for_keys_is_asked_with_one(runner: Runner) -> None:
    """The line of docs/ci.md for `test`, and `deploy` with the repository's secret."""
    settings = runner.project / "setup.cfg"
    settings.write_text(settings.read_text() + "api = rest\nauth = key\n")
    with pytest.raises(AssertionError, match="auth = key, but neither DEPLOYER_API_KEY nor --key"):
        runner.run("deploy")
    page = (ROOT / "docs" / "ci.md").read_text()
    (line,) = re.findall(r"- run: (DEPLOYER_API_KEY=.*)", page)
    assert "model  " in runner.shell(line.replace(" --local", ""))  # `python` adds it here
    key = deployer(runner.project, "keys", "create", "ci2", "--local").out.strip()
    assert "model  " in runner.run("deploy", key)


def live(runner: Runner) -> Any:
    """Return the live release, as `releases` describes it."""
    document = deployer(runner.project, "releases", "--local", "--json").json
    (release,) = [release for release in document["releases"] if release["live"]]
    return release


def test_no_job_that_writes_runs_for_a_pull_request_or_gives_its_token_away(
    runner: Runner,
) -> None:
    for name, job in runner.jobs.items():
        rights, steps = job.get("permissions", {}), job["steps"]
        for step in steps:
            if "actions/checkout" in step.get("uses", ""):
                assert step["with"] == {"persist-credentials": False}
        if "id-token" not in rights:
            assert name in ("test", "comment")
            continue
        (role,) = [step["with"]["role-to-assume"] for step in steps if "role-to" in str(step)]
        assert ("PLAN" in role) == (name == "review")
        assert ("pull_request" in job["if"]) == (name == "review")
        assert name == "review" or job["concurrency"] == "deploy"
    assert "head.repo.full_name == github.repository" in runner.jobs["review"]["if"]


def test_no_code_of_a_pull_request_runs_beside_a_token_that_writes(runner: Runner) -> None:
    for name, job in runner.jobs.items():
        writes = "write" in {
            right for key, right in job.get("permissions", {}).items() if key != "id-token"
        }
        assert writes == (name == "comment")
    used = [step.get("uses", "") for step in runner.jobs["comment"]["steps"]]
    assert [use.partition("@")[0] for use in used] == ["actions/download-artifact", ""]


def test_the_workflow_runs_the_python_that_made_the_project(runner: Runner) -> None:
    here = ".".join(map(str, sys.version_info[:2]))
    steps = [step for job in runner.jobs.values() for step in job["steps"]]
    versions = {step["with"]["python-version"] for step in steps if "python-version" in str(step)}
    assert versions == {here}


def test_by_hand_fails_where_it_could_do_nothing(runner: Runner) -> None:
    """A skipped job would look as if it had rolled back."""
    job = runner.jobs["by_hand"]
    first = job["steps"][0]
    assert first["if"] == "github.ref != 'refs/heads/main' || vars.AWS_ROLE == ''"
    assert "ref" not in job["if"] and first["run"].rstrip().endswith("exit 1")
