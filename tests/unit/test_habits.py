"""How often the code switches a tool off, and that each place says why."""

from __future__ import annotations

import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.support.projects import ROOT

FOLDERS = ("deployer", "lambda_src", "tests", "benchmarks", "docs", "examples")
# At most this many of each kind. Lower a number when its kind becomes rarer; think twice before
# raising one.
BUDGET = {
    "noqa: B009": 1,
    "noqa: E731": 1,
    "noqa: F401": 6,
    "noqa: PTH109": 1,
    "noqa: SIM115": 1,
    "type: ignore[arg-type]": 4,
    "type: ignore[assignment]": 2,
    "type: ignore[attr-defined]": 4,
    "type: ignore[import-untyped]": 7,
    "type: ignore[index]": 1,
    "type: ignore[misc]": 7,
    "type: ignore[no-any-return]": 2,
    "type: ignore[union-attr]": 2,
}
UNEXPLAINED = 23  # to become 0

SWITCHED_OFF = re.compile(r"(type: ignore\[[\w, -]+\]|noqa: \w+|type: ignore|noqa)(.*)")


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number, text) of every comment."""
    with path.open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def switched_off() -> Iterator[tuple[str, str, bool]]:
    """Yield (kind, place, explained) of every comment that switches a tool off.

    An explanation stands behind it, or in a comment that ends on the line above.
    """
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    for path in [ROOT / "train.py", *paths]:
        seen = dict(comments(path))
        for number, text in seen.items():
            match = SWITCHED_OFF.search(text)
            if match:
                explained = bool(re.search(r"\w", match[2])) or number - 1 in seen
                yield match[1], f"{path.relative_to(ROOT)}:{number}", explained


def test_tools_are_switched_off_no_more_often_than_the_budget_says() -> None:
    counts = Counter(kind for kind, _, _ in switched_off())
    over = {kind: count for kind, count in counts.items() if count > BUDGET.get(kind, 0)}
    assert over == {}, "mend the code, or raise BUDGET with a good reason"


def test_every_place_says_why() -> None:
    unexplained = [place for _, place, explained in switched_off() if not explained]
    assert len(unexplained) <= UNEXPLAINED, unexplained
