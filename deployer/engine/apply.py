"""Read every resource, plan, and apply the plan along the dependency graph.

Progress goes out as events; nothing is printed or asked here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from deployer.aws.access import Aws
from deployer.engine.events import (
    Emit,
    StepFailed,
    StepFinished,
    StepProgress,
    StepProved,
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
from deployer.resources.base import Owned, Resource

Actual = dict[str, State | None]
_DONE = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.REPLACE: "replaced",
    Action.DELETE: "deleted",
}


@dataclass(frozen=True)
class RunResult:
    """How applying a plan ended, by resource.

    Args:
        outputs: those of the resources that are in place.
        performed: the actions that succeeded.
        unchanged: the resources whose planned action was NOOP.
    """

    outcomes: Mapping[str, Outcome]
    outputs: Mapping[str, Fields] = field(default_factory=dict)
    performed: Mapping[str, Action] = field(default_factory=dict)
    unchanged: Collection[str] = ()

    @property
    def succeeded(self) -> bool:
        return all(outcome.fate is Fate.DONE for outcome in self.outcomes.values())

    @property
    def counts(self) -> dict[str, int]:
        """How many resources were created, updated, replaced, deleted, failed and skipped."""
        performed = list(self.performed.values())
        done = {name: performed.count(action) for action, name in _DONE.items()}
        fates = [
            outcome.fate for key, outcome in self.outcomes.items() if key not in self.unchanged
        ]
        return {**done, "failed": fates.count(Fate.FAILED), "skipped": fates.count(Fate.SKIPPED)}


def read_all(
    aws: Aws,
    resources: Iterable[Resource],
    executor: Executor,
    refused: dict[str, ForeignResource] | None = None,
) -> Actual:
    """Read every resource at once: names are derived, so no read waits for another.

    Args:
        refused: gets the error of each resource that is not ours, by key; the resource then counts
            as absent. Without it, such a resource is an error.

    Raises:
        ForeignResource: names every resource that is not ours.
        DeployerError: the first other failure; its message names the resource.
    """
    reads = {resource.key: executor.submit(resource.read, aws) for resource in resources}
    return _results(reads, refused)


def find_all(
    aws: Aws,
    owned: Iterable[Owned],
    executor: Executor,
    refused: dict[str, ForeignResource] | None = None,
) -> Actual:
    """Like `read_all`, but only establish existence and ownership; the states may be empty."""
    finds = {resource.key: executor.submit(resource.find, aws) for resource in owned}
    return _results(finds, refused)


def _results(
    futures: Mapping[str, Future[State | None]], refused: dict[str, ForeignResource] | None
) -> Actual:
    actual: Actual = {}
    foreign: dict[str, ForeignResource] = {}
    failures: dict[str, DeployerError] = {}
    for key, future in futures.items():
        try:
            actual[key] = future.result()
        except ForeignResource as error:
            actual[key] = None
            foreign[key] = error
        except DeployerError as error:
            failures[key] = error
    if refused is not None:
        refused.update(foreign)
    # Ownership comes first, for failures may follow from it: objects in the bucket of another
    # account cannot be read either.
    elif foreign:
        errors = list(foreign.values())
        raise ForeignResource("\n".join(error.message for error in errors), errors[0].advice)
    if failures:
        key, failure = next(iter(failures.items()))
        raise failure.during(f"failed to read {key}") from failure
    return actual


def needs_of(resources: Iterable[Owned]) -> dict[str, tuple[str, ...]]:
    """Return the dependency graph of resources."""
    return {resource.key: resource.needs for resource in resources}


def plan_changes(
    resources: Sequence[Resource], actual: Actual, undeclared: Sequence[Owned] = ()
) -> Plan:
    """Plan `up`. Undeclared resources are planned for deletion if they exist."""
    by_key = {resource.key: resource for resource in resources}
    extra = {resource.key: resource for resource in undeclared if actual[resource.key] is not None}
    order = in_order(needs_of(resources))
    plan = make_plan(
        (by_key[key].desired() for key in order),
        actual,
        extra,
        lambda key, outputs: extra[key].is_wanted(outputs),
    )
    in_use = any(state is not None for state in actual.values())
    owned: dict[str, Owned] = {**by_key, **extra}
    return Plan(tuple(_annotated(change, owned[change.key], in_use) for change in plan.changes))


def _annotated(change: Change, resource: Owned, in_use: bool) -> Change:
    """Add the consequences of a change, and whether it is harmless.

    Args:
        in_use: the service exists already.
    """
    is_new = change.action in (Action.CREATE, Action.REPLACE)
    if is_new and in_use and isinstance(resource, Resource) and resource.anew:
        return replace(change, note=resource.anew)
    note = "" if change.action is Action.NOOP else resource.remark
    return replace(change, note=note, harmless=resource.harmless)


def plan_teardown(resources: Sequence[Owned], actual: Actual) -> Plan:
    """Plan `down`: delete every resource that exists, each before those that it needs."""
    return plan_deletion(reversed(in_order(needs_of(resources))), actual)


def _unchanged(plan: Plan) -> set[str]:
    return {change.key for change in plan.changes if change.action is Action.NOOP}


@dataclass
class Run:
    """One application of a plan; for one use.

    Args:
        stopped: whether the user has asked for the end of the run; no step begins after that.
        clock: in seconds.
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
        undeclared: Sequence[Owned],
    ) -> RunResult:
        """Create, update and replace along the graph; after that, delete what is undeclared.

        Nothing is deleted once a step has failed or was skipped.
        """
        changes = {change.key: change for change in plan.changes}
        by_key = {resource.key: resource for resource in resources}

        def visit(key: str) -> None:
            self._reconcile(by_key[key], changes[key], actual[key])

        outcomes = self._walk(needs_of(resources), visit, changes)
        obsolete = [resource for resource in undeclared if resource.key in changes]
        unfinished = [key for key, outcome in outcomes.items() if outcome.fate is not Fate.DONE]
        if unfinished:
            outcomes |= {
                resource.key: self._skip(changes[resource.key], unfinished[0])
                for resource in obsolete
            }
        else:
            outcomes |= self._delete_in_turn(obsolete, changes)
        return RunResult(outcomes, self._outputs, self._performed, _unchanged(plan))

    def down(self, plan: Plan, resources: Sequence[Owned]) -> RunResult:
        """Delete along the reversed graph."""
        changes = {change.key: change for change in plan.changes}
        by_key = {resource.key: resource for resource in resources}

        def visit(key: str) -> None:
            if changes[key].action is Action.DELETE:
                self._step(changes[key], lambda: by_key[key].delete(self._access(key)))

        outcomes = self._walk(reverse(needs_of(resources)), visit, changes)
        return RunResult(outcomes, performed=self._performed, unchanged=_unchanged(plan))

    def _delete_in_turn(
        self, obsolete: Sequence[Owned], changes: Mapping[str, Change]
    ) -> dict[str, Outcome]:
        """Delete one resource after another; a failure skips those behind it."""
        by_key = {resource.key: resource for resource in obsolete}
        keys = list(by_key)
        chain = {key: keys[max(0, number - 1) : number] for number, key in enumerate(keys)}

        def visit(key: str) -> None:
            if not by_key[key].is_wanted(self._outputs):  # which the plan may not have known
                self._step(changes[key], lambda: by_key[key].delete(self._access(key)))

        return self._walk(chain, visit, changes)

    def _walk(
        self, needs: Needs, visit: Callable[[str], None], changes: Mapping[str, Change]
    ) -> dict[str, Outcome]:
        """Visit every node, and announce the changes that were skipped."""
        outcomes = walk(needs, visit, self.executor, self.stopped)
        for key, outcome in outcomes.items():
            if outcome.fate is Fate.SKIPPED and changes[key].action is not Action.NOOP:
                self._skip(changes[key], outcome.because)
        return outcomes

    def _skip(self, change: Change, because: str | None) -> Outcome:
        reason = f"{because} failed" if because else "interrupted"
        self.emit(StepSkipped(change.key, change.action.value, reason))
        return Outcome(Fate.SKIPPED, because=because)

    def _reconcile(self, resource: Resource, change: Change, actual: State | None) -> None:
        """Bring one resource to its desired state. The outputs that it refers to are known now."""
        outputs = dict(actual.outputs) if actual else {}
        if change.action is not Action.NOOP:
            desired = resolve(resource.fields, lambda ref: self._outputs[ref.key][ref.output])
            if change.action is Action.UPDATE and actual is not None:
                # A value that the plan did not know may equal the actual one after all.
                fields = compare(desired, actual.fields, resource.replace_on)
                change = Change(change.key, Action.UPDATE if fields else Action.NOOP, fields)
            if change.action is not Action.NOOP:
                perform = partial(self._perform, resource, change, desired, actual)
                outputs |= self._step(change, perform)
        self._outputs[resource.key] = outputs

    def _perform(
        self, resource: Resource, change: Change, desired: Fields, actual: State | None
    ) -> Fields:
        """Make one change and return the outputs that are new."""
        aws = self._access(resource.key)
        if resource.prove(aws, desired, actual, change):
            self.emit(StepProved(resource.key))
        if change.action is Action.UPDATE and actual is not None:
            return resource.update(aws, desired, actual, change)
        if change.action is Action.REPLACE:
            resource.delete(aws)
        try:
            return resource.create(aws, desired)
        except AwsError as error:
            if error.code not in resource.exists or not error.operation.startswith("Create"):
                raise
            return self._finish_existing(resource, desired, aws, error)

    @staticmethod
    def _finish_existing(resource: Resource, desired: Fields, aws: Aws, exists: AwsError) -> Fields:
        """Update a resource that exists though it did not when it was read (GEN-10).

        Raises:
            AwsError: `exists`, when the resource cannot become what is desired in place.
            ForeignResource: it is not ours.
        """
        aws.tell(
            "it exists already: another run made it, or the answer to an attempt was lost; going "
            "on",
            lasting=True,
        )
        actual = aws.wait_until(
            lambda: resource.read(aws), reason="for AWS: the existing resource is not visible yet"
        )
        fields = compare(desired, actual.fields, resource.replace_on)
        if any(field_change.forces_replace for field_change in fields):
            raise exists
        change = Change(resource.key, Action.UPDATE, fields)
        outputs = resource.update(aws, desired, actual, change) if fields else {}
        return {**actual.outputs, **outputs}

    def _step(self, change: Change, perform: Callable[[], Any]) -> Any:
        """Perform one change, between the events of its beginning and its end."""
        key, verb = change.key, change.action.value
        started = self.clock()
        self.emit(StepStarted(key, verb))
        try:
            result = perform()
        except AwsError as error:
            failure = error.during(f"failed to {verb} {key}")
            self.emit(StepFailed(key, verb, failure.message, failure.advice))
            raise failure from error
        except DeployerError as error:
            self.emit(StepFailed(key, verb, error.message, error.advice))
            raise
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            self.emit(StepFailed(key, verb, message, "this is a defect of the deployer"))
            raise
        self._performed[key] = change.action
        self.emit(StepFinished(key, verb, self.clock() - started))
        return result

    def _access(self, key: str) -> Aws:
        """Return the access for one step: its waiting becomes that step's progress."""

        def tell(text: str, *, lasting: bool = False) -> None:
            self.emit(StepProgress(key, text, lasting))

        return self.aws.telling(tell)
