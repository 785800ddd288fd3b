"""Services of 200 functions (30 by default): within AWS's request rates, no leaks of threads or
memory.
"""

from __future__ import annotations

import gc
import random
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path

import pytest

from benchmarks.project import grow
from deployer.service.up import plan_up
from tests.support.clock import Clock
from tests.support.deployments import Service, show_plan
from tests.support.thinning import WHOLE
from tests.support.troubles import Rates, Throttle, Unreliable
from tests.support.wire import Account

pytestmark = pytest.mark.slow

FUNCTIONS = 200 if WHOLE else 30


@pytest.fixture
def many(account: Account, one_project: Path, tmp_path: Path) -> Service:
    folder = tmp_path / "many"
    shutil.copytree(one_project, folder)
    grow(folder, FUNCTIONS)
    return Service(account, folder)


def test_two_hundred_functions_are_deployed_within_the_rates_that_aws_documents(
    many: Service,
) -> None:
    """Api-30, Lambda-29, Logs-12. In one thread only waiting takes time: the hardest case."""
    clock = Clock()
    many.account.troubles = [rates := Rates(clock)]
    aws = many.account.aws(clock)
    plan, outputs = many.up(aws)
    assert len(outputs["functions"]) == FUNCTIONS and len(plan.changes) > 3 * FUNCTIONS
    assert sum(rates.passed.values()) > 8 * FUNCTIONS
    assert rates.refused == {}
    made = len(many.account.calls)
    assert many.plan(aws).is_empty
    planned = many.account.calls[made:]
    assert not any(call.writes for call in planned)
    listings = sum(call.operation == "DescribeLogGroups" for call in planned)
    assert listings <= ceil(FUNCTIONS / 50) + 2, (
        "five listings a second are allowed, but each of fifty groups (Logs-12)"
    )
    assert rates.refused == {}
    many.down(aws)
    assert rates.refused == {}


def test_two_hundred_functions_survive_throttles_and_failures_without_a_leak(many: Service) -> None:
    """As many threads as a user's run has."""
    clock, chance = Clock(), random.Random(7)
    many.account.troubles = [Throttle(0.02, chance), Unreliable(0.005, chance)]
    before = set(threading.enumerate())
    with ThreadPoolExecutor(16) as pool:
        aws = many.account.aws(clock)
        plan_up(aws, many.settings, pool, lambda event: None).apply(lambda: False)
        many.account.troubles = []
        objects = []
        for _ in range(3):
            plan = show_plan(many.account.aws(clock), many.settings, pool)
            assert plan.effective == ()
            many.account.calls.clear()
            del plan
            gc.collect()
            objects.append(len(gc.get_objects()))
        assert len(set(threading.enumerate()) - before) <= 16
    assert set(threading.enumerate()) - before == set()
    assert objects[2] < objects[1] + 5 * FUNCTIONS, (
        "one plan more keeps what the one before it needed"
    )
