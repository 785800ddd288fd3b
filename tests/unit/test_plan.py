"""The plan as a pure function: JSON cases of desired and actual, and properties of all plans.

A case in tests/cases/plan has `desired` (a list; `moves` maps a changed field to the outputs that
then change) and `actual` (by key), optionally `undeclared`, or `delete` (a list of keys) in place
of `desired`. `plan` is the expected plan: a line per change and an indented line per field.
{"$ref": [key, output]} stands for a Ref.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.engine.differences import FieldChange
from deployer.engine.plan import (
    UNKNOWN,
    Action,
    Change,
    Desired,
    Plan,
    Ref,
    State,
    compare,
    make_plan,
    plan_deletion,
    references,
    resolutions,
    resolve,
)

CASES = sorted((Path(__file__).parent.parent / "cases" / "plan").glob("*.json"))


def with_refs(value):
    if isinstance(value, dict):
        if value.keys() == {"$ref"}:
            return Ref(*value["$ref"])
        return {name: with_refs(member) for name, member in value.items()}
    return [with_refs(item) for item in value] if isinstance(value, list) else value


def desired_from(entry):
    moves = entry.pop("moves", {})
    entry["fields"] = with_refs(entry["fields"])
    return Desired(
        **entry,
        moves=lambda changed: [
            output for name in sorted(changed) for output in moves.get(name, ())
        ],
    )


def written(value):
    """Write a value as JSON, in which true is not 1; UNKNOWN, at any depth, writes itself."""
    return json.dumps(value, sort_keys=True, default=repr).replace(f'"{UNKNOWN!r}"', repr(UNKNOWN))


def lines(plan):
    for change in plan.changes:
        yield f"{change.action.value} {change.key}"
        for field in change.fields:
            forces = " (forces replacement)" if field.forces_replace else ""
            yield f"  {field.path}: {written(field.before)} -> {written(field.after)}{forces}"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_plan_is_as_the_case_says(path):
    case = json.loads(path.read_text(encoding="utf-8"))
    actual = {
        key: None if state is None else State(**state) for key, state in case["actual"].items()
    }
    if "delete" in case:
        plan = plan_deletion(case["delete"], actual)
    else:
        plan = make_plan(map(desired_from, case["desired"]), actual, case.get("undeclared", ()))
    assert list(lines(plan)) == case["plan"], case["says"]


def test_there_are_cases():
    assert len(CASES) >= 15


def test_a_plan_sums_itself_up():
    changes = [Change(action.name.lower(), action) for action in Action]
    plan = Plan(tuple(changes))
    assert not plan.is_empty
    assert [change.key for change in plan.effective] == ["create", "update", "replace", "delete"]
    assert [change.key for change in plan.destructive] == ["replace", "delete"]
    assert [plan.count(action) for action in Action] == [1, 1, 1, 1, 1]
    assert plan.count(Action.CREATE) == 1


@pytest.mark.parametrize("changes", [(), (Change("x", Action.NOOP),)])
def test_a_plan_of_nothing_is_empty(changes):
    assert Plan(changes).is_empty
    assert Plan(changes).effective == Plan(changes).destructive == ()


@pytest.mark.parametrize(
    "path, name",
    [("memory_mb", "memory_mb"), ("environment.KEY", "environment"), ("layers[0].arn", "layers")],
)
def test_a_field_change_knows_its_top_level_field(path, name):
    assert FieldChange(path, 1, 2).name == name
    assert Change("x", Action.UPDATE, (FieldChange(path, 1, 2),)).names == {name}


def test_the_unknown_says_when_it_will_be_known():
    value: Any = UNKNOWN  # as it is in the fields of a plan, whose values have any type
    assert repr(value) == "(known after apply)"
    assert value != "(known after apply)"


def test_references_are_found_at_any_depth():
    one, two, three = Ref("a", "x"), Ref("b", "y"), Ref("c", "z")
    assert list(references({"p": one, "q": [two, {"r": (three,)}], "s": "text"})) == [
        one,
        two,
        three,
    ]


def test_resolving_replaces_references_and_nothing_else():
    value = {"p": Ref("a", "x"), "q": [1, {"r": (Ref("b", "y"), None)}], "s": True}
    assert resolve(value, lambda ref: f"{ref.key}.{ref.output}") == {
        "p": "a.x",
        "q": [1, {"r": ["b.y", None]}],
        "s": True,
    }


def test_a_reference_to_something_undeclared_or_later_is_refused():
    wanting = Desired("a", {"x": Ref("b", "id")})
    with pytest.raises(KeyError, match="b"):
        make_plan([wanting], {"a": None})
    with pytest.raises(KeyError, match="b"):
        make_plan([wanting, Desired("b", {})], {"a": None, "b": None})


def test_a_resource_that_was_not_read_is_no_absent_one():
    with pytest.raises(KeyError, match="a"):
        make_plan([Desired("a", {})], {})


def test_nothing_forces_a_replacement_of_what_is_not_there():
    (change,) = compare({"type": "EXPRESS"}, None, replace_on=["type"])
    assert change == FieldChange("type", None, "EXPRESS", forces_replace=False)


scalars = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from(["", "x", "1"]))
names = st.sampled_from(["one", "two", "three"])


def named(inner):
    """Lists whose elements have an Id each."""
    element = st.fixed_dictionaries({"Id": names}, optional={"one": inner, "two": inner})
    return st.lists(element, max_size=3, unique_by=lambda element: element["Id"])


values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3), named(inner)
    ),
    max_leaves=8,
)
fields = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


def steps(path):
    """Split a path: layers[+0].arn is ["layers", "[+0]", "arn"]."""
    return re.findall(r"\[[^]]*\]|[^.\[]+", path)


def made(value, changes):
    """Return a value with changes made: (steps to a part of it, the new part; None removes it)."""
    if [] in [path for path, _ in changes]:
        return changes[0][1]
    parts = {}
    for (step, *rest), after in changes:
        parts.setdefault(step, []).append((rest, after))
    if isinstance(value, dict):
        new = {name: made(value.get(name), part) for name, part in parts.items()}
        kept = {name: member for name, member in value.items() if name not in new}
        return kept | {name: part for name, part in new.items() if part is not None}
    return made_list(value, {step[1:-1]: part for step, part in parts.items()})


def made_list(elements, parts):
    if all(re.fullmatch(r"[+-]?\d+", step) for step in parts):
        gone = {int(step[1:]) for step in parts if step.startswith("-")}
        new = [element for number, element in enumerate(elements) if number not in gone]
        for step in sorted((step for step in parts if step[0] == "+"), key=int):
            new.insert(int(step), made(None, parts[step]))
        for step in parts:
            if step.isdigit():
                new[int(step)] = made(new[int(step)], parts[step])
        return new
    named = {element["Id"]: element for element in elements}
    order = parts.pop("*", None)
    named |= {name: made(named.get(name), part) for name, part in parts.items()}
    added = [name for name in named if name not in {element["Id"] for element in elements}]
    there = [name for name in named if name not in added and named[name] is not None]
    if order:
        there = order[0][1]
    return [named[name] for name in (*there, *added)]


def sorted_names(value):
    """Return a value whose lists of named elements are in the order of their names."""
    if isinstance(value, dict):
        return {name: sorted_names(member) for name, member in value.items()}
    if not isinstance(value, list):
        return value
    elements = [sorted_names(element) for element in value]
    named = elements and all(isinstance(element, dict) and "Id" in element for element in elements)
    return sorted(elements, key=lambda element: element["Id"]) if named else elements


@given(fields)
def test_what_is_there_as_desired_needs_nothing(desired):
    plan = make_plan(
        [Desired("x", desired, replace_on=desired.keys())],
        {"x": State(json.loads(json.dumps(desired)))},
    )
    assert plan.is_empty


@given(fields, fields)
def test_making_the_changes_that_the_plan_shows_leaves_nothing_to_change(desired, actual):
    changes = compare(desired, actual)
    world = made(actual, [(steps(change.path), change.after) for change in changes])
    assert compare(sorted_names(desired), sorted_names(world)) == ()
    undeclared = [name for name in actual if name not in desired]
    assert {name: world[name] for name in world.keys() - desired.keys()} == {
        name: actual[name] for name in undeclared
    }


@given(fields, fields)
def test_every_change_shows_a_true_before_and_a_different_after(desired, actual):
    changes = compare(desired, actual)
    assert len({change.path for change in changes}) == len(changes)
    assert all(written(change.before) != written(change.after) for change in changes)


@st.composite
def chains(draw):
    """Resources that may refer to earlier ones, with their actual states."""
    desired, actual = [], {}
    for number in range(draw(st.integers(1, 5))):
        declared = {f"f{name}": value for name, value in draw(fields).items()}
        if desired:
            for position in draw(st.lists(st.integers(0, number - 1), max_size=2, unique=True)):
                declared[f"of{position}"] = {
                    "nested": [Ref(f"r{position}", draw(st.sampled_from(["id", "version"])))]
                }
        forcing = draw(st.sampled_from([(), ("fa",), ("fb", "fc")]))
        desired.append(
            Desired(f"r{number}", declared, replace_on=forcing, moves=lambda changed: ["version"])
        )
        present = {f"f{name}": value for name, value in draw(fields).items()}
        state = State(present, {"id": f"{number}", "version": "1"})
        actual[f"r{number}"] = draw(st.sampled_from([None, state]))
    return desired, actual


class World:
    """A model of an account: it does what a plan's actions say, and nothing cleverer."""

    def __init__(self, actual):
        self.states = dict(actual)
        self.serial = 0

    def apply(self, plan, desired):
        by_key = {declared.key: declared for declared in desired}
        for change in plan.effective:
            if change.action is Action.DELETE:
                self.states[change.key] = None
            else:
                self.write(by_key[change.key], change.action)

    def write(self, desired, action):
        self.serial += 1
        resolved = resolve(desired.fields, lambda ref: self.states[ref.key].outputs[ref.output])
        old = self.states[desired.key]
        if action is Action.UPDATE:
            outputs = {**old.outputs, "version": f"new {self.serial}"}
            self.states[desired.key] = State({**old.fields, **resolved}, outputs)
        else:
            self.states[desired.key] = State(resolved, {"id": f"new {self.serial}", "version": "1"})


