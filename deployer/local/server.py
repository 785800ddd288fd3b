"""The process of the local AWS: `python -m deployer.local.server PROJECT`.

`process` starts and ends it.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
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
from typing import TYPE_CHECKING, Any

from deployer.local import process

if TYPE_CHECKING:
    from deployer.local.webserver import Server

ORPHAN_CHECK_S = 2.0
THREADS = 160
CONNECTIONS = 1000
IDLE_S = 65  # longer than botocore keeps a connection that it may use again
Wrap = Callable[[Any], Any]


def main(project: Path, wrap: Wrap = lambda application: application) -> None:
    """Serve until SIGTERM, or until the project's folder is gone.

    Args:
        wrap: puts middleware around the application, for tests.
    """
    from deployer.local.gateway import Gateway
    from deployer.local.moto_backend import application

    home = process.folder(project)
    held = hold(home)  # until the process ends
    credentials = process.new_credentials()
    # Nothing is read before the gateway is there.
    server = _listen(lambda path, headers: gateway.largest_body(path, headers))
    port = server.effective_port
    gateway = Gateway(application.load(port), project, os.getpid(), port, credentials)
    server.application = wrap(gateway)
    server.refusal = gateway.refusal
    gc.freeze()  # moto stays as it is: collections need not scan it

    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    process.write_record(home, port, credentials)
    threading.Thread(target=_maintain, args=(home, gateway.finished), daemon=True).start()
    print(f"serving {project} on port {port} as process {os.getpid()}", flush=True)
    try:
        server.run()
    finally:
        gateway.close()
        print(f"process {os.getpid()} ended, letting {held.name} go", flush=True)


def _listen(largest_body: Callable[[str, dict[str, str]], int]) -> Server:
    """Return a server without an application, which listens already."""
    from deployer.local.webserver import make_server

    return make_server(
        _not_ready,
        largest_body,
        host="127.0.0.1",
        port=0,
        threads=THREADS,
        connection_limit=min(CONNECTIONS, raise_file_limit() // 2),
        channel_timeout=IDLE_S,
        cleanup_interval=10,
        max_request_header_size=64 * 1024,
        asyncore_use_poll=True,  # select() takes no file descriptor above 1023
        # Without free file descriptors, it would log many attempts a second.
        log_socket_errors=False,
        ident="deployer",
    )


def hold(home: Path) -> Any:
    """Lock the folder's `alive` file until this process ends; wait for a former server to end."""
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


def _not_ready(environ: object, start_response: object) -> list[bytes]:
    raise AssertionError("the server does not serve before its application is set")


def _maintain(home: Path, finished: Callable[[], int]) -> None:
    """Release memory after requests, and end the server when it is orphaned.

    It is when its record is gone, or names another process, twice in a row: then no client can find
    it any more. `finished` returns how many requests to APIs have ended.
    """
    missing, before = 0, 0
    while missing < 2:
        time.sleep(ORPHAN_CHECK_S)
        missing = missing + 1 if _is_orphaned(home) else 0
        if finished() != before:
            before = finished()
            release_memory()
    print(f"{home} does not name process {os.getpid()} any more", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


def release_memory() -> None:
    """Return free memory to the system; glibc by itself only returns the end of its heap."""
    gc.collect()
    with suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def _is_orphaned(home: Path) -> bool:
    try:
        record = json.loads((home / process.RECORD).read_text(encoding="utf-8"))
        return bool(record.get("pid") != os.getpid())
    except (FileNotFoundError, NotADirectoryError, ValueError, AttributeError):
        return True
    # Without a file descriptor, or without the disk, nothing is known of the record.
    except OSError:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]))
