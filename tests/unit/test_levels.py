"""What `trace` and `logs --request` can tell of functions that log failures alone."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.project.declared import LOG_LEVELS, logs_answers
from deployer.project.settings import FunctionSettings, Settings
from deployer.service import request_logs
from deployer.service.logs import is_quiet
from deployer.service.traces import leaves_no_line

NOW = datetime(2026, 11, 26, tzinfo=timezone.utc)
QUIET, ERROR = FunctionSettings(log_level="warning"), FunctionSettings(log_level="error")


def settings(**changes: Any) -> Settings:
    return Settings(Path(), **changes).located(
        account="1" * 12, partition="aws", region="us-east-1"
    )


def test_the_levels_that_log_answers() -> None:
    assert [level for level in LOG_LEVELS if logs_answers(level)] == ["debug", "info"]


def test_the_functions_that_log_no_answer_are_known() -> None:
    some = settings(defaults=ERROR, per_function={"b": FunctionSettings(log_level="debug")})
    names = ("a", "b", "workflow", "api")
    assert [name for name in names if is_quiet(some, name)] == ["a"]


@pytest.mark.parametrize(
    ("heard", "api_logs", "workflow_log", "nothing"),
    [
        ((), False, "errors", True),
        ((), True, "errors", False),
        ((), False, "all", False),
        (("a",), False, "errors", False),
    ],
)
def test_a_request_that_nothing_logs_is_not_waited_for(
    heard: tuple[str, ...], api_logs: bool, workflow_log: str, nothing: bool
) -> None:
    assert leaves_no_line(settings(workflow_log=workflow_log), heard, api_logs) is nothing


@pytest.mark.parametrize(
    ("defaults", "functions", "said"),
    [
        (FunctionSettings(), {}, ""),
        (ERROR, {"b": QUIET}, "; with log_level = error or warning, a function logs nothing of"),
        (FunctionSettings(), {"b": QUIET}, "; with log_level = warning, a function logs nothing"),
    ],
)
def test_a_request_that_is_not_found_may_be_of_functions_that_log_failures_alone(
    defaults: FunctionSettings, functions: dict[str, FunctionSettings], said: str
) -> None:
    aws = Aws(region="us-east-1", credentials=("x", "y"))
    empty = aws.calling(lambda *args, **parameters: {"logGroups": []})
    some = settings(defaults=defaults, per_function=functions)
    error = request_logs.not_found(empty, some, "id", NOW)
    assert said in error.advice and ("log_level" in error.advice) is bool(said)
