"""The policy of each verb is exact: the verb runs under it, and not without any of its actions.

The calls meet what AWS checks of them (tests.support.authorization), judged by IAM's rules
(deployer.local.evaluation). moto's own enforcement knows no resources, takes a condition for a
denial, and has other names for the actions of API Gateway and Lambda, so it cannot judge these.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deployer.engine.events import Note, StepFailed
from deployer.errors import DeployerError
from deployer.project.settings import FunctionSettings, load_settings
from deployer.service import keys
from deployer.service.check import all_findings
from deployer.service.down import plan_down
from deployer.service.invoke import find_url
from deployer.service.live_picture import live_picture
from deployer.service.logs import Reader, find_sources
from deployer.service.status import read_status
from deployer.service.switching import plan_promotion, plan_rollback
from deployer.service.up import plan_up
from deployer.service.verb_policies import VERBS, policies
from tests.difficult.test_keys import KEYED, foreign_key
from tests.difficult.test_releases import without as without_model
from tests.support.authorization import Enforced
from tests.support.deployments import Service, show_plan
from tests.support.projects import ROOT
from tests.support.serial import SerialExecutor
from tests.support.thinning import WHOLE
from tests.support.wire import Account

pytestmark = pytest.mark.slow

BOUNDARY = "arn:aws:iam::aws:policy/PowerUserAccess"
LATER = timedelta(days=2)  # then what no kept release needs is deleted
ROLE = "inference-dev-us-east-1-functions"


@dataclass(frozen=True)
class Step:
    """One command on the journey.

    Args:
        changes: settings that differ from here on.
        before: what other people do to the account or to the project first.
        again: brings back what the command needs, if an attempt has done its work.
    """

    verb: str
    run: Callable[[Journey, Enforced], Any]
    changes: dict[str, Any]
    before: Callable[[Journey], Any] | None = None
    again: Callable[[Journey], Any] = lambda journey: None


class Journey:
    """A service whose every call is checked against the policy of the verb that makes it."""

    def __init__(self, account: Account, project: Path) -> None:
        self.service = Service(account, project)
        self.account = account
        self.emit = self.service.events.append
        self.used: dict[str, set[str]] = {}  # by verb

    @property
    def place(self) -> tuple[Any, ...]:
        aws = self.account.aws(later=LATER)
        return aws, self.service.settings, SerialExecutor(), self.emit

    def attempt(self, step: Step, every: int) -> Enforced:
        """Run a step under its verb's own policy.

        Args:
            every: of so many actions that the verb takes for the first time, one is taken out of
                the policy, and then the run must end there or say so.
        """
        settings = replace(self.service.settings, account="*")
        seen = self.used.setdefault(step.verb, set())
        enforced = Enforced(policies(settings, step.verb), seen, every)
        self.service.events.clear()
        self.account.troubles = [enforced]
        try:
            result = step.run(self, enforced)
        except DeployerError as error:
            if not enforced.denied:
                raise
            result = str(error)
        finally:
            self.account.troubles = ()
        enforced.said = "\n".join([str(result), *self.told()])
        return enforced

    def told(self) -> Iterator[str]:
        yield from self.service.told
        for event in self.service.events:
            if isinstance(event, StepFailed):
                yield f"{event.message} {event.advice}"

    def go(self, step: Step, every: int) -> list[str]:
        """Make a step, after attempts without single actions; return what was wrong with these."""
        self.service.overrides |= step.changes
        if step.before:
            step.before(self)
        wrong = []
        while True:
            step.again(self)
            enforced = self.attempt(step, every)
            if not enforced.denied:
                return wrong
            if enforced.taken is None:
                raise AssertionError(f"{step.verb} may not do what it needs: {enforced.denied}")
            others = {request.action for request in enforced.denied} - {enforced.taken}
            is_named = enforced.taken in enforced.said or enforced.taken in QUIET
            if others or not is_named:
                wrong.append(f"{step.verb} without {enforced.taken}: {others}, {enforced.said}")


def up(journey: Journey, enforced: Enforced, **options: Any) -> None:
    plan_up(*journey.place, **options).apply(lambda: bool(enforced.denied))


def plan(journey: Journey, enforced: Enforced) -> None:
    aws, settings, pool, emit = journey.place
    show_plan(aws, settings, pool, emit)


def check(journey: Journey, enforced: Enforced) -> list[str]:
    aws, settings, pool, emit = journey.place
    return all_findings(aws, settings, pool, emit, offline=False)


def down(journey: Journey, enforced: Enforced) -> None:
    plan_down(*journey.place).apply(lambda: bool(enforced.denied))


def invoke(journey: Journey, enforced: Enforced) -> None:
    aws, settings, *_ = journey.place
    find_url(aws, settings)


def releases(journey: Journey, enforced: Enforced) -> None:
    journey.service.releases()


def status(journey: Journey, enforced: Enforced) -> str:
    """Return why a part of the status is not known."""
    aws, settings, pool, _ = journey.place
    found = read_status(aws, settings, pool)
    return f"{found.comparison.unknown} {found.unmeasured} {found.alarms}"


def read_logs(journey: Journey, enforced: Enforced) -> None:
    """Read every group's lines; `trace` does so with one request's."""
    aws, settings, *_ = journey.place
    sources = find_sources(aws, settings)
    reader = Reader(aws, lambda text, **_: journey.service.events.append(Note(text)))
    list(reader.merged(sources.groups, sources.now - LATER))


def create_key(journey: Journey, enforced: Enforced) -> None:
    aws, settings, *_ = journey.place
    keys.create(aws, settings, "alice")


def list_keys(journey: Journey, enforced: Enforced) -> None:
    aws, settings, *_ = journey.place
    keys.list_keys(aws, settings)


def revoke_key(journey: Journey, enforced: Enforced) -> None:
    aws, settings, *_ = journey.place
    keys.revoke(aws, keys.named(aws, settings, "alice"))


def draw(journey: Journey, enforced: Enforced) -> None:
    read_logs(journey, enforced)
    aws, settings, *_ = journey.place
    live_picture(aws, settings)


def canary(journey: Journey, enforced: Enforced) -> None:
    up(journey, enforced, canary=10)


def promote(journey: Journey, enforced: Enforced) -> None:
    plan_promotion(*journey.place).apply(lambda: bool(enforced.denied))


def rollback(journey: Journey, enforced: Enforced) -> None:
    plan_rollback(*journey.place).apply(lambda: bool(enforced.denied))


def tamper(journey: Journey) -> None:
    """Change what only drift makes differ."""
    aws = journey.account.aws()
    aws.call("iam", "update_role", RoleName=ROLE, Description="other")
    aws.call("iam", "untag_role", RoleName=ROLE, TagKeys=["other"])
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}],
    }
    aws.call("iam", "update_assume_role_policy", RoleName=ROLE, PolicyDocument=json.dumps(trust))
    repository = {"repositoryName": "inference-dev"}
    aws.call("ecr", "put_image_tag_mutability", **repository, imageTagMutability="MUTABLE")
    aws.call(
        "ecr",
        "put_image_scanning_configuration",
        **repository,
        imageScanningConfiguration={"scanOnPush": False},
    )
    foreign_key(journey.account, name="mine")


def leave_more_behind(journey: Journey) -> None:
    """Add a policy to a role, and take a model out of the project that is deployed."""
    without_model(journey.service, "linear_regression")
    aws = journey.account.aws()
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}],
    }
    text = json.dumps(document)
    aws.call("iam", "put_role_policy", RoleName=ROLE, PolicyName="more", PolicyDocument=text)


def renew(journey: Journey) -> None:
    """Make another image and another file of a model, so that former ones can be deleted."""
    handler = journey.service.project / "lambda_src" / "predict.py"
    handler.write_text(f"{handler.read_text()}\n# another image\n")
    model = journey.service.project / "models" / "linear_regression.joblib"
    model.write_bytes(model.read_bytes() + b"\n")
    manifest = journey.service.project / "models" / "manifest.json"
    entries = json.loads(manifest.read_text())
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    entries["models"]["linear_regression"]["sha256"] = sha256
    manifest.write_text(json.dumps(entries))


def tamper_and_renew(journey: Journey) -> None:
    tamper(journey)
    renew(journey)


def remove_model(journey: Journey) -> None:
    without_model(journey.service, "support_vector")


def memory(number: int) -> dict[str, Any]:
    """Settings that make another version of each function, and provision one of them."""
    limits = FunctionSettings(memory_mb=1024 + number)
    ready = replace(limits, provisioned_concurrency=2, reserved_concurrency=8)
    return {"defaults": limits, "per_function": {"random_forest": ready}}


def another_release(journey: Journey) -> None:
    """Change the functions, so that each attempt makes a release and deletes what is left over."""
    limits = journey.service.settings.defaults
    larger = replace(limits, memory_mb=limits.memory_mb + 1)
    journey.service.overrides |= {"defaults": larger}


def back_to_folder(journey: Journey) -> None:
    """Make the folder's release live again, if a rollback has left it."""
    journey.service.up()


