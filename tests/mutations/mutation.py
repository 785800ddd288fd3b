"""What a mutation is."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Mutation(NamedTuple):
    """A text that stands once in a file, and what takes its place.

    Args:
        row: of docs/aws-behaviours.md.
        file: below deployer/, or else below the repository.
        only: an expression of pytest's -k that narrows the row's tests, for those of many cases.
    """

    row: str
    file: str
    old: str
    new: str
    only: str = ""

    def path(self, checkout: Path) -> Path:
        inside = checkout / "deployer" / self.file
        return inside if inside.is_file() else checkout / self.file
