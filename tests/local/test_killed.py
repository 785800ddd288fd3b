"""`up --local` killed at any moment and run again ends where an undisturbed run ends, with exactly
one HTTP API.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.local import process
from tests.support.accounts import connect, reset
from tests.support.command_line import deployer
from tests.support.processes import claimed
from tests.support.projects import make_project
from tests.support.stub import refusing, serve, slowing
from tests.support.thinning import thinned

# Its tests share a server, so one worker runs them all.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("local killed")]


def state_of(folder: Path) -> Any:
    """What the account holds, without the ids and times that AWS chooses."""
    server = process.find(folder)
    assert server is not None
    aws = connect(server)
    functions = aws.pages("lambda", "list_functions", "Functions", FunctionVersion="ALL")
    apis = aws.call("apigatewayv2", "get_apis")["Items"]
    parts = [
        [
            len(aws.call("apigatewayv2", f"get_{part}", ApiId=api["ApiId"])["Items"])
            for part in ("integrations", "routes", "stages")
        ]
        for api in apis
    ]
    machine = aws.call("stepfunctions", "list_state_machines")["stateMachines"][0]
    definition = aws.call(
        "stepfunctions", "describe_state_machine", stateMachineArn=machine["stateMachineArn"]
    )["definition"]
    return {
        "functions": sorted(
            (
                version["FunctionName"],
                version["Version"],
                version["CodeSha256"],
                version["MemorySize"],
            )
            for version in functions
        ),
        "apis": parts,
        "definition": definition,
        "roles": sorted(role["RoleName"] for role in aws.call("iam", "list_roles")["Roles"]),
        "buckets": [bucket["Name"] for bucket in aws.call("s3", "list_buckets")["Buckets"]],
        "groups": sorted(
            (group["logGroupName"], group.get("retentionInDays"))
            for group in aws.pages("logs", "describe_log_groups", "logGroups")
        ),
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Path]:
    """A project folder with a local AWS; the tests change neither.

    It has no verify.py, which takes each process a second and has tests of its own.
    """
    folder = make_project(tmp_path_factory.mktemp("killed") / "project", trained)
    (folder / "lambda_src" / "verify.py").unlink()
    yield folder
    process.stop(folder)


@pytest.fixture
def project(home: Path) -> Path:
    reset(process.start(home))
    return home


@pytest.fixture
def started(project: Path) -> process.Server:
    return process.start(project)


def test_a_run_killed_at_any_moment_is_completed_by_the_next(
    project: Path, started: process.Server
) -> None:
    """By default at three moments, with TESTS=every at eight."""
    deployer(project, "up", "--local")
    undisturbed = state_of(project)
    command = [sys.executable, "-m", "deployer", "up", "--local"]
    for part in thinned(range(1, 9), every=3):
        reset(started)
        run = subprocess.Popen(
            command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert run.stderr is not None
        # Killed within the writing part of the run: after some of its steps have ended, and a
        # little later still.
        finished = 0
        for line in run.stderr:
            finished += "created (" in line
            if finished >= 2 * part:
                break
        time.sleep(random.Random(part).uniform(0, 0.02))
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stderr.close()
        deployer(project, "up", "--local")
        assert state_of(project) == undisturbed, f"killed after {finished} steps"
    assert len(deployer(project, "invoke", "--sample", "--local", "--json").json) == 3


class Behind:
    """A run of `up --local` with a proxy between it and the local AWS, and the lines that it
    prints.
    """

    def __init__(self, project: Path, url: str) -> None:
        self.claim = claimed(project, url)
        self.claim.__enter__()
        command = [sys.executable, "-m", "deployer", "up", "--local"]
        self.run = subprocess.Popen(
            command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def until(self, beginning: str) -> None:
        assert self.run.stderr is not None
        for line in self.run.stderr:
            if beginning in line:
                return
        raise AssertionError(f"it never said {beginning}")

    def end(self) -> tuple[int, str, str]:
        out, err = self.run.communicate(timeout=60)
        self.claim.__exit__(None, None, None)
        return self.run.returncode, out, err


@pytest.mark.weekly(every=2)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_finishes_what_runs_and_says_how_to_go_on(
    project: Path, started: process.Server, number: signal.Signals
) -> None:
    """The creation of the repository takes a second here, so the signal comes while it runs."""
    with serve(slowing(started.url, "CreateRepository", 1.0)) as url:
        behind = Behind(project, url)
        behind.until("repository: creating")
        behind.run.send_signal(number)
        code, out, rest = behind.end()
    assert code == 130 and out == "", rest
    assert "interrupted: running steps finish, no new ones start" in rest
    assert "repository: created (" in rest
    assert "workflow: not created, because interrupted" in rest
    assert rest.splitlines()[-1] == "run the command again: it resumes where it left off"
    aws = connect(started)
    assert len(aws.call("ecr", "describe_repositories")["repositories"]) == 1
    assert aws.call("apigatewayv2", "get_apis")["Items"] == []
    deployer(project, "up", "--local")
    assert json.loads(deployer(project, "plan", "--local", "--json").out)["changes"] == []


def test_an_interrupted_run_does_not_wait_for_aws_any_longer(
    project: Path, started: process.Server
) -> None:
    """IAM may take minutes; the signal ends the wait at once."""
    message = (
        "Neither the global service principal nor the regional one is authorized to assume "
        "the provided role."
    )
    with serve(
        refusing(started.url, "CreateStateMachine", "AccessDeniedException", message)
    ) as url:
        behind = Behind(project, url)
        behind.until(
            "workflow: waiting for IAM: Step Functions cannot assume the workflow's role yet"
        )
        behind.run.send_signal(signal.SIGINT)
        code, _, rest = behind.end()
    assert code == 130
    assert (
        "interrupted while waiting for IAM: Step Functions cannot assume the workflow's role yet"
        in rest
    )
    deployer(project, "up", "--local")


def test_two_runs_at_once_end_in_one_service_and_the_loser_says_what_happened(
    project: Path, started: process.Server
) -> None:
    command = [sys.executable, "-m", "deployer", "up", "--local"]
    runs = [
        subprocess.Popen(
            command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ended = [(*run.communicate(timeout=120), run.returncode) for run in runs]
    for out, err, code in ended:
        assert (
            code == 0 and out.startswith("http") or code == 1 and "run the command again" in err
        ), err
    assert any("another run" in err for _, err, _ in ended) or any(
        "Plan: 0 to create" in err for _, err, _ in ended
    )
    deployer(project, "up", "--local")
    assert json.loads(deployer(project, "plan", "--local", "--json").out)["changes"] == []
    apis = state_of(project)["apis"]
    assert apis == [[1, 1, 1]]
    assert {version for _, version, *_ in state_of(project)["functions"]} == {"$LATEST", "1"}
