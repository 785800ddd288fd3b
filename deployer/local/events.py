"""Invocations of type Event: nobody waits for the answer, and an error is tried again."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

from deployer.local.invocation import Response

# Lambda's delays before the second and the third attempt (Lambda-37).
DELAYS_S = (60.0, 120.0)
Attempt = Callable[[str], Response | None]  # takes a request id; None: the function is gone


class Events:
    """The invocations of type Event of one server.

    Args:
        wait: waits for some seconds; returns True at once when the server ends.
    """

    def __init__(self, wait: Callable[[float], bool] | None = None) -> None:
        self._ended = threading.Event()
        self._wait = wait or self._ended.wait

    def start(self, attempt: Attempt, retries: int) -> threading.Thread:
        """Invoke a function in a thread of its own, and again after an error."""
        thread = threading.Thread(target=self._run, args=(attempt, retries), daemon=True)
        thread.start()
        return thread

    def _run(self, attempt: Attempt, retries: int) -> None:
        request_id = str(uuid.uuid4())  # all attempts have the same
        for delay in (*DELAYS_S[:retries], None):
            response = attempt(request_id)
            if response is None or not response.is_error:
                return
            if delay is None or self._wait(delay):
                return

    def close(self) -> None:
        """Make no further attempts."""
        self._ended.set()
