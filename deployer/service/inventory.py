"""What a service has in its account: functions declared and found, ours, foreign, kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from deployer.aws.access import Aws
from deployer.engine.apply import Actual, find_all
from deployer.errors import ForeignResource
from deployer.project.settings import Settings
from deployer.resources.base import Owned
from deployer.resources.lambda_ import OwnedFunction, our_function_names
from deployer.resources.logs import our_group_names
from deployer.resources.s3 import ModelFiles, model_names
from deployer.resources.stepfunctions import OwnedStateMachine
from deployer.service.alarms import owned_alarm_resources
from deployer.service.callers import former_usage_plan
from deployer.service.declare import (
    api,
    bucket,
    former_bucket,
    logs,
    other_api,
    repository,
    roles,
)
from deployer.service.ownership import ownership
from deployer.service.provisioning import find_provisioned


@dataclass(frozen=True)
class Inventory:
    """All resources that may exist, and which of them do.

    Args:
        names: of the functions, declared and found.
        states: of our resources, by key; None for one that does not exist, is foreign or is kept.
        foreign: the resources that have one of our names but not our tags.
        kept: keys of the resources that hold data and are to stay; they were not looked for.
    """

    names: tuple[str, ...]
    resources: Sequence[Owned]
    states: Actual
    foreign: dict[str, ForeignResource]
    kept: frozenset[str]

    @property
    def existing(self) -> list[str]:
        return [key for key, state in self.states.items() if state is not None]

    @property
    def inside_foreign(self) -> set[str]:
        """Keys of the resources that lie in a foreign one, such as a model in a foreign bucket."""
        return {resource.key for resource in self.resources if resource.part_of in self.foreign}

    @property
    def deletable(self) -> Actual:
        """The states, without resources that lie in a foreign one."""
        return {**self.states, **dict.fromkeys(self.inside_foreign)}


def take_inventory(
    aws: Aws,
    settings: Settings,
    known: Iterable[str],
    pool: Executor,
    *,
    keep_data: bool = False,
) -> Inventory:
    """Look for everything of a service.

    The resources of known functions are read while other functions are looked for.

    Args:
        known: names of functions that may exist.
        keep_data: whether resources that hold data are kept, and so need not be looked for.
    """
    aws = aws.remembering()
    known = tuple(sorted(known))
    others = find_functions(aws, settings, pool, known)
    provisioned = find_provisioned(aws, settings, known, pool)
    foreign: dict[str, ForeignResource] = {}
    states = _find(aws, everything(settings, known), pool, foreign, keep_data)
    found = others()
    names = tuple(sorted({*known, *found}))
    provisioned_too = find_provisioned(aws, settings, found, pool)
    alarms = alarm_parts(settings, states)
    resources = [*everything(settings, names), *provisioned(), *provisioned_too(), *alarms]
    new = [resource for resource in resources if resource.key not in states]
    states |= _find(aws, new, pool, foreign, keep_data)
    kept = frozenset(_kept(resources) if keep_data else ())
    return Inventory(names, resources, states, foreign, kept)


def alarm_parts(settings: Settings, states: Actual) -> list[Owned]:
    """Return what there may be of alarms.

    None if the settings want none and the workflow's log group has no metric filter, which is
    deleted after the others.
    """
    group = states.get("logs/workflow")
    has_filter = group is not None and group.outputs.get("metric_filters", 0) > 0
    if not (settings.alarms or has_filter):
        return []
    return owned_alarm_resources(settings, ownership(settings))


def _find(
    aws: Aws,
    resources: Sequence[Owned],
    pool: Executor,
    foreign: dict[str, ForeignResource],
    keep_data: bool,
) -> Actual:
    """Return the states of resources, without looking for those that are kept."""
    kept = _kept(resources) if keep_data else []
    wanted = [resource for resource in resources if resource.key not in kept]
    states = find_all(aws, wanted, pool, foreign)
    return {**dict.fromkeys(kept), **states}


def _kept(resources: Sequence[Owned]) -> list[str]:
    return [resource.key for resource in resources if resource.holds_data]


def everything(settings: Settings, names: Sequence[str]) -> list[Owned]:
    """Return every resource that may exist with functions of these names.

    Images are deleted with their repository.
    """
    return [
        bucket(settings),
        *(_model(settings, name) for name in names),
        repository(settings),
        *(logs(settings, user) for user in (*names, "workflow", "api")),
        *roles(settings, names),
        *(_function(settings, name) for name in names),
        OwnedStateMachine(
            "workflow",
            arn=settings.workflow_arn,
            ours=ownership(settings),
            needs=["role/workflow", "logs/workflow", *(f"function/{name}" for name in names)],
        ),
        api(settings),
        other_api(settings),
        former_bucket(settings),
        former_usage_plan(settings),
    ]


def undeclared(settings: Settings, names: Sequence[str]) -> list[Owned]:
    """Return the resources of functions that are no longer declared, in the order of deletion."""
    kinds = (_function, logs, _model)
    return [kind(settings, name) for name in names for kind in kinds]


def _model(settings: Settings, name: str) -> Owned:
    return ModelFiles(
        f"model/{name}",
        name=name,
        bucket=settings.bucket,
        account=settings.account,
        needs=["bucket"],
    )


def _function(settings: Settings, name: str) -> Owned:
    return OwnedFunction(
        f"function/{name}",
        name=settings.function_name(name),
        ours=ownership(settings),
        needs=["role/functions", f"model/{name}", f"logs/{name}", "repository"],
    )


def find_functions(
    aws: Aws, settings: Settings, pool: Executor, known: Collection[str] = ()
) -> Callable[[], list[str]]:
    """Begin to look for functions of ours besides the known ones; whole ones, or remains of one.

    Returns:
        a call that waits for their names.
    """
    ours = ownership(settings)
    prefix, log_prefix = settings.function_name(""), settings.log_group("")
    functions = {settings.function_name(name) for name in known}
    groups = {settings.log_group(name) for name in known}
    searches = [
        pool.submit(lambda: list(our_function_names(aws, prefix, ours, functions))),
        pool.submit(lambda: list(our_group_names(aws, log_prefix, ours, groups))),
    ]
    models = pool.submit(lambda: model_names(aws, settings.bucket, settings.account))

    def names() -> list[str]:
        functions = {
            _name(full, start)
            for search, start in zip(searches, (prefix, log_prefix), strict=True)
            for full in search.result()
        }
        return sorted((functions | models.result()).difference(known))

    return names


def live_functions(aws: Aws, settings: Settings) -> list[str]:
    """Return the names of this service's functions in the account, declared or not."""
    prefix = settings.function_name("")
    names = our_function_names(aws, prefix, ownership(settings), ())
    return sorted(_name(full, prefix) for full in names)


def _name(full: str, prefix: str) -> str:
    return full.removeprefix(prefix).replace("-", "_")
