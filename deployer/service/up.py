"""`up` and `plan` without a terminal: declare, read, plan; apply, prove."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from deployer.aws.access import Aws
from deployer.engine.apply import Actual, Run, RunResult, find_all, plan_changes, read_all
from deployer.engine.events import Emit, Note, PlanReady, RunFinished
from deployer.engine.plan import Action, Change, Fields, Plan
from deployer.errors import AwsError, ConfigError, ForeignResource
from deployer.project.settings import Settings
from deployer.resources.base import Owned, Resource
from deployer.service.declare import declare
from deployer.service.examples import ask_examples, texts
from deployer.service.inventory import find_functions, undeclared
from deployer.service.outcome import Stopped, check_result, prove
from deployer.service.pruning import prune
from deployer.service.rehearsal import rehearse
from deployer.service.release import Release, read_release
from deployer.service.validation import workflow_findings


@dataclass(frozen=True)
class Account:
    """The state of a service in its account: of declared resources, and of undeclared functions."""

    actual: Actual
    undeclared: Sequence[Owned] = ()

    @property
    def outputs(self) -> dict[str, Fields]:
        """The outputs of the resources that exist, by key."""
        return {key: state.outputs for key, state in self.actual.items() if state is not None}


@dataclass(frozen=True)
class Deployment:
    """A planned `up` of one release."""

    aws: Aws
    settings: Settings
    release: Release
    pool: Executor
    emit: Emit
    resources: Sequence[Resource]
    account: Account
    plan: Plan

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
        changes = [change for change in self.plan.effective if change.key == "workflow"]
        if not any(
            change.action is Action.CREATE or "definition" in change.names for change in changes
        ):
            yield
            return
        findings = self.pool.submit(
            lambda: list(workflow_findings(self.aws, self.settings, self.release))
        )
        yield
        try:
            problems = findings.result()
        except AwsError as error:
            self.emit(Note(f"not checked: {error.message}"))
            return
        if problems:
            raise ConfigError(problems, "nothing was written")

    def apply(self, stopped: Stopped) -> dict[str, Any]:
        """Apply the plan, prove the result by a second read, and return the outputs for users."""
        if self.plan.is_empty:  # and needs no proof
            return self.outputs
        started = time.monotonic()
        result = Run(self.aws, self.emit, self.pool, stopped).up(
            self.plan, self.resources, self.account.actual, self.account.undeclared
        )
        check_result(result, stopped)
        prove(self.aws, self._differences)
        self._prune(result)
        outputs = self._outputs_for_users(result.outputs)
        self.emit(RunFinished("up", result.counts, time.monotonic() - started, outputs))
        return outputs

    def _prune(self, result: RunResult) -> None:
        try:
            prune(self.aws, self.resources, result, self.pool)
        except AwsError as error:  # the service is deployed; the next change tries again
            self.emit(Note(f"old versions of functions were not deleted: {error.message}"))

    def _differences(self) -> str:
        """Plan again, and say which resources are not as they should be; "" if none."""
        try:
            account = _read(self.aws, self.settings, self.resources, self.release, self.pool)
        except ForeignResource as error:  # new tags may not be seen yet
            return error.message
        changes = plan_changes(self.resources, account.actual, account.undeclared).effective
        shown = ", ".join(map(_shown, changes))
        return f"this is not as it should be: {shown}" if shown else ""

    def _outputs_for_users(self, outputs: Any) -> dict[str, Any]:
        """Return URL, state machine and functions; None for those that do not exist yet."""
        endpoint = outputs.get("api", {}).get("endpoint")
        return {
            "url": f"{endpoint}/" if endpoint else None,
            "state_machine_arn": self.settings.workflow_arn if "workflow" in outputs else None,
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
) -> Deployment:
    """Plan the deployment of a release.

    Args:
        empty: the account is known to hold nothing; it is not asked.

    Raises:
        ConfigError: with everything that AWS would refuse of the plan's writing calls.
    """
    resources = declare(settings, release)
    account = (
        Account({resource.key: None for resource in resources})
        if empty
        else _read(aws, settings, resources, release, pool)
    )
    plan = plan_changes(resources, account.actual, account.undeclared)
    written = {change.key for change in plan.effective}
    problems = rehearse(
        aws, settings, [resource for resource in resources if resource.key in written]
    )
    if problems:
        raise ConfigError(problems, "nothing was written")
    return Deployment(aws, settings, release, pool, emit, resources, account, plan)


def plan_up(aws: Aws, settings: Settings, pool: Executor, emit: Emit) -> Deployment:
    """Plan the deployment of the release in the user's folder, show the plan, check the builder."""
    deployment = plan_release(aws, settings, read_release(settings, emit), pool, emit)
    emit(PlanReady(deployment.plan))
    deployment.check_builder()
    return deployment


def _shown(change: Change) -> str:
    paths = ", ".join(field.path for field in change.fields)
    return f"{change.key} ({paths or change.action.value})"


def _read(
    aws: Aws, settings: Settings, resources: Sequence[Resource], release: Release, pool: Executor
) -> Account:
    """Read the declared resources, and those of functions that exist beside them."""
    aws = aws.remembering()
    others = find_functions(aws, settings, pool, release.names)
    actual = read_all(aws, resources, pool)
    extra = undeclared(settings, others())
    return Account({**actual, **find_all(aws, extra, pool)}, extra)
