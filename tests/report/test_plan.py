"""Plans as text, wide and narrow, with and without colour, and as JSON values."""

from __future__ import annotations

import copy
import io
import json
import re
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from deployer.engine.differences import FieldChange
from deployer.engine.exposure import policy_widenings
from deployer.engine.plan import Action, Change, Desired, Plan, State, make_plan
from deployer.engine.saved import change_document
from deployer.project.branches import with_branch
from deployer.report.console import make_console, print_json
from deployer.report.plan import plan_lines, print_plan
from deployer.report.values import LONG, excerpts, two_texts, value_text
from deployer.service.permissions import allow, policy
from tests.support.golden import golden
from tests.support.plans import PLAN
from tests.support.projects import ROOT

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
    assert "\x1b[38;5;28m" in coloured.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured.getvalue()) == re.sub(
        r"\x1b\[[0-9;]*m", "", plain.getvalue()
    )


def test_an_empty_plan_is_one_line() -> None:
    stream = io.StringIO()
    print_plan(make_console(stream), Plan((Change("bucket", Action.NOOP),)))
    assert stream.getvalue() == "Plan: no changes, resources checked: 1\n"


def shown(plan: Plan, width: int = 120, *, full: bool = False) -> list[str]:
    return [str(line) for line in plan_lines(plan, width, full=full)]


def planned(before: Any, after: Any, **options: Any) -> Plan:
    """Return the plan that turns one field into another value."""
    return make_plan(
        [Desired("thing", {"field": after}, **options)], {"thing": State({"field": before})}
    )


def test_a_list_shows_the_elements_that_go_and_come() -> None:
    lines = shown(planned(["a", "b", "c"], ["b", "d", "e"]))
    assert lines[1:-1] == [
        "        field:",
        '          - "a"',
        '          - "c"',
        '          + "d"',
        '          + "e"',
    ]


FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:inference-dev-"


def test_an_arn_among_many_is_a_line_with_three_lines_around_it() -> None:
    """Both policies begin and end alike."""
    before = [f"{FUNCTION}{name}:*" for name in "abcdefgh"]
    after = [*before[:4], f"{FUNCTION}x:*", *before[4:]]
    lines = shown(planned(*(allow(["lambda:InvokeFunction"], arns) for arns in (before, after))))
    assert lines[2] == "          @@ Statement[0].Resource @@"
    assert [line.strip() for line in lines[3:-1]] == [
        *(f'"{arn}"' for arn in before[-3:]),
        f'+       "{FUNCTION}x:*"',
        "]",
        "}",
        "]",
    ]


WORKFLOW = json.loads((ROOT / "state_machine.json").read_text())


def branches_shown(definition: Any, *, full: bool = False) -> list[str]:
    return shown(planned(WORKFLOW, definition), 200, full=full)


def test_a_branch_that_is_added_shows_as_itself_alone() -> None:
    definition = json.loads(with_branch(json.dumps(WORKFLOW), "churn"))
    branches = definition["States"]["Predict"]["Branches"]
    branches.insert(1, branches.pop())
    lines = branches_shown(definition)
    signs = Counter(line.strip()[0] for line in lines[2:-1])
    assert signs["-"] == 0
    added = json.loads(json.dumps(branches[1]))
    assert sum("churn" in line for line in lines) == json.dumps(added).count("churn")
    assert not any(f'"{name}"' in line for name in ("random_forest", "support_vector")
                   for line in lines if line.strip().startswith("+"))  # fmt: skip


def test_branches_in_another_order_are_shown_as_an_order() -> None:
    definition = copy.deepcopy(WORKFLOW)
    definition["States"]["Predict"]["Branches"].reverse()
    lines = branches_shown(definition)
    names = ["linear_regression", "random_forest", "support_vector"]
    assert [line.split(maxsplit=1) for line in lines if line.strip()[0] in "+-"] == [
        ["-", f"in the order {json.dumps(names)}"],
        ["+", f"in the order {json.dumps(names[::-1])}"],
    ]


def test_values_that_change_in_a_document_are_a_line_each() -> None:
    definition = copy.deepcopy(WORKFLOW)
    for branch in definition["States"]["Predict"]["Branches"]:
        branch["States"][branch["StartAt"]]["TimeoutSeconds"] = 20
    lines = branches_shown(definition)
    state = "field.States.Predict.Branches[random_forest].States.random_forest"
    assert lines[2].strip() == f"{state}.TimeoutSeconds: 24 -> 20" and len(lines) == 5


