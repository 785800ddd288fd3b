"""docs/clients.md is true: its commands run, and it shows what `openapi` says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from tests.support.command_line import deployer
from tests.support.projects import ROOT

PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
OURS = [line for line in COMMANDS if "-m deployer" in line]


def block(language: str) -> str:
    (text,) = (text for kind, text in BLOCKS if kind == language)
    return text


@pytest.mark.parametrize("command", OURS)
def test_the_commands_run(command: str, project: Path) -> None:
    assert len(OURS) == 4
    command = command.replace('"$(python -m deployer up --local)"', "http://127.0.0.1:8000/")
    words = shlex.split(command)
    environment = dict(word.split("=") for word in words if word.startswith("DEPLOYER_"))
    arguments = words[words.index("deployer") + 1 :]
    deployer(project, *arguments, environment=environment)
    if "--output" in arguments:
        assert (project / arguments[arguments.index("--output") + 1]).is_file()


def test_the_shown_feature_is_described_so(project: Path) -> None:
    document = yaml.safe_load(deployer(project, "openapi", "--format", "yaml").out)
    shown = yaml.safe_load(block("yaml"))
    properties = document["components"]["schemas"]["Record"]["properties"]
    assert shown == {"RM": properties["RM"]}
