"""How a run looks: golden text, wide and narrow, with and without a terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from deployer import events
from deployer.plan import UNKNOWN, Action, Change, FieldChange, Plan
from deployer.report import (
    Reporter,
    change_document,
    latency_line,
    make_console,
    print_error,
    print_json,
    print_plan,
    print_results,
)
from tests.conftest import golden

GOLDEN = Path(__file__).parent / "golden"
PLAN = Plan(
    (
        Change("bucket", Action.NOOP),
        Change("model/random_forest", Action.CREATE, (FieldChange("key", None, "models/[x].joblib"),)),
        Change(
            "function/random_forest",
            Action.UPDATE,
            (
                FieldChange("memory_mb", 512, 1024),
                FieldChange("environment.KEY", "models/a.joblib", "models/" + "b" * 100 + ".joblib"),
                FieldChange("description", "[/red]", None),
            ),
        ),
        Change(
            "workflow",
            Action.REPLACE,
            (
                FieldChange("type", "STANDARD", "EXPRESS", True),
                FieldChange("definition.States.a.Resource", "arn:1", UNKNOWN),
            ),
        ),
        Change("function/nearest", Action.DELETE),
    )
)
EVENTS: list[events.Event] = [
    events.RunStarted("up", "inference", "dev", "123456789012", "eu-central-1", "http://127.0.0.1:4000"),
    events.RunStarted("up", "inference", "dev", "123456789012", "eu-central-1", None),
    events.Note("models/manifest.json is missing: training first (python train.py)"),
    events.PlanReady(PLAN),
    events.StepStarted("model/random_forest", "create"),
    events.StepStarted("function/random_forest", "update"),
    events.StepFinished("model/random_forest", "create", 0.34),
    events.StepProgress("function/random_forest", "waiting for IAM: Lambda cannot use the execution role yet"),
    events.StepProgress("function/random_forest", "waiting for IAM: Lambda cannot use the execution role yet"),
    events.StepFailed("function/random_forest", "update", "failed to update: [red]no[/red]", "try again"),
    events.StepSkipped("workflow", "replace", "function/random_forest failed"),
    events.RunFinished("up", {"done": 1, "failed": 1, "skipped": 1}, 12.34),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_one_line_at_each_start_and_end(request: pytest.FixtureRequest) -> None:
    stream = io.StringIO()
    with Reporter(make_console(stream)) as reporter:
        for event in EVENTS:
            reporter.emit(event)
    golden(request, GOLDEN / "pipe.txt", stream.getvalue())
    assert "\x1b" not in stream.getvalue()


def test_every_event_has_a_rendering() -> None:
    kinds = set(events.Event.__args__)  # type: ignore[attr-defined]
    assert {type(event) for event in EVENTS} == kinds
    for event in EVENTS:
        stream = io.StringIO()
        reporter = Reporter(make_console(stream))
        if isinstance(event, (events.StepProgress, events.StepFinished, events.StepFailed)):
            reporter.emit(events.StepStarted(event.key, "update"))
            stream.truncate(0)
        reporter.emit(event)
        assert stream.getvalue().strip("\x00\n"), event


@pytest.mark.parametrize("width", [200, 80])
def test_a_plan_on_a_terminal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(width))
    stream = Terminal()
    print_plan(make_console(stream, color=False), PLAN)
    assert max(map(len, stream.getvalue().splitlines())) <= width
    golden(request, GOLDEN / f"plan-{width}.txt", stream.getvalue())


def test_colour_repeats_what_words_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    import re

    plain, coloured = Terminal(), Terminal()
    print_plan(make_console(plain, color=False), PLAN)
    print_plan(make_console(coloured, color=True), PLAN)
    assert "\x1b[32m" in coloured.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured.getvalue()) == re.sub(r"\x1b\[[0-9;]*m", "", plain.getvalue())


def test_an_empty_plan_is_one_line() -> None:
    stream = io.StringIO()
    print_plan(make_console(stream), Plan((Change("bucket", Action.NOOP),)))
    assert stream.getvalue() == "Plan: no changes, resources checked: 1\n"


def test_running_steps_stay_in_a_live_area_with_elapsed_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    now = [0.0]
    reporter = Reporter(make_console(Terminal(), color=False), clock=lambda: now[0])
    for number in range(25):
        reporter.emit(events.StepStarted(f"function/f{number}", "create"))
    now[0] = 7.0
    reporter.emit(events.StepProgress("function/f0", "waiting for IAM"))
    lines = [str(line) for line in reporter._draw().renderables]
    assert lines[0] == "function/f0: creating 7 s, waiting for IAM"
    assert len(lines) == 21 and lines[-1] == "and 5 more"
    reporter.emit(events.StepFinished("function/f0", "create", 7.0))
    assert str(reporter._draw().renderables[0]).startswith("function/f1:")


RESULTS = [
    {"model": "linear_regression", "version": "3f2a9c01d4e5", "predictions": [30.003843]},
    {"model": "random_forest", "version": "0123456789ab", "predictions": [float(number) for number in range(1000)]},
    {"model": "[support]", "error": "Sandbox.Timedout"},
]


def test_results_are_a_table_with_the_error_in_place_of_a_prediction(request: pytest.FixtureRequest) -> None:
    stream = io.StringIO()
    print_results(make_console(stream), RESULTS, [0.0123])
    text = "".join(line.rstrip() + "\n" for line in stream.getvalue().splitlines())
    golden(request, GOLDEN / "results.txt", text)


def test_latencies_are_spread_out() -> None:
    assert latency_line([0.1]) == "answered in 100 ms"
    spread = latency_line([0.9, *([0.01] * 17), 0.02, 0.03])
    assert spread == "20 requests: first 900 ms, median 10 ms, 95 % 30 ms, slowest 900 ms"


def test_json_names_what_is_not_known_yet() -> None:
    stream = io.StringIO()
    print_json(stream, [change_document(change) for change in PLAN.effective])
    found = json.loads(stream.getvalue())
    assert found[2]["fields"][1] == {
        "path": "definition.States.a.Resource",
        "before": "arn:1",
        "after": "(known after apply)",
    }
    assert [each["action"] for each in found] == ["create", "update", "replace", "delete"]


def test_an_error_keeps_brackets_and_its_advice_on_a_line_of_its_own() -> None:
    stream = io.StringIO()
    print_error(make_console(stream), "role [x] is [/red] not ours", "choose another")
    assert stream.getvalue() == "error: role [x] is [/red] not ours\nchoose another\n"
