"""What runs by default, and what with TESTS=all."""

from __future__ import annotations

import pytest

from tests.support.thinning import left_out


def test_of_a_slow_test_nothing_runs_and_of_many_cases_the_first_of_so_many() -> None:
    marked = {"a.py::one": 0, **{f"a.py::many[{number}]": 3 for number in range(7)}}
    assert left_out(marked) == {"a.py::one", *(f"a.py::many[{number}]" for number in (1, 2, 4, 5))}


def test_the_order_of_the_tests_decides_nothing() -> None:
    cases = [f"a.py::many[{number}]" for number in range(5)]
    assert left_out(dict.fromkeys(reversed(cases), 2)) == {cases[1], cases[3]}


@pytest.mark.xdist_group("a group")
def test_a_group_of_tests_stays_on_one_worker(request: pytest.FixtureRequest) -> None:
    """Else each worker makes what the tests of a module share, which takes a sixth more time."""
    if not request.config.getoption("loadgroup", False):
        pytest.skip("only a worker of pytest-xdist knows groups")
    assert request.node.nodeid.endswith("@a group")
