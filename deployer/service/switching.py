"""`rollback` and `promote` without a terminal: make a workflow live that the account holds.

Neither models nor images nor git are at hand, and none is needed: a release names versions of
functions, and these name all that they serve.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from deployer.aws.access import Aws
from deployer.engine.apply import Run, plan_changes
from deployer.engine.compare import canonical_json
from deployer.engine.events import Emit, Note, PlanReady, RunFinished
from deployer.engine.plan import Plan, State
from deployer.errors import DeployerError, ReleaseUnavailable
from deployer.project.canary import Canary, decompose
from deployer.project.models import Model
from deployer.project.provenance import Provenance, caller
from deployer.project.settings import Settings
from deployer.resources.stepfunctions import Definition, Prove, StateMachine, StateMachineFields
from deployer.service.account import WORKFLOW
from deployer.service.comparison import compared
from deployer.service.contents import Contents, FunctionVersion, model_files, read_contents
from deployer.service.live import note_as_seen, tidy_up
from deployer.service.outcome import Stopped, check_result, prove
from deployer.service.ownership import ownership
from deployer.service.provisioning import free, held, provision
from deployer.service.releases import History, PublishedRelease, functions_of, read_history


@dataclass(frozen=True)
class Target:
    """The workflow that is to be live, and what its release says of itself.

    Args:
        verb: the command that makes it live.
        again: how to repeat that, whatever is live then.
    """

    verb: str
    again: str
    workflow: Mapping[str, Any]
    provenance: Provenance
    name: str


@dataclass(frozen=True)
class Switch:
    """A planned change of the live workflow.

    Args:
        holding: the versions that hold provisioned concurrency, by function.
    """

    aws: Aws
    settings: Settings
    pool: Executor
    emit: Emit
    target: Target
    machine: StateMachine
    state: State
    plan: Plan
    holding: Mapping[str, Collection[str]]

    @property
    def outputs(self) -> dict[str, Any]:
        """The outputs for users of the service, as it is deployed now."""
        return self._outputs(self.state.outputs.get("release"))

    def apply(self, stopped: Stopped) -> dict[str, Any]:
        """Prove the target's versions, switch to them, read that again; return the outputs."""
        if self.plan.is_empty:
            self._free()  # which a killed run may have left
            return self.outputs
        run = Run(self.aws, self.emit, self.pool, stopped)
        result = run.up(self.plan, [self.machine], {WORKFLOW: self.state}, ())
        check_result(result, stopped, self.target.again)
        prove(self.aws, self._difference, self.target.again)
        number = int(result.outputs[WORKFLOW]["release"])
        note_as_seen(self.settings, number, self.emit)
        self._free()
        tidy_up(self.aws, self.settings, number, self.emit)
        outputs = self._outputs(number)
        self.emit(RunFinished(self.target.verb, result.counts, outputs))
        return outputs

    def _free(self) -> None:
        live = functions_of(self.settings, self.target.workflow)
        try:
            free(self.aws, self.settings, self.holding, live)
        except DeployerError as error:  # the release is live; the next `up` frees it
            self.emit(Note(f"provisioned concurrency was not all taken away: {error.message}"))

    def _difference(self) -> str:
        live = self.machine.definition(self.aws)
        if live is not None and live.same_as(self.target.workflow):
            return ""
        return "this is not as it should be: workflow (definition)"

    def _outputs(self, number: int | None) -> dict[str, Any]:
        versions = functions_of(self.settings, self.target.workflow)
        return {
            "state_machine_arn": self.settings.workflow_arn,
            "release": number,
            "functions": {name: arns[-1] for name, arns in versions.items()},
        }


def plan_rollback(
    aws: Aws, settings: Settings, pool: Executor, emit: Emit, to: int | None = None
) -> Switch:
    """Plan the way back to a release; show what changes, and the plan.

    Args:
        to: its number; None takes a canary away, or goes back to the release before the live one.

    Raises:
        ReleaseUnavailable: there is no such release, it is a canary, or a part of it is gone.
    """
    history, state = _read(aws, settings)
    canary = decompose(history.live.workflow) if history.live and to is None else None
    if canary is not None:
        target = _without(canary, history, settings)
        return _plan_switch(aws, settings, pool, emit, history, state, target)
    release = _former(history, to)
    provenance = replace(
        release.provenance,
        by=caller(settings.caller),
        back_to=history.origin(release),
        promoted_from=None,
    )
    target = Target(
        "rollback",
        f"run python -m deployer rollback --to {release.number}",
        release.definition.workflow,
        provenance,
        f"release {release.number}",
    )
    return _plan_switch(aws, settings, pool, emit, history, state, target)


def plan_promotion(aws: Aws, settings: Settings, pool: Executor, emit: Emit) -> Switch:
    """Plan to make a canary's candidate live for every request; show what changes, and the plan.

    Raises:
        ReleaseUnavailable: no canary runs, or a part of the candidate is gone.
    """
    history, state = _read(aws, settings)
    release = history.live_release
    if release is None or release.canary is None:
        number = f"release {release.number}" if release else "the live workflow"
        raise ReleaseUnavailable(
            f"{number} is no canary, so there is nothing to promote"
            if history.live
            else "nothing is deployed, so there is nothing to promote",
            "to try a release on a part of the requests: python -m deployer up --canary 10",
        )
    provenance = replace(
        release.provenance,
        by=caller(settings.caller),
        promoted_from=release.number,
        canary=None,
        beside=None,
    )
    target = Target(
        "promote",
        "run python -m deployer promote",
        release.canary.candidate,
        provenance,
        f"the candidate of release {release.number}",
    )
    return _plan_switch(aws, settings, pool, emit, history, state, target)


