"""API Gateway's throttle of a stage."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

Throttle = tuple[float, int]  # rate, burst


class TokenBucket:
    """`burst` tokens, refilled at `rate` a second, one a request."""

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst)
        self._last = clock()

    def take(self) -> bool:
        """Take a token; tell whether there was one."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._last) * self._rate)
        self._last = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Throttles:
    """A bucket for each API and its limits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, float, int], TokenBucket] = {}

    def let_pass(self, api_id: str, throttle: Throttle | None) -> bool:
        """Tell whether one more request is within the rate; without limits, every one is."""
        if throttle is None:
            return True
        with self._lock:
            return self._buckets.setdefault((api_id, *throttle), TokenBucket(*throttle)).take()
