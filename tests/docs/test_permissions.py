"""docs/permissions.md is true, and every kind of resource states what it needs."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.project.template import copy_template
from deployer.resources.base import Resource
from deployer.service.declare import declare
from deployer.service.permissions import KINDS, ROLES, to_delete, to_read, to_write
from tests.support.command_line import deployer
from tests.support.projects import ROOT

PAGE = (ROOT / "docs" / "permissions.md").read_text(encoding="utf-8")
SHOWN = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", PAGE, re.M | re.S)]
COMMANDS = re.findall(r"^python -m deployer (policy .*?)(?: > .*)?$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("permissions") / "project"
    copy_template(folder)
    return folder


def test_the_commands_print_the_documents_on_the_page(project: Path) -> None:
    invoke, plan, first, second, trust, policy = (
        json.loads(deployer(project, *shlex.split(command)).out) for command in COMMANDS
    )
    assert [invoke, trust] == SHOWN
    assert plan == policy and "inference-dev-123456789012-eu-central-1" in json.dumps(plan)
    assert first["Statement"] and second["Statement"] and first != second


def test_the_table_of_roles_is_that_of_the_code() -> None:
    table = PAGE.partition("## The roles of the service")[2]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(ROLES)


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
