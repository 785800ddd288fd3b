"""The executions that APIs start, and how many of them at once."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from deployer.local import workflow
from deployer.local.answers import Answer
from deployer.local.process import ACCOUNT
from deployer.local.telemetry import Telemetry

# Executions at once: each holds its data several times over. The rest wait, as they would for the
# one environment of a function.
_MAX_EXECUTIONS = 16
# Requests at once to all APIs. The server has more threads, so that a function can reach S3 however
# many requests wait for it.
_MAX_REQUESTS = 128


class Busy(Exception):
    """As many requests as are allowed are waiting already."""


class TimedOut(Exception):
    """The execution goes on, but the API does not wait for it any longer (Api-13)."""


class Executions:
    """Starts executions for the APIs of the account."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._executions = ThreadPoolExecutor(_MAX_EXECUTIONS, thread_name_prefix="integration")
        self._requests = threading.BoundedSemaphore(_MAX_REQUESTS)
        self.finished = 0  # requests that have ended

    def start(self, request: Mapping[str, Any], timeout_s: float) -> Answer:
        """Answer StartSyncExecution, or raise Busy or TimedOut."""
        if not self._requests.acquire(blocking=False):
            raise Busy
        execution = self._executions.submit(workflow.answer, ACCOUNT, request, self._telemetry)
        try:
            return execution.result(timeout=timeout_s)
        except FutureTimeout:
            execution.cancel()  # one that has begun goes on, as on AWS
            raise TimedOut from None
        finally:
            self.finished += 1
            self._requests.release()
