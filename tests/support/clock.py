"""A clock that only sleeping moves: minutes of waiting cost nothing."""

from __future__ import annotations

import threading


class Clock:
    """A clock in seconds, and the sleep that moves it. The sleeps of all threads add up."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds
