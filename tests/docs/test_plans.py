"""docs/plan.md is true: its plan, its refusal and its tree are what the tool prints."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from click.testing import CliRunner

from deployer.cli import cli
from deployer.engine.plan import UNKNOWN, Action, Change, Desired, Plan, State, make_plan
from deployer.engine.saved import moved
from deployer.project.drawing import drawing
from deployer.report.plan import plan_lines
from deployer.report.tree import tree_lines
from tests.support.projects import ROOT

PAGE = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
PLAN_SHOWN, REFUSAL, TREE = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^python -m deployer (.*?)(?: > .*)?$", PAGE, re.MULTILINE)


def test_the_plan_is_shown_as_it_is_printed() -> None:
    arn = "arn:aws:lambda:eu-central-1:123456789012:function:inference-dev-churn:3"

    def definition(resource: object) -> dict[str, object]:
        branch = {"StartAt": "churn", "States": {"churn": {"Resource": resource}}}
        return {"definition": {"States": {"Predict": {"Branches": [branch]}}}}

    cors = {"cors": {"origins": ["*"]}}
    widens = "pages of every origin may call it (CORS *)"
    plan = make_plan(
        [
            Desired("function/churn", {"memory_mb": 1024}),
            Desired("api", cors, widens=lambda before, after: [widens]),
            Desired("workflow", definition(UNKNOWN)),
        ],
        {
            "function/churn": State({"memory_mb": 512}),
            "api": State({"cors": {"origins": ["https://blog.example", "https://shop.example"]}}),
            "workflow": State(definition(arn)),
        },
    )
    unchanged = tuple(Change(f"x{number}", Action.NOOP) for number in range(16))
    lines = plan_lines(Plan((*plan.changes, *unchanged)), 120)
    assert "".join(f"{line.plain}\n" for line in lines) == PLAN_SHOWN


def test_the_refusal_names_what_has_moved() -> None:
    old = {"resource": "function/churn", "declared": "a", "actual": "a"}
    workflow = {"resource": "workflow", "declared": "a", "actual": "a"}
    sentences = moved(
        {"resources": [old, workflow]},
        {"resources": [{**old, "actual": "b"}, {**workflow, "declared": "b"}]},
    )
    assert re.findall(r"^  (.*)$", REFUSAL, re.MULTILINE) == list(sentences)


def test_the_tree_is_that_of_the_example() -> None:
    definition = json.loads((ROOT / "state_machine.json").read_text())
    lines = tree_lines(drawing(definition), 120)
    assert "".join(f"{line.plain}\n" for line in lines) == TREE


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_parses(command: str) -> None:
    result = CliRunner().invoke(cli, [*shlex.split(command), "--help"])
    assert result.exit_code == 0, result.output
    options = re.findall(r"--[a-z]+", command)
    assert all(option in result.output for option in options)
