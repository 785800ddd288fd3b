"""`invoke`: what an answer of the API says of the models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployer.service.invoke import Answer, fewest_answered


def answer(output: Any) -> Answer:
    return Answer({"status": "SUCCEEDED", "output": json.dumps(output)}, 0.1)


GOOD = {"model": "a", "predictions": [1]}
FAILED = {"model": "b", "error": "Sandbox.Timedout"}
SKIPPED = {"model": "c", "skipped": "its features are not given"}


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([[GOOD, GOOD]], (2, 2)),
        ([[GOOD, FAILED, GOOD, GOOD]], (3, 4)),
        ([[GOOD, SKIPPED]], (1, 1)),
        ([{"price": 1}], (0, 0)),
        ([7], (0, 0)),
        ([[GOOD, FAILED], [GOOD, GOOD]], (1, 2)),
    ],
)
def test_the_models_that_failed_in_any_repetition_are_counted(
    outputs: list[Any], expected: tuple[int, int]
) -> None:
    assert fewest_answered([answer(output) for output in outputs]) == expected
