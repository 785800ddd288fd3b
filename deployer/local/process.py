"""Starting, finding and ending the local AWS: one server per project folder, in a process of its own.

What is known of it lies in .deployer/local/server.json. That file is a claim, not the truth: the server is asked who it is
before it is believed, so a stale process id or a port that belongs to another program by now is noticed.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.errors import LocalError

REGION = "us-east-1"
CREDENTIALS = ("local", "local")
HEALTH = "/_deployer/health"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class Server:
    """A server that answered."""

    pid: int
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class NotRunning(LocalError):
    """The command needs a local AWS, and there is none."""

    def __init__(self, project: Path) -> None:
        super().__init__(
            f"no local AWS runs for {project}", "start it and deploy into it: python -m deployer up --local"
        )


def folder(project: Path) -> Path:
    return project / ".deployer" / "local"


def find(project: Path) -> Server | None:
    """Return the project's server, or None when none answers."""
    try:
        recorded = json.loads((folder(project) / "server.json").read_text(encoding="utf-8"))
        server = Server(int(recorded["pid"]), int(recorded["port"]), folder(project) / "server.log")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    health = _get(server, HEALTH)
    return server if health and health.get("project") == str(project) and health.get("pid") == server.pid else None


def start(project: Path) -> Server:
    """Return the project's server, started if need be. Two that start at once end in one server."""
    folder(project).mkdir(parents=True, exist_ok=True)
    with _locked(folder(project) / "lock"):
        return find(project) or _spawn(project)


def _spawn(project: Path) -> Server:
    home = folder(project)
    record = home / "server.json"
    record.unlink(missing_ok=True)
    try:
        import moto.server  # noqa: F401  (the child would say it less clearly)
    except ImportError as error:
        raise LocalError(
            f"--local needs a package that is missing: {error.name}", "pip install -e '.[local]'"
        ) from error
    with (home / "server.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "deployer.local.server", str(project)],
            cwd=home,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # survives the terminal that started it
        )
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        if child.poll() is not None:
            raise LocalError(f"the local AWS ended with exit code {child.returncode}", _tail(home / "server.log"))
        server = find(project) if record.exists() else None
        if server:
            child.returncode = 0  # it outlives us, of which Popen would warn when it is collected
            return server
        time.sleep(0.05)
    child.kill()
    child.wait()
    raise LocalError(f"the local AWS did not answer within {START_TIMEOUT_S:g} s", _tail(home / "server.log"))


def _environment() -> dict[str, str]:
    """The server must not see the user's AWS configuration: nothing of it may ever be used by accident."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_", "DEPLOYER_"))}
    root = str(Path(__file__).resolve().parents[2])
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [root, kept.get("PYTHONPATH")]))
    return kept


def stop_if_empty(project: Path) -> bool:
    """End the project's server unless something still lives in it; True when none runs afterwards."""
    server = find(project)
    if server is None:
        return True
    health = _get(server, HEALTH)
    if health and health.get("resources"):
        return False
    stop(project)
    return True


def stop(project: Path) -> None:
    """End the project's server and wait until its process is gone."""
    server = find(project)
    if server is None:
        return
    os.kill(server.pid, signal.SIGTERM)
    end = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < end:
        if not _alive(server.pid):
            (folder(project) / "server.json").unlink(missing_ok=True)
            return
        time.sleep(0.02)
    raise LocalError(f"the local AWS (process {server.pid}) did not end", f"its log is {server.log}")


def _alive(pid: int) -> bool:
    try:
        # A server started by this very process stays a zombie until it is waited for.
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _get(server: Server, path: str) -> dict[str, Any] | None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        found = json.loads(response.read()) if response.status == 200 else None
        return found if isinstance(found, dict) else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the folder's lock; the system releases it when this process ends, however it ends."""
    import fcntl

    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tail(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"its log is {path}"
    return "\n".join([f"the last lines of {path}:", *lines[-8:]])
