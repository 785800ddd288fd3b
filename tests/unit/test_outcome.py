"""The second read: a run ends well once the account shows what was applied, and not before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deployer.aws.access import Aws
from deployer.errors import NotSettled
from deployer.service.outcome import prove
from tests.support.clock import Clock


def access(clock: Clock) -> Aws:
    return Aws(region="us-east-1", credentials=("a", "b"), clock=clock, sleep=clock.sleep)


def test_the_account_is_read_until_nothing_differs() -> None:
    """GEN-8: the first reads may be older than the last write."""
    clock = Clock()
    answers: Iterator[str] = iter(["x differs", "x differs", ""])
    prove(access(clock), lambda: next(answers))
    assert list(answers) == [] and len(clock.slept) == 2


def test_what_differs_to_the_end_is_named() -> None:
    clock = Clock()
    with pytest.raises(NotSettled, match="everything was applied, but x differs"):
        prove(access(clock), lambda: "x differs")
    assert 60 < sum(clock.slept) < 120
