"""How a run looks: golden text, wide and narrow, with and without a terminal."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deployer.engine import events
from deployer.engine.plan import UNKNOWN, Action, Change, FieldChange, Plan
from deployer.report.live import (
    Board,
    Reporter,
    change_document,
    latency_line,
    make_console,
    plan_lines,
    print_error,
    print_json,
    print_plan,
    print_results,
)
from tests.support.golden import golden
from tests.support.terminal import Terminal as PseudoTerminal

GOLDEN = Path(__file__).parent / "golden"
PLAN = Plan(
    (
        Change("bucket", Action.NOOP),
        Change(
            "model/random_forest", Action.CREATE, (FieldChange("key", None, "models/[x].joblib"),)
        ),
        Change(
            "function/random_forest",
            Action.UPDATE,
            (
                FieldChange("memory_mb", 512, 1024),
                FieldChange(
                    "environment.KEY", "models/a.joblib", "models/" + "b" * 100 + ".joblib"
                ),
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
    events.RunStarted(
        "up", "inference", "dev", "123456789012", "eu-central-1", "http://127.0.0.1:4000"
    ),
    events.RunStarted("up", "inference", "dev", "123456789012", "eu-central-1", None),
    events.Note("models/manifest.json is missing: training first (python train.py)"),
    events.PlanReady(PLAN),
    events.StepStarted("model/random_forest", "create"),
    events.StepStarted("function/random_forest", "update"),
    events.StepFinished("model/random_forest", "create", 0.34),
    events.StepProgress(
        "function/random_forest", "waiting for IAM: Lambda cannot use the execution role yet"
    ),
    events.StepProgress(
        "function/random_forest", "waiting for IAM: Lambda cannot use the execution role yet"
    ),
    events.StepFailed(
        "function/random_forest", "update", "failed to update: [red]no[/red]", "try again"
    ),
    events.StepSkipped("workflow", "replace", "function/random_forest failed"),
    events.RunFinished("up", {"created": 1, "failed": 1, "skipped": 1}, 12.34),
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
    kinds = set(get_args(events.Event))
    assert {type(event) for event in EVENTS} == kinds
    for event in EVENTS:
        board = Board(live=False, width=120)
        if isinstance(event, (events.StepProgress, events.StepFinished, events.StepFailed)):
            list(board.lines(events.StepStarted(event.key, "update")))
        assert [str(line) for line in board.lines(event)], event


@pytest.mark.parametrize("width", [200, 80])
def test_a_plan_on_a_terminal(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
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
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured.getvalue()) == re.sub(
        r"\x1b\[[0-9;]*m", "", plain.getvalue()
    )


def test_an_empty_plan_is_one_line() -> None:
    stream = io.StringIO()
    print_plan(make_console(stream), Plan((Change("bucket", Action.NOOP),)))
    assert stream.getvalue() == "Plan: no changes, resources checked: 1\n"


def test_running_steps_stay_in_a_live_area_with_elapsed_seconds() -> None:
    now = [0.0]
    board = Board(live=True, width=80, clock=lambda: now[0])
    for number in range(25):
        assert list(board.lines(events.StepStarted(f"function/f{number}", "create"))) == []
    now[0] = 7.0
    assert list(board.lines(events.StepProgress("function/f0", "waiting for IAM"))) == []
    lines = [str(line) for line in board.area().renderables]
    assert lines[0] == "function/f0: creating 7 s, waiting for IAM"
    assert len(lines) == 21 and lines[-1] == "and 5 more"
    (finished,) = board.lines(events.StepFinished("function/f0", "create", 7.0))
    assert str(finished) == "function/f0: created (7.0 s)"
    assert str(board.area().renderables[0]).startswith("function/f1:")


STORM = """
import threading
from deployer.engine import events
from deployer.report.live import Reporter, stderr_console

def emit(number):
    for step in range(1000):
        key = f"function/f{number}-{step}"
        reporter.emit(events.StepStarted(key, "create"))
        reporter.emit(events.StepProgress(key, "waiting for IAM"))
        reporter.emit(events.StepFinished(key, "create", 0.1))

