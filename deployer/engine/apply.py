"""The two walks of a run: read every resource, perform every change. Emits events; prints nothing,
decides nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from deployer.aws.access import Aws
from deployer.engine.events import (
    Emit,
    StepFailed,
    StepFinished,
    StepProgress,
    StepSkipped,
    StepStarted,
)
from deployer.engine.graph import Fate, Needs, Outcome, in_order, reverse, walk
from deployer.engine.plan import (
    Action,
    Change,
    Fields,
    Plan,
    State,
    compare,
    make_plan,
    plan_deletion,
    resolve,
)
from deployer.errors import AwsError, DeployerError, ForeignResource
from deployer.resources.base import Resource

Actual = dict[str, "State | None"]
_DONE = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.REPLACE: "replaced",
    Action.DELETE: "deleted",
}


@dataclass(frozen=True)
class RunResult:
    """How applying a plan ended, by resource.

    `outputs`: of the resources that are in place. `performed`: what was done. `idle`: what needed
        nothing.
    """

    outcomes: Mapping[str, Outcome]
    outputs: Mapping[str, Fields] = field(default_factory=dict)
    performed: Mapping[str, Action] = field(default_factory=dict)
    idle: Collection[str] = ()

    @property
    def succeeded(self) -> bool:
        return all(outcome.fate is Fate.DONE for outcome in self.outcomes.values())

    @property
    def counts(self) -> dict[str, int]:
        """How many resources were created, updated, replaced, deleted, failed, skipped; not what
        needed nothing.
        """
        done = {
            name: sum(each is action for each in self.performed.values())
            for action, name in _DONE.items()
        }
        fates = [outcome.fate for key, outcome in self.outcomes.items() if key not in self.idle]
        return {**done, "failed": fates.count(Fate.FAILED), "skipped": fates.count(Fate.SKIPPED)}


def read_all(
    aws: Aws,
    resources: Iterable[Resource],
    executor: Executor,
    refused: dict[str, ForeignResource] | None = None,
    *,
    only_find: bool = False,
) -> Actual:
    """Read every resource at once; names are derived, so no read waits for another.

    Args:
        only_find: whether it is enough to know which are there and ours.
        refused: gets what is not ours, by key; for us it is then not there. Without it, what is not
            ours is an error.

    Raises:
        ForeignResource: with every resource that is not ours, by name.
        DeployerError: the first other failure, saying which resource it concerns.
    """
    futures = {
        resource.key: executor.submit(resource.find if only_find else resource.read, aws)
        for resource in resources
    }
    actual: Actual = {}
    foreign: list[ForeignResource] = []
    failures: dict[str, DeployerError] = {}
    for key, future in futures.items():
        try:
            actual[key] = future.result()
        except ForeignResource as error:
            foreign.append(error)
            actual[key] = None
            if refused is not None:
                refused[key] = error
        except DeployerError as error:
            failures[key] = error
    # Before failures, which may follow from it: what is in another account's bucket cannot be read
    # either.
    if foreign and refused is None:
        raise ForeignResource("\n".join(each.message for each in foreign), foreign[0].advice)
    if (
        failures
    ):  # only the first is touched: several keys may have failed by one and the same error
        key, failure = next(iter(failures.items()))
        failure.message = f"failed to read {key}: {failure.message}"
        raise failure
    return actual


def needs_of(resources: Iterable[Resource]) -> dict[str, tuple[str, ...]]:
    return {resource.key: resource.needs for resource in resources}


def plan_changes(
    resources: Sequence[Resource], actual: Actual, undeclared: Sequence[Resource] = ()
) -> Plan:
    """Plan what `up` does; of what is undeclared, only what exists."""
    by_key = {resource.key: resource for resource in resources}
    order = in_order(needs_of(resources))
    existing = [resource.key for resource in undeclared if actual[resource.key] is not None]
    plan = make_plan((by_key[key].desired() for key in order), actual, existing)
    if all(state is None for state in actual.values()):  # a first deploy makes everything anew
        return plan
    return Plan(tuple(_noted(change, by_key.get(change.key)) for change in plan.changes))


def _idle(plan: Plan) -> set[str]:
    return {change.key for change in plan.changes if change.action is Action.NOOP}


def _noted(change: Change, resource: Resource | None) -> Change:
    anew = change.action in (Action.CREATE, Action.REPLACE)
    return replace(change, note=resource.anew) if resource and anew else change


def plan_teardown(resources: Sequence[Resource], actual: Actual) -> Plan:
    """Plan what `down` does: whatever exists, users before what they use."""
    return plan_deletion(reversed(in_order(needs_of(resources))), actual)


@dataclass
class Run:
    """One application of a plan.

    `stopped` is asked before each step; once it is true, nothing new begins.
    """

    aws: Aws
    emit: Emit
    executor: Executor
    stopped: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.monotonic
    _outputs: dict[str, Fields] = field(default_factory=dict)
    _performed: dict[str, Action] = field(default_factory=dict)

    def up(
        self,
        plan: Plan,
        resources: Sequence[Resource],
        actual: Actual,
        undeclared: Sequence[Resource],
    ) -> RunResult:
        """Create, update and replace along the graph; then, if all went well, delete what is
        undeclared.
        """
        changes = {change.key: change for change in plan.changes}
        by_key = {resource.key: resource for resource in resources}
        needs = needs_of(resources)

        def visit(key: str) -> None:
            self._settle(by_key[key], changes[key], actual[key])

        outcomes = self._walk(needs, visit, changes)
        doomed = [resource for resource in undeclared if changes.get(resource.key) is not None]
        failed = next(
            (key for key, outcome in outcomes.items() if outcome.fate is not Fate.DONE), None
        )
        if failed is None:
            outcomes |= self._delete_in_turn(doomed, changes)
        else:
            outcomes |= {
                resource.key: self._skip(changes[resource.key], failed) for resource in doomed
            }
        return RunResult(outcomes, self._outputs, self._performed, _idle(plan))

    def down(self, plan: Plan, resources: Sequence[Resource]) -> RunResult:
        """Delete along the reversed graph."""
        changes = {change.key: change for change in plan.changes}
        by_key = {resource.key: resource for resource in resources}

        def visit(key: str) -> None:
            if changes[key].action is Action.DELETE:
                self._step(changes[key], lambda: by_key[key].delete(self._aws(key)))

        outcomes = self._walk(reverse(needs_of(resources)), visit, changes)
        return RunResult(outcomes, performed=self._performed, idle=_idle(plan))

    def _delete_in_turn(
        self, doomed: Sequence[Resource], changes: Mapping[str, Change]
    ) -> dict[str, Outcome]:
        by_key = {resource.key: resource for resource in doomed}
        keys = list(by_key)
        chain = {key: keys[max(0, number - 1) : number] for number, key in enumerate(keys)}

        def visit(key: str) -> None:
            self._step(changes[key], lambda: by_key[key].delete(self._aws(key)))

        return self._walk(chain, visit, changes)

    def _walk(
        self, needs: Needs, visit: Callable[[str], None], changes: Mapping[str, Change]
    ) -> dict[str, Outcome]:
        outcomes = walk(needs, visit, self.executor, self.stopped)
        for key, outcome in outcomes.items():
            if outcome.fate is Fate.SKIPPED and changes[key].action is not Action.NOOP:
                self._skip(changes[key], outcome.because)
        return outcomes

    def _skip(self, change: Change, because: str | None) -> Outcome:
        self.emit(
            StepSkipped(
                change.key, change.action.value, f"{because} failed" if because else "interrupted"
            )
        )
        return Outcome(Fate.SKIPPED, because=because)

    def _settle(self, resource: Resource, change: Change, actual: State | None) -> None:
        """Bring one resource to what is desired, now that everything it refers to is known."""
        outputs = dict(actual.outputs) if actual else {}
        if change.action is not Action.NOOP:
            desired = resolve(resource.fields, lambda ref: self._outputs[ref.key][ref.output])
            if change.action is Action.UPDATE and actual is not None:
                # What was unknown may have turned out to be what is there already.
                fields = compare(desired, actual.fields, resource.replace_on)
                change = Change(change.key, Action.UPDATE if fields else Action.NOOP, fields)
            if change.action is not Action.NOOP:
                made = self._step(change, partial(self._change, resource, change, desired, actual))
                outputs = {**outputs, **made}
        self._outputs[resource.key] = outputs

    def _change(
        self, resource: Resource, change: Change, desired: Fields, actual: State | None
    ) -> Fields:
        aws = self._aws(resource.key)
        if change.action is Action.UPDATE and actual is not None:
            return resource.update(aws, desired, actual, change)
        if change.action is Action.REPLACE:
            resource.delete(aws)
        try:
            return resource.create(aws, desired)
        except AwsError as error:
            if error.code not in resource.exists or not error.operation.startswith("Create"):
                raise
            return self._go_on(resource, desired, aws, error)

    @staticmethod
    def _go_on(resource: Resource, desired: Fields, aws: Aws, error: AwsError) -> Fields:
        """Finish what exists though it was not there a moment ago (GEN-10); raise the error if it
        cannot become what is desired, and ForeignResource if it is not ours."""
        aws.tell(
            "it exists already: another run made it, or the answer to an attempt was lost; going "
            "on",
            lasting=True,
        )
        found = aws.wait_until(
            lambda: resource.read(aws), reason="for AWS: what exists already is not seen yet"
        )
        fields = compare(desired, found.fields, resource.replace_on)
        change = Change(resource.key, Action.UPDATE, fields)
        if any(each.forces_replace for each in fields):
            raise error
        made = resource.update(aws, desired, found, change) if fields else {}
        return {**found.outputs, **made}

    def _step(self, change: Change, act: Callable[[], Any]) -> Any:
        key, verb = change.key, change.action.value
        started = self.clock()
        self.emit(StepStarted(key, verb))
        try:
            result = act()
        except DeployerError as error:
            if isinstance(error, AwsError):
                error.message = f"failed to {verb} {key}: {error.message}"
            self.emit(StepFailed(key, verb, error.message, error.advice))
            raise
        except Exception as error:
            self.emit(
                StepFailed(
                    key,
                    verb,
                    f"{type(error).__name__}: {error}",
                    "this is a defect of the deployer",
                )
            )
            raise
        self._performed[key] = change.action
        self.emit(StepFinished(key, verb, self.clock() - started))
        return result

    def _aws(self, key: str) -> Aws:
        """The access for one step: what it waits for is told as that step's progress."""

        def tell(text: str, *, lasting: bool = False) -> None:
            self.emit(StepProgress(key, text, lasting))

        return self.aws.telling(tell)