def test_a_text_that_holds_json_is_compared_as_json() -> None:
    before = {f"name{number}": f"$context.{number}" for number in range(20)}
    after = {**before, "name7": "$context.x"}
    lines = shown(planned(json.dumps(before), json.dumps(after, indent=1)))
    assert [line.strip()[0] for line in lines[2:-1]] == list('@"""-+""}')
    spaced = shown(planned(json.dumps(before), json.dumps(before, indent=1)))
    assert any(line.strip().startswith("-") for line in spaced), "another text, though equal JSON"


def test_a_text_of_several_lines_is_a_unified_diff() -> None:
    before = "".join(f"line {number}\n" for number in range(12))
    lines = shown(planned(before, before.replace("line 6", "other")))
    assert [line.strip() for line in lines[3:-1]] == [
        "line 3", "line 4", "line 5", "- line 6", "+ other", "line 7", "line 8", "line 9"
    ]  # fmt: skip
    ended = shown(planned("a\nb\n", "a\nb"))
    assert [line.strip() for line in ended[3:-1]] == ["- b", "+ b (no line end)"]


def test_full_shows_documents_long_values_and_new_resources_whole() -> None:
    long = "x" * 1000
    assert any(long + "y" in line for line in shown(planned(long, long + "y"), 9999, full=True))
    whole = branches_shown({**WORKFLOW, "StartAt": "Judge", "New": {}}, full=True)
    assert len(whole) > len(json.dumps(WORKFLOW, indent=2).splitlines()) // 2
    new = make_plan([Desired("thing", {"field": {"a": 1}})], {"thing": None})
    assert shown(new)[1:] == shown(new)[-1:]
    assert '          +   "a": 1' in shown(new, full=True)


def test_the_origin_of_a_difference_is_shown_and_told() -> None:
    field = FieldChange("memory_mb", 1, 2, forces_replace=True, origin="changed outside")
    change = Change("x", Action.REPLACE, (field,))
    assert shown(Plan((change,)))[1].endswith("1 -> 2 (forces replacement, changed outside)")
    assert change_document(change)["fields"][0]["origin"] == "changed outside"


def test_new_access_has_a_block_of_its_own() -> None:
    everyone = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    plan = planned(None, policy(everyone), widens=policy_widenings)
    assert shown(plan)[-5:-1] == [
        "Gives more access:",
        "  ! thing: field allows anyone (*) s3:*",
        "  ! thing: field allows actions by a wildcard: s3:*",
        "  ! thing: field allows on every resource (*): s3:*",
    ]
    assert len(change_document(plan.changes[0])["widens"]) == 3


texts = st.text(st.characters(codec="utf-8"), min_size=0, max_size=400)


@given(texts, st.text(min_size=1), st.text(min_size=1), texts, st.sampled_from([40, 80, 120]))
@example("", "e\u0301", "\u00e9", "", 80)  # both look like an e with an accent
@example("", "a", "a\u200b", "", 80)
@example("x" * 400, "", "...", "", 80)
@example("x" * 400, "a", "b", "y" * 400, 80)
@example("x" * 190, "a", "b", "y" * 20, 40)
def test_two_values_that_differ_are_never_shown_as_the_same(
    head: str, one: str, other: str, tail: str, width: int
) -> None:
    assume(one != other)
    before, after = (value_text(text) for text in (head + one + tail, head + other + tail))
    old, new = excerpts(*two_texts(head + one + tail, head + other + tail), LONG)
    assert before != after
    assert unicodedata.normalize("NFKC", old) != unicodedata.normalize("NFKC", new)
    assert max(len(old), len(new)) <= LONG and (old + new).isprintable()
    lines = shown(planned(head + one + tail, head + other + tail), width)
    assert all(cell_len(line) <= width and line.isprintable() for line in lines)


def test_names_and_values_cannot_write_to_the_terminal() -> None:
    evil = "\x1b[2J\u202e\x9b"
    plan = make_plan([Desired("thing", {evil: {evil: evil}})], {"thing": State({evil: {evil: 1}})})
    assert all(line.isprintable() for line in shown(plan))


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


def test_statements_in_another_order_alone_are_shown_as_an_order() -> None:
    one, two = ({"Sid": name, "Effect": "Deny", "Action": ["x"]} for name in ("one", "two"))
    lines = shown(planned({"a": {"Statement": [one, two]}}, {"a": {"Statement": [two, one]}}))
    assert [line.split(maxsplit=1)[1] for line in lines if line.strip()[0] in "+-"] == [
        'in the order ["one", "two"]',
        'in the order ["two", "one"]',
    ]


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[1] x", "{}"])
def test_a_text_that_only_begins_like_json_is_a_text(text: str) -> None:
    assert shown(planned(text, "{}y"))[-1].startswith("Plan: ")
