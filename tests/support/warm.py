"""Programs in Python that start in a hundredth of the time: scikit-learn is imported already.

    python tests/support/warm.py SOCKET ROOT     the server, from which each program is forked

`Programs` starts the server, and programs by it, as subprocess.Popen starts them. A program differs
from one in a new interpreter only in the modules that are imported when it begins.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import types
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

_FILE = Path(__file__).resolve()
_ROOT = _FILE.parents[2]
_MESSAGE = 1 << 20


class Programs:
    """Starts programs by a server, which starts with the first one."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None

    def __call__(self, command: Sequence[str], **options: Any) -> Any:
        """Start a program of this Python on Linux; leave any other to subprocess."""
        ours = command[0] == sys.executable and options.get("start_new_session")
        if not ours or sys.platform != "linux":  # macOS forks no process that has frameworks
            return subprocess.Popen(command, **options)
        return Program(self._connected(), command, **options)

    def _connected(self) -> socket.socket:
        if self._connection is None:
            self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._server = subprocess.Popen(
                    [sys.executable, str(_FILE), str(theirs.fileno()), str(_ROOT)],
                    cwd=_ROOT,
                    pass_fds=[theirs.fileno()],
                    env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
                )
        return self._connection

    def close(self) -> None:
        if self._connection is not None and self._server is not None:
            self._connection.close()
            self._server.wait()


class Program:
    """What this project uses of subprocess.Popen, for a program in a session of its own."""

    def __init__(
        self,
        server: socket.socket,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdout: int,
        stderr: int,
        errors: str,
        **_: Any,
    ) -> None:
        self._errors = errors
        self._pipes: list[int | None] = []
        self.returncode: int | None = None
        with ExitStack() as theirs:
            given: list[int] = []
            for stream in (stdout, stderr):
                ours, end = os.pipe() if stream == subprocess.PIPE else (None, _nothing())
                theirs.callback(os.close, end)
                self._pipes.append(ours)
                given.append(end)
            self._state, end = _pair()
            theirs.callback(os.close, end)
            job = {"command": list(command[1:]), "folder": str(cwd), "environment": dict(env)}
            socket.send_fds(server, [json.dumps(job).encode()], [*given, end])
        self.pid = int(self._state.recv(64))

    def communicate(self) -> tuple[str, str]:
        """Return what the program wrote, as text, once it has ended."""
        with ThreadPoolExecutor(2) as pool:
            written = list(pool.map(_all_of, self._pipes))
        self.wait()
        out, err = (text.decode(errors=self._errors) for text in written)
        return out, err

    def wait(self) -> int:
        if self.returncode is None:
            with self._state:
                self.returncode = int(self._state.recv(64))
        return self.returncode

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        while self._pipes:
            pipe = self._pipes.pop()
            if pipe is not None:
                os.close(pipe)


def _nothing() -> int:
    return os.open(os.devnull, os.O_WRONLY)


def _pair() -> tuple[socket.socket, int]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return ours, theirs.detach()


def _all_of(pipe: int | None) -> bytes:
    content = b""
    while pipe is not None and (part := os.read(pipe, 1 << 16)):
        content += part
    return content


def serve(connection: socket.socket, path: Sequence[str]) -> None:
    """Fork a program for each message, and one process that tells its pid and its end."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, _MESSAGE, 3)
        if not message:
            break
        if os.fork() == 0:
            connection.close()
            out, err, state = descriptors
            told = socket.socket(fileno=state)
            if pid := os.fork():
                os.close(out)
                os.close(err)
                told.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
                os._exit(0)
            os.setsid()  # before anybody knows its pid, and ends its group
            told.send(str(os.getpid()).encode())
            told.close()
            become(json.loads(message), out, err, path)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        while _reap(os.WNOHANG):
            pass
    while _reap(0):
        pass


def _reap(options: int) -> bool:
    try:
        return os.waitpid(-1, options) != (0, 0)
    except ChildProcessError:
        return False


def become(job: Mapping[str, Any], out: int, err: int, path: Sequence[str]) -> None:
    """Run a program in this process, as a new interpreter does."""
    os.chdir(job["folder"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for given, taken in ((out, 1), (err, 2)):
        os.dup2(given, taken)
        os.close(given)
    os.environ.clear()
    os.environ.update(job["environment"])
    program, *arguments = job["command"]
    named = [part for part in os.environ.get("PYTHONPATH", "").split(":") if part]
    if program == "-c":
        sys.path[:] = ["", *named, *path]
        sys.argv = ["-c", *arguments[1:]]
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        exec(compile(arguments[0], "<string>", "exec"), main.__dict__)
    else:
        sys.path[:] = [str(Path(program).resolve().parent), *named, *path]
        sys.argv = [program, *arguments]
        runpy.run_path(program, run_name="__main__")


_PREPARED = (
    *(f"sklearn.{part}" for part in ("compose", "ensemble", "linear_model", "pipeline", "svm")),
    "deployer.project.inspection.program",
)


def prepare(root: str) -> list[str]:
    """Import what models and programs need; return the path of an interpreter without a script."""
    path = sys.path[1:]
    sys.path[0] = root
    for name in _PREPARED:
        import_module(name)
    gc.freeze()  # a collection in a program would copy all this memory
    return path


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # pytest closes the connection
    serve(socket.socket(fileno=int(sys.argv[1])), prepare(sys.argv[2]))
