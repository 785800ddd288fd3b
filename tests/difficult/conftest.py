"""The difficult AWS: an account in this process, and a project to deploy into it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.images import ecr
from tests.support.deployments import Service
from tests.support.projects import make_project
from tests.support.wire import Account


@pytest.fixture(scope="session")
def one_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    environment = pytest.MonkeyPatch()
    for name in ("MOTO_LAMBDA_STUB_ECR", "MOTO_DISABLE_GLOBAL_CORS", "MOTO_PORT"):
        environment.setenv(name, "")  # the local AWS sets them; at the end they go
    account = Account(tmp_path_factory.mktemp("difficult"))
    yield account
    account.close()
    environment.undo()


@pytest.fixture
def account(one_account: Account) -> Account:
    one_account.reset()
    return one_account


@pytest.fixture(autouse=True)
def predictable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the same calls in the same order in every run."""
    monkeypatch.setattr(ecr, "UPLOADS", 1)
    random.seed(0)


@pytest.fixture(scope="session")
def one_project(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """A project that no test changes.

    It has no verify.py: comparing predictions takes `check` seconds, and has tests of its own.
    """
    project = make_project(tmp_path_factory.mktemp("difficult") / "project", trained)
    (project / "lambda_src" / "verify.py").unlink()
    return project


@pytest.fixture
def service(account: Account, one_project: Path) -> Service:
    return Service(account, one_project)
