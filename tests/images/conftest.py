"""A small build context, and ways to change it."""

from __future__ import annotations

import pytest

from deployer.images.context import NO_BASE, Context
from tests.support.contexts import make_folder


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "source")


@pytest.fixture
def context(folder):
    return Context(folder, NO_BASE, "x86_64")
