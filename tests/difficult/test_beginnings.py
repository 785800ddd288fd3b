"""To the runs that follow, a repeated `up` (tests/support/beginnings.py) is one that was made."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployer.project.settings import FunctionSettings
from tests.support.deployments import Service
from tests.support.picture import differences, picture
from tests.support.wire import Account

SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "REST API": {"api": "rest"},
    "kept ready": {"defaults": FunctionSettings(provisioned_concurrency=2)},
}


@dataclass
class Seen:
    """What a run asked and told, and the account and the folder after it."""

    calls: list[tuple[str, str]]
    told: list[str]
    account: dict[str, Any]
    files: dict[str, bytes]


class Watched(Service):
    """Counts the runs that were made."""

    made = 0

    def whole_up(self, *args: Any, **options: Any) -> Any:
        self.made += 1
        return super().whole_up(*args, **options)


class Story:
    """A service's runs from the first `up` to `down`, in a new account and a new folder."""

    def __init__(self, account: Account, project: Path, folder: Path) -> None:
        account.reset()
        shutil.copytree(project, folder, ignore=shutil.ignore_patterns(".deployer"))
        self.service = Watched(account, folder)

    def seen(self) -> Seen:
        """Return what happened since this was called last."""
        calls, told = self.service.account.calls, self.service.told
        self.service.account.calls, self.service.events = [], []
        found = picture(self.service.account.aws())
        self.service.account.calls = []
        state = self.service.project / ".deployer"
        files = {path.name: path.read_bytes() for path in state.rglob("*") if path.is_file()}
        return Seen([(call.service, call.operation) for call in calls], told, found, files)

    def rest(self, settings: dict[str, Any]) -> list[Seen]:
        """Change, go back, and delete everything."""
        seen = []
        assert not self.service.plan(**settings).is_empty
        seen.append(self.seen())
        self.service.up(**settings, tracing=True, log_retention_days=30)
        seen.append(self.seen())
        self.service.rollback(**settings)
        seen.append(self.seen())
        self.service.down()
        seen.append(self.seen())
        return seen


@pytest.mark.weekly(every=3)
@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=list(SETTINGS))
def test_runs_after_repeated_ones_do_what_they_do_after_those_that_were_made(
    account: Account, one_project: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    account.beginnings.clear()
    stories = []
    for name in ("made", "repeated"):
        story = Story(account, one_project, tmp_path / name)
        chance = random.getstate()
        story.service.up(**settings)
        story.service.up(**settings, burst_limit=7)
        assert random.getstate() == chance
        assert story.service.made == (2 if name == "made" else 0)
        stories.append([story.seen(), *story.rest(settings)])
    made, repeated = stories
    assert made[0].files and len(made[0].calls) > 100
    for one, other in zip(made, repeated, strict=True):
        assert other.calls == one.calls and other.told == one.told and other.files == one.files
        assert differences(other.account, one.account) == []


@pytest.mark.slow
def test_an_up_is_repeated_from_copies(account: Account, one_project: Path) -> None:
    """What a test does to the account afterwards is no part of the next one's beginning."""
    for _ in range(3):
        account.reset()
        service = Service(account, one_project)
        plan, outputs = service.up()
        assert not plan.is_empty and service.plan().is_empty
        outputs.clear()
        service.up(tracing=True)
        account.aws().call("s3", "delete_bucket_policy", Bucket=service.settings.bucket)
        assert not service.plan().is_empty


@pytest.mark.slow
def test_an_up_under_other_circumstances_is_made(
    account: Account, one_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "project"
    shutil.copytree(one_project, other)
    (other / "lambda_src" / "more.py").write_text("")
    Service(account, one_project).up()

    def is_made(project: Path = one_project) -> bool:
        service = Watched(account, project)
        service.up()
        account.reset()
        return service.made == 1

    account.reset()
    assert not is_made()
    assert is_made(other)
    account.aws().call("s3", "list_buckets")
    assert is_made()
    account.troubles = [lambda call, forward: None]
    assert is_made()
    service = Watched(account, one_project)
    account.functions = lambda call: service._invoked(call)  # as a test that answers otherwise
    service.up()
    account.reset()
    assert service.made == 1
    monkeypatch.setenv("GITHUB_SHA", "0" * 40)
    assert is_made()
    Service(account, one_project).up()
    account.aws().call("s3", "list_buckets")
    assert is_made()
