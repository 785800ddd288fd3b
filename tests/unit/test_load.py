"""`invoke --repeat`: what many requests gave, measured at a real HTTP server."""

from __future__ import annotations

import io
import itertools
import json
import threading
from collections import Counter
from functools import partial
from typing import Any

import pytest
from rich.console import Console

from deployer.report.load import print_load
from deployer.service.invoke import Client
from deployer.service.load import Load, measure
from tests.support.stub import Quiet, serve

GOOD = [{"model": "churn", "predictions": [1]}]
PARTLY = [*GOOD, {"model": "fraud", "error": "Sandbox.Timedout"}]


def record(output: Any) -> bytes:
    return json.dumps({"status": "SUCCEEDED", "output": json.dumps(output)}).encode()


FAILED = json.dumps({"status": "FAILED", "error": "InvalidInput", "cause": "x"}).encode()


def answering(*answers: tuple[int, bytes]) -> type[Quiet]:
    """Answer requests with these in turn, over and over."""
    turns = itertools.cycle(answers)
    lock = threading.Lock()

    class Api(Quiet):
        def handle_any(self) -> None:
            self.body()
            with lock:
                status, content = next(turns)
            self.answer(status, content, {})

    return Api


def load(url: str, requests: int, concurrency: int = 3) -> Load:
    return measure(partial(Client, url), b"{}", requests, concurrency, lambda: False)


def test_every_request_is_counted_and_failures_by_their_kind() -> None:
    answers = [
        (200, record(GOOD)),
        (200, record(PARTLY)),
        (200, FAILED),
        (429, json.dumps({"message": "Too Many Requests"}).encode()),
    ]
    with serve(answering(*answers)) as url:
        found = load(f"{url}/", 40)
    assert len(found.latencies_s) == 30
    assert (found.failed, found.partial) == (20, 10)
    assert found.errors == {
        "fraud: Sandbox.Timedout": 10,
        "InvalidInput": 10,
        "answered HTTP 429: Too Many Requests": 10,
    }
    assert found.last and found.last.output in (GOOD, PARTLY)
    assert found.per_second == pytest.approx(40 / found.seconds)


def test_so_many_requests_are_under_way_at_once() -> None:
    together = threading.Barrier(4)

    class Api(Quiet):
        def handle_any(self) -> None:
            self.body()
            together.wait(30)  # breaks unless four requests come at once
            self.answer(200, record(GOOD), {})

    with serve(Api) as url:
        assert not load(f"{url}/", 8, concurrency=4).errors


def test_a_server_that_is_gone_is_a_kind_of_failure() -> None:
    with serve(answering((200, b"{}"))) as url:
        pass
    found = load(f"{url}/", 5)
    assert found.failed == 5 and not found.latencies_s and found.last is None
    assert [kind.startswith("gave no answer: ConnectionRefusedError") for kind in found.errors] == [
        True
    ]
    assert found.percentile_ms(99) is None and found.histogram() == []


def test_refusals_with_ids_of_their_own_are_one_kind() -> None:
    ids = itertools.count()

    class Api(Quiet):
        def handle_any(self) -> None:
            self.body()
            headers = {"apigw-requestid": f"id{next(ids)}="}
            self.answer(429, b'{"message": "Too Many Requests"}', headers)

    with serve(Api) as url:
        assert load(f"{url}/", 6).errors == {"answered HTTP 429: Too Many Requests": 6}


def test_whoever_interrupts_does_not_wait_for_a_slow_service() -> None:
    released, asked = threading.Event(), threading.Event()

    class Api(Quiet):
        def handle_any(self) -> None:
            self.body()
            asked.set()
            released.wait(60)
            self.answer(200, record(GOOD), {})

    turns = itertools.count()

    def interrupt() -> bool:
        if next(turns):
            asked.wait(30)
            raise KeyboardInterrupt  # as the signal does in the main thread
        return False

    with serve(Api) as url:
        with pytest.raises(KeyboardInterrupt):
            measure(partial(Client, f"{url}/"), b"{}", 3, 2, interrupt)
        assert not released.is_set()
        released.set()


def test_once_it_is_stopped_no_further_request_is_sent() -> None:
    sent: list[int] = []

    class Api(Quiet):
        def handle_any(self) -> None:
            self.body()
            sent.append(1)
            self.answer(200, record(GOOD), {})

    with serve(Api) as url:
        measure(partial(Client, f"{url}/"), b"{}", 1000, 1, lambda: len(sent) >= 3)
    assert len(sent) == 3


def test_percentiles_are_values_that_occurred() -> None:
    found = Load(100, 1, [number / 1000 for number in range(100, 0, -1)])
    assert [found.percentile_ms(percent) for percent in (0, 50, 90, 99, 100)] == pytest.approx(
        [1, 50, 90, 99, 100]
    )


@pytest.mark.parametrize(
    "latencies_s", [[0.001] * 7, [0.001, 0.002, 0.003, 3.0], [0.0, 1.0], [0.5]]
)
def test_a_histogram_counts_every_latency_once(latencies_s: list[float]) -> None:
    parts = Load(1, 1, latencies_s).histogram()
    assert sum(part.count for part in parts) == len(latencies_s)
    assert parts[-1].high_ms == pytest.approx(1000 * max(latencies_s))
    for part in parts:
        inside = [
            one for one in latencies_s if part.low_ms * 1.0001 < 1000 * one <= part.high_ms * 0.9999
        ]
        assert len(inside) <= part.count


@pytest.mark.parametrize("width", [120, 80, 40])
def test_the_histogram_fits_and_needs_no_unicode(width: int) -> None:
    found = Load(
        1200,
        8,
        [0.004] * 900 + [0.02] * 200 + [1.9] * 100,
        Counter({"fraud: Sandbox.Timedout": 3}),
        10.0,
        cold_starts={"churn": 2, "fraud": 0},
    )
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print_load(Console(file=stream, width=width, highlight=False, markup=False), found)
    stream.seek(0)
    lines = stream.read().splitlines()
    assert max(map(len, lines)) <= width
    said, bars = lines[:-10], lines[-10:]
    assert " ".join(line.strip() for line in said) == (
        "1,200 requests in 10.0 s, 8 at a time: 120.0 per second "
        "latency: fastest 4.0 ms, p50 4.0 ms, p90 20 ms, p99 1,900 ms, slowest 1,900 ms "
        "cold starts: churn 2 failed 3 times: fraud: Sandbox.Timedout"
    )
    assert max(bar.count("#") for bar in bars) == bars[0].count("#") > 5
