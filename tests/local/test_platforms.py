"""What differs elsewhere than on Linux (docs/platforms.md), as far as Linux can show it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from deployer.local import process
from tests.support.projects import ROOT

ELSEWHERE = "raise ImportError('as where AWS has no wheel')"


@pytest.mark.slow
def test_a_service_lives_without_what_only_linux_has(tmp_path: Path) -> None:
    """With an empty /proc, and without AWS's runtime client, as on macOS."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("taking /proc away needs Linux and root")
    empty, path = tmp_path / "empty", tmp_path / "path"
    for folder in (empty, path):
        folder.mkdir()
    (path / "runtime_client.py").write_text(ELSEWHERE)
    folder = (tmp_path / "project").resolve()
    tool = f"{shlex.quote(sys.executable)} -m deployer"
    script = f"""
        mount --bind {shlex.quote(str(empty))} /proc
        {tool} init {shlex.quote(str(folder))} --example minimal
        cd {shlex.quote(str(folder))}
        {tool} up --local
        {tool} invoke --sample --local
        {tool} logs --local
    """
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(ROOT)])}
    command = ["unshare", "--mount", "sh", "-ec", script]
    try:
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
        if done.returncode and "unshare" in done.stderr.partition("\n")[0]:
            pytest.skip(f"no mount namespace can be made here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        assert (
            "version        prediction" in done.stdout
            and "answered in" in done.stdout + done.stderr
        )
        (report,) = [line for line in done.stdout.splitlines() if "REPORT RequestId" in line][-1:]
        assert "Max Memory Used: 0 MB" in report
    finally:
        process.force_stop(folder)


def test_windows_is_refused_with_what_to_do() -> None:
    code = (
        "import sys; sys.platform = 'win32'; from deployer.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "error: deployer does not run on Windows itself\nrun it in WSL: wsl --install\n"
    )
