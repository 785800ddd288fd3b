"""API Gateway's throttles of stages and keys, and the quotas of keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

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
    """A bucket for each API, or API key, and its limits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, float, int], TokenBucket] = {}

    def let_pass(self, name: str, throttle: Throttle | None) -> bool:
        """Tell whether one more request is within the rate; without limits, every one is."""
        if throttle is None:
            return True
        with self._lock:
            return self._buckets.setdefault((name, *throttle), TokenBucket(*throttle)).take()


def beginning(period: str, now: datetime) -> datetime:
    """Return when the DAY, WEEK or MONTH began in which a time lies, in UTC."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "MONTH":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday() if period == "WEEK" else 0)


class Quotas:
    """Counts the requests of each API key in the period of its quota."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)) -> None:
        self._lock = threading.Lock()
        self._now = now
        self._counts: dict[str, tuple[datetime, int]] = {}

    def let_pass(self, name: str, quota: tuple[int, str] | None) -> bool:
        """Tell whether one more request is within a key's quota; without one, every one is."""
        if quota is None:
            return True
        limit, period = quota
        begins = beginning(period, self._now())
        with self._lock:
            began, count = self._counts.get(name, (begins, 0))
            count = count if began >= begins else 0
            if count >= limit:
                return False
            self._counts[name] = (begins, count + 1)
            return True
