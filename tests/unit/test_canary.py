"""Two workflows become one and are taken apart again, exactly."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deployer.engine.plan import Ref
from deployer.project.canary import CANDIDATE, CHOOSER, LIVE, Canary, compose, decompose
from deployer.project.drawing import drawing
from deployer.project.workflow import fill, functions, problems, state_names
from tests.support.projects import read_definition

Json = dict[str, Any]


MIXED: Json = {
    "TimeoutSeconds": 20,
    "StartAt": "Choose",
    "States": {
        "Choose": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.rm", "IsPresent": True, "Next": "Wait"}],
            "Default": "Each",
        },
        "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Each"},
        "Each": {
            "Type": "Map",
            "QueryLanguage": "JSONata",
            "Items": [1],
            "Iterator": {
                "StartAt": "Ask",
                "States": {"Ask": {"Type": "Task", "Resource": "${one}", "End": True}},
            },
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Failed"}],
            "End": True,
        },
        "Failed": {"Type": "Fail"},
    },
}
SHIPPED = read_definition("state_machine.json")
SOUND = {
    "shipped": SHIPPED,
    "mixed": MIXED,
    **{
        name: read_definition(f"docs/workflows/{name}.json")
        for name in ("choice", "two_stages", "map")
    },
}
PAIRS = list(itertools.product(SOUND, SOUND))
JSONATA = SOUND["map"]
THROUGH = {"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}}


def passing(name: str, **machine: Any) -> Json:
    return {"StartAt": name, "States": {name: {"Type": "Pass", "End": True}}, **machine}


def states(machine: Any) -> Iterator[Json]:
    """Yield every state, at any depth."""
    for state in machine["States"].values():
        yield state
        inner = [*state.get("Branches", ()), state.get("ItemProcessor"), state.get("Iterator")]
        for part in inner:
            if part is not None:
                yield from states(part)


# The composite.


def test_the_first_state_chooses_at_random_with_the_share_as_a_decimal_fraction() -> None:
    for percent in range(1, 100):
        composite = compose(SHIPPED, JSONATA, percent)
        chooser = composite["States"][composite["StartAt"]]
        hundredths = f"{percent:02}".rstrip("0")
        assert chooser["Choices"] == [
            {"Condition": f"{{% $random() < 0.{hundredths} %}}", "Next": "canary: Each record"}
        ]
        assert (chooser["Default"], chooser["QueryLanguage"]) == ("live: Predict", "JSONata")


@pytest.mark.parametrize("percent", [0, 100, -1, 1.0, "10", True, None])
def test_a_share_that_is_no_share_is_refused(percent: Any) -> None:
    with pytest.raises(ValueError, match="from 1 to 99, not "):
        compose(SHIPPED, JSONATA, percent)


@pytest.mark.parametrize(("live", "candidate"), PAIRS)
def test_a_composite_of_sound_workflows_is_sound_and_names_their_functions_once(
    live: str, candidate: str
) -> None:
    composite = compose(SOUND[live], SOUND[candidate], 10)
    assert list(problems(composite)) == []
    faults: list[str] = []
    names = list(functions(composite, faults))
    both = [*functions(SOUND[live], faults), *functions(SOUND[candidate], faults)]
    assert names == list(dict.fromkeys(both))
    assert faults == []


@pytest.mark.parametrize(("live", "candidate"), PAIRS)
def test_a_composite_comes_apart_after_aws_has_kept_it_as_text(live: str, candidate: str) -> None:
    """Members of an object come back in another order."""
    pair = (SOUND[live], SOUND[candidate])
    kept = json.loads(json.dumps(compose(*pair, 35), sort_keys=True))
    assert decompose(kept) == Canary(35, *pair)


def test_every_name_has_the_prefix_of_its_side_and_every_target_exists() -> None:
    composite = compose(MIXED, SHIPPED, 10)
    names = [name for name, _ in state_names(composite)]
    before = [f"{LIVE}: {name}" for name, _ in state_names(MIXED)]
    after = [f"{CANDIDATE}: {name}" for name, _ in state_names(SHIPPED)]
    assert names == [CHOOSER, *before, *after]
    each = composite["States"]["live: Each"]
    assert each["Iterator"]["StartAt"] == "live: Ask"
    assert each["Catch"][0]["Next"] == "live: Failed"
    assert composite["States"]["live: Choose"]["Choices"][0]["Next"] == "live: Wait"


def test_the_graphs_lie_side_by_side_and_change_only_in_names() -> None:
    """Sfn-36."""
    composite = compose(SHIPPED, SHIPPED, 10)
    for side in (LIVE, CANDIDATE):
        text = json.dumps(composite["States"][f"{side}: Predict"])
        assert json.loads(text.replace(f'"{side}: ', '"')) == SHIPPED["States"]["Predict"]


def test_a_picture_shows_both_graphs() -> None:
    machine = drawing(compose(SHIPPED, JSONATA, 10))
    arrows = [arrow.target for arrow in machine.arrows if arrow.source == machine.start]
    assert arrows == ["canary: Each record", "live: Predict"]


@pytest.mark.parametrize(
    ("live", "candidate", "expected"),
    [(28, 20, 28), (20, 28, 28), (28, None, None), (None, 28, None), (28, True, None)],
)
def test_the_larger_timeout_holds_for_both(live: Any, candidate: Any, expected: Any) -> None:
    def lasting(seconds: Any) -> Json:
        return {**THROUGH} if seconds is None else {**THROUGH, "TimeoutSeconds": seconds}

    pair = (lasting(live), lasting(candidate))
    composite = compose(*pair, 10)
    assert composite.get("TimeoutSeconds") == expected
    assert decompose(composite) == Canary(10, *pair)


# Query languages: Sfn-38.


def test_two_workflows_in_jsonata_make_one_in_jsonata() -> None:
    composite = compose(JSONATA, SOUND["two_stages"], 10)
    assert composite["QueryLanguage"] == "JSONata"
    said = [name for name, state in composite["States"].items() if "QueryLanguage" in state]
    assert said == [CHOOSER]


@pytest.mark.parametrize("swapped", [False, True])
def test_beside_jsonpath_every_state_in_jsonata_says_so(swapped: bool) -> None:
    pair = (SHIPPED, JSONATA)
    composite = compose(*(pair[::-1] if swapped else pair), 10)
    assert "QueryLanguage" not in composite
    languages = {
        side: {
            state.get("QueryLanguage")
            for name, outer in composite["States"].items()
            if name.startswith(side)
            for state in states({"States": {name: outer}})
        }
        for side in (LIVE, CANDIDATE)
    }
    marked, unmarked = (LIVE, CANDIDATE) if swapped else (CANDIDATE, LIVE)
    assert languages == {marked: {"JSONata"}, unmarked: {None}}


def test_a_state_that_says_jsonata_by_itself_still_does_when_taken_apart() -> None:
    explicit = copy.deepcopy(JSONATA)
    explicit["States"]["Each record"]["ItemProcessor"]["States"]["Refused"]["QueryLanguage"] = (
        "JSONata"
    )
    assert decompose(compose(SHIPPED, explicit, 10)) == Canary(10, SHIPPED, explicit)


def test_the_record_of_a_composite_does_not_depend_on_the_order_of_a_set() -> None:
    names = [f"{letter}{number}" for letter in "zyx" for number in range(9)]
    passing = {"Type": "Pass", "QueryLanguage": "JSONata", "End": True}
    machine = {
        "QueryLanguage": "JSONata",
        "StartAt": names[0],
        "States": dict.fromkeys(names, passing),
    }
    chooser = compose(SHIPPED, machine, 10)["States"][CHOOSER]
    assert json.loads(chooser["Comment"])[CANDIDATE]["explicit"] == sorted(names)


# Names.


@pytest.mark.parametrize("length", [73, 74, 75, 80, 200])
def test_a_long_name_is_shortened_to_the_limit_and_restored(length: int) -> None:
    alike = ["a" * (length - 1) + last for last in "bc"]
    machine = {
        "StartAt": alike[0],
        "States": {
            alike[0]: {"Type": "Pass", "Next": alike[1]},
            alike[1]: {"Type": "Pass", "End": True},
        },
    }
    composite = compose(machine, machine, 10)
    names = [name for name, _ in state_names(composite)]
    assert len(set(names)) == 5
    assert max(map(len, names)) <= 80
    assert composite["States"][names[1]]["Next"] == names[2]
    assert (names[1] == f"live: {alike[0]}") == (length + len("live: ") <= 80)
    assert decompose(composite) == Canary(10, machine, machine)


def test_names_that_look_like_those_of_a_composite_are_kept_apart() -> None:
    long = "x" * 80
    shortened = compose(passing(long), THROUGH, 10)["States"][CHOOSER]["Default"]
    assert shortened.startswith("live~")
    names = [
        CHOOSER,
        "live: a",
        "a",
        "canary: a",
        "live",
        shortened,
        long,
        "",
        "${Ü} " + "\ud800" * 75,
    ]
    machine = {
        "StartAt": "a",
        "States": {name: {"Type": "Pass", "Next": name} for name in names},
    }
    composite = compose(machine, machine, 10)
    assert len({name for name, _ in state_names(composite)}) == 1 + 2 * len(names)
    assert decompose(composite) == Canary(10, machine, machine)


def test_a_composite_of_a_composite_comes_apart() -> None:
    once = compose(SHIPPED, JSONATA, 10)
    assert decompose(compose(once, MIXED, 20)) == Canary(20, once, MIXED)


# Values that are no JSON.


class Opaque:
    """A value that can be neither compared nor serialised."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")


