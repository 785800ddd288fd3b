"""Prices: tiers, the workflow's billed time, the bill against one worked out by hand."""

from __future__ import annotations

import datetime
import json
import re
from typing import Any

import pytest

from deployer.project.drawing import drawing
from deployer.report.cost import cost_lines, cost_markdown, money
from deployer.service.cost import (
    Model,
    Unpriced,
    bill,
    calls_of,
    longest,
    price_table,
    tiered,
)
from tests.unit.test_drawing import WORKFLOWS

NAMES = ("linear_regression", "random_forest", "support_vector")


def models(milliseconds: int = 20, memory_mb: int = 1024) -> list[Model]:
    return [Model(name, memory_mb, milliseconds, 1, 10.0) for name in NAMES]


def of(region: str, requests: int = 1_000_000, **options: Any) -> Any:
    return bill(region, "x86_64", WORKFLOWS["state_machine"], models(**options), requests)


def test_the_bill_is_the_one_that_is_worked_out_by_hand() -> None:
    """In us-east-1: 20 ms at 1 GB three times, 100 ms at 64 MB once."""
    priced = of("us-east-1")
    by_name = {item.name: item.request for item in priced.items}
    assert by_name["API"] == pytest.approx(1e-6)
    assert by_name["workflow"] == pytest.approx(1e-6 + 0.1 * 64 / 1024 * 1.667e-5)
    assert by_name["random_forest"] == pytest.approx(0.2e-6 + 0.02 * 1.66667e-5)
    assert by_name["logs"] == pytest.approx(2 / 1024**2 * 0.5)
    assert priced.month == pytest.approx(1e6 * priced.request) == pytest.approx(4.66, abs=0.005)
    assert priced.idle_month == pytest.approx(30 / 1024 * 0.023 + 250 / 1024 * 0.1)


def test_a_call_of_a_rest_api_costs_three_and_a_half_times_one_of_an_http_api() -> None:
    kinds = [
        bill("us-east-1", "x86_64", WORKFLOWS["state_machine"], models(), 1_000_000, api=kind)
        for kind in ("http", "rest")
    ]
    http, rest = (priced.items[0].request for priced in kinds)
    assert rest == pytest.approx(3.5 * http)
    assert all("rest_api_request" in prices for prices in price_table()["regions"].values())


def test_the_price_of_a_function_follows_memory_time_and_architecture() -> None:
    def function(**options: Any) -> float:
        return float(of("eu-west-1", **options).items[2].request) - 0.2e-6

    assert function(memory_mb=2048) == pytest.approx(2 * function())
    assert function(milliseconds=60) == pytest.approx(3 * function())
    arm = bill("eu-west-1", "arm64", WORKFLOWS["state_machine"], models(), 1).items[2].request
    assert arm - 0.2e-6 == pytest.approx(0.8 * function(), rel=1e-3)


@pytest.mark.parametrize("milliseconds, billed", [(1, 100), (100, 100), (101, 200), (950, 1000)])
def test_a_workflow_is_billed_in_steps_of_100_ms(milliseconds: int, billed: int) -> None:
    detail = of("us-east-1", milliseconds=milliseconds).items[1].detail
    assert detail == f"{billed} ms at 64 MB"


def test_many_branches_need_more_memory_than_one_chunk() -> None:
    large = {**WORKFLOWS["state_machine"], "Comment": "x" * 15 * 1024 * 1024}
    assert bill("us-east-1", "x86_64", large, models(), 1).items[1].detail == "100 ms at 128 MB"


@pytest.mark.parametrize(
    "amount, price", [(0, 0), (5, 10), (10, 20), (15, 25), (25, 32.5)]
)  # fmt: skip
def test_tiers_are_priced_one_after_another(amount: float, price: float) -> None:
    assert tiered(amount, [[10, 2], [20, 1], [None, 0.5]]) == price


def test_a_month_beyond_a_tier_costs_less_a_request() -> None:
    few, many = of("eu-west-1", 1_000_000), of("eu-west-1", 1_000_000_000)
    assert many.items[0].month == pytest.approx(300 * 1.11 + 700 * 1.00)
    assert many.month / 1000 < few.month
    assert of("eu-west-1", 0).month == 0


