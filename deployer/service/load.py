"""Many requests to the API: how many it answers in a second, how fast, and what fails."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from deployer.aws.access import Aws
from deployer.errors import InvocationFailed
from deployer.project.settings import Settings
from deployer.service.invoke import Answer, Client
from deployer.service.metrics import cold_starts as count_starts

_BINS = 10  # of the histogram


@dataclass(frozen=True)
class Bin:
    """A part of a histogram: how many latencies lie above `low_ms` and up to `high_ms`."""

    low_ms: float
    high_ms: float
    count: int


@dataclass
class Load:
    """What many requests gave.

    Args:
        latencies_s: of the requests that were answered, failed executions included.
        errors: how often each kind of failure occurred: of a request, or of a model in it.
        seconds: from the first request to the last answer.
        last: the last answer whose execution succeeded.
        partial: in how many answers a model failed.
        cold_starts: by model; None where that is not known.
    """

    requests: int
    concurrency: int
    latencies_s: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    last: Answer | None = None
    failed: int = 0
    partial: int = 0
    cold_starts: Mapping[str, int] | None = None

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0

    def percentile_ms(self, percent: float) -> float | None:
        """Return the smallest latency that so many percent of the answers do not exceed."""
        if not self.latencies_s:
            return None
        ordered = sorted(self.latencies_s)
        rank = max(1, math.ceil(len(ordered) * percent / 100))
        return 1000 * ordered[rank - 1]

    def histogram(self) -> list[Bin]:
        """Count the latencies in parts of equal ratio, since slow ones are far from the others."""
        if not self.latencies_s:
            return []
        values = sorted(1000 * seconds for seconds in self.latencies_s)
        low, high = max(values[0], 0.001), max(values[-1], 0.001)
        ratio = (high / low) ** (1 / _BINS)
        if ratio == 1:
            return [Bin(low, high, len(values))]
        counts = Counter(
            min(_BINS - 1, max(0, math.ceil(math.log(max(value, low) / low, ratio)) - 1))
            for value in values
        )
        return [
            Bin(low * ratio**number, low * ratio ** (number + 1), counts[number])
            for number in range(_BINS)
        ]

    def document(self) -> dict[str, Any]:
        """Return the load as --json prints it."""
        shown = {f"p{percent}": self.percentile_ms(percent) for percent in (50, 90, 99)}
        ends = {"min": self.percentile_ms(0), "max": self.percentile_ms(100)}
        return {
            "requests": self.requests,
            "concurrency": self.concurrency,
            "seconds": round(self.seconds, 3),
            "per_second": round(self.per_second, 3),
            "ms": {name: _rounded(value) for name, value in {**shown, **ends}.items()},
            "errors": dict(self.errors),
            "cold_starts": self.cold_starts,
            "histogram": [
                {"to_ms": _rounded(part.high_ms), "count": part.count} for part in self.histogram()
            ],
            "results": self.last.output if self.last else None,
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def measure(
    make_client: Callable[[], Client],
    body: bytes,
    requests: int,
    concurrency: int,
    stopped: Callable[[], bool],
    clock: Callable[[], float] = time.perf_counter,
) -> Load:
    """Send a request many times, over one connection for each of the threads.

    Args:
        stopped: whether the user wants it to end; then no further request is sent.
    """
    load = Load(requests, concurrency)
    lock = threading.Lock()
    left = iter(range(requests))

    def send() -> None:
        with make_client() as client:
            while not stopped():
                with lock:
                    if next(left, None) is None:
                        return
                outcome = _outcome(client, body)
                with lock:
                    _count(load, outcome)

    begun = clock()
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="load")
    try:
        for future in as_completed([pool.submit(send) for _ in range(concurrency)]):
            future.result()  # what one thread raises ends the wait for all
    finally:
        pool.shutdown(wait=False)  # whoever interrupts waits for no answer of a slow service
    load.seconds = clock() - begun
    return load


def _outcome(client: Client, body: bytes) -> Answer | str:
    """Return an answer, or the kind of failure of a request that got none."""
    try:
        return client.post(body)
    except InvocationFailed as error:
        return error.kind


def _count(load: Load, outcome: Answer | str) -> None:
    if isinstance(outcome, str):
        load.failed += 1
        load.errors[outcome] += 1
        return
    load.latencies_s.append(outcome.seconds)
    if not outcome.succeeded:
        load.failed += 1
        load.errors[str(outcome.record.get("error") or outcome.record.get("status"))] += 1
        return
    load.last = outcome
    failures = [f"{entry['model']}: {entry['error']}" for entry in _failures(outcome)]
    load.errors.update(failures)
    load.partial += bool(failures)


def _failures(answer: Answer) -> Sequence[Mapping[str, Any]]:
    return [entry for entry in answer.results or () if "error" in entry]


def cold_starts(aws: Aws, settings: Settings, load: Load, since: datetime) -> dict[str, int] | None:
    """Count the cold starts since a time by model, as far as the lines of the logs have arrived.

    None for a workflow of another shape, and where the logs may not be read.
    """
    results = load.last.results if load.last else None
    names = [str(entry["model"]) for entry in results or ()]
    counts = aws.together(*(partial(count_starts, aws, settings, name, since) for name in names))
    found = {name: count[0] for name, count in zip(names, counts, strict=True) if count is not None}
    return found if names and len(found) == len(names) else None
