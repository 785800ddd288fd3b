"""Commands with --local: the user's configuration is not read, and a silent local AWS is told."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deployer.local import process
from tests.support import processes
from tests.support.command_line import deployer

# Its tests share a server, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("cli local")


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


BROKEN: dict[str, Mapping[str, str]] = {
    "a proxy": {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    },
    "a profile that is gone": {"AWS_PROFILE": "gone"},
    "a file that is no configuration": {
        "AWS_CONFIG_FILE": "/etc/passwd",
        "AWS_SHARED_CREDENTIALS_FILE": "/etc/passwd",
    },
    "another region": {"AWS_REGION": "eu-west-3", "AWS_DEFAULT_REGION": "eu-west-3"},
    "another endpoint": {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    },
    "modes": {
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_DEFAULTS_MODE": "nonsense",
    },
    "retries": {"AWS_MAX_ATTEMPTS": "x", "AWS_RETRY_MODE": "nonsense"},
    "keys of somebody": {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "x",
    },
}


@pytest.mark.slow(every=4)
@pytest.mark.parametrize("kind", BROKEN)
def test_local_commands_read_nothing_of_the_users_configuration(deployed: Path, kind: str) -> None:
    ran = deployer(deployed, "plan", "--local", "--exit-code", environment=BROKEN[kind])
    assert "us-east-1" in ran.err
    deployer(deployed, "invoke", "--sample", "--local", environment=BROKEN[kind])


@pytest.mark.slow
def test_a_process_reads_nothing_of_the_users_configuration_either(deployed: Path) -> None:
    """From the first import on, with everything broken at once."""
    everything = {name: value for kind in BROKEN.values() for name, value in kind.items()}
    ran = processes.deployer(deployed, "plan", "--local", "--exit-code", environment=everything)
    assert "us-east-1" in ran.err
    processes.deployer(deployed, "invoke", "--sample", "--local", environment=everything)


def test_the_users_training_program_sees_the_users_configuration(live: Path) -> None:
    shutil.rmtree(live / "models")
    users = {"AWS_PROFILE": "mine", "HTTPS_PROXY": "http://proxy.example"}
    ran = deployer(live, "up", "--local", code=1, environment={**users, "DEPLOYER_TRAIN": "env"})
    assert "AWS_PROFILE=mine" in ran.err and "HTTPS_PROXY=http://proxy.example" in ran.err


@pytest.mark.slow
def test_a_silent_local_aws_is_told_kept_and_can_be_ended(project: Path) -> None:
    server = process.start(project)
    deployer(project, "up", "--local", "--no-proof")
    os.kill(server.pid, signal.SIGSTOP)
    commands = (("plan",), ("down", "--yes"), ("up",), ("check",))
    try:
        # At the same time, because each command waits some seconds for the answer.
        with ThreadPoolExecutor(len(commands)) as pool:
            runs = [
                pool.submit(processes.deployer, project, *command, "--local", code=1)
                for command in commands
            ]
        for run in runs:
            ran = run.result()
            assert f"(process {server.pid}) does not answer" in ran.err + ran.out
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert deployer(project, "plan", "--local", "--json").json["changes"] == []
    os.kill(server.pid, signal.SIGSTOP)
    refused = deployer(project, "down", "--local", "--force", code=1)
    assert "--yes" in refused.err and process.folder(project).exists()
    ran = deployer(project, "down", "--local", "--force", "--yes")
    assert "the local AWS has ended" in ran.err and not process.folder(project).exists()
    assert "no local AWS runs" in deployer(project, "down", "--local", "--force", "--yes").err
    assert deployer(project, "down", "--force", "--yes", code=2).out == ""


def test_reading_verbs_start_no_server(project: Path) -> None:
    planned = deployer(project, "plan", "--local", "--json", "--exit-code", code=3)
    assert len(planned.json["changes"]) == 19 and planned.json["account"] == "123456789012"
    assert "no local AWS runs" in planned.err
    assert deployer(project, "check", "--local").out == "check: nothing found\n"
    assert not (project / ".deployer").exists()


@pytest.mark.slow
def test_without_file_descriptors_the_local_aws_lives_on(project: Path) -> None:
    """Without descriptors it cannot read its record, and must not take the record for removed."""
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))\n"
        "from pathlib import Path\nfrom deployer.local import process\n"
        f"print(process.start(Path({str(project)!r})).pid)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    server = process.find(project)
    assert server is not None
    try:
        sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(120)]
        time.sleep(6)
        for connection in sockets:
            connection.close()
        assert process.find(project) == server
    finally:
        process.force_stop(project)


@pytest.mark.slow
def test_five_versions_of_every_function_and_then_down(live: Path) -> None:
    """The local AWS once forgot the number of a version that an alias or a workflow still needs.

    Without the proof, which starts a process for each version.
    """
    for memory in range(1024, 1030):
        variables = {"DEPLOYER_MEMORY_MB": str(memory)}
        deployer(live, "up", "--local", "--no-proof", environment=variables)
    assert deployer(live, "plan", "--local", "--json").json["changes"] != []
    assert "the local AWS has ended" in deployer(live, "down", "--local", "--yes").err


def test_a_manifest_that_names_other_files_has_none_of_them_read(project: Path) -> None:
    """Paths outside of the project are passed over: neither read, nor a defect."""
    files = {"/etc/passwd": "0", "../x": "0", "a\0b": "0", "lambda_src": "0"}
    manifest = json.loads((project / "models" / "manifest.json").read_text())
    edit(project / "models" / "manifest.json", trained={**manifest["trained"], "files": files})
    ran = deployer(project, "plan", "--local")
    assert "has changed" not in ran.err


@pytest.mark.slow
def test_a_reviewed_plan_is_applied_exactly_or_refused(deployed: Path) -> None:
    setup = deployed / "setup.cfg"
    before = setup.read_text()
    setup.write_text(before + "\n[deployer:random_forest]\nmemory_mb = 2048\n")
    deployer(deployed, "plan", "--local", "--out", "plan.json")
    setup.write_text(before + "\n[deployer:random_forest]\nmemory_mb = 1536\n")
    refused = deployer(deployed, "up", "--local", "--plan", "plan.json", "--json", code=1)
    assert refused.json["error"]["type"] == "PlanMoved"
    assert "function/random_forest is declared otherwise" in refused.json["error"]["message"]
    assert "updating" not in refused.err
    setup.write_text(before + "\n[deployer:random_forest]\nmemory_mb = 2048\n")
    applied = deployer(deployed, "up", "--local", "--plan", "plan.json", "--json")
    (change, workflow) = applied.json["changes"]
    assert change["resource"] == "function/random_forest" and workflow["resource"] == "workflow"
    assert {"path": "memory_mb", "before": 1024, "after": 2048} in change["fields"]
    again = deployer(deployed, "up", "--local", "--plan", "plan.json", "--json")
    assert again.json["changes"] == []
    elsewhere = deployer(
        deployed, "up", "--local", "--stage", "prod", "--plan", "plan.json", code=1
    )
    assert "was made for stage dev, but this is stage prod" in elsewhere.err
    setup.write_text(before)
    deployer(deployed, "up", "--local", "--yes")
