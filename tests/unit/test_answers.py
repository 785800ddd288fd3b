"""Answers are compared with those of the training: labels exactly, numbers to a tolerance."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.project.answers import HERE, THERE, difference, refuses_values


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ({"predictions": [1.0]}, {"predictions": [1.0 + 1e-8]}),
        ({"predictions": [1.0, 1e9]}, {"predictions": [1.0001, 1e9]}),
        ({"predictions": [[1e9, 0.011]]}, {"predictions": [[1e9 + 10, 0.011]]}),
        ({"predictions": ["no"]}, {"predictions": ["no"], "more": 1}),
        ({"predictions": [1]}, {"predictions": [1.0]}),
        ({"probabilities": [[1.0, 1e-12]]}, {"probabilities": [[1.0, 2e-12]]}),
        ({"predictions": [[["a"]]]}, {"predictions": [[["a"]]]}),
    ],
)
def test_the_same(expected: dict[str, Any], answer: dict[str, Any]) -> None:
    assert difference(answer, expected, 1, THERE) is None


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ({"predictions": [1.0]}, {"predictions": [1.0 + 1e-5]}),
        ({"predictions": [5_000_000_002]}, {"predictions": [5_000_000_001]}),
        ({"predictions": [[1e9, 7.0]]}, {"predictions": [[1e9, 0.011]]}),
        ({"predictions": [2e9]}, {"predictions": [2e9 + 1], "classes": [1e9, 2e9]}),
        ({"predictions": ["no"]}, {"predictions": ["yes"]}),
        ({"predictions": [True]}, {"predictions": [1]}),
        ({"predictions": ["1"]}, {"predictions": [1]}),
        ({"predictions": [1.0]}, {"predictions": [1.0, 1.0]}),
        ({"predictions": [[1.0, 2.0]]}, {"predictions": [[1.0]]}),
        ({"predictions": [[1.0]]}, {"predictions": [1.0]}),
        ({"predictions": [1.0]}, {"transformed": [[1.0]]}),
        ({"predictions": [1.0]}, None),
        (None, {"model": "a", "skipped": "no"}),
        (None, {"predictions": []}),
    ],
)
def test_not_the_same(expected: dict[str, Any] | None, answer: Any) -> None:
    assert difference(answer, expected, 1, THERE) is not None


def test_here_it_is_closer() -> None:
    assert difference({"predictions": [1.0 + 1e-8]}, {"predictions": [1.0]}, 1, HERE)


def test_only_categories_excuse_a_made_record() -> None:
    assert refuses_values("InvalidInput", "town: unknown category ''; known are 'Ulm'")
    assert refuses_values("ValueError", "Found unknown categories [''] in column 0")
    assert not refuses_values("ValueError", "operands could not be broadcast together")
    assert not refuses_values("KeyError", "''")
