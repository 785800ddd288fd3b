"""The command line in a process of its own, as a user runs it; and other processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.local import process


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def deployer(
    folder: Path,
    *arguments: str,
    code: int = 0,
    stdin: str = "",
    environment: Mapping[str, str] = {},
    limit: Callable[[], None] | None = None,
) -> Ran:
    """Run `python -m deployer ...` in a project folder and check its exit code.

    Args:
        environment: added to this process's own.
        limit: called in the new process before the command starts, to limit its resources.
    """
    done = subprocess.run(
        [sys.executable, "-m", "deployer", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        input=stdin,
        env={**os.environ, **environment},
        preexec_fn=limit,
        timeout=120,
    )
    assert done.returncode == code, (
        f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    found = subprocess.run(["ps", "-p", str(pid), "-o", "stat="], capture_output=True, text=True)
    return found.stdout.strip()[:1] not in ("", "Z")


def ends(pid: int, timeout_s: float = 20) -> bool:
    """Tell whether a process ends within a time."""
    end = time.monotonic() + timeout_s
    while alive(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def claimed(folder: Path, url: str) -> Iterator[None]:
    """Write the address of a proxy into the record of a project's local AWS."""
    record = process.folder(folder) / process.RECORD
    known = record.read_text()
    record.write_text(json.dumps({**json.loads(known), "port": int(url.rpartition(":")[2])}))
    try:
        yield
    finally:
        record.write_text(known)


def children_of(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]
