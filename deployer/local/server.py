"""The local AWS's own process: `python -m deployer.local.server PROJECT`. Started and ended by
`process`.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from deployer.local import process

ORPHAN_CHECK_S = 2.0
THREADS = 160
CONNECTIONS = 1000
IDLE_S = 65  # longer than botocore keeps a connection that it may use again
Wrap = Callable[[Any], Any]


def main(project: Path, wrap: Wrap = lambda application: application) -> None:
    """Serve until SIGTERM, or until the project's folder is gone. `wrap`: what tests put around the
    application.
    """
    home = process.folder(project)
    held = hold(home)  # until the process ends
    # moto reads these when it is imported or asked; AWS's own settings of the user were left behind
    # by `process`.
    os.environ["MOTO_LAMBDA_STUB_ECR"] = "false"  # a function's image must exist
    os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"
    from moto.core.config import default_user_config
    from moto.server import DomainDispatcherApplication, create_backend_app

    from deployer.local.gateway import Gateway, largest_body
    from deployer.local.webserver import make_server

    logging.getLogger("moto").setLevel(
        logging.CRITICAL
    )  # it would write kilobytes for each execution that fails
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    credentials = process.new_credentials()
    connections = min(CONNECTIONS, raise_file_limit() // 2)
    server = make_server(
        _not_yet,
        lambda path, headers: largest_body(path, headers, credentials.access_key),
        host="127.0.0.1",
        port=0,
        threads=THREADS,
        connection_limit=connections,
        channel_timeout=IDLE_S,
        cleanup_interval=10,
        max_request_header_size=64 * 1024,
        asyncore_use_poll=True,  # select() takes no file descriptor above 1023
        # out of file descriptors, each of many attempts a second would be logged
        log_socket_errors=False,
        ident="deployer",
    )
    port = server.effective_port
    os.environ["MOTO_PORT"] = str(port)
    gateway = Gateway(
        DomainDispatcherApplication(create_backend_app), project, os.getpid(), port, credentials
    )
    server.application = wrap(gateway)
    gc.freeze()  # moto stays as it is, and need not be walked again

    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    process.write_record(home, port, credentials)
    threading.Thread(target=_keep_house, args=(home, gateway.finished), daemon=True).start()
    print(f"serving {project} on port {port} as process {os.getpid()}", flush=True)
    try:
        server.run()
    finally:
        gateway.close()
        print(f"process {os.getpid()} ended, letting {held.name} go", flush=True)


def hold(home: Path) -> Any:
    """Hold the file that says that a server lives here, as long as this process does; wait for a
    former one to end.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    alive = (home / process.ALIVE).open("a+")
    end = time.monotonic() + process.STOP_TIMEOUT_S
    while True:
        try:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > end:
                sys.exit(f"another local AWS lives in {home}")
            time.sleep(0.05)
    alive.truncate(0)
    alive.write(str(os.getpid()))
    alive.flush()
    return alive


def raise_file_limit() -> int:
    """Allow as many open files as this process may, and return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, 4 * CONNECTIONS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit


def _not_yet(environ: object, start_response: object) -> list[bytes]:
    raise AssertionError("the server does not serve before its application is set")


def _keep_house(home: Path, finished: Callable[[], int]) -> None:
    """Give memory back after requests, and end the server when its record is gone or names another
    process.

    The record must be lost twice in a row: then nobody could find the server any more. `finished`:
    how many executions have ended.
    """
    missing, before = 0, 0
    while missing < 2:
        time.sleep(ORPHAN_CHECK_S)
        missing = missing + 1 if _is_lost(home) else 0
        if finished() != before:
            before = finished()
            give_memory_back()
    print(f"{home} does not name process {os.getpid()} any more", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


def give_memory_back() -> None:
    """Return what is free to the system, which glibc does by itself only at the end of its heap."""
    gc.collect()
    with suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def _is_lost(home: Path) -> bool:
    try:
        return bool(
            json.loads((home / process.RECORD).read_text(encoding="utf-8")).get("pid")
            != os.getpid()
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, AttributeError):
        return True
    except (
        OSError
    ):  # no file descriptor is left, or the disk is away: that says nothing about the record
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]))
