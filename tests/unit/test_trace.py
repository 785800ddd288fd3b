"""`trace`: where a request's time went, from its lines alone."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from deployer.report.trace import bar, in_ascii, print_trace
from deployer.service.cost import Item, Model, Unpriced, price_table, request_items
from deployer.service.log_lines import Event
from deployer.service.tracing import Trace, parse_report, trace_of

BEGIN_MS = 1_767_225_600_000
ONE, TWO = (f"{digit * 8}-0000-0000-0000-{digit * 12}" for digit in "12")
FUNCTIONS = {"a-dev-forest": "forest", "a-dev-tree": "tree"}


def event(source: str, after_ms: float, message: Any, stream: str = "s") -> Event:
    text = message if isinstance(message, str) else json.dumps(message)
    return Event(source, BEGIN_MS + round(after_ms), stream, text)


def access(after_ms: float, latency_ms: int, status: str = "200") -> Event:
    line = {"requestId": "r=", "method": "POST", "status": status, "latencyMs": str(latency_ms)}
    return event("api", after_ms, line)


def happened(
    after_ms: float, kind: str, number: str = "0", before: Any = None, **details: str
) -> Event:
    arn = "arn:aws:states:us-east-1:123456789012:express:a-dev:r=:1-2"
    moment = str(BEGIN_MS + round(after_ms))
    fields = {"type": kind, "details": details, "execution_arn": arn, "event_timestamp": moment}
    fields |= {"id": number, "previous_event_id": str(before)}
    return event("workflow", after_ms + 3, fields)  # delivered later than it happened


def scheduled(after_ms: float, function: str) -> Event:
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function}:1"
    return happened(after_ms, "LambdaFunctionScheduled", resource=arn)


def invoked(
    model: str,
    start_ms: float,
    invocation: str,
    duration_ms: float,
    *,
    init_ms: float | None = None,
    outcome: str | None = "answered",
    status: str = "",
) -> list[Event]:
    end = start_ms + duration_ms
    said = {"execution": "r=", "request": invocation, "model": model, "ms": 4, "outcome": outcome}
    billed = round(duration_ms + (init_ms or 0) + 0.5)
    fields = [
        f"REPORT RequestId: {invocation}",
        f"Duration: {duration_ms} ms",
        f"Billed Duration: {billed} ms",
        "Memory Size: 1024 MB",
        "Max Memory Used: 140 MB",
        *([] if init_ms is None else [f"Init Duration: {init_ms} ms"]),
    ]
    return [
        event(model, start_ms, f"START RequestId: {invocation} Version: 1"),
        *([event(model, end, said)] if outcome else []),
        event(model, end, f"END RequestId: {invocation}"),
        event(model, end, "\t".join(fields) + status),
    ]


def traced(*events: Event) -> Trace:
    return trace_of("r=", sorted(events, key=lambda one: one.time_ms), FUNCTIONS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "REPORT RequestId: 1\tDuration: 29.40 ms\tBilled Duration: 280 ms\tMemory Size: 128 MB"
            "\tMax Memory Used: 66 MB\tInit Duration: 250.43 ms\t\n",
            (29.4, 280, 128, 66, 250.43, None),
        ),
        (
            "REPORT RequestId: 1\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: 128 "
            "MB\tMax Memory Used: 30 MB\tStatus: timeout",
            (3000, 3000, 128, 30, None, "timeout"),
        ),
        (
            "REPORT RequestId: 1\tDuration: 1.00 ms\tBilled Duration: 1 ms\tMemory Size: 128 MB\t"
            "Max Memory Used: 128 MB\tStatus: error\tError Type: Runtime.OutOfMemory\n"
            "XRAY TraceId: 1-2\tSegmentId: 3",
            (1, 1, 128, 128, None, "error: Runtime.OutOfMemory"),
        ),
    ],
)
def test_a_report_is_read(text: str, expected: tuple[Any, ...]) -> None:
    assert tuple(vars(parse_report(text)).values()) == expected


def test_queue_init_and_run_are_told_apart() -> None:
    trace = traced(
        happened(5, "ExecutionStarted"),
        scheduled(10, "a-dev-forest"),
        *invoked("forest", 300, ONE, 12.5, init_ms=250),
        happened(320, "ExecutionSucceeded"),
        access(330, 330),
    )
    (one,) = trace.invocations
    assert (one.queued_ms, one.report and one.report.init_ms, one.handler_ms) == (40, 250, 4)
    assert trace.api == ("200", BEGIN_MS, BEGIN_MS + 330)
    assert trace.workflow == (BEGIN_MS + 5, BEGIN_MS + 320, "succeeded")
    assert (trace.begin_ms, trace.end_ms, trace.missing) == (BEGIN_MS, BEGIN_MS + 330, [])
    model = trace.document()["models"]["forest"]
    assert [model[name] for name in ("init_ms", "duration_ms", "billed_ms", "memory_mb")] == [
        250,
        12.5,
        263,
        1024,
    ]


def test_without_an_execution_log_a_model_waits_since_the_request_began() -> None:
    trace = traced(*invoked("forest", 60, ONE, 10), access(80, 80))
    assert trace.workflow is None
    assert trace.invocations[0].queued_ms == 60


def test_an_init_before_the_request_is_not_waited_for() -> None:
    """Lambda may have prepared the process before; then the request waited for a part of it."""
    trace = traced(*invoked("forest", 60, ONE, 10, init_ms=5000), access(80, 80))
    assert trace.invocations[0].init_begin_ms == BEGIN_MS
    assert trace.begin_ms == BEGIN_MS


def test_a_retry_waits_from_its_own_scheduling_and_both_are_billed() -> None:
    trace = traced(
        scheduled(10, "a-dev-forest"),
        *invoked("forest", 20, ONE, 5, outcome=None, status="\tStatus: timeout"),
        scheduled(1030, "a-dev-forest"),
        *invoked("forest", 1040, TWO, 6),
        scheduled(10, "a-dev-tree"),
        access(1060, 1060),
    )
    first, second = trace.models["forest"]
    assert (first.outcome, second.outcome) == ("timeout", "answered")
    assert (first.queued_ms, second.queued_ms) == (10, 10)
    model = trace.document()["models"]["forest"]
    assert model["billed_ms"] == 6 + 6 and len(model["invocations"]) == 2
    plain = traced(*invoked("forest", 20, ONE, 5), *invoked("forest", 1040, TWO, 6))
    assert plain.models["forest"][1].queued_ms == pytest.approx(1015)


def test_a_throttle_is_a_failure_without_an_invocation() -> None:
    throttled = "Lambda.TooManyRequestsException"
    cause = json.dumps({"errorMessage": "x", "requestId": ONE})
    trace = traced(
        happened(1, "LambdaFunctionFailed", error=throttled, cause="Rate Exceeded."),
        happened(2, "LambdaFunctionFailed", error="ModelError", cause=cause),
        happened(3, "ExecutionFailed", error="NoModelAnswered"),
        *invoked("forest", 1, ONE, 1, outcome="failed"),
    )
    assert list(trace.failures) == [throttled]
    assert replace(trace, failures=[throttled, "E", throttled]).counted_failures == [
        f"{throttled}, 2 times",
        "E",
    ]
    assert trace.workflow == (None, BEGIN_MS + 3, "failed")


def test_lines_that_have_not_arrived_are_named() -> None:
    trace = traced(*invoked("forest", 1, ONE, 1)[:2])
    assert trace.missing == ["the API's line", "REPORT of forest"]
    assert replace(trace, api_logs=False).missing == ["REPORT of forest"]
    document = trace.document()
    assert document["api"] is None and document["models"]["forest"]["memory_mb"] is None


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(0, 100, 3)], "  ██████████"),
        ([(0, 50, 0), (50, 100, 2)], "  ░░░░░▓▓▓▓▓"),
        ([(90, 100, 1)], "           ▒"),
        ([(50, 50.1, 3)], "       █"),
        ([(99.99, 100, 3)], "           █"),
        ([(30, 30, 0)], "  "),
    ],
)
def test_a_bar_shows_when(parts: list[Any], expected: str) -> None:
    assert bar(parts, 0, 100, 12).plain == expected.rstrip()
    assert in_ascii(bar([(0, 100, 3)], 0, 100, 12)).plain == "  ##########"


def example() -> Trace:
    return traced(
        scheduled(10, "a-dev-forest"),
        *invoked("forest", 300, ONE, 12.5, init_ms=250),
        happened(5, "ExecutionStarted"),
        happened(320, "ExecutionSucceeded"),
        access(330, 330),
    )


def printed(width: int, items: list[Item] | None) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system=None)
    print_trace(console, example(), items, ["a remark"])
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [120, 80, 40])
def test_a_trace_fits_every_width_and_loses_no_word(width: int) -> None:
    lines = printed(width, [Item("API", "", 1e-6, 0), Item("forest", "", 4e-6, 0)])
    assert all(len(line) <= width for line in lines)
    text = " ".join(" ".join(lines).split())
    for words in (
        "request r= 330 ms",
        "HTTP 200",
        "succeeded 315 ms",
        "queued 40 ms",
        "init 250 ms",
        "140 of 1024 MB, $0.00000400",
        "cost $0.00000500",
        "a remark",
    ):
        assert words in text, (words, lines)


def test_a_trace_without_prices_shows_none() -> None:
    assert "$" not in "\n".join(printed(80, None))


def test_a_request_is_priced_by_what_was_measured() -> None:
    definition = {"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}}
    models = [Model("forest", 1024, 263, 1, 0.0), Model("forest", 2048, 10, 1, 0.0)]
    items = request_items("us-east-1", "x86_64", definition, models, 315, 2048)
    prices = price_table()["regions"]["us-east-1"]
    gb_second, call = prices["function_gb_second"]["x86_64"][0][1], prices["function_request"][0][1]
    step = 0.4 * 64 / 1024 * prices["workflow_gb_second"][0][1]
    expected = {
        "API": prices["api_request"][0][1],
        "workflow": prices["workflow_request"][0][1] + step,
        "forest": call + 0.263 * gb_second,
        "logs": prices["logs_gb"][0][1] * 2 / 1024,
    }
    assert [item.name for item in items] == ["API", "workflow", "forest", "forest", "logs"]
    assert {item.name: item.request for item in reversed(items)} == pytest.approx(expected)
    assert items[3].request == pytest.approx(call + 0.010 * 2 * gb_second)
    with pytest.raises(Unpriced, match="no prices of mars-1"):
        request_items("mars-1", "x86_64", definition, models, 1, 1)
