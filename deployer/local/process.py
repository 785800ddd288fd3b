"""Starting, finding and ending the local AWS: one server process per project folder.

A server holds a lock on .deployer/local/alive as long as it lives, so the operating system tells
whether one lives. Its port and its key are in .deployer/local/server.json, which only the file's
owner may read.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from deployer.errors import LocalError
from deployer.hints import install_command, interpreter

REGION = "us-east-1"
ACCOUNT = "123456789012"  # moto's default
HEALTH, RESET = "/_deployer/health", "/_deployer/reset"
ENFORCEMENT = "/_deployer/enforcement"
RECORD, ALIVE = "server.json", "alive"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
ANSWER_TIMEOUT_S = 5.0
ENDING_S = 2.0  # in which a server that does not answer may be about to end
MAX_LOG_BYTES = 1024**2  # the next server truncates a longer log
SERVER_MODULE = "deployer.local.server"
_HIDDEN_VARIABLES = (
    "AWS_",
    "MOTO_",
    "DEPLOYER_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
)
_KEY_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class Credentials(NamedTuple):
    """The key that signs requests to the control plane."""

    access_key: str
    secret_key: str


def new_credentials() -> Credentials:
    return Credentials(
        "LKIA" + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(16)),
        secrets.token_urlsafe(30),
    )


@dataclass(frozen=True)
class Server:
    """A running server."""

    pid: int
    port: int
    log: Path
    credentials: Credentials

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def signed(self) -> dict[str, str]:
        """Headers that open the control plane to a request without an AWS client."""
        return {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self.credentials.access_key}/deployer"
        }

    def environment(self, region: str) -> dict[str, str]:
        """Return the variables by which any AWS client talks to this server."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            # Sfn-22: StartSyncExecution would go to sync-127.0.0.1, which no resolver knows.
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "AWS_ACCESS_KEY_ID": self.credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_key,
            "AWS_SESSION_TOKEN": "",  # one of other credentials would go with these
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
        }


class NotRunning(LocalError):
    """The command needs a local AWS, and none runs."""

    def __init__(self, project: Path) -> None:
        super().__init__(
            f"no local AWS runs for {project}", "start it and deploy into it: python -m deployer up"
        )


class NotAnswering(LocalError):
    """The local AWS runs and does not answer."""

    def __init__(self, pid: int) -> None:
        super().__init__(
            f"the local AWS (process {pid}) does not answer",
            "wait and run the command again, or end it with all that lives in it: python -m "
            "deployer down --force",
        )


def folder(project: Path) -> Path:
    return project / ".deployer" / "local"


def find(project: Path) -> Server | None:
    """Return the project's server, or None if none runs.

    Raises:
        NotAnswering: it runs and does not answer.
    """
    home = folder(project)
    if not _is_alive(home):
        return None
    server = _recorded(home)
    if server is None:  # it is starting, or its record was removed and it is about to end
        return None
    health = _health(server)
    if health is None:
        if _ends_within(home, ENDING_S):  # it was about to end
            return None
        raise NotAnswering(server.pid)
    if not health:
        raise LocalError(
            f"the local AWS of {home} does not accept the key in its {RECORD}",
            "somebody changed that file; end it with all that lives in it: python -m deployer "
            "down --force",
        )
    is_ours = health.get("project") == str(project) and health.get("pid") == server.pid
    return server if is_ours else None


def write_record(home: Path, port: int, credentials: Credentials) -> None:
    """Record this process's port and key in a file that only its owner may read."""
    aside = home / f"{RECORD}.tmp"
    with open(
        aside, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)
    ) as stream:
        json.dump({"pid": os.getpid(), "port": port, **credentials._asdict()}, stream)
    aside.chmod(0o600)
    aside.replace(home / RECORD)


def _recorded(home: Path) -> Server | None:
    try:
        record = json.loads((home / RECORD).read_text(encoding="utf-8"))
        credentials = Credentials(str(record["access_key"]), str(record["secret_key"]))
        return Server(int(record["pid"]), int(record["port"]), home / "server.log", credentials)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, OverflowError):
        return None


def _is_alive(home: Path) -> bool:
    """Tell whether a server holds the folder's lock."""
    try:
        with (home / ALIVE).open() as alive:
            fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    return False


def start(project: Path) -> Server:
    """Return the project's server, started if need be; concurrent calls start only one."""
    folder(project).mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(folder(project) / "lock"):
        return find(project) or _spawn(project)


