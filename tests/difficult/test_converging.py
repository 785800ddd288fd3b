"""The next run completes a run that was killed after any of its calls, or that lost an answer.

The runs are `up` into an empty account, `up` with one change of each kind, `up` that moves
provisioned concurrency, and `down`. Only writing
calls are counted: a run killed after a reading call leaves the same account as one killed after the
write before it. By default every thirty-sixth writing call is tried; with TESTS=every, every one.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from deployer.errors import ReleaseUnavailable
from deployer.project.settings import FunctionSettings
from tests.support.deployments import Service
from tests.support.picture import differences, picture
from tests.support.snapshots import Snapshot
from tests.support.thinning import thinned
from tests.support.wire import Account, Answer, Call, Forward, Killed, broken, refusal

EVERY = 36
CHANGED = {
    "log_retention_days": 30,  # every log group
    "tracing": True,  # role policies, functions, workflow
    "cors_origins": (),  # API
    "burst_limit": 7,  # stage
}

KEPT_READY = {
    "defaults": FunctionSettings(provisioned_concurrency=2, reserved_concurrency=8),
    "per_function": {"support_vector": FunctionSettings(reserved_concurrency=3)},
}


@dataclass
class Dying:
    """Kill the process after its n-th writing call took effect; for n = 0, before the first."""

    after: int
    written: int = 0

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if self.written >= self.after and (call.writes or self.after):
            raise Killed
        if not call.writes:
            return None
        self.written += 1
        answer = forward(call)
        if self.written == self.after:
            raise Killed
        return answer


@dataclass
class Deaf:
    """Lose the answer to the n-th writing call after the call took effect."""

    after: int
    written: int = 0
    lost: str = ""

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if not call.writes:
            return None
        self.written += 1
        answer = forward(call)
        if self.written == self.after:
            self.lost = call.operation
            return self.lose(call)
        return answer

    def lose(self, call: Call) -> Answer:
        raise broken(call)


class Failing(Deaf):
    """Answer the n-th writing call with a 500, although it took effect."""

    def lose(self, call: Call) -> Answer:
        return refusal(call.service, "InternalError", "We encountered an internal error.", 500)


def edit_handler(project: Path) -> None:
    """Change the image and one model, in addition to the changed settings."""
    handler = project / "lambda_src" / "predict.py"
    handler.write_text(handler.read_text() + "\n# another image\n")
    model = project / "models" / "linear_regression.joblib"
    model.write_bytes(model.read_bytes() + b"\0")
    manifest = json.loads((project / "models" / "manifest.json").read_text())
    manifest["models"]["linear_regression"]["sha256"] = hashlib.sha256(
        model.read_bytes()
    ).hexdigest()
    (project / "models" / "manifest.json").write_text(json.dumps(manifest))


Scenario = tuple[Callable[[], None], Callable[[], Any]]


def once(account: Account, begin: Callable[[], Any]) -> Callable[[], None]:
    """Return a function that brings the account to where `begin` leaves it, which runs once."""
    begun: list[Snapshot] = []

    def prepare() -> None:
        if begun:
            account.restore(begun[0])
        else:
            account.reset()
            begin()
            begun.append(account.snapshot())

    return prepare


@pytest.fixture
def scenario(
    request: pytest.FixtureRequest, account: Account, one_project: Path, tmp_path: Path
) -> Scenario:
    """Return a function that puts the account where the run begins, and the run."""
    first = Service(account, one_project)
    if request.param == "first up":
        return account.reset, first.up
    if request.param == "down":
        return once(account, first.up), first.down
    folder = tmp_path / "changed"
    shutil.copytree(one_project, folder)
    edit_handler(folder)
    changed = Service(account, folder)
    changed.overrides = CHANGED
    if request.param == "provisioned up":  # every version changes, and what they hold moves
        first.overrides = KEPT_READY
        changed.overrides = {**KEPT_READY, "tracing": True}

    return once(account, first.up), changed.up


SCENARIOS = pytest.mark.parametrize(
    "scenario", ["first up", "changed up", "provisioned up", "down"], indirect=True
)


def undisturbed(account: Account, scenario: Scenario) -> tuple[Any, int]:
    """Return the picture after an undisturbed run, and how many writing calls it made."""
    prepare, run = scenario
    prepare()
    account.calls.clear()
    run()
    writes = sum(call.writes for call in account.calls)
    return picture(account.aws()), writes


_VERSION = re.compile(r"arn:aws:lambda:[^\"]+:[0-9]+(?=\")")


def live_versions(account: Account) -> set[str]:
    """Return the function versions that the workflow names; none without a workflow."""
    machines = account.aws().call("stepfunctions", "list_state_machines")["stateMachines"]
    described = (
        account.aws().call(
            "stepfunctions", "describe_state_machine", stateMachineArn=machine["stateMachineArn"]
        )
        for machine in machines
    )
    return {version for found in described for version in _VERSION.findall(found["definition"])}


def unproved(calls: Sequence[Call], live: set[str]) -> set[str]:
    """Return the versions to which calls switch the workflow without having invoked them."""
    proved = set(live)
    for call in calls:
        if call.operation == "Invoke":
            proved.add(unquote(call.url).split("/functions/")[1].partition("/")[0])
        elif call.operation in ("CreateStateMachine", "UpdateStateMachine"):
            return set(_VERSION.findall(call.json["definition"])) - proved
    return set()


@pytest.mark.slow(every=3)
@SCENARIOS
def test_a_run_killed_after_any_of_its_calls_is_completed_by_the_next(
    account: Account, scenario: Scenario
) -> None:
    prepare, run = scenario
    expected, writes = undisturbed(account, scenario)
    assert writes > 15
    for after in thinned(range(writes + 1), every=EVERY):
        prepare()
        account.troubles = [Dying(after)]
        with pytest.raises(Killed):
            run()
        account.troubles = []
        live = live_versions(account)
        account.calls.clear()
        run()
        assert unproved(account.calls, live) == set(), f"killed after call {after}"
        assert differences(picture(account.aws()), expected) == [], f"killed after call {after}"


@pytest.mark.slow(every=3)
@pytest.mark.parametrize(
    ("scenario", "trouble"),
    [
        ("first up", Deaf),
        ("changed up", Deaf),
        ("provisioned up", Deaf),
        ("down", Deaf),
        ("first up", Failing),
    ],
    indirect=["scenario"],
)
def test_a_lost_answer_changes_nothing_in_the_end(
    account: Account, scenario: Scenario, trouble: type[Deaf]
) -> None:
    """The same run ends well: no second API, integration, route or function version."""
    prepare, run = scenario
    expected, writes = undisturbed(account, scenario)
    for after in thinned(range(1, writes + 1), every=EVERY):
        prepare()
        account.troubles = [losing := trouble(after)]
        run()
        account.troubles = []
        assert losing.lost
        assert differences(picture(account.aws()), expected) == [], (
            f"lost the answer of call {after}, {losing.lost}"
        )


# Each of these is few calls, so more of them are tried by default.
EVERY_OF_FEW = 18


@dataclass
class Switching:
    """A run of a verb that switches between releases, or of `up` with what follows a switch."""

    account: Account
    project: Path
    verb: str

    def __post_init__(self) -> None:
        self.prepare = once(self.account, self.begin)

    def begin(self) -> None:
        self.up(1)
        self.up(2)
        if self.verb == "promote":
            self.up(3, canary=10)

    def run(self) -> None:
        if self.verb == "rollback":
            self.service.rollback(1, keep_releases=2)
        elif self.verb == "promote":
            with self.unless_done("is no canary"):
                self.service.promote(keep_releases=2)
        else:
            with self.unless_done("is a canary"):
                self.up(3, canary=10 if self.verb == "canary" else None)

    def end(self) -> Any:
        """Return the picture in the end. The next release deletes what a killed run left."""
        if self.verb == "pruning":
            self.up(4)
        return picture(self.account.aws())

    @property
    def service(self) -> Service:
        return Service(self.account, self.project)

    def up(self, number: int, **more: Any) -> None:
        aws = self.account.aws(later=timedelta(days=2))
        self.service.up(
            aws, defaults=FunctionSettings(memory_mb=1024 + number), keep_releases=2, **more
        )

    @contextmanager
    def unless_done(self, message: str) -> Iterator[None]:
        """Accept that a killed run had switched already."""
        try:
            yield
        except ReleaseUnavailable as error:
            assert message in error.message

    def undisturbed(self) -> tuple[Any, int]:
        """Return the picture in the end, and how many writing calls the run makes."""
        self.prepare()
        self.account.calls.clear()
        self.run()
        writes = sum(call.writes for call in self.account.calls)
        return self.end(), writes


@pytest.fixture(params=["rollback", "canary", "promote", "pruning"])
def switching(request: pytest.FixtureRequest, account: Account, one_project: Path) -> Switching:
    return Switching(account, one_project, request.param)


@pytest.mark.slow(every=4)
def test_a_switch_killed_after_any_of_its_calls_is_completed_by_the_next(
    account: Account, switching: Switching
) -> None:
    """By default, every eighteenth writing call is tried, and the last."""
    expected, writes = switching.undisturbed()
    for after in thinned(range(writes + 1), every=EVERY_OF_FEW, first=writes % EVERY_OF_FEW):
        switching.prepare()
        account.troubles = [Dying(after)]
        with pytest.raises(Killed):
            switching.run()
        account.troubles = []
        live = live_versions(account)
        account.calls.clear()
        switching.run()
        assert unproved(account.calls, live) == set(), f"killed after call {after}"
        assert differences(switching.end(), expected) == [], f"killed after call {after}"


@pytest.mark.slow(every=4)
def test_an_answer_that_is_lost_during_a_switch_changes_nothing(
    account: Account, switching: Switching
) -> None:
    """By default, every eighteenth writing call is tried, and the last."""
    expected, writes = switching.undisturbed()
    first = (writes - 1) % EVERY_OF_FEW
    for after in thinned(range(1, writes + 1), every=EVERY_OF_FEW, first=first):
        switching.prepare()
        account.troubles = [losing := Deaf(after)]
        switching.run()
        account.troubles = []
        assert losing.lost
        assert differences(switching.end(), expected) == [], (
            f"lost the answer of call {after}, {losing.lost}"
        )
