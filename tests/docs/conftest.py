"""Tests that run the examples of the documentation."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def warm_programs(warm: None) -> None:
    """Start the programs of commands that run in this process in a warm Python."""