def enforce_iam(project: Path, enabled: bool) -> bool:
    """Let the project's server enforce IAM, or not; tell whether that changed anything."""
    server = find(project)
    if server is None:
        raise NotRunning(project)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=ANSWER_TIMEOUT_S)
    try:
        body = json.dumps({"enforce": enabled})
        connection.request("POST", ENFORCEMENT, body, server.signed)
        return bool(json.loads(connection.getresponse().read())["changed"])
    except (OSError, http.client.HTTPException) as error:
        raise NotAnswering(server.pid) from error
    finally:
        connection.close()


def _spawn(project: Path) -> Server:
    home = folder(project)
    record = home / RECORD
    record.unlink(missing_ok=True)
    try:
        import waitress  # noqa: F401  (only whether it can be imported)

        from deployer.local.moto_backend import application

        application.check_installed()  # the server itself would say it less clearly
    except ImportError as error:
        raise LocalError(
            f"--local needs a package that is missing: {error.name}",
            f"{interpreter()} -m {install_command()}",
        ) from error
    log_path = home / "server.log"
    too_long = log_path.exists() and log_path.stat().st_size > MAX_LOG_BYTES
    with log_path.open("wb" if too_long else "ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", SERVER_MODULE, str(project)],
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
            raise LocalError(
                f"the local AWS ended with exit code {child.returncode}", _tail(home / "server.log")
            )
        server = find(project) if record.exists() else None
        if server:
            child.returncode = 0  # or Popen would warn that the server outlives it
            return server
        time.sleep(0.05)
    child.kill()
    child.wait()
    raise LocalError(
        f"the local AWS did not answer within {START_TIMEOUT_S:g} s", _tail(home / "server.log")
    )


def _environment() -> dict[str, str]:
    """Return the server's environment, without the user's AWS and proxy configuration."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(_HIDDEN_VARIABLES)
    }
    kept["MALLOC_ARENA_MAX"] = "2"  # or glibc keeps an arena of memory for each of many threads
    root = str(Path(__file__).resolve().parents[2])
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [root, kept.get("PYTHONPATH")]))
    return kept


def stop_if_empty(project: Path) -> bool:
    """End the project's server unless it holds resources; tell whether none runs afterwards."""
    server = find(project)
    if server is None:
        return True
    health = _health(server)
    if health and health.get("resources"):
        return False
    stop(project)
    return True


def stop(project: Path) -> None:
    """End the project's server and wait until its process has ended."""
    server = find(project)
    if server is not None and not _end(server.pid, signal.SIGTERM, folder(project), STOP_TIMEOUT_S):
        raise LocalError(
            f"the local AWS (process {server.pid}) did not end", f"its log is {server.log}"
        )
    (folder(project) / RECORD).unlink(missing_ok=True)


def force_stop(project: Path) -> bool:
    """End the project's server even if it does not answer, and remove its files.

    Tell whether one ran.
    """
    home = folder(project)
    ran = _is_alive(home)
    if ran:
        pid = int((home / ALIVE).read_text())
        ended = _end(pid, signal.SIGTERM, home, ANSWER_TIMEOUT_S) or _end(
            pid, signal.SIGKILL, home, STOP_TIMEOUT_S
        )
        if not ended:
            raise LocalError(f"the local AWS (process {pid}) cannot be ended")
    if home.is_dir():
        shutil.rmtree(home)
    return ran


def _end(pid: int, number: signal.Signals, home: Path, timeout_s: float) -> bool:
    """Send a signal to the folder's server, and tell whether it ends within a time."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
    return _ends_within(home, timeout_s)


def _ends_within(home: Path, timeout_s: float) -> bool:
    """Tell whether the folder's lock is released within a time."""
    end = time.monotonic() + timeout_s
    while _is_alive(home):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _health(server: Server) -> dict[str, Any] | None:
    """Return a server's health check: {} if it refuses, None if it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request("GET", HEALTH, headers=server.signed)
        response = connection.getresponse()
        health = json.loads(response.read()) if response.status == 200 else {}
        return health if isinstance(health, dict) else {}
    except ValueError:
        return {}
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock; the system releases it when this process ends, however it ends."""
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tail(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"its log is {path}"
    return "\n".join([f"the last lines of {path}:", *lines[-8:]])
