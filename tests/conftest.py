"""For every test: a scrubbed environment, no network but loopback, and shared fixtures."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from botocore.loaders import JSONFileLoader

from deployer.aws.access import Aws
from deployer.children import started_by
from deployer.local import process
from tests.support.accounts import Calls, connect, reset
from tests.support.command_line import deployer
from tests.support.once import made_once
from tests.support.projects import ROOT, make_project
from tests.support.thinning import LEFT_OUT, left_out
from tests.support.warm import Programs

# Each core has a worker: other threads would only wait, spinning, for most of the suite's time.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

hypothesis.settings.register_profile("laptop", max_examples=25, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=50, deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "laptop")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--regenerate", action="store_true", help="write golden files anew; review the difference"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless TESTS asks for it or the command names the very test."""
    if any("::" in argument for argument in config.args):
        return
    out: set[str] = set()
    for name in LEFT_OUT:
        marks = {item.nodeid: item.get_closest_marker(name) for item in items}
        out |= left_out({test: mark.kwargs.get("every", 0) for test, mark in marks.items() if mark})
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in out])
    items[:] = [item for item in items if item.nodeid not in out]


def pytest_collection_finish() -> None:
    """Spare what was collected from all garbage collections, which took a twentieth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def models_of_services() -> Iterator[None]:
    """Read each file of botocore's data once: reading them anew took a tenth of the time."""
    contents: dict[str, Any] = {}
    load_file = JSONFileLoader.load_file

    def load_once(self: JSONFileLoader, file_path: str) -> Any:
        content = contents[file_path] if file_path in contents else load_file(self, file_path)
        if content is not None:
            contents[file_path] = content
        return content

    patch = pytest.MonkeyPatch()
    patch.setattr(JSONFileLoader, "load_file", load_once)
    yield
    patch.undo()


@pytest.fixture(autouse=True, scope="session")
def scrubbed_environment() -> Iterator[None]:
    """Hide the developer's AWS configuration and the deployer's settings from every test."""
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
    """Fail a test that connects to another machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0] if isinstance(address, tuple) else address
            assert host in ("127.0.0.1", "::1", "localhost"), f"a test tried to reach {address}"
        connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped models, trained once for all workers; do not write here."""
    if "TRAINED_MODELS" in os.environ:  # tests.mutations starts pytest many times
        return Path(os.environ["TRAINED_MODELS"])

    def train(folder: Path) -> None:
        command = [sys.executable, str(ROOT / "train.py"), "--output", str(folder / "models")]
        subprocess.run(command, check=True, capture_output=True)

    return made_once(tmp_path_factory, "trained", train) / "models"


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    programs = Programs()
    yield programs
    programs.close()


@pytest.fixture
def warm(programs: Programs) -> Iterator[None]:
    """Start the programs of commands that run in this process in a warm Python."""
    with started_by(programs):
        yield


@pytest.fixture
def project(tmp_path: Path, trained: Path) -> Path:
    """A project folder of the test's own, with trained models."""
    return make_project(tmp_path / "project", trained)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[process.Server]:
    """Start a local AWS for tests that need an account but no project."""
    folder = tmp_path_factory.mktemp("account").resolve()
    yield process.start(folder)
    process.stop(folder)


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def aws(server: process.Server, calls: Calls) -> Aws:
    """Give access to an empty account in the local AWS; the calls are recorded in `calls`."""
    reset(server)
    return connect(server, calls)


@pytest.fixture(scope="session")
def live_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make the folder of `live`, whose local AWS keeps running between tests."""
    folder = (tmp_path_factory.mktemp("live") / "project").resolve()
    folder.mkdir()
    yield folder
    process.force_stop(folder)


@pytest.fixture
def live_empty(live_folder: Path) -> Path:
    """Make an empty folder with an empty local AWS, which costs less than starting one."""
    for path in live_folder.iterdir():
        if path.name == ".deployer":
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    reset(process.start(live_folder))
    return live_folder


@pytest.fixture
def live(live_empty: Path, trained: Path) -> Path:
    """Make a new project with an empty local AWS, which costs less than starting one."""
    return make_project(live_empty, trained)


@pytest.fixture(scope="module")
def deployed(
    tmp_path_factory: pytest.TempPathFactory, trained: Path, programs: Programs
) -> Iterator[Path]:
    """Deploy a project into a local AWS of its own, for the tests of one module."""
    folder = make_project(tmp_path_factory.mktemp("deployed") / "project", trained)
    with started_by(programs):
        deployer(folder, "up", "--local")
    yield folder
    process.stop(folder)
