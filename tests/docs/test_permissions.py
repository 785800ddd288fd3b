"""The permissions in docs/architecture.md are those that the kinds of resource state."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest

from deployer.resources.base import Resource
from deployer.service.declare import declare
from deployer.service.permissions import KINDS, rendered, to_delete, to_read, to_write
from tests.support.projects import ROOT

PAGE = ROOT / "docs" / "architecture.md"


def test_the_section_is_the_one_that_the_kinds_render(request: pytest.FixtureRequest) -> None:
    page = PAGE.read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Permissions\n.*?(?=^## )", page, re.DOTALL | re.MULTILINE)
    if request.config.getoption("--regenerate"):
        PAGE.write_text(page.replace(section, f"{rendered()}\n"), encoding="utf-8")
        section = f"{rendered()}\n"
    assert section == f"{rendered()}\n", "if intended: pytest --regenerate"


def test_nobody_needs_an_action_that_removes_what_is_always_declared() -> None:
    removing = {"s3:DeleteBucketPolicy", "ecr:DeleteRepositoryPolicy", "ecr:DeleteLifecyclePolicy"}
    assert not removing & {*to_read(), *to_write(), *to_delete()}


def kinds(base: type[Resource] = Resource) -> Iterator[type[Resource]]:
    for kind in base.__subclasses__():
        is_ours = kind.__module__.startswith(declare.__module__.partition(".")[0])
        if is_ours and not inspect.isabstract(kind):
            yield kind
        yield from kinds(kind)


def test_every_kind_states_its_permissions() -> None:
    assert set(kinds()) == set(KINDS)
    for kind in KINDS:
        assert kind.reads and kind.writes, kind