def _without(canary: Canary, history: History, settings: Settings) -> Target:
    """Return the workflow that a canary lies beside; its release may be deleted already."""
    by = caller(settings.caller)
    for release in history.releases:
        if release.definition.same_as(canary.live):
            provenance = replace(release.provenance, by=by, back_to=history.origin(release))
            name = f"release {release.number}"
            break
    else:
        live = history.live_release
        beside = live.provenance.beside if live else None
        provenance = Provenance(by=by, back_to=beside)
        name = f"what release {beside} served" if beside else "the workflow without the canary"
    return Target(
        "rollback",
        "run python -m deployer rollback, unless no canary runs any more",
        canary.live,
        replace(provenance, promoted_from=None),
        name,
    )


def _former(history: History, to: int | None) -> PublishedRelease:
    """Return the release to go back to."""
    if history.live is None:
        raise ReleaseUnavailable(
            "nothing is deployed, so there is nothing to go back from",
            "to deploy: python -m deployer up",
        )
    if to is not None:
        release = history.release(to)
        if release.canary:
            raise ReleaseUnavailable(
                f"release {to} was a canary of two releases, and is none to go back to",
                "to see the others: python -m deployer releases",
            )
        return release
    live = history.live_release
    before = history.origin(live) if live else None
    for release in history.releases:
        is_earlier = before is None or release.number < before
        if (
            is_earlier
            and not release.canary
            and not release.definition.same_as(history.live.workflow)
        ):
            return release
    known = f"before {before}" if before else "yet"
    raise ReleaseUnavailable(
        f"there is no release {known} to go back to",
        "to see what there is: python -m deployer releases",
    )


def _read(aws: Aws, settings: Settings) -> tuple[History, State | None]:
    """Return the releases, and the state of the state machine; both are read at once."""
    machine = _declared(settings, {})
    history, state = aws.together(lambda: read_history(aws, settings), lambda: machine.read(aws))
    return history, state


def _plan_switch(
    aws: Aws,
    settings: Settings,
    pool: Executor,
    emit: Emit,
    history: History,
    state: State | None,
    target: Target,
) -> Switch:
    if history.live is None or state is None:  # deleted meanwhile
        raise ReleaseUnavailable("the state machine is gone", "to deploy: python -m deployer up")
    live = _faced(history.live, target)
    names = {**functions_of(settings, live), **functions_of(settings, target.workflow)}
    contents, holding = aws.together(
        lambda: read_contents(aws, settings, list(names)), lambda: held(aws, settings, names)
    )
    missing = list(contents.missing(settings, target.workflow))
    if missing:
        raise ReleaseUnavailable(
            "\n".join([f"{target.name} cannot be made live:", *(f"  {line}" for line in missing)]),
            "what was live stays live; to see the other releases: python -m deployer releases",
        )
    machine = _machine(settings, contents, target)
    faced = replace(state, fields={**state.fields, "definition": live})
    plan = plan_changes([machine], {WORKFLOW: faced})
    lines = list(compared(settings, contents, live, target.workflow))
    for line in lines or [f"{target.name} is what is live already"]:
        emit(Note(line))
    emit(PlanReady(plan))
    return Switch(aws, settings, pool, emit, target, machine, state, plan, holding)


def _faced(live: Definition, target: Target) -> Mapping[str, Any]:
    """Return the workflow with which the target is compared: of a canary, the one that goes."""
    canary = decompose(live.workflow)
    if canary is None:
        return live.workflow
    promoted = canonical_json(canary.candidate) == canonical_json(target.workflow)
    return canary.live if promoted else canary.candidate


def _machine(settings: Settings, contents: Contents, target: Target) -> StateMachine:
    """Return the state machine as the target wants it."""

    def prepare(aws: Aws, named: Mapping[str, str]) -> None:
        # A workflow may name functions of others, too.
        new = {arn: key for arn, key in named.items() if arn in contents.versions}
        if settings.proof:
            prove_versions(aws, new)
        provision(aws, settings, {arn: contents.versions[arn].name for arn in new})

    def prove_versions(aws: Aws, new: Mapping[str, str]) -> None:
        from deployer.service import proof

        models = {arn: _model(aws, settings, contents.versions[arn]) for arn in new}
        proof.prove(aws, settings, {arn: model for arn, model in models.items() if model})

    fields = {"definition": target.workflow, "published": True}
    return _declared(settings, fields, prepare, target.provenance.to_text)


def _declared(
    settings: Settings,
    fields: Mapping[str, Any],
    prepare: Prove | None = None,
    describe: Callable[[], str] = lambda: "",
) -> StateMachine:
    return StateMachine(
        WORKFLOW,
        arn=settings.workflow_arn,
        ours=ownership(settings),
        fields=cast(StateMachineFields, fields),
        describe=describe,
        prove=prepare,
    )


def _model(aws: Aws, settings: Settings, version: FunctionVersion) -> Model | None:
    """Return the model of a version, as far as its signature in the bucket tells; None without.

    The signature has no example: a record is made of its features, and the answer is not compared.
    """
    environment = version.environment
    if not {"KEY", "SHA256", "SIGNATURE_KEY"} <= environment.keys():
        return None
    signature = model_files(settings, version.name).content(aws, environment["SIGNATURE_KEY"])
    entry = json.loads(signature)
    return Model(version.name, Path(environment["KEY"]), environment["SHA256"], entry, {}, {})
