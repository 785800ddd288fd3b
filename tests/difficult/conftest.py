"""The difficult AWS: an account in this process, a project to deploy into it, and what its state
is.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.engine.events import Event
from deployer.images import registry
from deployer.images.context import NO_BASE
from deployer.project.settings import Settings, load_settings
from deployer.service import runs
from tests.conftest import make_project
from tests.difficult.wire import REGION, Account
from tests.unit.test_graph import SerialExecutor


@pytest.fixture(scope="session")
def one_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    environment = pytest.MonkeyPatch()
    environment.setenv("MOTO_LAMBDA_STUB_ECR", "false")  # as deployer.local.server has it
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
    """The same calls in the same order, however often a run is repeated."""
    monkeypatch.setattr(registry, "UPLOADS", 1)
    monkeypatch.setattr(Aws, "together", lambda self, *calls: [call() for call in calls])
    random.seed(0)


class Service:
    """A project of the test's own and the account it is deployed into, run step by step in one
    thread.
    """

    def __init__(self, account: Account, project: Path) -> None:
        self.account = account
        self.project = project
        self.events: list[Event] = []
        self.overrides: dict[str, Any] = {}

    @property
    def settings(self) -> Settings:
        located = load_settings(self.project, {}, {}).located(
            account="123456789012", partition="aws", region=REGION
        )
        return replace(located, base_image=NO_BASE, **self.overrides)

    def up(self, aws: Aws | None = None, **overrides: Any) -> Any:
        """Plan and apply; return the plan and the outputs."""
        plan, run = runs.prepare_up(
            aws or self.account.aws(),
            replace(self.settings, **overrides),
            SerialExecutor(),
            self.events.append,
        )
        return plan, run(lambda: False)

    def plan(self, aws: Aws | None = None, **overrides: Any) -> Any:
        settings = replace(self.settings, **overrides)
        return runs.show_plan(
            aws or self.account.aws(), settings, SerialExecutor(), self.events.append
        )[0]

    def down(self, aws: Aws | None = None, **options: Any) -> Any:
        plan, run = runs.prepare_down(
            aws or self.account.aws(),
            self.settings,
            SerialExecutor(),
            self.events.append,
            **options,
        )
        run(lambda: False)
        return plan

    @property
    def told(self) -> list[str]:
        """What the runs said they wait for, or do."""
        return [str(event.text) for event in self.events if hasattr(event, "text")]


@pytest.fixture(scope="session")
def one_project(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """A project that no test changes."""
    return make_project(tmp_path_factory.mktemp("difficult") / "project", trained)


@pytest.fixture
def service(account: Account, one_project: Path) -> Service:
    return Service(account, one_project)
