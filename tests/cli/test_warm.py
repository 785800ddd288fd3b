"""Programs in a warm Python end, and say, what they do in a new one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from deployer.children import child, started_by
from tests.support.warm import Programs

SEEN = "import os, sys; print(__name__, sys.argv, os.getcwd(), os.environ['A'], sys.path[0])"


def outcome(programs: Programs, command: list[str], folder: Path) -> list[Any]:
    """Return what a command wrote, and how it ended, in a warm and in a new Python."""
    outcomes = []
    for start in (programs, subprocess.Popen):
        variables = {**os.environ, "A": "an own variable"}
        with (
            started_by(start),
            child(command, folder, variables, stdout=PIPE, stderr=PIPE) as process,
        ):
            out, err = process.communicate()
        outcomes.append((process.returncode, out, err.splitlines()[-1:]))
    return outcomes


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (SEEN, 0),
        ("raise SystemExit(3)", 3),
        ("1 / 0", 1),
        ("import os; os.abort()", -6),
        ("import sys; sys.exit('refused')", 1),
        ("print(input())", 1),
        ("import sys; print(end='x' * 200_000, file=sys.stderr); print('y' * 200_000)", 0),
    ],
)
def test_a_warm_program_ends_as_one_in_a_new_python(
    programs: Programs, tmp_path: Path, text: str, code: int
) -> None:
    (tmp_path / "script.py").write_text(text)
    for command in (["-c", text, "one"], ["script.py", "one"]):
        warm, new = outcome(programs, [sys.executable, *command], tmp_path)
        assert warm == new and warm[0] == code


def test_an_abandoned_program_is_ended(programs: Programs, tmp_path: Path) -> None:
    with started_by(programs):
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        with child(command, tmp_path, dict(os.environ), stdout=PIPE, stderr=PIPE) as process:
            pid = process.pid
        assert process.returncode == -9
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
