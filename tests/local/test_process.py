"""The local AWS's life: started once, found again, repaired, ended."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deployer.errors import LocalError
from deployer.local import process
from tests.support.processes import ends

# Its tests share a server, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("local process")

PROGRAM = (
    "from pathlib import Path; from deployer.local import process; "
    "print(process.start(Path({folder!r})).pid)"
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    resolved = tmp_path.resolve()
    yield resolved
    process.stop(resolved)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose server was started by a user with AWS settings; do not change it."""
    folder = tmp_path_factory.mktemp("running").resolve()
    assert process.find(folder) is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
        process.start(folder)
    yield folder
    process.stop(folder)


def test_a_started_server_is_found_again(running: Path) -> None:
    server = process.find(running)
    assert server is not None and process.start(running) == server


def test_each_project_has_a_server_of_its_own(running: Path, folder: Path) -> None:
    assert process.start(running).pid != process.start(folder).pid


def test_starts_at_the_same_time_end_in_one_server(folder: Path) -> None:
    program = PROGRAM.format(folder=str(folder))

    def start(_: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(start, range(3)))) == 1


@pytest.mark.slow
def test_a_killed_server_is_noticed_and_replaced(folder: Path) -> None:
    first = process.start(folder)
    os.kill(first.pid, signal.SIGKILL)
    assert ends(first.pid)
    assert process.find(folder) is None
    second = process.start(folder)
    assert second.pid != first.pid and process.find(folder) == second


@pytest.mark.slow
def test_a_port_that_another_program_has_by_now_is_not_believed(folder: Path) -> None:
    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"project": "elsewhere", "pid": 1}')

        def log_message(self, format: str, *args: object) -> None:
            pass

    other = http.server.HTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    try:
        home = process.folder(folder)
        home.mkdir(parents=True)
        (home / "server.json").write_text(
            json.dumps({"pid": os.getpid(), "port": other.server_port})
        )
        assert process.find(folder) is None
        assert process.start(folder).port != other.server_port
    finally:
        other.shutdown()
        other.server_close()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1, "port": 1}'])
def test_a_damaged_record_is_no_server(folder: Path, content: str) -> None:
    process.folder(folder).mkdir(parents=True)
    (process.folder(folder) / "server.json").write_text(content)
    assert process.find(folder) is None


def test_the_server_survives_the_session_that_started_it(folder: Path) -> None:
    program = PROGRAM.format(folder=str(folder))
    started = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    pid = int(started.stdout)
    assert os.getsid(pid) == pid
    server = process.find(folder)
    assert server is not None and server.pid == pid


@pytest.mark.slow
def test_a_server_whose_record_is_gone_ends_by_itself(folder: Path) -> None:
    server = process.start(folder)
    (process.folder(folder) / "server.json").unlink()
    assert ends(server.pid)


def test_a_server_that_cannot_start_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module in its way keeps the server from starting; the log's last lines are in the error."""
    broken = folder / "path" / "werkzeug"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('werkzeug is broken here')")
    monkeypatch.setenv("PYTHONPATH", str(folder / "path"))
    with pytest.raises(LocalError, match="exit code 1") as error:
        process.start(folder)
    assert "werkzeug is broken here" in error.value.advice


def test_the_server_does_not_see_the_users_aws_settings(running: Path) -> None:
    environment = Path(f"/proc/{process.start(running).pid}/environ")
    if not environment.exists():
        pytest.skip("the environment of another process is only readable on Linux")
    assert b"AKIAREAL" not in environment.read_bytes()
