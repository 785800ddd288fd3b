"""The state of a service in its account, as a plan compares it with what is declared."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

from deployer.aws.access import Aws
from deployer.engine.apply import Actual, find_all, plan_changes, read_all
from deployer.engine.plan import Fields, Plan, State, resolve
from deployer.project.canary import Canary, decompose
from deployer.project.provenance import Provenance, parsed
from deployer.project.settings import Settings
from deployer.resources.base import Owned, Resource
from deployer.resources.provisioned import OwnedProvisionedConcurrency
from deployer.resources.stepfunctions import function_versions
from deployer.service.alarms import alarm_resources
from deployer.service.callers import former_usage_plan
from deployer.service.declare import Trial, declare, other_api
from deployer.service.drift import with_origins
from deployer.service.inventory import alarm_parts, find_functions, undeclared
from deployer.service.ownership import ownership
from deployer.service.provisioning import find_provisioned
from deployer.service.release import Release
from deployer.service.releases import PublishedRelease, needing, read_releases, window, workflow_of

WORKFLOW = "workflow"


@dataclass(frozen=True)
class Live:
    """What is live.

    Args:
        definition: the state machine's, of both graphs while a canary runs.
        number: of the release; None if there is none yet, or the workflow was changed outside.
        canary: the two graphs of a canary.
    """

    definition: Any
    number: int | None
    provenance: Provenance
    canary: Canary | None


@dataclass(frozen=True)
class Account:
    """The state of a service.

    Args:
        actual: of the declared resources, and of those of the other functions.
        others: functions of this service that are not declared.
        provisioned: what versions of functions hold of provisioned concurrency.
        releases: the newest ones; read only if there are others, which they may need.
    """

    actual: Actual
    others: Sequence[str] = ()
    provisioned: Sequence[OwnedProvisionedConcurrency] = ()
    releases: Sequence[PublishedRelease] = ()

    @property
    def outputs(self) -> dict[str, Fields]:
        """The outputs of the resources that exist, by key."""
        return {key: state.outputs for key, state in self.actual.items() if state is not None}

    @property
    def live(self) -> Live | None:
        """What is live; None without a state machine."""
        state = self.actual.get(WORKFLOW)
        if state is None:
            return None
        definition, outputs = state.fields["definition"], state.outputs
        provenance = parsed(outputs.get("description", ""))
        return Live(definition, outputs.get("release"), provenance, decompose(definition))

    def serving(self, definition: Any) -> Account:
        """Return this account as if its state machine had another definition.

        What the versions hold that its own one names is left out: they go on serving.
        """
        state = self.actual[WORKFLOW]
        assert state is not None
        live = function_versions(state.fields["definition"])
        fields = {**state.fields, "definition": definition}
        released = {"definition": definition} if state.released else None
        return replace(
            self,
            actual={**self.actual, WORKFLOW: State(fields, state.outputs, released)},
            provisioned=[held for held in self.provisioned if held.version not in live],
        )

    def reads_other_bucket(self, settings: Settings) -> bool:
        """Tell whether functions read the bucket of the other namespace, or did once.

        Their role goes on naming it then, for former releases: it is the trace that stays.
        """
        arn = f"{settings.partition}:s3:::{settings.other_bucket}/"
        role = self.actual.get("role/functions")
        policies = role.fields.get("policies", {}) if role else {}
        named = policies.get("models", {}).get("Statement", [])
        return any(
            arn in one for statement in named for one in statement.get("Resource", ())
        ) or any(
            (state.fields.get("environment") or {}).get("BUCKET") == settings.other_bucket
            for key, state in self.actual.items()
            if state is not None and key.startswith("function/")
        )

    def kept(self, settings: Settings, releases: int) -> dict[str, int]:
        """Return the other functions that the newest releases need, each with such a release."""
        needed = needing(settings, window(self.releases, releases))
        return {name: needed[name].number for name in self.others if name in needed}


@dataclass(frozen=True)
class Planned:
    """A plan, and what it was made of.

    Args:
        kept: the functions that are not declared, but that a release needs which stays.
    """

    resources: Sequence[Resource]
    undeclared: Sequence[Owned]
    kept: dict[str, int]
    plan: Plan

    def showing(self, other: Planned, note: str) -> Planned:
        """Return this plan with the change of the workflow as another plan shows it, and a note.

        A run compares again, so what a plan shows of a field does not decide what is written.
        """
        shown = {change.key: replace(change, note=note) for change in other.plan.changes}
        changes = (
            shown[change.key] if change.key == WORKFLOW else change for change in self.plan.changes
        )
        return replace(self, plan=replace(self.plan, changes=tuple(changes)))

    @property
    def makes_release(self) -> bool:
        """Whether the plan changes what is served."""
        return any(
            change.key == WORKFLOW and {"definition", "published"} & change.names
            for change in self.plan.effective
        )


def plan_against(
    settings: Settings, release: Release, account: Account, trial: Trial | None = None
) -> Planned:
    """Plan a release. What the releases need that stay after the run is not deleted."""
    planned = _planned(settings, release, account, trial, settings.keep_releases)
    if (
        planned.makes_release and account.others and trial is None
    ):  # the new one takes the place of the oldest
        return _planned(settings, release, account, trial, settings.keep_releases - 1)
    return planned


def _planned(
    settings: Settings, release: Release, account: Account, trial: Trial | None, releases: int
) -> Planned:
    kept = account.kept(settings, releases)
    settings = replace(settings, former_bucket=account.reads_other_bucket(settings))
    resources = declare(settings, release, kept, trial)
    extra = obsolete(settings, resources, account, kept)
    plan = plan_changes(resources, account.actual, extra)
    return Planned(resources, extra, kept, with_origins(plan, settings, account.actual))


def obsolete(
    settings: Settings, resources: Iterable[Resource], account: Account, kept: Collection[str] = ()
) -> list[Owned]:
    """Return what is not declared, in the order of deletion.

    Not what the versions hold that the declared workflow names by themselves: the live graph's
    beside a canary.
    """
    workflow = next(resource for resource in resources if resource.key == WORKFLOW)
    served = function_versions(resolve(workflow.fields["definition"], lambda ref: ""))
    held = [held for held in account.provisioned if held.version not in served]
    extra = undeclared(settings, [name for name in account.others if name not in kept])
    alarms = reversed(former_alarms(settings, account.actual))
    last = (one for one in former(settings) if account.actual.get(one.key))
    return [*held, *extra, *alarms, *last]


def former(settings: Settings) -> list[Owned]:
    """Return what only other settings declare. It is deleted last, once the new API stands."""
    plan = [former_usage_plan(settings)] if settings.auth != "key" else []
    return [*plan, other_api(settings)]


def _find_former(aws: Aws, settings: Settings) -> dict[str, State | None]:
    """Look for what only other settings declare. Only a REST API has a usage plan."""
    *plans, other = former(settings)
    found = {other.key: other.find(aws)}
    may_be = settings.api == "rest" or found[other.key] is not None
    return {plan.key: plan.find(aws) for plan in plans if may_be} | found


def read_account(
    aws: Aws,
    settings: Settings,
    resources: Sequence[Resource],
    names: Collection[str],
    pool: Executor,
) -> Account:
    """Read the declared resources, and those of functions that exist beside them."""
    aws = aws.remembering()
    search = find_functions(aws, settings, pool, names)
    found = pool.submit(_find_former, aws, settings)
    provisioned = find_provisioned(aws, settings, names, pool)
    actual = read_all(aws, resources, pool)
    actual |= found.result()
    actual |= find_all(aws, former_alarms(settings, actual), pool)
    others = search()
    held = [*provisioned(), *find_provisioned(aws, settings, others, pool)()]
    actual |= find_all(aws, held, pool)
    if not others:
        return Account(actual, provisioned=held)
    versions = workflow_of(settings).versions(aws)
    releases = read_releases(aws, settings, versions)
    states = find_all(aws, undeclared(settings, others), pool)
    return Account({**actual, **states}, others, held, releases)


def former_alarms(settings: Settings, actual: Actual) -> list[Owned]:
    """Return what is to go of alarms that the settings do not want any more."""
    wanted = {one.key for one in alarm_resources(settings, (), ownership(settings))}
    return [one for one in alarm_parts(settings, actual) if one.key not in wanted]