def test_values_that_are_no_json_are_handed_through() -> None:
    ref, opaque = Ref("function/one", "version_arn"), Opaque()
    candidate = fill(MIXED, {"one": ref})
    candidate["States"]["Wait"]["Seconds"] = opaque
    composite = compose(SHIPPED, candidate, 10)
    ask = composite["States"]["canary: Each"]["Iterator"]["States"]["canary: Ask"]
    assert ask["Resource"] is ref
    canary = decompose(composite)
    assert canary is not None
    assert canary.candidate["States"]["Wait"]["Seconds"] is opaque
    assert canary.live == SHIPPED


def test_neither_workflow_is_changed() -> None:
    before = copy.deepcopy((MIXED, JSONATA))
    decompose(compose(MIXED, JSONATA, 10))
    assert before == (MIXED, JSONATA)


# Any workflow.

ODD = [CHOOSER, "live", "canary: ", "live: a", "canary: a", "a", "b" * 80, "c" * 73, "d" * 300]
NAMES = st.sampled_from(ODD) | st.text(max_size=90)
LEAVES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(Ref("f", "arn")),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
FIELDS = st.dictionaries(
    st.sampled_from(["Comment", "Resource", "Parameters", "Result", "Assign", "Unknown", "End"]),
    LEAVES,
    max_size=3,
)
HEADS = st.fixed_dictionaries(
    {},
    optional={
        "Comment": st.text(max_size=9),
        "TimeoutSeconds": st.integers(1, 28),
        "QueryLanguage": st.sampled_from(["JSONata", "JSONPath"]),
        "Version": st.just("1.0"),
        "Unknown": st.lists(st.integers(), max_size=2),
    },
)