with Reporter(stderr_console(color=True)) as reporter:
    threads = [threading.Thread(target=emit, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_twelve_threads_that_emit_at_once_all_come_to_an_end(tmp_path: Path) -> None:
    """On a real terminal; with a lock of ours and one of rich's, it hung within thirty steps."""
    terminal = PseudoTerminal(tmp_path, sys.executable, "-c", STORM)
    assert terminal.end(100) == 0
    assert len(re.findall(r"function/f\d+-\d+: created", terminal.text)) == 12_000


@pytest.mark.parametrize("stream", ["closed", "full"])
def test_a_run_goes_on_when_stderr_takes_nothing_any_more(stream: str) -> None:
    program = STORM.replace("range(1000)", "range(20)") + "\nprint('done')"
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", program]
        kept = (
            {"stderr": full}
            if stream == "full"
            else {"stderr": None, "preexec_fn": lambda: os.close(2)}
        )
        if stream == "closed":
            command = [
                sys.executable,
                "-c",
                "import deployer.__main__ as m; m.open_streams()\n" + program,
            ]
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=60, **kept)
    assert (done.returncode, done.stdout) == (0, b"done\n")


def test_a_paused_reporter_shows_what_came_meanwhile_when_it_goes_on() -> None:
    stream = io.StringIO()
    with Reporter(make_console(stream)) as reporter:
        reporter.emit(events.Note("one"))
        reporter.pause()
        assert stream.getvalue() == "one\n"
        reporter.emit(events.Note("two"))
        assert stream.getvalue() == "one\n"
        reporter.resume()
    assert stream.getvalue() == "one\ntwo\n"


def test_two_lists_that_differ_show_the_entries_that_go_and_come() -> None:
    """Both begin and end alike, as the resources of an IAM policy do."""
    before = [
        f"arn:aws:lambda:eu-central-1:123456789012:function:inference-dev-model-{name}:*"
        for name in "abcdef"
    ]
    after = [
        *before[:2],
        before[2].replace("model-c", "model-x"),
        *before[3:],
        "arn:aws:lambda:::new",
    ]
    change = Change(
        "role/workflow",
        Action.UPDATE,
        (FieldChange("policies.invoke.Statement[0].Resource", before, after),),
    )
    stream = io.StringIO()
    print_plan(make_console(stream), Plan((change,)))
    shown = stream.getvalue().splitlines()
    assert shown[1].strip() == "policies.invoke.Statement[0].Resource: 6 entries -> 7 entries"
    assert [line.strip() for line in shown[2:5]] == [
        f'- "{before[2]}"',
        f'+ "{after[2]}"',
        '+ "arn:aws:lambda:::new"',
    ]


@given(
    st.text(min_size=60),
    st.text(min_size=1),
    st.text(min_size=1),
    st.text(min_size=60),
    st.sampled_from([80, 120]),
)
def test_two_values_that_differ_are_never_shown_as_the_same(
    head: str, one: str, other: str, tail: str, width: int
) -> None:
    assume(one != other)
    field = FieldChange("definition.States.Predict.Comment", head + one + tail, head + other + tail)
    _, line, _ = plan_lines(Plan((Change("workflow", Action.UPDATE, (field,)),)), width)
    shown, _, after = str(line).partition(": ")[2].rpartition(" -> ")
    assert shown != after


def test_an_api_that_is_made_anew_tells_of_its_new_url() -> None:
    change = Change(
        "api", Action.CREATE, note="the service gets a new URL, which its clients must be told"
    )
    stream = io.StringIO()
    print_plan(make_console(stream), Plan((Change("bucket", Action.NOOP), change)))
    assert "the service gets a new URL" in stream.getvalue()
    assert change_document(change)["note"].startswith("the service gets a new URL")


RESULTS = [
    {"model": "linear_regression", "version": "3f2a9c01d4e5", "predictions": [30.003843]},
    {
        "model": "random_forest",
        "version": "0123456789ab",
        "predictions": [float(number) for number in range(1000)],
    },
    {"model": "[support]", "error": "Sandbox.Timedout"},
]


def test_results_are_a_table_with_the_error_in_place_of_a_prediction(
    request: pytest.FixtureRequest,
) -> None:
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
