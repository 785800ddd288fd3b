"""The live view: golden text in a pipe, the live area, threads, unwritable streams."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from deployer.engine import events
from deployer.report.console import make_console
from deployer.report.live import Board, Reporter
from tests.support.golden import golden
from tests.support.plans import PLAN
from tests.support.terminal import Terminal as PseudoTerminal
from tests.support.thinning import WHOLE

GOLDEN = Path(__file__).parent / "golden"
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


STEPS = 1000 if WHOLE else 100
STORM = f"""
import threading
from deployer.engine import events
from deployer.report.console import stderr_console
from deployer.report.live import Reporter

def emit(number):
    for step in range({STEPS}):
        key = f"function/f{{number}}-{{step}}"
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
    """In a terminal: with a lock of ours and one of rich's, it hung within thirty steps.

    A hundred steps in each thread by default, a thousand with TESTS=every.
    """
    terminal = PseudoTerminal(tmp_path, sys.executable, "-c", STORM)
    assert terminal.end(100) == 0
    assert len(re.findall(r"function/f\d+-\d+: created", terminal.text)) == 12 * STEPS


@pytest.mark.parametrize("stream", ["closed", "full"])
def test_a_run_goes_on_when_stderr_takes_nothing_any_more(stream: str) -> None:
    program = STORM.replace(f"range({STEPS})", "range(20)") + "\nprint('done')"
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
        done: Any = subprocess.run(command, stdout=subprocess.PIPE, timeout=60, **kept)
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
