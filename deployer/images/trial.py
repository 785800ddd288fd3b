"""Calling the handler on this machine: with the files that its image will hold, and models.

The files are those that COPY takes. Packages and Python are those of this Python. The model and its
signature come from an S3 on loopback, as they will come from AWS's.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import sys
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any
from urllib.parse import unquote

from deployer.children import child
from deployer.errors import BuildError
from deployer.images.context import Context, lay_out
from deployer.images.recipe import TASK_ROOT, Recipe, interpret_for_lambda

_PROGRAM = Path(__file__).with_name("run_handler.py")
_REGION = "us-east-1"
_LOG_LINES = 10
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_CREDENTIAL = re.compile(r"Credential=([^/]+)/")
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
        asked_others: whether it called a service of AWS that is not here.
    """

    answer: Any = None
    error: str = ""
    message: str = ""
    module: str | None = None
    log: tuple[str, ...] = ()
    peak_mb: int | None = None
    asked_others: bool = False


class Trial:
    """The files of an image, laid out in a folder, in which handlers can be called."""

    def __init__(self, context: Context, recipe: Recipe, folder: Path) -> None:
        self._context = context
        self._recipe = recipe
        self._folder = folder
        lay_out(recipe.files, folder)

    def has_module(self, name: str) -> bool:
        """Tell whether a module of this name is the context's own, copied into the image or not."""
        top = name.partition(".")[0]
        return any(file.partition("/")[0] in (top, f"{top}.py") for file in self._context.files)

    def call(self, calls: Sequence[Call]) -> list[Outcome]:
        """Call the handler for several functions, each in a process of its own."""
        work = self._folder / self._recipe.workdir.lstrip("/")
        work.mkdir(parents=True, exist_ok=True)
        objects = {key: content for call in calls for key, content in call.objects.items()}
        asked: set[str] = set()
        with _storage(objects, asked) as url, tempfile.TemporaryDirectory() as name:
            jobs = [Path(name, f"{number:06d}.json") for number in range(len(calls))]
            for job, call in zip(jobs, calls, strict=True):
                task = {
                    "environment": {"AWS_ACCESS_KEY_ID": _access_key(job), **call.environment},
                    "event": call.event,
                    "timeout_s": call.timeout_s,
                }
                job.write_text(json.dumps(task), encoding="utf-8")
            command = [sys.executable, str(_PROGRAM), self._recipe.command[-1], name]
            variables = self._variables(url)
            with child(command, work, variables, stdout=DEVNULL, stderr=PIPE) as process:
                _, errors = process.communicate()
            return [
                _outcome(job, call, errors, asked) for job, call in zip(jobs, calls, strict=True)
            ]

    def _variables(self, url: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_AWS)}
        for name in list(kept):
            if name.lower().endswith("_proxy"):
                del kept[name]
        own = dict(self._recipe.environment)
        if "PYTHONPATH" in own:  # names folders of the image
            parts = own["PYTHONPATH"].split(":")
            own["PYTHONPATH"] = ":".join(str(self._folder / part.lstrip("/")) for part in parts)
        return {
            **kept,
            **own,
            "LAMBDA_TASK_ROOT": str(self._folder / TASK_ROOT.lstrip("/")),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9",  # handlers tell Lambda by it
            "AWS_REGION": _REGION,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_SECRET_ACCESS_KEY": "trial",
            "AWS_ENDPOINT_URL": url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def _access_key(job: Path) -> str:
    return f"trial{job.stem}"


def _outcome(job: Path, call: Call, errors: str, asked: Collection[str]) -> Outcome:
    """Read what a process has left."""
    outcome = _left(job, call, errors)
    return replace(outcome, asked_others=_access_key(job) in asked)


def _left(job: Path, call: Call, errors: str) -> Outcome:
    said = _read(job.with_suffix(".log")) or errors
    log = tuple(said.strip().splitlines()[-_LOG_LINES:])
    written = _read(job.with_suffix(".result"))
    if written:
        return Outcome(**json.loads(written), log=log)
    ended = _read(job.with_suffix(".status"))
    status = int(ended) if ended.isdigit() else 0
    if ended == "timeout":
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
    recipe = interpret_for_lambda(context)
    if "." not in recipe.command[-1]:
        raise BuildError(
            f"{context.dockerfile.path}: CMD {recipe.command[-1]} is no handler: MODULE.FUNCTION"
        )
    with tempfile.TemporaryDirectory(prefix="deployer-trial-") as folder:
        yield Trial(context, recipe, Path(folder))


@contextmanager
def _storage(objects: Mapping[str, bytes | Path], asked: set[str]) -> Iterator[str]:
    """Serve objects as S3 does, whichever bucket is asked for; yield the endpoint.

    Adds to `asked` the access keys of functions that ask for other services of AWS.
    """

    class Request(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            key = unquote(self.path.partition("?")[0]).lstrip("/").partition("/")[2]
            content = objects.get(key)
            if content is None:
                self._send(404, b"<Error><Code>NoSuchKey</Code></Error>", {})
                return
            body = content.read_bytes() if isinstance(content, Path) else content
            headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "Accept-Ranges": "bytes"}
            part = _RANGE.fullmatch(self.headers.get("Range", ""))
            if part is None:
                self._send(200, body, headers)
                return
            first, last = int(part[1]), min(int(part[2] or len(body)), len(body) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
            self._send(206, body[first : last + 1], headers)

        do_HEAD = do_GET

        def do_POST(self) -> None:
            """Refuse another service than S3, and remember which function asked."""
            match = _CREDENTIAL.search(self.headers.get("Authorization", ""))
            asked.add(match[1] if match else "")
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._send(400, b'{"__type": "NotHere", "message": "this trial has S3 alone"}', {})

        do_PUT = do_DELETE = do_PATCH = do_POST

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

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
