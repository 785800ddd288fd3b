"""The live view: lines in a pipe, rows on a terminal, the end of a run, unwritable streams."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from rich.console import Console

from deployer.engine import events
from deployer.engine.differences import FieldChange
from deployer.engine.plan import Action, Change, Plan
from deployer.report.board import Board
from deployer.report.console import COLORS, make_console
from deployer.report.lines import STILL_S, Lines
from deployer.report.live import Reporter
from deployer.report.rows import LONG_S
from tests.report.test_plan import Terminal
from tests.support.golden import golden
from tests.support.plans import PLAN
from tests.support.projects import ROOT
from tests.support.terminal import Terminal as PseudoTerminal
from tests.support.thinning import WHOLE

GOLDEN = Path(__file__).parent / "golden"
WAITING = "waiting for IAM: Lambda cannot use the execution role yet"
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
    events.StepProgress("function/random_forest", WAITING),
    events.StepProgress("function/random_forest", WAITING),
    events.StepFailed(
        "function/random_forest", "update", "failed to update: [red]no[/red]", "try again"
    ),
    events.StepSkipped("workflow", "replace", "function/random_forest failed"),
    events.StepStarted("api", "update"),
    events.StepProved("api"),
    events.RunFinished("up", {"created": 1, "failed": 1, "skipped": 1}),
    events.Suggestion("try it", ["curl https://example.com/", "-d @sample.json"]),
]
MODELS = ("linear", "forest", "nearest")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 11, 26, 14, int(self.seconds) // 60, int(self.seconds) % 60)


class Screen:
    """A board, and what stands on its terminal."""

    def __init__(self, width: int = 80, **options: Any) -> None:
        self.clock = Clock()
        self.board = Board(clock=self.clock, **options)
        self.board.width = width
        self.above: list[str] = []

    def show(self, *happened: events.Event, after: float = 0.0) -> None:
        """Let events happen `after` so many seconds, all at once."""
        self.clock.seconds += after
        for event in happened:
            self.above += [line.plain for line in self.board.lines(event)]
            self.above += [line.plain for line in self.board.overflow()]

    @property
    def area(self) -> list[str]:
        return [line.plain for line in self.board.area()]

    def close(self) -> str:
        self.above += [line.plain for line in self.board.close()]
        return "".join(f"{line}\n" for line in self.above)


def plan_of(action: Action, *keys: str, unchanged: Iterable[str] = ()) -> events.PlanReady:
    fields = (FieldChange("memory_mb", 1, 2),) if action is Action.UPDATE else ()
    changes = [Change(key, action, fields) for key in keys]
    return events.PlanReady(Plan((*changes, *(Change(key, Action.NOOP) for key in unchanged))))


def functions(number: int = 3) -> list[str]:
    return [f"function/{name}" for name in (MODELS * 4)[:number]]


def squeezed(text: str) -> str:
    return " ".join(text.split())


def whole_run(screen: Screen) -> str:
    """Show a run with everything that a row can be, and return what stands there in the end."""
    started = [events.StepStarted(key, "create") for key in functions()]
    screen.show(EVENTS[1])
    keys = ("bucket", "logs/api", "logs/workflow", "image", *functions(), "workflow", "api")
    screen.show(plan_of(Action.CREATE, *keys), after=0.6)
    for key in ("bucket", "logs/api", "logs/workflow"):
        screen.show(events.StepStarted(key, "create"))
    for key in ("bucket", "logs/api", "logs/workflow"):
        screen.show(events.StepFinished(key, "create", 0.5), after=0.5)
    screen.show(events.StepStarted("image", "create"))
    screen.show(events.StepProgress("image", "code 44.0 kB; uploaded 44.0 kB", lasting=True))
    screen.show(events.StepFinished("image", "create", 65.0), after=65.0)
    screen.show(*started)
    screen.show(*(events.StepFinished(key, "create", 2.0) for key in functions()), after=2.0)
    screen.show(events.StepStarted("workflow", "create"))
    screen.show(events.StepProved("workflow"), after=3.0)
    screen.show(events.StepFinished("workflow", "create", 3.2), after=0.2)
    screen.show(events.RunFinished("up", {"created": 8}), after=0.4)
    screen.show(
        events.Suggestion("try it", ["curl -sS https://example.com/" + "a" * 30, "-d @s.json"]),
        events.Suggestion("next", ["python -m deployer invoke --sample"]),
    )
    return screen.close()


@pytest.mark.parametrize("width", [120, 80, 40])
def test_a_whole_run_on_a_terminal(request: pytest.FixtureRequest, width: int) -> None:
    text = whole_run(Screen(width))
    golden(request, GOLDEN / f"run-{width}.txt", text)
    commands = ("curl", "python")
    assert all(
        len(line) <= width or line.split()[0] in commands or "next:" in line
        for line in text.splitlines()
    )


def test_a_terminal_that_knows_only_ascii_gets_ascii() -> None:
    assert whole_run(Screen(plain=True)).isascii()
    assert not whole_run(Screen()).isascii()


@pytest.mark.parametrize("timed", [False, True])
def test_a_pipe_gets_one_line_at_each_start_and_end(
    request: pytest.FixtureRequest, timed: bool
) -> None:
    clock = Clock()
    lines = Lines(width=10_000, timed=timed, clock=clock, now=clock.now)
    text = ""
    for event in EVENTS:
        text += "".join(f"{line}\n" for line in lines.lines(event))
        clock.seconds += 0.25
    golden(request, GOLDEN / f"pipe{'-timed' * timed}.txt", text)
    assert "\x1b" not in text


def test_a_pipe_gets_no_control_characters_but_those_of_the_users_own_program() -> None:
    stream = io.StringIO()
    with Reporter(make_console(stream)) as reporter:
        reporter.emit(events.StepStarted("image", "create"))
        reporter.emit(events.StepProgress("image", "waiting \x1b[31mfor\r it", lasting=True))
        reporter.emit(events.StepFailed("image", "create", "one\n  two\x07", ""))
        reporter.emit(events.Note("\x1b[32mgreen", verbatim=True))
    assert stream.getvalue().splitlines() == [
        "image: creating",
        "image: waiting \\u001b[31mfor; it",
        "image: one; two\\u0007",
        "\x1b[32mgreen",
    ]


def test_every_event_has_a_rendering() -> None:
    kinds = set(get_args(events.Event))
    assert {type(event) for event in EVENTS} == kinds
    for event in EVENTS:
        screen, lines = Screen(), Lines(width=120)
        if isinstance(event, (events.StepProgress, events.StepFinished, events.StepFailed)):
            screen.show(events.StepStarted(event.key, "update"))
            list(lines.lines(events.StepStarted(event.key, "update")))
        if not isinstance(event, events.StepProved):  # it only tells the phases apart
            before = screen.area
            assert [str(line) for line in lines.lines(event)], event
            screen.show(event)
            assert screen.above or screen.area != before, event


def test_the_resources_of_a_kind_share_a_row_that_counts_them() -> None:
    screen = Screen()
    screen.show(plan_of(Action.CREATE, *functions(), "workflow"))
    screen.show(*(events.StepStarted(key, "create") for key in functions()))
    screen.show(events.StepFinished("function/forest", "create", 7.0), after=7.0)
    screen.show(events.StepProgress("function/linear", "waiting for IAM"))
    (row,) = screen.area
    assert squeezed(row) == "• function/* (3) creating 1 of 3 7 s waiting for IAM"
    for name in ("linear", "nearest"):
        screen.show(events.StepFinished(f"function/{name}", "create", 9.0), after=1.0)
    screen.show(events.StepStarted("workflow", "create"))
    finished, running = screen.area
    assert squeezed(finished) == "✓ function/* (3) created 9.0 s"
    assert squeezed(running) == "• workflow creating 0 s"


def test_with_v_each_resource_has_a_row() -> None:
    screen = Screen(grouped=False)
    screen.show(plan_of(Action.CREATE, *functions()))
    screen.show(*(events.StepStarted(key, "create") for key in functions()))
    assert [row.split()[1] for row in screen.area] == functions()


def test_a_resource_that_waits_long_is_named_with_what_it_waits_for() -> None:
    screen = Screen()
    screen.show(plan_of(Action.CREATE, *functions()))
    screen.show(*(events.StepStarted(key, "create") for key in functions()))
    for name in ("linear", "nearest"):
        screen.show(events.StepProgress(f"function/{name}", WAITING), after=1.0)
    screen.show(after=LONG_S - 1.5)
    assert WAITING not in screen.area[0] and screen.area[1] == f"    {WAITING}"
    screen.show(after=1.0)
    assert squeezed(" ".join(screen.area[1:])) == f"function/linear: {WAITING}, 10 s"
    screen.show(after=2.0)
    shown = squeezed(" ".join(screen.area[1:]))
    assert shown == f"function/linear, function/nearest: {WAITING}, 12 s"
    screen.show(events.StepProgress("function/linear", "publishing a version"))
    assert "function/nearest" in screen.area[1] and "linear" not in screen.area[1]


def test_a_resource_that_fails_is_named_below_its_row_with_its_message() -> None:
    screen = Screen()
    screen.show(plan_of(Action.CREATE, *functions(), "workflow"))
    screen.show(*(events.StepStarted(key, "create") for key in functions()))
    message = "failed to create function/forest: AccessDenied: no\nsecond line"
    screen.show(events.StepFailed("function/forest", "create", message, "advice"), after=1.0)
    assert squeezed(screen.area[0]) == "✗ function/* (3) creating 0 of 3, 1 failed 1 s"
    for name in ("linear", "nearest"):
        screen.show(events.StepFinished(f"function/{name}", "create", 1.0))
    screen.show(events.StepSkipped("workflow", "create", "function/forest failed"))
    assert [*map(squeezed, screen.close().splitlines()[-4:])] == [
        "✗ function/* (3) 2 created, 1 failed 1.0 s",
        message.splitlines()[0],
        "second line",
        "- workflow not created, because function/forest failed",
    ]


def test_what_turns_out_to_need_no_change_is_unchanged() -> None:
    screen = Screen()
    screen.show(EVENTS[1], plan_of(Action.UPDATE, *functions(), "workflow", unchanged=["api"]))
    screen.show(events.StepStarted("function/linear", "update"))
    screen.show(events.StepFinished("function/linear", "update", 1.0), after=1.0)
    screen.show(events.RunFinished("up", {"updated": 1}))
    shown = [*map(squeezed, screen.close().splitlines())]
    place = shown.index("✓ function/* (3) 1 updated, 2 unchanged 1.0 s")
    assert shown[place + 1] == "- workflow unchanged"
    assert "up took 1.0 s: 1 updated, 4 unchanged" in shown


def test_a_note_stands_below_the_rows_that_were_finished_before_it() -> None:
    screen = Screen()
    screen.show(plan_of(Action.CREATE, *functions(1), "api"))
    screen.show(events.StepStarted("function/linear", "create"), events.Note("meanwhile"))
    assert screen.above[-1] == "meanwhile" and len(screen.area) == 1
    screen.show(events.StepFinished("function/linear", "create", 1.0), events.Note("later"))
    assert screen.above[-2].startswith("✓ function/linear") and screen.above[-1] == "later"
    assert screen.area == []


def test_what_runs_when_the_view_ends_is_said_not_to_be_finished() -> None:
    screen = Screen()
    screen.show(plan_of(Action.CREATE, *functions()))
    screen.show(*(events.StepStarted(key, "create") for key in functions(2)))
    screen.show(events.StepFinished("function/linear", "create", 1.0), after=1.0)
    last = screen.close().splitlines()[-1]
    assert squeezed(last) == "- function/* (2) 1 created, 1 not finished 1.0 s"


def test_rows_that_have_no_room_are_finished_first_or_counted() -> None:
    screen = Screen()
    screen.board.height = 6
    keys = [f"kind{number}" for number in range(9)]
    screen.show(*(events.StepStarted(key, "create") for key in keys))
    assert len(screen.area) == 4 and screen.area[-1] == "and 6 more"
    screen.show(*(events.StepFinished(key, "create", 1.0) for key in keys[:6]))
    assert [row.split()[1] for row in screen.above] == keys[:5]
    assert [row.split()[1] for row in screen.area] == keys[5:]


def test_the_phases_hold_no_time_of_questions_and_no_reading_before_training() -> None:
    screen = Screen()
    timeline = screen.board.timeline
    screen.show(EVENTS[1])
    screen.show(events.StepStarted("models", "train"), after=1.0)
    screen.show(events.StepFinished("models", "train", 5.0), after=5.0)
    screen.show(plan_of(Action.CREATE, "bucket"), after=2.0)
    timeline.hold()
    screen.clock.seconds += 1000
    timeline.go_on()
    screen.show(events.StepStarted("bucket", "create"), after=0.5)
    screen.show(events.StepFinished("bucket", "create", 3.0), after=3.0)
    screen.show(events.RunFinished("up", {"created": 1}), after=0.25)
    assert {phase.name: phase.seconds for phase in timeline.phases} == {
        "train": 5.0,
        "read the account": 2.0,
        "check": 0.5,
        "storage and roles": 3.0,
        "verify": 0.25,
    }
    assert timeline.seconds == 11.75


def test_a_pipe_hears_of_a_step_that_says_nothing_for_long() -> None:
    clock = Clock()
    lines = Lines(width=200, clock=clock)
    list(lines.lines(events.StepStarted("image", "create")))
    list(lines.lines(events.StepProgress("image", "waiting for AWS")))
    clock.seconds += STILL_S - 1
    assert not list(lines.still())
    clock.seconds += 1
    assert [str(line) for line in lines.still()] == [
        "image: still creating (30 s), waiting for AWS"
    ]
    assert not list(lines.still())


def test_a_command_is_never_folded() -> None:
    command = "python -m deployer up"
    screen = Screen(40, wording=lambda text: text.replace("python", "/a/very/long/path/to/python"))
    screen.show(events.Note(f"it is gone; to deploy it again: {command}"))
    screen.show(events.Suggestion("next", [command]))
    assert len(screen.above) == 2
    screen.show(events.Note("a text without a command that is longer than a line"))
    assert len(screen.above) == 4


def test_every_colour_can_be_read_on_black_and_on_white() -> None:
    from rich.color import Color

    def luminance(number: int) -> float:
        parts = [part / 255 for part in Color.from_ansi(number).get_truecolor()]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for name, number in COLORS.items():
        light = luminance(number)
        contrast = min(1.05 / (light + 0.05), (light + 0.05) / 0.05)
        assert contrast > 3.9, f"{name}: {contrast}"  # as of WCAG: 3 for large text, 4.5 for small


def test_reports_use_no_other_colours() -> None:
    others = re.compile(
        r'"(?:bold )?((?:bright_)?(?:black|white|green|red|yellow|blue|cyan|magenta))"'
    )
    for path in (ROOT / "deployer").rglob("*.py"):
        for name in others.findall(path.read_text()):
            assert name in COLORS, f"{path}: {name}"
    console = make_console(Terminal())
    assert console.get_style("bold yellow").color == console.get_style("yellow").color
    assert console.get_style("yellow").color != Console().get_style("yellow").color


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
    assert len(re.findall(r"✓ function/f\d+-\d+ +created", terminal.text)) == 12 * STEPS


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
