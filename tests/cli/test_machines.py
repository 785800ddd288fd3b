"""Streams that take nothing, and machines that refuse: one line, never a defect."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from deployer.local import process
from tests.support import processes
from tests.support.accounts import keys
from tests.support.command_line import deployer
from tests.support.projects import ROOT


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_a_code_page_that_lacks_a_character_prints_something_else(
    project: Path, encoding: str
) -> None:
    environment = {"PYTHONIOENCODING": encoding}
    ran = processes.deployer(project, "plan", "--stage", "日本", code=1, environment=environment)
    assert "\\u65e5" in ran.err and "defect" not in ran.err


@pytest.mark.slow(every=4)
@pytest.mark.parametrize(
    "arguments", [("--help",), ("plan", "--local"), ("plan", "--local", "--json")]
)
@pytest.mark.parametrize("target", ["full", "closed", "gone"])
def test_a_stdout_that_takes_nothing_is_no_defect(
    project: Path, arguments: tuple[str, ...], target: str
) -> None:
    command = f"{sys.executable} -m deployer {' '.join(arguments)}"
    shell = {
        "full": f"{command} > /dev/full",
        "closed": f"{command} >&-",
        "gone": f"{command} | true; exit ${{PIPESTATUS[0]}}",
    }
    done = in_shell(project, shell[target])
    assert done.returncode == {"full": 1, "closed": 0}.get(target, done.returncode)
    for word in ("defect", "Traceback", "Exception ignored"):
        assert word not in done.stderr
    assert target != "full" or "No space left on device" in done.stderr
    assert target != "gone" or done.returncode in (0, 1)


@pytest.mark.slow(every=4)
@pytest.mark.parametrize("target", ["2>/dev/full", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_or_full_stderr_or_stdin_changes_no_exit_code(project: Path, target: str) -> None:
    for arguments, code in (("plan --local", 0), ("plan --stage No", 1)):
        done = in_shell(project, f"{sys.executable} -m deployer {arguments} {target}")
        assert done.returncode == code, done.stderr


def in_shell(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60
    )


def test_a_project_that_cannot_be_written_is_told(project: Path) -> None:
    """Root may write everywhere, so a file is in the way here."""
    (project / ".deployer").write_text("in the way")
    ran = deployer(project, "up", "--local", code=1)
    assert "defect" not in ran.err and ".deployer" in ran.err


def test_no_temporary_folder_is_told(project: Path) -> None:
    program = (
        "import tempfile, sys\n"
        'def none(*a, **k): raise FileNotFoundError(2, "No usable temporary directory found in '
        "['/tmp']\")\n"
        "tempfile._get_default_tempdir = none\n"
        "sys.argv = ['deployer', *sys.argv[1:]]\n"
        "from deployer.__main__ import main\nsys.exit(main())"
    )
    command = [sys.executable, "-c", program, "image", "--output", "x.tar", "--builder", "direct"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60)
    assert (
        done.returncode == 1 and "Traceback" not in done.stderr and "defect" not in done.stderr
    ), done.stderr


def test_without_file_descriptors_it_is_told(project: Path, server: process.Server) -> None:
    ran = processes.deployer(
        project,
        "plan",
        "--endpoint-url",
        server.url,
        code=1,
        environment=keys(server),
        limit=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9)),
    )
    assert "defect" not in ran.err and "ulimit -n" in ran.err


def test_without_threads_it_is_told(project: Path) -> None:
    """As where a container allows few processes; the limit itself does not bind root."""
    program = (
        "import sys, threading\n"
        'def none(self): raise RuntimeError("can\'t start new thread")\n'
        "threading.Thread.start = none\n"
        "sys.argv = ['deployer', *sys.argv[1:]]\n"
        "from deployer.__main__ import main\nsys.exit(main())"
    )
    command = [sys.executable, "-c", program, "plan", "--local"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60)
    assert (
        done.returncode == 1
        and "lets no further thread start" in done.stderr
        and "defect" not in done.stderr
    )


def test_an_environment_without_the_packages_is_one_line(project: Path) -> None:
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runpy; "
        f"runpy.run_module('deployer', run_name='__main__')",
    ]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first.startswith("error: ") and "has no package click" in first and "python" in second


def test_an_old_python_is_one_line(project: Path) -> None:
    program = (
        "import sys; sys.version_info = (3, 9, 2, 'final', 0)\nfrom deployer.__main__ "
        "import main\nsys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (
        done.returncode == 1
        and "deployer needs Python 3.10 or newer" in done.stderr.splitlines()[0]
    )
