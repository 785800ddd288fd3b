"""What every test gets: a scrubbed environment, no network but loopback, and the fixtures that
several folders share.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from deployer.aws.access import Aws
from deployer.local import process
from tests.clock import Clock

ROOT = Path(__file__).resolve().parent.parent
PROJECT_FILES = ("train.py", "state_machine.json", "setup.cfg", "lambda_src", "samples", "data")

hypothesis.settings.register_profile("laptop", max_examples=25, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=50, deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "laptop")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--regenerate", action="store_true", help="write golden files anew; review the difference"
    )


@pytest.fixture(autouse=True, scope="session")
def scrubbed_environment() -> Iterator[None]:
    """No test may see the developer's AWS configuration, nor any setting of the deployer."""
    patch = pytest.MonkeyPatch()
    for name in list(os.environ):
        if name.startswith(("AWS_", "DEPLOYER_", "MOTO_")) or name in (
            "NO_COLOR",
            "FORCE_COLOR",
            "COLUMNS",
        ):
            patch.delenv(name)
    patch.setenv("AWS_CONFIG_FILE", os.devnull)
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield
    patch.undo()


@pytest.fixture(autouse=True, scope="session")
def only_loopback() -> Iterator[None]:
    """A connection to anywhere but this machine fails the test that makes it."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0] if isinstance(address, tuple) else address
            assert host in ("127.0.0.1", "::1", "localhost"), f"a test tried to reach {address}"
        connect(self, address)  # type: ignore[arg-type]

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped models, trained once; do not write here."""
    folder = tmp_path_factory.mktemp("trained") / "models"
    command = [sys.executable, str(ROOT / "train.py"), "--output", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


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


@pytest.fixture
def project(tmp_path: Path, trained: Path) -> Path:
    """A project folder of the test's own, with trained models."""
    return make_project(tmp_path / "project", trained)


class Calls(list[tuple[str, str]]):
    """The AWS calls that were made, as (service, operation)."""

    READING = ("get_", "list_", "describe_", "head_", "batch_get_", "batch_check_")

    def writing(self) -> list[tuple[str, str]]:
        return [call for call in self if not call[1].startswith(self.READING)]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[process.Server]:
    """The local AWS, in a process of its own, for tests that need an account and not a project."""
    folder = tmp_path_factory.mktemp("account").resolve()
    yield process.start(folder)
    process.stop(folder)


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def aws(server: process.Server, calls: Calls) -> Aws:
    """An empty account in the local AWS; its calls are recorded."""
    reset(server)
    return connect(server, calls)


def reset(server: process.Server) -> None:
    import urllib.request

    request = urllib.request.Request(
        server.url + process.RESET, headers=server.signed, method="POST"
    )
    urllib.request.urlopen(request).read()


def keys(server: process.Server) -> dict[str, str]:
    """The variables that open a server, without saying where it is."""
    return {
        name: value
        for name, value in server.environment(process.REGION).items()
        if "ENDPOINT" not in name
    }


def connect(server: process.Server, calls: Calls | None = None) -> Aws:
    clock = Clock()
    record = (
        (lambda service, operation: calls.append((service, operation)))
        if calls is not None
        else None
    )
    recording = {"record": record} if record else {}
    return Aws(
        region=process.REGION,
        endpoint_url=server.url,
        credentials=server.credentials,
        clock=clock,
        sleep=clock.sleep,
        **recording,
    )


def golden(request: pytest.FixtureRequest, path: Path, text: str) -> None:
    """Compare text with a golden file, or write the file when asked to."""
    if request.config.getoption("--regenerate"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), (
        f"differs from {path}; if intended: pytest --regenerate"
    )
