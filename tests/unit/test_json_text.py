"""Edits of JSON text change what they name, and no other character."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.project.json_text import cut, put, span
from tests.support.projects import ROOT

WORKFLOW = (ROOT / "state_machine.json").read_text()
BRANCHES = ["States", "Predict", "Branches"]


def test_what_is_put_in_and_cut_out_again_leaves_the_text_as_it_was() -> None:
    branch = json.loads(WORKFLOW)["States"]["Predict"]["Branches"][0]
    longer = put(WORKFLOW, [*BRANCHES, 3], branch)
    assert longer == json.dumps(json.loads(longer), indent=2) + "\n"  # as the rest is formatted
    assert json.loads(longer)["States"]["Predict"]["Branches"][3] == branch
    assert cut(longer, [*BRANCHES, 3]) == WORKFLOW
    first = cut(WORKFLOW, [*BRANCHES, 0])
    assert first == json.dumps(json.loads(first), indent=2) + "\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": {}}', '{"a": {"b": [1]}}'),
        ('{"a":{"x":1}}\n', '{"a":{"x":1, "b": [1]}}\n'),
        ('{"a": {"b": 2, "c": 3}}', '{"a": {"b": [1], "c": 3}}'),
        ('{\r\n\t"a": {}\r\n}', '{\r\n\t"a": {\r\n\t\t"b": [\r\n\t\t\t1\r\n\t\t]\r\n\t}\r\n}'),
        ('\ufeff{"a" : {"é": 1}}', '\ufeff{"a" : {"é": 1, "b": [1]}}'),
    ],
)
def test_a_text_keeps_its_own_format(text: str, expected: str) -> None:
    assert put(text, ["a", "b"], [1]) == expected


def test_a_path_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        span('{"a": 1}', ["b"])
    with pytest.raises(KeyError):
        span('{"a": 1}', ["a", "b"])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=3), VALUES, max_size=4),
    st.text(max_size=3),
    VALUES,
    st.sampled_from([None, 2, "\t"]),
)
def test_edits_mean_what_they_say(
    document: dict[str, Any], name: str, value: Any, indent: int | str | None
) -> None:
    text = json.dumps(document, indent=indent)
    changed = put(text, [name], value)
    assert json.loads(changed) == {**document, name: value}
    assert list(json.loads(changed)) == list({**document, name: None})
    shorter = copy.copy(json.loads(changed))
    del shorter[name]
    assert json.loads(cut(changed, [name])) == shorter
