"""Commands in a real terminal: they end, draw within its width, and stop in order on Ctrl-C."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.local import process
from tests.support.accounts import connect
from tests.support.processes import claimed
from tests.support.projects import make_project
from tests.support.stub import serve, slowing
from tests.support.terminal import Terminal, deployer
from tests.support.thinning import WHOLE

# Its tests share what is made once for them, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("terminal")
ROUNDS = 5 if WHOLE else 1  # of the journey, at each width
SHOWN_CURSOR, HIDDEN_CURSOR = "\x1b[?25h", "\x1b[?25l"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Path]:
    """A project without verify.py, which takes each process a second and has tests of its own."""
    found = make_project(tmp_path_factory.mktemp("terminal") / "project", trained)
    (found / "lambda_src" / "verify.py").unlink()
    process.start(found)
    yield found
    process.force_stop(found)


def lines(terminal: Terminal) -> list[str]:
    return [line.rstrip() for line in terminal.text.splitlines() if line.strip()]


@pytest.mark.parametrize("columns", [pytest.param(120, marks=pytest.mark.slow), 80])
def test_up_plan_and_down_end_every_time(folder: Path, columns: int) -> None:
    """Once, or five times with TESTS=every: when several threads drew, most runs hung."""
    process.start(folder)
    assert deployer(folder, "down", "--local", "--yes", columns=columns).end() == 0
    kept = folder.parent / "kept"
    for _ in range(ROUNDS):
        terminal = deployer(folder, "up", "--local", columns=columns)
        assert terminal.end() == 0, terminal.text
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/_apis/[a-z0-9]+/", lines(terminal)[-1])
        assert HIDDEN_CURSOR in terminal.drawn and terminal.drawn.rindex(
            SHOWN_CURSOR
        ) > terminal.drawn.rindex(HIDDEN_CURSOR)
        assert re.search("^✓ workflow +created", terminal.text, re.MULTILINE)
        assert "creating" not in terminal.text  # the live area leaves nothing behind
        terminal = deployer(folder, "plan", "--local", columns=columns)
        assert terminal.end() == 0
        assert lines(terminal)[-1] == "Plan: no changes, resources checked: 19"
        # Another stage keeps the local AWS alive: the next round would wait for a new one.
        if not kept.exists():
            another = ("--stage", "kept", "--no-proof")
            assert deployer(folder, "up", "--local", *another, columns=columns).end() == 0
            kept.touch()
        terminal = deployer(folder, "down", "--local", "--yes", columns=columns)
        assert terminal.end() == 0
        assert lines(terminal)[-1] == "the local AWS keeps running: other resources live in it"
        assert "18 deleted" in terminal.text


@pytest.mark.parametrize("command", ["up", "plan", "down"])
def test_ctrl_c_in_the_first_second_is_one_line_and_130(folder: Path, command: str) -> None:
    """As early as Python allows: before that, it prints a traceback of its own start."""
    for pause_s in (0.08, 0.2, 0.4):
        terminal = deployer(folder, command, "--local")
        time.sleep(pause_s)
        terminal.type("\x03")
        code = terminal.end(20)
        if code == 0:  # it was faster
            continue
        assert "Traceback" not in terminal.text.replace("\n", "") or pause_s < 0.1, terminal.text
        assert code == 130 or pause_s < 0.1, terminal.text
        assert lines(terminal)[-1].endswith("interrupted") or pause_s < 0.1, terminal.text


@pytest.mark.slow
def test_ctrl_c_at_the_question_ends_it_and_changes_nothing(folder: Path) -> None:
    process.start(folder)
    assert deployer(folder, "up", "--local", "--no-proof").end() == 0
    terminal = deployer(folder, "down", "--local")
    terminal.until("Delete all of inference, stage dev?")
    terminal.type("\x03")
    assert terminal.end() == 130
    assert lines(terminal)[-1] == "error: interrupted"
    terminal = deployer(folder, "down", "--local")
    terminal.until("Delete all of inference, stage dev?")
    terminal.type("n\n")
    assert terminal.end() == 1
    assert lines(terminal)[-1] == "error: declined; nothing was changed"
    terminal = deployer(folder, "plan", "--local")
    assert terminal.end() == 0 and "Plan: no changes" in terminal.text


@pytest.mark.slow
def test_the_first_ctrl_c_while_something_is_written_finishes_what_runs(folder: Path) -> None:
    """Creating the repository takes some seconds here; the second Ctrl-C ends the run at once.

    Two stages, because the local AWS would end with the last one.
    """
    server = process.start(folder)
    stage, other = ("--local", "--stage", "slow"), ("--local", "--stage", "slower")
    with serve(slowing(server.url, "CreateRepository", 2.0)) as url, claimed(folder, url):
        terminal = deployer(folder, "up", *stage)
        terminal.until(f"{'creating':15}{'1 s':>11}")
        terminal.type("\x03")
        assert terminal.end() == 130, terminal.text
        assert "interrupted: running steps finish, no new ones start" in terminal.text
        assert re.search("^✓ repository +created", terminal.text, re.MULTILINE)
        assert re.search("^- workflow +not created, because inter", terminal.text, re.MULTILINE)
        assert terminal.drawn.rindex(SHOWN_CURSOR) > terminal.drawn.rindex(HIDDEN_CURSOR)
    with serve(slowing(server.url, "CreateRepository", 8.0)) as url, claimed(folder, url):
        terminal = deployer(folder, "up", *other)
        terminal.until("• repository")
        terminal.type("\x03")
        terminal.until("Ctrl-C again exits at once")
        begun = time.monotonic()
        terminal.type("\x03")
        assert terminal.end() == 130 and time.monotonic() - begun < 5
        assert terminal.drawn.rindex(SHOWN_CURSOR) > terminal.drawn.rindex(HIDDEN_CURSOR)
        end = time.monotonic() + 30
        while (
            len(connect(server).call("ecr", "describe_repositories")["repositories"]) < 2
        ):  # it is on its way still
            assert time.monotonic() < end
            time.sleep(0.1)
    for options in (other, stage):
        assert deployer(folder, "down", *options, "--yes").end() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_read_that_hangs_is_left_at_once(folder: Path, number: signal.Signals) -> None:
    server = process.start(folder)
    with serve(slowing(server.url, "GetCallerIdentity", 20.0)) as url, claimed(folder, url):
        terminal = deployer(folder, "plan", "--local")
        time.sleep(1.5)
        begun = time.monotonic()
        terminal.process.send_signal(number)
        assert terminal.end() == 130 and time.monotonic() - begun < 5
    assert lines(terminal)[-1] == "error: interrupted"


def test_a_terminal_that_cannot_animate_gets_lines(folder: Path) -> None:
    process.start(folder)
    terminal = deployer(folder, "plan", "--local", environment={"TERM": "dumb"})
    assert terminal.end() == 0 and "\x1b" not in terminal.drawn


def test_ctrl_c_while_the_process_is_being_taken_down_changes_no_exit_code() -> None:
    """Python restores the default action of SIGINT before it unloads modules, unless ignored."""
    program = (
        "import atexit, signal, sys\n"
        # the last to run
        "atexit.register(lambda: print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN))\n"
        "sys.argv = ['deployer', '--version']\n"
        "from deployer.__main__ import main\n"
        "sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "True", done
