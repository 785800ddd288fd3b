"""Comparing text with a golden file."""

from __future__ import annotations

from pathlib import Path

import pytest


def golden(request: pytest.FixtureRequest, path: Path, text: str) -> None:
    """Compare text with a golden file, or write the file when asked to."""
    if request.config.getoption("--regenerate"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), (
        f"differs from {path}; if intended: pytest --regenerate"
    )