def is_canary(journey: Journey) -> bool:
    return journey.service.releases()[0].document["canary"] is not None


def without_canary(journey: Journey) -> None:
    """Take the canary away, if an attempt has made one."""
    if is_canary(journey):
        journey.service.rollback()


def back_to_canary(journey: Journey) -> None:
    """Try the folder's release as a canary again, if it has been promoted."""
    if not is_canary(journey):
        journey.service.rollback()
        journey.service.up(canary=10)


STEPS = [
    Step("plan", plan, {"keep_releases": 4}),
    Step("check", check, {}),
    Step("up", up, memory(0)),
    Step("plan", plan, {}),
    Step("check", check, {}),
    Step("invoke", invoke, {}),
    Step("up", up, {"tracing": True, "log_retention_days": None, "cors_origins": ()}),
    Step("up", up, {"alarm_email": "ops@example.com", "own_tags": {"team": "ml"}}),
    Step("check", check, {}),
    Step("plan", plan, {}),
    Step("up", up, {"alarm_email": "other@example.com", "alarm_failures": 5, "own_tags": {}}),
    Step("up", up, {"tracing": False, "permissions_boundary": BOUNDARY, "alarm_email": None}),
    Step("up", up, {"permissions_boundary": None, **KEYED, "alarm_email": "a@example.com"}),
    Step("keys", create_key, {}),
    Step("keys", list_keys, {}),
    Step("keys", revoke_key, {}),
    Step("up", up, {**memory(1), "per_function": {}}, tamper_and_renew),
    Step("up", up, {**memory(2), "auth": "none"}, renew),
    Step("releases", releases, {}),
    Step("rollback", rollback, {"keep_releases": 2}, again=back_to_folder),
    Step("up", canary, {**memory(3), "keep_releases": 4}, renew, without_canary),
    Step("promote", promote, {"keep_releases": 2}, again=back_to_canary),
    Step("plan", plan, {"api": "http"}, remove_model),
    Step("status", status, {}),
    Step("logs", read_logs, {}),
    Step("trace", read_logs, {}),
    Step("graph", draw, {}),
    Step("up", up, {}),
    Step("up", up, memory(4)),
    Step("up", up, memory(5), again=another_release),
    Step("down", down, {}, leave_more_behind),
]
# Without these, the cold starts are missing from `status`, and undeclared alarms and topics stay.
QUIET = {
    *("logs:FilterLogEvents", "sns:ListTagsForResource"),
    *("cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource"),
}
# By verb: what no step takes, and why the policy has it.
UNUSED = {
    # With a Docker engine alone; before the first write, which only the command asks.
    "up": {"ecr:GetAuthorizationToken", "states:ValidateStateMachineDefinition"},
    "down": {"apigateway:PATCH"},  # a usage plan lets go of its stages
    # Those of `plan`; `check` reads what is declared.
    "check": {"lambda:ListFunctions", "lambda:ListTags", "lambda:GetProvisionedConcurrencyConfig"},
}


def test_the_journey_runs_under_the_policies_and_stops_without_any_of_their_actions(
    account: Account, one_project: Path, tmp_path: Path
) -> None:
    """Each action must be taken, and be named when it lacks; one of 16 lacks by default."""
    shutil.copytree(one_project, tmp_path / "project")
    journey = Journey(account, tmp_path / "project")
    every = 1 if WHOLE else 16
    wrong = [line for step in STEPS for line in journey.go(step, every)]
    assert wrong == []
    settings = replace(
        load_settings(ROOT, {}, {}), account="*", region="us-east-1", permissions_boundary=None
    )
    assert set(journey.used) == set(VERBS)
    for verb, used in journey.used.items():
        granted = {
            action
            for boundary in (None, BOUNDARY)
            for email in (None, "ops@example.com")
            for document in policies(
                replace(settings, permissions_boundary=boundary, alarm_email=email), verb
            )
            for statement in document["Statement"]
            for action in statement["Action"]
        }
        assert granted - used == UNUSED.get(verb, set()), verb
