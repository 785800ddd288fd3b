"""The metrics of a service, as CloudWatch's answers tell them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.project.settings import Settings
from deployer.service.metrics import read_metrics
from tests.support.clock import Clock

Operation = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path).located(account="1" * 12, partition="aws", region="us-east-1")


def answering(metrics: Operation, events: Operation) -> Aws:
    """Return access to an account whose CloudWatch answers so."""
    operations = {"get_metric_data": metrics, "filter_log_events": events}
    clock = Clock()
    aws = Aws(region="us-east-1", credentials=("nobody", "nobody"), clock=clock, sleep=clock.sleep)
    return aws.calling(lambda service, operation, **given: operations[operation](given))


def values(given: dict[str, Any], *numbers: float) -> dict[str, Any]:
    results = [{"Id": one["Id"], "Values": list(numbers)} for one in given["MetricDataQueries"]]
    return {"MetricDataResults": results}


def no_events(given: dict[str, Any]) -> dict[str, Any]:
    return {"events": []}


def test_more_than_500_queries_are_several_calls(settings: Settings) -> None:
    """Cw-1."""
    sizes: list[int] = []

    def metrics(given: dict[str, Any]) -> dict[str, Any]:
        sizes.append(len(given["MetricDataQueries"]))
        return values(given, 2)

    names = [f"model_{number}" for number in range(120)]
    found = read_metrics(answering(metrics, no_events), settings, names, None)
    assert sizes == [500, 103]
    assert {model.requests for model in found.models.values()} == {4}
    assert found.executions == 2


def test_of_a_window_in_two_parts_counts_add_up_and_the_worse_percentile_is_shown(
    settings: Settings,
) -> None:
    """Cw-2."""
    aws = answering(lambda given: values(given, 3, 5), no_events)
    model = read_metrics(aws, settings, ["churn"], None).models["churn"]
    assert (model.requests, model.errors) == (16, 16)  # those throttled are both
    assert (model.p50_ms, model.p99_ms) == (5, 5)


def test_the_window_lies_between_whole_minutes_so_that_it_is_one_period(
    settings: Settings,
) -> None:
    """Cw-2: else the last seconds are a second value, and one slow request is the percentile."""
    asked: list[dict[str, Any]] = []

    def metrics(given: dict[str, Any]) -> dict[str, Any]:
        asked.append(given)
        return values(given)

    read_metrics(answering(metrics, no_events), settings, ["churn"], None)
    start, end = asked[0]["StartTime"], asked[0]["EndTime"]
    assert (start.second, start.microsecond, (end - start).total_seconds()) == (0, 0, 3600)
    assert asked[0]["MetricDataQueries"][0]["MetricStat"]["Period"] == 3600


def test_pages_of_an_answer_are_put_together(settings: Settings) -> None:
    def metrics(given: dict[str, Any]) -> dict[str, Any]:
        if "NextToken" in given:
            return values(given, 1)
        return {**values(given, 1), "NextToken": "more"}

    found = read_metrics(answering(metrics, no_events), settings, ["churn"], None)
    assert found.executions == 2


def test_a_busy_log_is_searched_for_some_pages_only(settings: Settings) -> None:
    """Cw-6: empty pages with a token, too."""
    tokens: Iterator[int] = itertools.count()

    def events(given: dict[str, Any]) -> dict[str, Any]:
        page = next(tokens)
        assert page < 10, "searched for ever"
        return {"events": [{}] * (page % 2), "nextToken": f"after {page}"}

    aws = answering(values, events)
    model = read_metrics(aws, settings, ["churn"], None).models["churn"]
    assert (model.cold_starts, model.more) == (1, True)
