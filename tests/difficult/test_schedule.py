"""Every run ends well, and in the account of an undisturbed run, under all of AWS's difficulties
at once, drawn from a seed: two seeds by default, ten with TESTS=every.
"""

from __future__ import annotations

from typing import Any

import pytest

from deployer.project.settings import FunctionSettings
from tests.support.clock import Clock
from tests.support.deployments import Service
from tests.support.picture import differences, picture
from tests.support.thinning import thinned
from tests.support.troubles import BusyFunctions, everything_at_once


def under(service: Service, seed: int) -> tuple[Any, Clock]:
    clock = Clock()
    service.account.troubles = everything_at_once(seed, clock)
    return service.account.aws(clock), clock


@pytest.mark.slow(every=2)
@pytest.mark.parametrize("seed", thinned(range(10), every=5))
def test_up_change_and_down_end_well_whatever_the_schedule(service: Service, seed: int) -> None:
    account = service.account
    limits = FunctionSettings(provisioned_concurrency=2, reserved_concurrency=8)
    service.overrides = {"per_function": {"random_forest": limits}}
    service.up()
    service.up(tracing=True, log_retention_days=30, cors_origins=())
    expected = picture(account.aws())
    account.reset()
    empty = picture(account.aws())

    aws, clock = under(service, seed)
    service.up(aws)
    service.up(aws, tracing=True, log_retention_days=30, cors_origins=())
    account.troubles = []
    assert differences(picture(account.aws()), expected) == []
    aws, clock = under(service, seed)
    service.down(aws)
    account.troubles = []
    assert differences(picture(account.aws()), empty) == []
    assert clock.now > 1005, "the schedule was no trouble at all"


def test_nothing_is_asked_of_a_function_or_version_that_is_being_prepared(
    service: Service,
) -> None:
    """Lambda-1, Lambda-2, Lambda-18: what tells its state is waited for, not tried out."""
    clock = Clock()
    busy = BusyFunctions(30, clock)
    service.account.troubles = [busy]
    aws = service.account.aws(clock)
    service.up(aws)
    service.up(aws, tracing=True)
    service.down(aws)
    assert busy.early == []
    assert clock.now > 1060, "no function was ever busy"
