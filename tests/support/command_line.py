"""The command line, run in this process: a fraction of the cost of a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner, Result

from deployer.cli import cli
from tests.support.processes import Ran


def run(
    project: Path, *arguments: str, environment: Mapping[str, str] = {}, code: int = 1
) -> Result:
    """Run a command with --project and check its exit code."""
    result = CliRunner(env=dict(environment)).invoke(
        cli, [arguments[0], "--project", str(project), *arguments[1:]]
    )
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


def deployer(
    folder: Path,
    *arguments: str,
    code: int = 0,
    stdin: str = "",
    environment: Mapping[str, str] = {},
) -> Ran:
    """Run a command in a project folder and check its exit code, as `processes.deployer` does."""
    with _working_in(folder):
        result = CliRunner(env=dict(environment)).invoke(cli, arguments, input=stdin)
    assert result.exit_code == code, f"{arguments}: {result.output}\n{result.exception!r}"
    return Ran(result.exit_code, result.stdout, result.stderr)


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
