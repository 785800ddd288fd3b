"""A plan as the comment of a pull request: golden text, and values that mean something there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deployer.engine.differences import FieldChange
from deployer.engine.plan import Action, Change, Plan
from deployer.engine.saved import without_secrets
from deployer.report.markdown import markdown
from tests.support.golden import golden
from tests.support.plans import PLAN

GOLDEN = Path(__file__).parent / "golden"
PLACE = {
    "service": "inference",
    "stage": "dev",
    "account": "123456789012",
    "region": "eu-central-1",
    "endpoint": None,
}


def test_a_plan_as_markdown(request: pytest.FixtureRequest) -> None:
    widening = Change("api", Action.CREATE, widens=("anyone who knows the URL may call POST /",))
    text = markdown(Plan((*PLAN.changes, widening)), PLACE, "sha256:0")
    golden(request, GOLDEN / "plan.md", text)


def of_value(value: object) -> str:
    field = FieldChange("description", "old", value)
    return markdown(Plan((Change("x", Action.UPDATE, (field,)),)), PLACE, "sha256:0")


@pytest.mark.parametrize("value", ["```", "````\n```", "</details><script>", "| a | b |", "\x1b"])
def test_a_value_stays_inside_its_block(value: str) -> None:
    text = of_value(value)
    (fence,) = re.findall(r"^(`{3,})diff$", text, re.MULTILINE)
    block = text.split(f"{fence}diff\n")[1].split(f"\n{fence}\n")[0]
    assert "old" in block and fence not in block
    assert "<script>" not in text.replace(block, "")
    assert text.replace("\n", "").isprintable()


def test_names_mean_nothing_in_markdown() -> None:
    change = Change("a|b`c", Action.CREATE, note="*all* <b>", widens=("allows (*) [x](y)",))
    text = markdown(Plan((change,)), PLACE, "sha256:0")
    assert "`` a\\|b`c ``" in text and "\\*all\\* \\<b\\>" in text
    assert "allows (\\*) \\[x\\](y)" in text


def test_it_is_no_longer_than_a_comment_may_be_and_says_what_is_left_out() -> None:
    fields = (FieldChange("description", "old", "x" * 10_000),)
    many = Plan(tuple(Change(f"r{number}", Action.UPDATE, fields) for number in range(500)))
    text = markdown(many, PLACE, "sha256:0")
    assert len(text) <= 65_536
    shown = text.count("<details>")
    assert f"The details of {500 - shown} more resources are left out" in text


def test_a_plan_without_changes_is_short() -> None:
    text = markdown(Plan((Change("bucket", Action.NOOP),)), PLACE, "sha256:0")
    assert "no changes" in text and "| resource |" not in text


def test_what_is_published_has_no_values_of_others_variables() -> None:
    fields = (FieldChange("environment.PASSWORD", "hunter2", None),)
    whole = (FieldChange("environment", {"PASSWORD": "hunter2"}, None),)
    for places in (fields, whole):
        change = Change("f", Action.UPDATE, places, before={"environment": {"PASSWORD": "hunter2"}})
        text = markdown(without_secrets(Plan((change,))), PLACE, "sha256:0")
        assert "hunter2" not in text and "(withheld)" in text


def test_what_is_live_stands_above_the_changes() -> None:
    note = "live is release 11, back to 9; this folder would make release 12"
    text = markdown(Plan((Change("bucket", Action.NOOP),)), PLACE, "sha256:0", notes=[note])
    assert f"\n\n> {note}\n\n" in text
