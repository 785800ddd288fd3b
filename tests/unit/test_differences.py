"""Lists element by element: what names an element, what moves, what only looks alike."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.engine.differences import differences

ONE, TWO, THREE = ({"Id": name, "value": name} for name in ("one", "two", "three"))
READ = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["a"]}
WRITE = {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["a"]}
DENY = {"Effect": "Deny", "Action": ["s3:*"], "Resource": ["b"]}
RETRY = {"ErrorEquals": ["a", "b"], "MaxAttempts": 1}


def found(before: Any, after: Any) -> list[tuple[str, Any, Any]]:
    return [(one.path, one.before, one.after) for one in differences("f", before, after)]


@pytest.mark.parametrize(
    "before, after, expected",
    [
        # simple elements by their longest common sequence
        (["a", "b", "c"], ["b", "c", "d"], [("f[-0]", "a", None), ("f[+2]", None, "d")]),
        (["a", "b"], ["a", "c"], [("f[1]", "b", "c")]),
        ([], ["a"], [("f[+0]", None, "a")]),
        ([1], [True], [("f[0]", 1, True)]),
        ([1, 2.0], [1.0, 2], []),
        ([None], [], [("f", [None], [])]),
        (["a", None], [None, "a"], [("f", ["a", None], [None, "a"])]),
        # named ones by their names, wherever they are
        ([ONE, TWO], [ONE, {**TWO, "value": 2}], [("f[two].value", "two", 2)]),
        ([ONE, TWO], [TWO], [("f[one]", ONE, None)]),
        ([ONE], [THREE, ONE], [("f[three]", None, THREE)]),
        ([ONE, TWO], [TWO, ONE], [("f[*]", ["one", "two"], ["two", "one"])]),
        (
            [ONE, TWO],
            [{**TWO, "value": 2}, ONE],
            [("f[two].value", "two", 2), ("f[*]", ["one", "two"], ["two", "one"])],
        ),
        ([RETRY], [{**RETRY, "MaxAttempts": 2}], [("f[a, +1].MaxAttempts", 1, 2)]),
        # a name that stands twice names nothing
        ([ONE, ONE], [ONE], [("f[-1]", ONE, None)]),
        # the order of statements with names says nothing, unless nothing else differs
        (
            [{**READ, "Sid": "x"}, {**DENY, "Sid": "y"}],
            [{**DENY, "Sid": "y"}, {**READ, "Sid": "x", "Resource": ["b"]}],
            [("f[x].Resource[0]", "a", "b")],
        ),
        (
            [{**READ, "Sid": "x"}, {**DENY, "Sid": "y"}],
            [{**DENY, "Sid": "y"}, {**READ, "Sid": "x"}],
            [("f[*]", ["x", "y"], ["y", "x"])],
        ),
        # statements without names by what they have in common
        ([READ, DENY], [DENY, WRITE], [("f[1].Action[0]", "s3:GetObject", "s3:PutObject")]),
        ([READ], [READ, DENY], [("f[+1]", None, DENY)]),
        # a member that is null is one that is absent
        ([{"a": 1, "b": None}], [{"a": 1}], []),
    ],
)
def test_a_list_differs_by_its_elements(
    before: list[Any], after: list[Any], expected: list[tuple[str, Any, Any]]
) -> None:
    assert found(before, after) == expected
    assert found(before, before) == found(after, after) == []
