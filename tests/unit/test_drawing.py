"""A workflow as states and arrows, and in reading order; conditions in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deployer.project.conditions import condition
from deployer.project.drawing import Machine, Step, drawing, reading
from deployer.project.workflow import problems, state_names
from tests.support.projects import ROOT

FILES = [
    ROOT / "state_machine.json",
    ROOT / "tests" / "cases" / "drawn.json",
    *sorted(path for path in (ROOT / "docs" / "workflows").glob("*.json") if path.stem != "batch"),
]
WORKFLOWS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FILES}
every_workflow = pytest.mark.parametrize("name", WORKFLOWS)


@pytest.mark.parametrize(
    "rule, words",
    [
        ({"Variable": "$.a", "NumericGreaterThanEquals": 7}, "$.a >= 7"),
        ({"Variable": "$.a", "StringEquals": "ü"}, '$.a = "ü"'),
        ({"Variable": "$.a", "StringLessThanPath": "$.b"}, "$.a < $.b"),
        ({"Variable": "$.a", "StringMatches": "x*"}, '$.a matches "x*"'),
        ({"Variable": "$.a", "BooleanEquals": False}, "$.a = false"),
        ({"Variable": "$.a", "TimestampLessThanEquals": "2026"}, '$.a <= "2026"'),
        ({"Variable": "$.a", "IsPresent": True}, "$.a is present"),
        ({"Variable": "$.a", "IsPresent": False}, "$.a is not present"),
        ({"Variable": "$.a", "IsNumeric": True}, "$.a is a number"),
        ({"Variable": "$.a", "IsTimestamp": False}, "$.a is not a timestamp"),
        ({"Not": {"Variable": "$.a", "IsNull": True}}, "not $.a is null"),
        (
            {"And": [{"Variable": "$.a", "IsNull": True}, {"Or": [
                {"Variable": "$.b", "NumericEquals": 1}, {"Variable": "$.c", "IsString": True}]}]},
            "$.a is null and ($.b = 1 or $.c is a string)",
        ),
        ({"Condition": "{% $count($states.input)\n > 0 %}"}, "$count($states.input) > 0"),
        ({"Condition": True}, "true"),
    ],
)  # fmt: skip
def test_a_condition_in_words(rule: dict[str, Any], words: str) -> None:
    assert condition({**rule, "Next": "x"}) == words


def names(machine: Machine) -> Iterator[str]:
    for state in machine.states:
        yield state.name
        for inner in state.machines:
            yield from names(inner)


def told(steps: tuple[Step, ...]) -> Iterator[str]:
    """The names of the states that are described, not those that are only referred to."""
    for step in steps:
        if not step.again:
            yield step.state.name
        for part in step.parts:
            yield from told(part.steps)


@every_workflow
def test_every_state_is_drawn_and_described_once(name: str) -> None:
    definition = WORKFLOWS[name]
    assert list(problems(definition)) == []
    machine = drawing(definition)
    expected = sorted(state for state, _ in state_names(definition))
    assert sorted(names(machine)) == sorted(told(reading(machine))) == expected


def test_arrows_are_the_ways_between_states() -> None:
    machine = drawing(WORKFLOWS["state_machine"])
    arrows = [(arrow.source, arrow.target, arrow.label, arrow.is_error) for arrow in machine.arrows]
    assert arrows == [
        ("Predict", "Judge", "", False),
        ("Predict", "Explain", "InvalidInput", True),
        ("Judge", "Answer", "$.answered[0] is present", False),
        ("Judge", "NoModelAnswered", "otherwise", False),
        ("Explain", "InvalidInput", "", False),
    ]
    details = {state.name: state.summary for state in machine.states}
    assert details["Predict"] == "Parallel, 3 branches"
    assert details["Answer"] == "Pass, end" and details["NoModelAnswered"].startswith("Fail, ")
    task = machine.states[0].machines[0].states[0]
    assert task.summary == "function, 24 s, up to 3 retries, end"


def test_the_main_way_is_told_before_what_branches_off() -> None:
    """A state after an error that leads back to the main way does not pull it down to itself."""
    task = {"Type": "Task", "Resource": "${one}"}
    caught = {"ErrorEquals": ["States.ALL"], "Next": "Repair"}
    definition = {
        "StartAt": "Ask",
        "States": {
            "Ask": {**task, "Next": "Combine", "Catch": [caught]},
            "Repair": {"Type": "Pass", "Next": "Combine"},
            "Combine": {"Type": "Pass", "End": True},
        },
    }
    ask, combine = reading(drawing(definition))
    assert (ask.state.name, combine.state.name, combine.again) == ("Ask", "Combine", False)
    repair, again = ask.parts[0].steps
    assert repair.state.name == "Repair" and again.again
