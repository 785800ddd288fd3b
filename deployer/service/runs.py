"""What `up`, `plan` and `down` consist of: declare, read, plan, apply, prove. Without a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from deployer.aws.access import Aws
from deployer.engine.apply import Actual, Run, RunResult, plan_changes, plan_teardown, read_all
from deployer.engine.events import Emit, Note, PlanReady, RunFinished
from deployer.engine.plan import Action, Fields, Plan
from deployer.errors import (
    ApplyFailed,
    AwsError,
    ConfigError,
    DeployerError,
    ForeignResource,
    Interrupted,
    NotSettled,
    may_pass,
)
from deployer.project.settings import Settings
from deployer.project.training import needed, outdated
from deployer.resources.base import Resource
from deployer.service import declare
from deployer.service.census import tagged_elsewhere
from deployer.service.rehearsal import rehearse
from deployer.service.release import Project, declared_names, load_project, pin_bases

Stopped = Callable[[], bool]


def _read(
    aws: Aws, settings: Settings, resources: Sequence[Resource], project: Project, pool: Executor
) -> tuple[Actual, list[Resource]]:
    """Read what is declared, and what of ours exists beside it."""
    aws = aws.remembering()
    others = declare.discover(aws, settings, pool, project.functions)
    actual = read_all(aws, resources, pool)
    extra = declare.undeclared(settings, others())
    return {**actual, **read_all(aws, extra, pool)}, extra


def read_project(settings: Settings, emit: Emit, *, write: bool = True) -> Project:
    """Read and check the project; pin the bases of its images. `write`: whether to keep a new pin
    in the lock file.
    """

    def tell(text: str, *, lasting: bool = False) -> None:
        emit(Note(text))

    if needed(settings):
        raise ConfigError(
            [f"there are no models: train them with {settings.train} (up does so by itself)"]
        )
    project = load_project(settings)
    for line in outdated(settings, project.manifest):
        emit(Note(line))
    return pin_bases(settings, project, write=write, tell=tell)


def show_plan(
    aws: Aws, settings: Settings, pool: Executor, emit: Emit, *, empty: bool = False
) -> tuple[Plan, dict[str, Any]]:
    """Return the plan and the outputs of what is deployed already; `empty`: nothing is, and nobody
    is asked.
    """
    project = read_project(settings, emit, write=False)
    resources = declare.declare(settings, project)
    actual: Actual = {each.key: None for each in resources}
    extra: list[Resource] = []
    if not empty:
        actual, extra = _read(aws, settings, resources, project, pool)
    states = {key: state.outputs for key, state in actual.items() if state is not None}
    plan = plan_changes(resources, actual, extra)
    _check_limits(aws, settings, resources, plan)
    return plan, outputs_of(settings, project, states)


def prepare_up(
    aws: Aws, settings: Settings, pool: Executor, emit: Emit
) -> tuple[Plan, Callable[[Stopped], dict[str, Any]]]:
    """Return the plan of `up`, and what applies it, proves it and returns the outputs."""
    project = read_project(settings, emit)
    resources = declare.declare(settings, project)
    actual, extra = _read(aws, settings, resources, project, pool)
    plan = plan_changes(resources, actual, extra)
    _check_limits(aws, settings, resources, plan)
    emit(PlanReady(plan))
    _check_builder(settings, project, plan)

    def run(stopped: Stopped) -> dict[str, Any]:
        if plan.is_empty:  # needs no proof
            states = {key: state.outputs for key, state in actual.items() if state is not None}
            return outputs_of(settings, project, states)
        started = time.monotonic()
        result = Run(aws, emit, pool, stopped).up(plan, resources, actual, extra)
        _check(result, stopped)

        unsettled = ""

        def settled() -> bool | None:
            nonlocal unsettled
            try:
                again = plan_changes(resources, *_read(aws, settings, resources, project, pool))
            except ForeignResource as error:  # new tags may not be seen yet
                unsettled = error.message
                return None
            unsettled = f"this is not as it should be: {', '.join(_paths(again))}"
            return True if again.is_empty else None

        _prove(aws, settled, lambda: unsettled)
        outputs = outputs_of(settings, project, result.outputs)
        emit(RunFinished("up", result.counts, time.monotonic() - started, outputs))
        return outputs

    return plan, run


def _check_limits(aws: Aws, settings: Settings, resources: Sequence[Resource], plan: Plan) -> None:
    """Raise ConfigError with all that AWS would refuse of what is about to be written."""
    written = {change.key for change in plan.effective}
    problems = rehearse(aws, settings, [each for each in resources if each.key in written])
    if problems:
        raise ConfigError(problems, "nothing was written")


def _check_builder(settings: Settings, project: Project, plan: Plan) -> None:
    """An engine that was asked for must answer before anything is created (PRE-9)."""
    if settings.builder != "docker":
        return
    from deployer.images.build import choose_engine

    created = {change.key for change in plan.changes if change.action is Action.CREATE}
    for key, context in project.images.items():
        if key in created:
            engine, _ = choose_engine(settings.builder, context)
            if engine:
                engine.close()


def prepare_down(
    aws: Aws, settings: Settings, pool: Executor, emit: Emit, *, keep_data: bool = False
) -> tuple[Plan, Callable[[Stopped], None]]:
    """Return the plan of `down`, and what applies it and takes the census.

    What is not ours is named and left alone, and the rest goes on. `keep_data`: bucket, models and
    log groups stay.
    """
    refused: dict[str, ForeignResource] = {}
    names, resources, actual = _find_everything(
        aws, settings, declared_names(settings), keep_data, pool, refused
    )
    kept = {each.key for each in resources if keep_data and each.holds_data}
    strange = {each.key for each in resources if each.part_of in refused}
    plan = plan_teardown(resources, {**actual, **dict.fromkeys(strange)})
    emit(PlanReady(plan))
    for error in refused.values():
        emit(Note(f"left alone: {error.message}"))
    if kept:
        groups = ", ".join(
            settings.log_group(key.partition("/")[2])
            for key in sorted(kept)
            if key.startswith("logs/")
        )
        emit(
            Note(f"kept, with all that is in it: S3 bucket {settings.bucket}; log groups {groups}")
        )

    def run(stopped: Stopped) -> None:
        started = time.monotonic()
        result = Run(aws, emit, pool, stopped).down(plan, resources)
        _check(result, stopped)
        deleted = {change.key for change in plan.effective}
        left: list[str] = []

        def gone() -> bool | None:
            nonlocal left
            strangers: dict[str, ForeignResource] = {}
            _, again, found = _find_everything(aws, settings, names, keep_data, pool, strangers)
            left = [key for key, state in found.items() if state is not None and key not in strange]
            for each in again:
                if (
                    each.comes_back and each.key in deleted & strangers.keys()
                ):  # Logs-9: it was ours a moment ago
                    each.delete(aws)
                    left.append(each.key)
            return None if left else True

        tagged = pool.submit(tagged_elsewhere, aws, settings, names)
        if not plan.is_empty:
            _prove(aws, gone, lambda: f"this is still there: {', '.join(left)}")
            emit(RunFinished("down", result.counts, time.monotonic() - started))
        _check_census(tagged, refused, emit)

    return plan, run


def _find_everything(
    aws: Aws,
    settings: Settings,
    known: Collection[str],
    keep_data: bool,
    pool: Executor,
    refused: dict[str, ForeignResource],
) -> tuple[list[str], list[Resource], Actual]:
    """Find all that may exist, that of the known functions while others are looked for; return
    names, resources, states.

    What is to be kept is not looked for, and counts as not there.
    """
    aws = aws.remembering()
    others = declare.discover(aws, settings, pool, known)
    actual: Actual = {}

    def read_new(names: list[str]) -> list[Resource]:
        resources = declare.everything(settings, names)
        kept = {each.key for each in resources if keep_data and each.holds_data}
        new = [each for each in resources if each.key not in actual and each.key not in kept]
        actual.update({**dict.fromkeys(kept), **read_all(aws, new, pool, refused, only_find=True)})
        return resources

    read_new(sorted(known))
    names = sorted({*known, *others()})
    return names, read_new(names), actual


def _check_census(
    tagged: Future[list[str]], refused: Mapping[str, ForeignResource], emit: Emit
) -> None:
    """Raise NotSettled for what has one of our names, or our tags, and was not for us to delete."""
    left = [f"{error.message}, and was left alone" for error in refused.values()]
    try:
        left += [f"{arn} carries this service's tags, but not its name" for arn in tagged.result()]
    except AwsError as error:
        emit(Note(f"the census was taken by names only, not by tags: {error.message}"))
    if left:
        raise NotSettled(
            "\n".join(left), "look at each, and delete by hand what is no longer needed"
        )


def _check(result: RunResult, stopped: Stopped) -> None:
    if result.succeeded:
        return
    counts = ", ".join(f"{number} {fate}" for fate, number in result.counts.items() if number)
    failures = {
        key: outcome.error for key, outcome in result.outcomes.items() if outcome.error is not None
    }
    first = next(iter(failures.values()), None)
    reason = (
        f"; {first.message}" if isinstance(first, DeployerError) else f"; {first}" if first else ""
    )
    advice = first.advice if isinstance(first, DeployerError) and first.advice else ""
    again = "run the command again: it goes on where it stopped"
    if stopped():
        raise Interrupted(f"interrupted: {counts}{reason}", again)
    if not all(may_pass(error) for error in failures.values()):
        again = "once that is put right, the next run goes on where this one stopped"
    if "run the command again" in advice:
        again = ""
    raise ApplyFailed(f"{counts}{reason}", "\n".join(filter(None, [advice, again])))


def _prove(aws: Aws, check: Callable[[], bool | None], remaining: Callable[[], str]) -> None:
    """Read again until the result shows; reads may lag behind writes (GEN-8), those of a state
    machine a minute (Sfn-12).
    """
    try:
        aws.wait_until(check, reason="for the account to show what was applied", deadline_s=90)
    except AwsError as error:
        if error.code != "TimedOut":
            raise
        raise NotSettled(
            f"everything was applied, but {remaining()}", "run the command again"
        ) from error


def _paths(plan: Plan) -> list[str]:
    return [
        f"{change.key} ({', '.join(each.path for each in change.fields) or change.action.value})"
        for change in plan.effective
    ]


def outputs_of(
    settings: Settings, project: Project, outputs: dict[str, Fields] | Any
) -> dict[str, Any]:
    """Return what users of the service need; None for what does not exist yet."""
    endpoint = outputs.get("api", {}).get("endpoint")
    return {
        "url": f"{endpoint}/" if endpoint else None,
        "state_machine_arn": settings.workflow_arn if "workflow" in outputs else None,
        "functions": {
            name: outputs.get(f"function/{name}", {}).get("version_arn")
            for name in project.functions
        },
    }