@st.composite
def machines(draw: Callable[..., Any], pool: list[str], depth: int = 3) -> Json:
    """Draw a machine whose states take their names off the pool, so that none is used twice."""
    own = [pool.pop() for _ in range(draw(st.integers(1, max(1, len(pool) - depth)))) if pool]
    target = st.sampled_from(own)
    rule = st.fixed_dictionaries({"Next": target}, optional={"Comment": LEAVES, "And": LEAVES})
    shapes = st.fixed_dictionaries(
        {},
        optional={
            "Type": st.sampled_from(["Task", "Pass", "Choice", "Map", "Parallel"]),
            "QueryLanguage": st.sampled_from(["JSONata", "JSONPath"]),
            "Next": target,
            "Default": target,
            "Choices": st.lists(rule, max_size=2),
            "Catch": st.lists(rule, max_size=2) | LEAVES,
        },
    )
    drawn = {name: {**draw(FIELDS), **draw(shapes)} for name in own}
    for state in drawn.values():
        if pool and depth and draw(st.booleans()):
            inner = draw(machines(pool, depth - 1))
            field = draw(st.sampled_from(["Branches", "ItemProcessor", "Iterator"]))
            state[field] = [inner] if field == "Branches" else inner
    return {"StartAt": draw(target), "States": drawn}


@st.composite
def workflows(draw: Callable[..., Any]) -> Json:
    names = draw(st.lists(NAMES, min_size=1, max_size=8, unique=True))
    return {**draw(HEADS), **draw(machines(list(names)))}


@given(workflows(), workflows(), st.integers(1, 99))
@example(passing(CHOOSER), passing("live: a", QueryLanguage="JSONata"), 1)
def test_any_two_workflows_come_apart_exactly(live: Json, candidate: Json, percent: int) -> None:
    composite = compose(live, candidate, percent)
    names = [name for name, _ in state_names(composite)]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 80
    assert decompose(composite) == Canary(percent, live, candidate)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container in a value with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in items:
        yield value, key
        if isinstance(member, (dict, list)):
            yield from places(member)


