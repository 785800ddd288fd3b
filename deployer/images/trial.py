"""Calling the handler on this machine: with the files that its image will hold, and models.

The files are those that COPY takes. Packages and Python are those of this Python. The model and its
signature come from an S3 on loopback, as they will come from AWS's.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from deployer.errors import BuildError
from deployer.images.context import Context
from deployer.images.recipe import Recipe, interpret

_PROGRAM = Path(__file__).with_name("run_handler.py")
_TASK_ROOT = "/var/task"  # of AWS's base images
_REGION = "us-east-1"
_LOG_LINES = 10
_AWS = ("AWS_", "PYTHON")  # variables of this process that a function does not see


@dataclass(frozen=True)
class Call:
    """A function to call its handler for.

    Attributes:
        environment: the function's variables.
        objects: what S3 holds for it, by key: bytes, or the path of a file.
        timeout_s: for the init and the call together.
    """

    environment: Mapping[str, str]
    objects: Mapping[str, bytes | Path]
    event: Any
    timeout_s: int


@dataclass(frozen=True)
class Outcome:
    """What a handler did with an event.

    Attributes:
        answer: None if it failed.
        error: the name of the exception; "" if it answered.
        module: the module that could not be imported, if that is the error.
        log: the last lines that it printed.
        peak_mb: the memory that its process needed; None if it was killed.
    """

    answer: Any = None
    error: str = ""
    message: str = ""
    module: str | None = None
    log: tuple[str, ...] = ()
    peak_mb: int | None = None


class Trial:
    """The files of an image, laid out in a folder, in which handlers can be called."""

    def __init__(self, context: Context, recipe: Recipe, folder: Path) -> None:
        self._context = context
        self._recipe = recipe
        self._folder = folder
        for name, path in recipe.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)

    def has_module(self, name: str) -> bool:
        """Tell whether a module of this name is the context's own, copied into the image or not."""
        top = name.partition(".")[0]
        return any(file.partition("/")[0] in (top, f"{top}.py") for file in self._context.files)

    def call(self, calls: Sequence[Call]) -> list[Outcome]:
        """Call the handler for several functions, each in a process of its own."""
        work = self._folder / self._recipe.workdir.lstrip("/")
        work.mkdir(parents=True, exist_ok=True)
        objects = {key: content for call in calls for key, content in call.objects.items()}
        with _storage(objects) as url, tempfile.TemporaryDirectory() as name:
            jobs = [Path(name, f"{number:06d}.json") for number in range(len(calls))]
            for job, call in zip(jobs, calls, strict=True):
                task = {
                    "environment": dict(call.environment),
                    "event": call.event,
                    "timeout_s": call.timeout_s,
                }
                job.write_text(json.dumps(task), encoding="utf-8")
            process = subprocess.Popen(
                [sys.executable, str(_PROGRAM), self._recipe.command[-1], name],
                cwd=work,
                env=self._variables(url),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C is the deployer's; what it starts ends with it
            )
            try:
                _, errors = process.communicate()
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            return [_outcome(job, call, errors) for job, call in zip(jobs, calls, strict=True)]

    def _variables(self, url: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_AWS)}
        for name in list(kept):
            if name.lower().endswith("_proxy"):
                del kept[name]
        return {
            **kept,
            **self._recipe.environment,
            "LAMBDA_TASK_ROOT": str(self._folder / _TASK_ROOT.lstrip("/")),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9",  # handlers tell Lambda by it
            "AWS_REGION": _REGION,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_ACCESS_KEY_ID": "trial",
            "AWS_SECRET_ACCESS_KEY": "trial",
            "AWS_ENDPOINT_URL": url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def _outcome(job: Path, call: Call, errors: str) -> Outcome:
    """Read what a process has left."""
    said = _read(job.with_suffix(".log")) or errors
    log = tuple(said.strip().splitlines()[-_LOG_LINES:])
    written = _read(job.with_suffix(".result"))
    if written:
        return Outcome(**json.loads(written), log=log)
    status = int(_read(job.with_suffix(".status")) or 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        return Outcome(error="Timeout", message=f"no answer within {call.timeout_s} s", log=log)
    how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "itself"
    last = f": {log[-1]}" if log else ""
    return Outcome(error="Ended", message=f"its process was ended by {how}{last}", log=log)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


@contextmanager
def trial(context: Context) -> Iterator[Trial]:
    """Lay out the files of a context's image.

    Raises:
        BuildError: the Dockerfile needs an engine to be understood.
    """
    recipe = interpret(context, {"LAMBDA_TASK_ROOT": _TASK_ROOT}, _TASK_ROOT)
    if "." not in recipe.command[-1]:
        raise BuildError(
            f"{context.dockerfile.path}: CMD {recipe.command[-1]} is no handler: MODULE.FUNCTION"
        )
    with tempfile.TemporaryDirectory(prefix="deployer-trial-") as folder:
        yield Trial(context, recipe, Path(folder))


@contextmanager
def _storage(objects: Mapping[str, bytes | Path]) -> Iterator[str]:
    """Serve objects as S3 does, whichever bucket is asked for; yield the endpoint."""

    class Request(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            key = unquote(self.path.partition("?")[0]).lstrip("/").partition("/")[2]
            content = objects.get(key)
            self.send_response(404 if content is None else 200)
            if content is None:
                content = b"<Error><Code>NoSuchKey</Code></Error>"
            body = content.read_bytes() if isinstance(content, Path) else content
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, format: str, *values: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Request) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
