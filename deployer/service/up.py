"""`up` and `plan` without a terminal: declare, read, plan; apply, prove."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from deployer.aws.access import Aws
from deployer.engine.apply import Run, plan_changes
from deployer.engine.events import Emit, Note, PlanReady, RunFinished
from deployer.engine.plan import Action, Change, Fields, Plan
from deployer.errors import AwsError, ConfigError, ForeignResource
from deployer.project.settings import Settings
from deployer.service.account import (
    WORKFLOW,
    Account,
    Live,
    Planned,
    obsolete,
    plan_against,
    read_account,
)
from deployer.service.alarms import ALARMS
from deployer.service.declare import declare
from deployer.service.examples import ask_examples, texts
from deployer.service.live import (
    note_as_seen,
    notes,
    refuse_beside_canary,
    tidy_up,
    tried,
    warn_of_another,
)
from deployer.service.outcome import Stopped, check_result, prove
from deployer.service.rehearsal import rehearse
from deployer.service.release import Release, read_release
from deployer.service.serving import guarded, remarks, settle
from deployer.service.validation import workflow_findings


@dataclass(frozen=True)
class Deployment:
    """A planned `up` of one release."""

    aws: Aws
    settings: Settings
    release: Release
    pool: Executor
    emit: Emit
    account: Account
    planned: Planned

    @property
    def plan(self) -> Plan:
        return self.planned.plan

    @property
    def outputs(self) -> dict[str, Any]:
        """The outputs for users of the service, as it is deployed now."""
        return self._outputs_for_users(self.account.outputs)

    def check_builder(self) -> None:
        """Raise BuildError for images that the builder would refuse, before anything is created."""
        new = {change.key for change in self.plan.changes if change.action is Action.CREATE}
        contexts = {key: context for key, context in self.release.contexts.items() if key in new}
        if contexts:  # most runs build nothing: do not import it then
            from deployer.images.build import check_buildable

            for context in contexts.values():
                check_buildable(self.settings.builder, context)

    def check_issuer(self) -> None:
        """Raise ConfigError if API Gateway could not use the issuer of tokens that is new to it."""
        changes = (change for change in self.plan.effective if change.key == "api")
        if self.settings.auth != "jwt" or not any(
            change.action is Action.CREATE or "authorizer" in change.names for change in changes
        ):
            return
        from deployer.service import issuer

        try:
            problem = issuer.finding(
                self.settings.jwt_issuer or "", on_aws=self.aws.endpoint is None
            )
        except issuer.Unknown as error:
            self.emit(Note(f"the issuer was not asked: {error.message}"))
            return
        if problem:
            raise ConfigError([problem], "nothing was written")

    def check_alarm_topic(self) -> None:
        """Raise ConfigError if no alarm can reach the topic that the alarms are to notify."""
        from deployer.service import alarm_topic

        if not any(change.key == ALARMS for change in self.plan.effective):
            return
        try:
            problem = alarm_topic.finding(self.aws, self.settings)
        except alarm_topic.Unknown as error:
            self.emit(Note(f"the topic was not asked: {error.message}"))
            return
        if problem and alarm_topic.is_elsewhere(self.settings):
            self.emit(Note(f"without --local, up refuses this: {problem}"))
        elif problem:
            raise ConfigError([problem], "nothing was written")

    def ask_examples(self) -> None:
        """Ask the models that change their examples here; raise ConfigError if one is not right.

        What this machine cannot tell is left to the functions themselves. Nothing is asked without
        proof.
        """
        if not self.settings.proof:
            return
        changing = {
            name
            for kind, _, name in (change.key.partition("/") for change in self.plan.effective)
            if kind in ("function", "model")
        }
        findings = ask_examples(self.settings, self.release, changing)
        if any(finding.certain for finding in findings):
            raise ConfigError(texts(findings), "nothing was written")
        for line in texts(findings):
            self.emit(Note(line))

    @contextmanager
    def workflow_validated(self) -> Iterator[None]:
        """Let Step Functions check a changed workflow during the block.

        Raises:
            ConfigError: it would refuse the workflow. It may also be that it may not be asked
                (Sfn-9); this is told.
        """
        changes = [change for change in self.plan.effective if change.key == WORKFLOW]
        if not any(
            change.action is Action.CREATE or "definition" in change.names for change in changes
        ):
            yield
            return
        (workflow,) = (one for one in self.planned.resources if one.key == WORKFLOW)
        findings = self.pool.submit(
            lambda: list(workflow_findings(self.aws, self.settings, workflow))
        )
        yield
        try:
            problems = findings.result()
        except AwsError as error:
            self.emit(Note(f"not checked: {error.message}"))
            return
        if problems:
            raise ConfigError(problems, "nothing was written")

    @property
    def notes(self) -> list[str]:
        """What the plan does not show by itself."""
        return list(notes(self.account.live, self.planned))

    @property
    def forward_from(self) -> Live | None:
        """What is live, if it went back to a former release and the plan would leave it."""
        live = self.account.live
        leaves = live is not None and live.provenance.back_to is not None
        return live if leaves and self.planned.makes_release else None

    def apply(self, stopped: Stopped) -> dict[str, Any]:
        """Apply the plan, prove the result by a second read, and return the outputs for users."""
        if self.plan.is_empty:  # and needs no proof
            self._remember(self.account.outputs)
            return self.outputs
        result = Run(self.aws, self.emit, self.pool, stopped).up(
            self.plan, self.planned.resources, self.account.actual, self.planned.undeclared
        )
        check_result(result, stopped)
        prove(self.aws, self._differences)
        self._remember(result.outputs)
        if self.planned.makes_release:
            newest = int(result.outputs[WORKFLOW].get("release", 0))
            tidy_up(self.aws, self.settings, newest, self.emit)
        outputs = self._outputs_for_users(result.outputs)
        if self.settings.api == "rest" and "api" in result.performed:
            unsettled = settle(self.aws, outputs["url"])
            if unsettled:
                self.emit(Note(unsettled))
        if "api" in result.performed:
            proved = guarded(self.aws, self.settings, outputs["url"])
            if proved:
                self.emit(Note(proved))
        self.emit(RunFinished("up", result.counts, outputs))
        return outputs

    def _remember(self, outputs: Mapping[str, Fields]) -> None:
        number = outputs.get(WORKFLOW, {}).get("release")
        if number is not None:
            note_as_seen(self.settings, number, self.emit)

    def _differences(self) -> str:
        """Plan again, and say which resources are not as they should be; "" if none."""
        resources, kept = self.planned.resources, self.planned.kept
        names = {*self.release.names, *kept}
        try:
            account = read_account(self.aws, self.settings, resources, names, self.pool)
        except ForeignResource as error:  # new tags may not be seen yet
            return error.message
        extra = obsolete(self.settings, resources, account)
        changes = plan_changes(resources, account.actual, extra).effective
        shown = ", ".join(map(_shown, changes))
        return f"this is not as it should be: {shown}" if shown else ""

    def _outputs_for_users(self, outputs: Any) -> dict[str, Any]:
        """Return URL, state machine, release and functions; None for what does not exist yet."""
        endpoint = outputs.get("api", {}).get("endpoint")
        return {
            "url": f"{endpoint}/" if endpoint else None,
            "state_machine_arn": self.settings.workflow_arn if WORKFLOW in outputs else None,
            "release": outputs.get(WORKFLOW, {}).get("release"),
            "functions": {
                name: outputs.get(f"function/{name}", {}).get("version_arn")
                for name in self.release.names
            },
        }


def plan_release(
    aws: Aws,
    settings: Settings,
    release: Release,
    pool: Executor,
    emit: Emit,
    *,
    empty: bool = False,
    canary: int | None = None,
) -> Deployment:
    """Plan the deployment of a release, and tell what to know about the live one.

    While a canary runs, the release is compared with its candidate.

    Args:
        empty: the account is known to hold nothing; it is not asked.
        canary: the share of the requests, in percent, that the release is to get at first.

    Raises:
        ConfigError: with everything that AWS would refuse of the plan's writing calls.
        ReleaseUnavailable: the release cannot be tried as a canary.
    """
    resources = declare(settings, release)
    account = (
        Account({resource.key: None for resource in resources})
        if empty
        else read_account(aws, settings, resources, release.names, pool)
    )
    live = account.live
    faced = account.serving(live.canary.candidate) if live and live.canary else account
    planned = plan_against(settings, release, faced)
    if canary is not None:
        trial = tried(live, planned, canary)
        others = f"the others stay with release {trial.number}"
        planned = plan_against(settings, release, account, trial).showing(
            planned, f"as a canary: {canary} % of the requests; {others}"
        )
    for line in notes(live, planned):
        emit(Note(line))
    written = {change.key for change in planned.plan.effective}
    problems = rehearse(
        aws, settings, [resource for resource in planned.resources if resource.key in written]
    )
    if problems:
        raise ConfigError(problems, "nothing was written")
    for line in remarks(settings, planned.plan, account.outputs):
        emit(Note(line))
    return Deployment(aws, settings, release, pool, emit, account, planned)


def plan_up(
    aws: Aws, settings: Settings, pool: Executor, emit: Emit, *, canary: int | None = None
) -> Deployment:
    """Plan the deployment of the release in the user's folder, show the plan, check the builder.

    Raises:
        ReleaseUnavailable: a canary runs.
    """
    release = read_release(settings, emit)
    deployment = plan_release(aws, settings, release, pool, emit, canary=canary)
    live = deployment.account.live
    if live is not None:
        refuse_beside_canary(live)
        warn_of_another(settings, live, emit)
    emit(PlanReady(deployment.plan))
    deployment.check_builder()
    deployment.check_issuer()
    deployment.check_alarm_topic()
    return deployment


def _shown(change: Change) -> str:
    paths = ", ".join(field.path for field in change.fields)
    return f"{change.key} ({paths or change.action.value})"