@pytest.mark.parametrize(
    "name, expected",
    [("state_machine", 30), ("choice", 20), ("two_stages", 30), ("average", 30), ("map", 30)],
)
def test_the_longest_way_of_a_workflow(name: str, expected: int) -> None:
    """Branches run at once, one of a Choice, stages one after another, an error never."""
    times = {"linear_regression": 10, "random_forest": 20, "support_vector": 30}
    if name == "two_stages":
        times = {"First": 10, "Second": 20}
    if name == "map":
        times = {"Predict": 30}
    assert longest(drawing(WORKFLOWS[name]), times) == expected


def test_a_loop_is_gone_through_once() -> None:
    assert longest(drawing(WORKFLOWS["drawn"]), {"b1": 5, "b2": 7, "x2": 1}) == 8


def test_every_task_is_a_call() -> None:
    assert calls_of(WORKFLOWS["state_machine"]) == dict.fromkeys(NAMES, 1)
    task = {"Type": "Task", "Resource": "${x}"}
    twice = {"a": {**task, "Next": "b"}, "b": {**task, "End": True}}
    assert calls_of({"StartAt": "a", "States": twice}) == {"x": 2}


@pytest.mark.parametrize(
    ("architecture", "detail", "month"),
    [
        ("x86_64", "2 x 1024 MB kept ready", 21.90),
        ("arm64", "2 x 1024 MB kept ready: no price of arm64 is known here", 0.0),
    ],
)
def test_what_is_kept_ready_costs_while_idle(architecture: str, detail: str, month: float) -> None:
    model = Model("x", 1024, 20, 1, 1.0, provisioned=2)
    task = {"StartAt": "a", "States": {"a": {"Type": "Task", "Resource": "${x}", "End": True}}}
    ready = bill("us-east-1", architecture, task, [model], 0).idle[-1]
    assert (ready.name, ready.detail, ready.request) == ("x", detail, 0)
    assert ready.month == pytest.approx(month, abs=0.005)


def test_alarms_cost_while_idle_and_nothing_without_them() -> None:
    task = {"StartAt": "a", "States": {"a": {"Type": "Task", "Resource": "${x}", "End": True}}}
    model = Model("x", 1024, 20, 1, 1.0)
    quiet, watched = (bill("us-east-1", "x86_64", task, [model], 0, alarms=n) for n in (0, 12))
    assert watched.idle[-1].detail == "12 alarms, 1 metric"
    assert watched.idle_month - quiet.idle_month == pytest.approx(12 * 0.10 + 0.30)


def test_an_unknown_region_says_so() -> None:
    with pytest.raises(
        Unpriced, match="no prices of mars-1 are known here, only those of us-east-1"
    ):
        of("mars-1")


def test_the_table_is_whole_and_dated() -> None:
    table = price_table()
    expected = table["regions"]["us-east-1"].keys()
    for prices in table["regions"].values():
        assert prices.keys() == expected
        assert datetime.date.fromisoformat(prices["date"]).year >= 2025
        for name, tiers in prices.items():
            for one in tiers.values() if isinstance(tiers, dict) else [tiers]:
                if name != "date":
                    assert one[-1][0] is None and all(price > 0 for _, price in one)
    assert all(url.startswith("https://aws.amazon.com/") for url in table["sources"].values())


@pytest.mark.parametrize(
    "dollars, text",
    [(0, "$0.00"), (1234.5, "$1,234.50"), (0.533, "$0.53"), (0.0244, "$0.0244"),
     (1e-6, "$0.00000100"), (0.1, "$0.10"), (0.0999, "$0.0999")],
)  # fmt: skip
def test_money(dollars: float, text: str) -> None:
    assert money(dollars) == text


@pytest.mark.parametrize("width", [120, 80, 40])
def test_the_bill_says_region_date_sources_and_assumptions(width: int) -> None:
    priced = of("eu-west-1")
    lines = [str(line) for line in cost_lines(priced, width)]
    assert max(map(len, lines)) <= width
    text = re.sub(r"\s+", " ", " ".join(lines))
    for words in ("eu-west-1", "2026-10-02", "nothing has measured", "1M a month"):
        assert words in text
    assert "every task runs once" in text and "aws.amazon.com" in text
    assert f"{money(priced.month)} for 1,000,000 a month" in cost_markdown(priced)
    assert json.loads(json.dumps(priced.document()))["prices_of"] == "2026-10-02"
