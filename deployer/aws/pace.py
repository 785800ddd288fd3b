"""Keeping below the rates at which AWS refuses: a token bucket for each quota that AWS documents.
Knows no AWS call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Pace:
    """Lets `burst` calls through at once and `rate` a second after that. Threads wait in the order
    in which they come.
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float], sleep: Callable[[float], object]
    ) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._sleep = sleep
        self._tokens = float(burst)
        self._last = clock()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Return once one more call is within the rate."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._last) * self._rate) - 1
            self._last = now
            wait_s = max(
                0.0, -self._tokens / self._rate
            )  # below zero, tokens are promised to those who wait
        if wait_s:
            self._sleep(wait_s)
