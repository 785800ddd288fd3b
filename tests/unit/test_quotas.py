"""The quotas of API keys in the local AWS."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from deployer.local.throttling import Quotas, beginning

NOON = datetime(2026, 11, 26, 12, 30, tzinfo=timezone.utc)  # a Thursday


@pytest.mark.parametrize(
    ("period", "day"), [("DAY", (11, 26)), ("WEEK", (11, 23)), ("MONTH", (11, 1))]
)
def test_a_period_begins_at_midnight(period: str, day: tuple[int, int]) -> None:
    assert beginning(period, NOON) == datetime(2026, *day, tzinfo=timezone.utc)


def test_a_quota_is_counted_for_each_key_and_begins_anew_with_the_period() -> None:
    time = [NOON]
    quotas = Quotas(lambda: time[0])
    quota = (2, "DAY")
    assert [quotas.let_pass("a", quota) for _ in range(3)] == [True, True, False]
    assert quotas.let_pass("b", quota)
    assert quotas.let_pass("a", (3, "DAY")) and not quotas.let_pass("a", (3, "DAY"))
    time[0] = NOON.replace(day=27, hour=0)
    assert quotas.let_pass("a", quota)
    assert all(quotas.let_pass("c", None) for _ in range(5))
