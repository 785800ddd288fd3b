"""Plan files without an account: the place, the form, what is never overwritten."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.engine.plan import Desired, Ref, State, make_plan
from deployer.engine.saved import FORMAT, PLACE, Basis, digest, saved
from deployer.errors import ConfigError, DeployerError, PlanMoved
from deployer.project.settings import Settings
from deployer.service.plan_file import (
    TOOL,
    check_place,
    check_same,
    place_of,
    read_plan,
    write_plan,
)

SETTINGS = Settings(Path()).located(account="123456789012", partition="aws", region="eu-west-1")
HERE = place_of(SETTINGS, None)


def document(memory: int = 1, version: str = "1", *, adopt: bool = False, other: Any = None) -> Any:
    """Return the saved plan of a workflow that refers to a function with a variable too many."""
    desired = [
        Desired("function", {"memory": 2, "environment": {"KEY": "x"}}),
        Desired("workflow", {"arn": Ref("function", "version")}),
    ]
    variables = {"KEY": "x", "SECRET": other} if other else {"KEY": "x"}
    actual: dict[str, State | None] = {
        "function": State({"memory": memory, "environment": variables}, {"version": version}),
        "workflow": State({"arn": "1"}),
    }
    plan = make_plan(desired, actual)
    basis = Basis({one.key: one.fields for one in desired}, actual)
    return saved(plan, basis, HERE, TOOL, adopt)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    write_plan(path, document())
    return path


def check(file: Path, now: Any, place: Any = HERE) -> None:
    """Do what `up --plan` does before it applies."""
    written = read_plan(file)
    check_place(file, written, place)
    check_same(file, written, now)


def test_the_same_plan_holds_and_any_other_does_not(file: Path) -> None:
    check(file, document())
    check(file, document(memory=2))  # it is applied already: nothing is to be changed
    for now, reason in [
        (document(memory=3), "function was changed in the account"),
        (document(version="2"), "function was changed in the account"),
        (document(adopt=True), "the plan is another one"),
        (document(other="s"), "function was changed in the account"),
    ]:
        with pytest.raises(PlanMoved, match=reason):
            check(file, now)


def test_a_variable_that_somebody_else_set_has_no_value_and_no_hash_of_one() -> None:
    assert document(other="hunter2") == document(other="correct horse")
    assert "hunter2" not in json.dumps(document(other="hunter2"))
    assert "(withheld)" in json.dumps(document(other="hunter2"))


@pytest.mark.parametrize(
    "name, value", [("stage", "prod"), ("service", "x"), ("account", "9" * 12),
                    ("region", "eu-west-3"), ("endpoint", "local")]
)  # fmt: skip
def test_a_plan_of_another_place_is_refused(file: Path, name: str, value: str) -> None:
    with pytest.raises(PlanMoved, match=f"but this is {name} {value}"):
        check(file, document(), {**HERE, name: value})


def test_an_endpoint_is_part_of_the_place_without_its_password() -> None:
    place = place_of(SETTINGS, "http://me:secret@127.0.0.1:4566/x")
    assert place["endpoint"] == "http://127.0.0.1:4566/x"
    assert tuple(place) == PLACE


def tamper(plan: Any) -> None:
    plan["changes"] = []


def tamper_with_digest(plan: Any) -> None:
    plan["changes"] = []
    plan["digest"] = digest(plan)


def old_tool(plan: Any) -> None:
    plan["tool"] = "deployer 0.0.1"
    plan["digest"] = digest(plan)


def newer_format(plan: Any) -> None:
    plan["deployer_plan"] = FORMAT + 1


def without_a_member(plan: Any) -> None:
    del plan["resources"]


def other_resources(plan: Any) -> None:
    plan["resources"] = "none"
    plan["digest"] = digest(plan)


@pytest.mark.parametrize(
    "edit, message",
    [
        (tamper, "was changed after it was written"),
        (tamper_with_digest, "the plan is another one"),
        (old_tool, "was written by deployer 0.0.1, and this is deployer"),
        (newer_format, "was written by deployer"),
        (without_a_member, "was changed after it was written"),
        (other_resources, "function is planned now, but was not"),
    ],
)
def test_a_file_that_was_changed_is_refused_and_never_overwritten(
    file: Path, edit: Callable[[Any], None], message: str
) -> None:
    plan = json.loads(file.read_text())
    edit(plan)
    file.write_text(json.dumps(plan))
    with pytest.raises(PlanMoved, match=message):
        check(file, document())


@pytest.mark.parametrize("text", ["", "{}", "[1]", "null", '{"deployer_plan": 1', "\0", "[" * 9999])
def test_a_file_that_is_no_plan_is_refused_and_never_overwritten(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError):
        read_plan(file)
    with pytest.raises(ConfigError, match="exists and is not a plan as this command writes it"):
        write_plan(file, document())
    assert file.read_text() == text


def test_a_file_is_overwritten_only_if_it_is_an_unchanged_plan(file: Path) -> None:
    write_plan(file, document(version="2"))
    file.write_text(file.read_text().replace('"update"', '"delete"', 1))
    with pytest.raises(ConfigError, match="is left alone"):
        write_plan(file, document())
    for elsewhere in (file.parent / "none" / "plan.json", Path("/dev/null"), file.parent):
        with pytest.raises(DeployerError):
            write_plan(elsewhere, document())
    assert not (file.parent / "none").exists()
