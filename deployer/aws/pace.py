"""Rate limits: calls are held back to the rates that AWS documents, so that it refuses none."""

from __future__ import annotations

import threading
from collections.abc import Callable

# Calls per second that AWS documents, and a burst, by service or by operation. They hold for the
# whole account and region, so other callers may use up a part (Api-30, Lambda-29, Logs-12). The
# bursts of Lambda and Logs are not documented; with these, ten functions are deployed undelayed.
RATES: dict[str, tuple[float, int]] = {
    "apigatewayv2": (10, 40),
    # Of REST APIs, some operations have rates of their own (Rest-15, Key-5).
    "apigateway:create_rest_api": (1 / 3, 1),
    "apigateway:put_rest_api": (1, 1),
    "apigateway:create_deployment": (1 / 5, 1),
    "apigateway:delete_rest_api": (1 / 30, 1),
    "apigateway:create_api_key": (5, 5),
    "apigateway:delete_api_key": (5, 5),
    "apigateway:update_usage_plan": (1 / 20, 1),
    "cloudwatch:put_metric_alarm": (3, 3),  # Alarm-7
    "cloudwatch:delete_alarms": (3, 3),
    "cloudwatch:describe_alarms": (9, 9),
    "lambda": (15, 45),
    "lambda:get_function": (100, 100),
    # Ten times the concurrent executions, of which a new account may have ten (Lambda-28).
    "lambda:invoke": (100, 100),
    "logs:create_log_group": (5, 12),
    "logs:delete_log_group": (5, 12),
    "logs:describe_log_groups": (5, 15),
    "logs:filter_log_events": (5, 10),  # Logs-15
}
# Both of API Gateway's services count as one.
_ONE_SERVICE = {"apigateway": "apigatewayv2"}


class Pace:
    """A token bucket: `burst` calls at once, then `rate` per second, first come, first served."""

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
            # A negative number of tokens is promised to the threads that already wait.
            wait_s = max(0.0, -self._tokens / self._rate)
        if wait_s:
            self._sleep(wait_s)


class Paces:
    """The rate limits of one account."""

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], object]) -> None:
        self._paces = {name: Pace(*rate, clock, sleep) for name, rate in RATES.items()}

    def take(self, service: str, operation: str) -> None:
        """Return once one more call of an operation is within the rate of it or of its service."""
        whole = _ONE_SERVICE.get(service, service)
        pace = self._paces.get(f"{service}:{operation}") or self._paces.get(whole)
        if pace:
            pace.take()
