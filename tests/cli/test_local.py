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
from pathlib import Path
from typing import Any

import pytest

from deployer.local import process
from tests.support.processes import deployer


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def run(
    project: Path, *arguments: str, environment: Mapping[str, str] | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deployer", *arguments]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, env=environment, timeout=120, **more
    )


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


@pytest.mark.parametrize("what", BROKEN)
def test_local_commands_read_nothing_of_the_users_configuration(deployed: Path, what: str) -> None:  # noqa: F811
    environment = {
        **{name: value for name, value in os.environ.items() if name != "NO_PROXY"},
        **BROKEN[what],
    }
    done = run(deployed, "plan", "--local", "--exit-code", environment=environment)
    assert done.returncode == 0 and "us-east-1" in done.stderr, done.stderr
    done = run(deployed, "invoke", "--sample", "--local", environment=environment)
    assert done.returncode == 0, done.stderr


def test_the_users_training_program_sees_the_users_configuration(project: Path) -> None:
    shutil.rmtree(project / "models")
    process.start(project)
    try:
        environment = {
            **os.environ,
            "AWS_PROFILE": "mine",
            "HTTPS_PROXY": "http://proxy.example",
            "DEPLOYER_TRAIN": "env",
        }
        done = run(project, "up", "--local", environment=environment)
        assert (
            "AWS_PROFILE=mine" in done.stderr and "HTTPS_PROXY=http://proxy.example" in done.stderr
        )
    finally:
        process.force_stop(project)


def test_a_silent_local_aws_is_told_kept_and_can_be_ended(project: Path) -> None:
    server = process.start(project)
    deployer(project, "up", "--local")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        for command in (("plan",), ("down", "--yes"), ("up",), ("check",)):
            done = run(project, *command, "--local")
            assert (
                done.returncode == 1
                and f"(process {server.pid}) does not answer" in done.stderr + done.stdout
            ), done
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


def test_without_file_descriptors_the_local_aws_lives_on(project: Path) -> None:
    """Its record cannot be read then, which says nothing about the record."""
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
        for each in sockets:
            each.close()
        assert process.find(project) == server
    finally:
        process.force_stop(project)


def test_five_versions_of_every_function_and_then_down(project: Path) -> None:
    """cases: the numbering of versions forgot where a living version stands."""
    try:
        for memory in (1024, 1025, 1026, 1027, 1028, 1029):
            done = run(
                project,
                "up",
                "--local",
                environment={**os.environ, "DEPLOYER_MEMORY_MB": str(memory)},
            )
            assert done.returncode == 0, done.stderr
        assert deployer(project, "plan", "--local", "--json", code=0).json["changes"] != []
        assert "the local AWS has ended" in deployer(project, "down", "--local", "--yes").err
    finally:
        process.force_stop(project)


def test_a_manifest_that_names_other_files_has_none_of_them_read(project: Path) -> None:
    """Nor is it a defect: the paths are of the project, or nothing can be said."""
    files = {"/etc/passwd": "0", "../x": "0", "a\0b": "0", "lambda_src": "0"}
    manifest = json.loads((project / "models" / "manifest.json").read_text())
    edit(project / "models" / "manifest.json", trained={**manifest["trained"], "files": files})
    ran = deployer(project, "plan", "--local")
    assert "has changed" not in ran.err
