"""Plans as text, wide and narrow, with and without colour, and as JSON values."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deployer.engine.plan import Action, Change, FieldChange, Plan
from deployer.report.console import make_console, print_json
from deployer.report.plan import change_document, plan_lines, print_plan
from tests.support.golden import golden
from tests.support.plans import PLAN

GOLDEN = Path(__file__).parent / "golden"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [200, 80])
def test_a_plan_on_a_terminal(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(width))
    stream = Terminal()
    print_plan(make_console(stream, color=False), PLAN)
    assert max(map(len, stream.getvalue().splitlines())) <= width
    golden(request, GOLDEN / f"plan-{width}.txt", stream.getvalue())


def test_colour_repeats_what_words_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    plain, coloured = Terminal(), Terminal()
    print_plan(make_console(plain, color=False), PLAN)
    print_plan(make_console(coloured, color=True), PLAN)
    assert "\x1b[32m" in coloured.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured.getvalue()) == re.sub(
        r"\x1b\[[0-9;]*m", "", plain.getvalue()
    )


def test_an_empty_plan_is_one_line() -> None:
    stream = io.StringIO()
    print_plan(make_console(stream), Plan((Change("bucket", Action.NOOP),)))
    assert stream.getvalue() == "Plan: no changes, resources checked: 1\n"


def test_two_lists_that_differ_show_the_entries_that_go_and_come() -> None:
    """Both begin and end alike, as the resources of an IAM policy do."""
    before = [
        f"arn:aws:lambda:eu-central-1:123456789012:function:inference-dev-model-{name}:*"
        for name in "abcdef"
    ]
    after = [
        *before[:2],
        before[2].replace("model-c", "model-x"),
        *before[3:],
        "arn:aws:lambda:::new",
    ]
    change = Change(
        "role/workflow",
        Action.UPDATE,
        (FieldChange("policies.invoke.Statement[0].Resource", before, after),),
    )
    stream = io.StringIO()
    print_plan(make_console(stream), Plan((change,)))
    shown = stream.getvalue().splitlines()
    assert shown[1].strip() == "policies.invoke.Statement[0].Resource: 6 entries -> 7 entries"
    assert [line.strip() for line in shown[2:5]] == [
        f'- "{before[2]}"',
        f'+ "{after[2]}"',
        '+ "arn:aws:lambda:::new"',
    ]


@given(
    st.text(min_size=60),
    st.text(min_size=1),
    st.text(min_size=1),
    st.text(min_size=60),
    st.sampled_from([80, 120]),
)
def test_two_values_that_differ_are_never_shown_as_the_same(
    head: str, one: str, other: str, tail: str, width: int
) -> None:
    assume(one != other)
    field = FieldChange("definition.States.Predict.Comment", head + one + tail, head + other + tail)
    _, line, _ = plan_lines(Plan((Change("workflow", Action.UPDATE, (field,)),)), width)
    shown, _, after = str(line).partition(": ")[2].rpartition(" -> ")
    assert shown != after


def test_an_api_that_is_made_anew_tells_of_its_new_url() -> None:
    change = Change(
        "api", Action.CREATE, note="the service gets a new URL, which its clients must be told"
    )
    stream = io.StringIO()
    print_plan(make_console(stream), Plan((Change("bucket", Action.NOOP), change)))
    assert "the service gets a new URL" in stream.getvalue()
    assert change_document(change)["note"].startswith("the service gets a new URL")


def test_json_marks_unknown_values() -> None:
    stream = io.StringIO()
    print_json(stream, [change_document(change) for change in PLAN.effective])
    changes = json.loads(stream.getvalue())
    assert changes[2]["fields"][1] == {
        "path": "definition.States.a.Resource",
        "before": "arn:1",
        "after": "(known after apply)",
    }
    assert [change["action"] for change in changes] == ["create", "update", "replace", "delete"]