@given(chains())
def test_a_second_plan_after_applying_the_first_is_empty(chain):
    desired, actual = chain
    world = World(actual)
    world.apply(make_plan(desired, world.states), desired)
    assert list(lines(Plan(make_plan(desired, world.states).effective))) == []


@given(chains())
def test_planning_is_repeatable_and_changes_neither_side(chain):
    desired, actual = chain
    before = json.dumps([dict(declared.fields) for declared in desired], default=repr), repr(actual)
    assert list(lines(make_plan(desired, actual))) == list(lines(make_plan(desired, actual)))
    assert before == (
        json.dumps([dict(declared.fields) for declared in desired], default=repr),
        repr(actual),
    )


@given(chains(), st.lists(st.sampled_from(["old/a", "old/b", "old/c"]), unique=True))
def test_every_resource_has_one_change_and_deletions_come_last(chain, undeclared):
    desired, actual = chain
    plan = make_plan(desired, actual, undeclared)
    assert [change.key for change in plan.changes] == [
        declared.key for declared in desired
    ] + undeclared
    assert [change.key for change in plan.changes if change.action is Action.DELETE] == undeclared


def test_what_gets_our_tags_though_it_was_there_is_adopted():
    tags = {"deployer:service": "a"}
    desired = [Desired(key, {"tags": tags, "days": 1}) for key in ("bare", "ours", "new", "other")]
    states = {
        "bare": State({"tags": {}, "days": 1}),
        "ours": State({"tags": tags, "days": 1}),
        "new": None,
        "other": State({"tags": tags, "days": 2}),
    }
    assert [change.key for change in make_plan(desired, states).adopting] == ["bare"]


def test_refs_are_found_with_what_stands_in_their_place() -> None:
    one, two = Ref("function/a", "version_arn"), Ref("function/b", "version_arn")
    value = {"States": [{"Resource": one}, {"Next": "x"}], "Other": (two, 1), "Plain": 2}
    arns = {one: "arn:a:1", two: "arn:b:2"}
    resolved = resolve(value, lambda ref: arns[ref])
    assert list(resolutions(value, resolved)) == [(one, "arn:a:1"), (two, "arn:b:2")]
    assert list(resolutions(one, "arn:a:1")) == [(one, "arn:a:1")]
