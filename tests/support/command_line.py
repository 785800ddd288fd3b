"""Running the command line in this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from click.testing import CliRunner, Result

from deployer.cli import cli


def run(
    project: Path, *arguments: str, environment: Mapping[str, str] = {}, code: int = 1
) -> Result:
    result = CliRunner(env=dict(environment)).invoke(
        cli, [arguments[0], "--project", str(project), *arguments[1:]]
    )
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result
