"""Call a handler for several functions, outside of Lambda.

    python run_handler.py MODULE.FUNCTION FOLDER

Runs as a script in the folder that is the image's working directory; imports the standard library
only, and numpy if there is one. FOLDER holds a file N.json for each function: {"environment",
"event", "timeout_s"}. Each is called in a process of its own, forked from this one, which saves the
time of starting Python and importing numpy. A file N.result is written for each unless its process
was killed: {"answer"} or {"error", "message", "module"}, and {"peak_mb"}, the memory that it
needed. What a handler prints is in N.log; N.status holds how the process ended, as os.wait says it.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any


class Context:
    """The second argument of a handler: facts about its invocation."""

    aws_request_id = "00000000-0000-0000-0000-000000000000"
    log_group_name = log_stream_name = "trial"

    def __init__(self, timeout_s: int) -> None:
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "trial")
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
        account = "arn:aws:lambda:us-east-1:123456789012"
        self.invoked_function_arn = f"{account}:function:{self.function_name}"
        self._end = time.monotonic() + timeout_s

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int(1000 * (self._end - time.monotonic())))


def call(handler: str, event: Any, timeout_s: int) -> dict[str, Any]:
    """Import a handler and call it."""
    module, _, function = handler.rpartition(".")
    sys.path.insert(0, str(Path.cwd()))  # as a Lambda runtime does
    try:
        imported = importlib.import_module(module.replace("/", "."))
        answer = getattr(imported, function)(event, Context(timeout_s))
        return {"answer": json.loads(json.dumps(answer, allow_nan=False))}
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return {
            "error": type(error).__name__,
            "message": str(error),
            "module": error.name if isinstance(error, ModuleNotFoundError) else None,
        }


def work(handler: str, job: Path) -> None:
    """Call the handler for one function, in this process."""
    log = os.open(job.with_suffix(".log"), os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    task = json.loads(job.read_text(encoding="utf-8"))
    os.environ.update(task["environment"])
    report = call(handler, task["event"], task["timeout_s"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    divisor = 1024 * 1024 if sys.platform == "darwin" else 1024  # macOS counts bytes
    text = json.dumps({**report, "peak_mb": peak // divisor})
    job.with_suffix(".result").write_text(text, encoding="utf-8")


def main(handler: str, folder: str) -> None:
    sys.path.pop(0)  # this script's own folder
    with suppress(ImportError):
        importlib.import_module("numpy")
    running: dict[int, tuple[Path, float]] = {}

    def wait() -> None:
        """Wait until a process has ended, and end those that take too long."""
        while True:
            for process, (job, deadline) in list(running.items()):
                ended, status = os.waitpid(process, os.WNOHANG)
                late = not ended and time.monotonic() > deadline
                if late:
                    os.kill(process, signal.SIGKILL)
                    os.waitpid(process, 0)
                if ended or late:
                    job.with_suffix(".status").write_text("timeout" if late else str(status))
                    del running[process]
                    return
            time.sleep(0.005)

    for job in sorted(Path(folder).glob("*.json")):
        if len(running) >= (os.cpu_count() or 1):
            wait()
        process = os.fork()
        if process == 0:
            try:
                work(handler, job)
            finally:
                sys.stdout.flush()
                os._exit(0)
        timeout_s = json.loads(job.read_text(encoding="utf-8"))["timeout_s"]
        running[process] = job, time.monotonic() + timeout_s
    while running:
        wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
