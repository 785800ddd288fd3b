"""Tests of the local AWS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployer.local import process
from deployer.project.settings import Settings
from deployer.service import declare
from tests.support.accounts import connect
from tests.support.command_line import deployer
from tests.support.interfaces import MODELS
from tests.support.models import put_models
from tests.support.projects import make_project


@pytest.fixture(autouse=True)
def warm_programs(warm: None) -> None:
    """Start the programs of commands that run in this process in a warm Python."""


@dataclass(frozen=True)
class Service:
    """A deployed project, and its URL by kind of API."""

    folder: Path
    urls: Mapping[str, str]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Service]:
    """Deploy two models with features of every type, behind both kinds of API."""
    folder = make_project(tmp_path_factory.mktemp("service") / "project", trained)
    put_models(folder, MODELS)
    url = deployer(folder, "up", "--local").out.splitlines()[-1]
    server = process.find(folder)
    assert server is not None
    settings = Settings(project=folder).located(
        account="123456789012", partition="aws", region="us-east-1"
    )
    rest = declare.rest_api(settings)
    endpoint = rest.create(connect(server), rest.fields)["endpoint"]
    yield Service(folder, {"http": url, "rest": f"{endpoint}/"})
    process.stop(folder)
