"""Exhaustive tests run a fixed part of their cases by default, and all of them with TESTS=all.

.github/workflows/tests.yml sets TESTS=all once a week. A test that thins its cases says in its
docstring how many run by default.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

WHOLE = os.environ.get("TESTS") == "all"

Case = TypeVar("Case")


def thinned(cases: Iterable[Case], every: int, first: int = 0, whole: bool = WHOLE) -> list[Case]:
    """Return one of every `every` cases, beginning with case `first`; with TESTS=all, all cases."""
    return list(cases) if whole else list(cases)[first::every]
