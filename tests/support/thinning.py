"""How much of the tests runs: the variable TESTS says it.

    unset        what is fast: what `make test` runs
    TESTS=all    also what takes long, marked `slow`: what .ci/run runs
    TESTS=every  also what is marked `weekly`, and every case of the exhaustive tests: what CI runs
                 once a week

Of a test marked `slow(every=4)`, one in four cases is not slow; `weekly(every=4)` likewise. An
exhaustive test runs a fixed part of its cases unless every case is wanted: its docstring says it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import TypeVar

LEVELS = ("", "all", "every")
_WANTED = os.environ.get("TESTS", "")
if _WANTED not in LEVELS:
    raise ValueError(f"TESTS is {_WANTED!r}; it may be all or every, or unset")
WHOLE = _WANTED == "every"
# The marks of tests that do not run.
LEFT_OUT = {"": ("slow", "weekly"), "all": ("weekly",), "every": ()}[_WANTED]

Case = TypeVar("Case")


def thinned(cases: Iterable[Case], every: int, first: int = 0, whole: bool = WHOLE) -> list[Case]:
    """Return one of every `every` cases, beginning with case `first`; all if `whole`."""
    return list(cases) if whole else list(cases)[first::every]


def left_out(marked: Mapping[str, int]) -> set[str]:
    """Return those of the tests with one of these marks that do not run.

    Args:
        marked: by a test's id: of how many cases of its function one runs; 0: none does.
    """
    functions = groupby(sorted(marked), key=lambda test: test.partition("[")[0])
    out: set[str] = set()
    for _, cases in functions:
        for number, case in enumerate(cases):
            if not marked[case] or number % marked[case]:
                out.add(case)
    return out