@given(st.data())
def test_an_edited_composite_is_exact_or_none(data: st.DataObject) -> None:
    """An edit may leave it a composite, of edited workflows."""
    live, candidate = data.draw(workflows()), data.draw(workflows())
    edited = compose(copy.deepcopy(live), copy.deepcopy(candidate), 10)
    container, key = data.draw(st.sampled_from(list(places(edited))))
    if data.draw(st.booleans()):
        del container[key]
    else:
        container[key] = data.draw(LEAVES | NAMES)
    canary = decompose(edited)
    assert canary is None or compose(canary.live, canary.candidate, canary.percent) == edited


def edited(**record: Any) -> Json:
    """Return a composite whose record was edited; a member that is None is taken out."""
    definition = compose(SHIPPED, JSONATA, 10)
    chooser = definition["States"][CHOOSER]
    kept = {**json.loads(chooser["Comment"]), **record}
    kept = {name: value for name, value in kept.items() if value is not None}
    chooser["Comment"] = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return definition


def side(**members: Any) -> Json:
    return {"head": {"StartAt": "Predict"}, "long_names": {}, "explicit": [], **members}


def with_chooser(**fields: Any) -> Json:
    definition = compose(SHIPPED, JSONATA, 10)
    definition["States"][CHOOSER].update(fields)
    return definition


def with_head(**fields: Any) -> Json:
    return {
        **compose({**THROUGH, "TimeoutSeconds": 1}, {**THROUGH, "TimeoutSeconds": 1}, 10),
        **fields,
    }


def nested(levels: int) -> Json:
    machine = passing("inner")
    for level in range(levels):
        machine = {"StartAt": f"{level}", "States": {f"{level}": {"ItemProcessor": machine}}}
    return machine


@pytest.mark.parametrize(
    "definition",
    [
        None, 5, "States", [], {}, {"States": None}, {"States": []}, {"States": {}},
        {"States": {CHOOSER: None}}, {"States": {CHOOSER: {}}},
        {"States": {CHOOSER: {"Comment": None}}}, {"States": {CHOOSER: {"Comment": "{"}}},
        {"States": {CHOOSER: {"Comment": "[" * 100_000}}},
        {"States": {CHOOSER: {"Comment": "[]"}}},
        {"States": {5: {}, CHOOSER: edited()["States"][CHOOSER]}},
        *SOUND.values(),
        edited(percent=None), edited(percent=0), edited(percent=11), edited(percent=True),
        edited(percent="10"), edited(note="mine"), edited(live=None), edited(live=[]),
        edited(live=side()), edited(live=side(head=None)), edited(live=side(head={})),
        edited(live=side(long_names=[])), edited(live=side(long_names={"live: Predict": []})),
        edited(live=side(explicit=None)), edited(live=side(more=1)),
        with_chooser(Default="live: Nowhere"), with_chooser(Output="{% 1 %}"),
        with_chooser(Choices=[]), with_chooser(Comment="tidied"), with_chooser(Type="Pass"),
        with_head(TimeoutSeconds=True), with_head(TimeoutSeconds=1.0), with_head(Comment="mine"),
        with_head(StartAt="live: a"), with_head(Version="1.0"), with_head(Unknown=Ref("a", "b")),
    ],
)  # fmt: skip
def test_a_workflow_that_is_no_composite_is_none(definition: Any) -> None:
    assert decompose(definition) is None


@pytest.mark.parametrize("name", ["mine", "live mine", "live~mine", "canary: mine"])
def test_with_a_state_that_is_neither_sides_it_is_no_composite(name: str) -> None:
    composite = compose(SHIPPED, JSONATA, 10)
    composite["States"][name] = {"Type": "Pass", "Next": "live: Predict"}
    assert decompose(composite) is None


def test_a_composite_whose_state_was_edited_is_one_of_an_edited_workflow() -> None:
    composite = compose(SHIPPED, JSONATA, 10)
    composite["States"]["live: InvalidInput"]["Error"] = "Refused"
    live = copy.deepcopy(SHIPPED)
    live["States"]["InvalidInput"]["Error"] = "Refused"
    assert decompose(composite) == Canary(10, live, JSONATA)


def test_a_composite_too_deep_for_python_is_none() -> None:
    composite = compose(SHIPPED, JSONATA, 10)
    composite["States"]["live: deep"] = {"ItemProcessor": nested(5000)}
    assert decompose(composite) is None
