"""How much of the tests runs: the variable TESTS says it.

    unset        what is fast: what `make test` runs
    TESTS=all    also what takes long, marked `slow`: what .ci/run runs
    TESTS=every  also every case of the exhaustive tests: what CI runs once a week

An exhaustive test runs a fixed part of its cases unless all are wanted; its docstring tells.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

LEVELS = ("", "all", "every")
LEVEL = LEVELS.index(os.environ.get("TESTS", ""))
ALL = LEVEL >= 1
WHOLE = LEVEL >= 2

Case = TypeVar("Case")


def thinned(cases: Iterable[Case], every: int, first: int = 0, whole: bool = WHOLE) -> list[Case]:
    """Return one of every `every` cases, beginning with case `first`; all if `whole`."""
    return list(cases) if whole else list(cases)[first::every]
