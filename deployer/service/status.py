"""`status` without a terminal: what is deployed, how it does, and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from deployer.aws.access import Aws
from deployer.engine.events import Event
from deployer.engine.plan import Change, Plan
from deployer.errors import (
    AwsError,
    DeployerError,
    InvocationFailed,
    ReleaseUnavailable,
)
from deployer.project.settings import Settings
from deployer.resources.apigateway.apis import ApiMetrics
from deployer.service.comparison import model_text
from deployer.service.console import console_links
from deployer.service.contents import FunctionVersion, read_versions
from deployer.service.drift import CHANGED, DELETED
from deployer.service.hearing import Hearing, read_hearing
from deployer.service.invoke import find_api
from deployer.service.metrics import ModelMetrics, ServiceMetrics, read_metrics
from deployer.service.release import read_release
from deployer.service.releases import PublishedRelease, functions_of, read_history
from deployer.service.up import plan_release

_ERRORS = "python -m deployer logs --errors"


@dataclass(frozen=True)
class ServedModel:
    """A model that serves.

    Args:
        live: the version of its function that the live workflow names; None if that is gone, or
            if only a canary names one.
        metrics: of all versions; None where CloudWatch may not be asked.
        candidate: the version that a canary tries, if that is another one.
        gone: which of them the workflow names though it is gone: "live", "tried by the canary".
    """

    name: str
    live: FunctionVersion | None
    metrics: ModelMetrics | None
    candidate: FunctionVersion | None = None
    gone: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return model_text(self.live)

    @property
    def candidate_text(self) -> str:
        return model_text(self.candidate)

    @property
    def document(self) -> dict[str, Any]:
        metrics, live = self.metrics, self.live
        return {
            "version": live.model if live else None,
            "metric": dict([live.metric]) if live and live.metric else None,
            "function_version": live.number if live else None,
            "since": live.modified.isoformat() if live else None,
            "memory_mb": live.configuration.get("MemorySize") if live else None,
            "canary": self.candidate.model if self.candidate else None,
            "requests": metrics.requests if metrics else None,
            "errors": metrics.errors if metrics else None,
            "p50_ms": metrics.p50_ms if metrics else None,
            "p99_ms": metrics.p99_ms if metrics else None,
            "cold_starts": metrics.cold_starts if metrics else None,
        }


@dataclass(frozen=True)
class Problem:
    """Something that is wrong or open, and the command that goes on from there."""

    text: str
    command: str


@dataclass(frozen=True)
class Comparison:
    """How the account differs from the folder; `unknown` says why it was not compared."""

    plan: Plan | None
    unknown: str = ""

    @cached_property
    def outside(self) -> list[str]:
        """What was changed or deleted outside since the live release, a place each."""
        return [place for change in self._changes for place in _places(change, outside=True)]

    @cached_property
    def others(self) -> list[str]:
        """What differs otherwise: changes of the folder, or of what no release records."""
        return [
            change.key
            for change in self._changes
            if not list(_places(change, outside=True)) or list(_places(change, outside=False))
        ]

    @property
    def _changes(self) -> tuple[Change, ...]:
        return self.plan.effective if self.plan else ()

    @property
    def drift(self) -> bool | None:
        return None if self.plan is None else bool(self.outside)


@dataclass(frozen=True)
class Status:
    """What is deployed, and how it does.

    Args:
        release: the live release; None if the live workflow is none.
        comparison: with the folder of the project.
        metrics: None where CloudWatch may not be asked; `unmeasured` says why.
        alarms: the names of those that ring, or why that is not known.
        hearing: who hears them; None where the settings want none.
        links: pages of AWS's console, by what they show.
    """

    settings: Settings
    url: str | None
    release: PublishedRelease | None
    models: tuple[ServedModel, ...]
    comparison: Comparison
    metrics: ServiceMetrics | None
    unmeasured: str
    alarms: list[str] | str
    links: Mapping[str, str]
    hearing: Hearing | None = None

    @property
    def is_well(self) -> bool:
        """Whether nothing is known to be wrong, and all that tells of it could be read."""
        unknown = self.unmeasured or isinstance(self.alarms, str)
        return not (self.problems or unknown or (self.hearing and self.hearing.unknown))

    @property
    def problems(self) -> list[Problem]:
        return list(_problems(self))

    def document(self, wording: Callable[[str], str] = str) -> dict[str, Any]:
        """Return the status as --json prints it; `wording` completes the commands."""
        settings, comparison = self.settings, self.comparison
        metrics = self.metrics
        return {
            "service": settings.service,
            "url": self.url,
            "auth": settings.auth,
            "stage": settings.stage,
            "account": settings.account,
            "region": settings.region,
            "release": _release_document(self.release),
            "drift": comparison.drift,
            "changed_outside": comparison.outside,
            "differs_from_folder": comparison.others if comparison.plan else None,
            "executions": metrics.executions if metrics else None,
            "failed_executions": metrics.failed if metrics else None,
            "requests": metrics.requests if metrics else None,
            "client_errors": metrics.client_errors if metrics else None,
            "server_errors": metrics.server_errors if metrics else None,
            "p99_ms": metrics.p99_ms if metrics else None,
            "alarms": self.alarms if isinstance(self.alarms, list) else None,
            "alarms_go_to": self.hearing.document() if self.hearing else None,
            "models": {model.name: model.document for model in self.models},
            "links": dict(self.links),
            "problems": [
                {"problem": problem.text, "command": wording(problem.command)}
                for problem in self.problems
            ],
        }


def _release_document(release: PublishedRelease | None) -> dict[str, Any] | None:
    if release is None:
        return None
    provenance = release.provenance
    return {
        "number": release.number,
        "created": release.created.isoformat(),
        "by": provenance.by or None,
        "commit": provenance.commit or None,
        "changed": provenance.changed,
        "back_to": provenance.back_to,
        "promoted_from": provenance.promoted_from,
        "canary": release.canary.percent if release.canary else None,
        "beside": provenance.beside if release.canary else None,
    }


def read_status(aws: Aws, settings: Settings, pool: Executor) -> Status:
    """Read everything at once.

    Raises:
        ReleaseUnavailable: nothing is deployed.
        AwsError: AWS refused a call without which nothing can be said.
    """
    compared = pool.submit(_compare, aws, settings, pool)
    alarms = pool.submit(_read_alarms, aws, settings)
    hearing = pool.submit(read_hearing, aws, settings)
    history = read_history(aws, settings, 1)
    if history.live is None:
        compared.result()
        if _find_api(aws, settings).url is not None:
            raise ReleaseUnavailable(
                f"the workflow {settings.prefix} is gone, but its API still stands: every request "
                "fails",
                "to make it again: python -m deployer up",
            )
        raise ReleaseUnavailable(
            f"nothing is deployed as service {settings.service}, stage {settings.stage}, in "
            f"account {settings.account}, {settings.region}",
            "to deploy: python -m deployer up",
        )
    names = list(functions_of(settings, history.live.workflow))
    api = _find_api(aws, settings)
    versions, measured = aws.together(
        lambda: read_versions(aws, settings, names),
        lambda: _measure(aws, settings, names, api),
    )
    metrics = measured if isinstance(measured, ServiceMetrics) else None
    found = {one.arn: one for several in versions.values() for one in several}
    canary = history.live_release.canary if history.live_release else None
    live = functions_of(settings, canary.live if canary else history.live.workflow)
    tried = functions_of(settings, canary.candidate) if canary else {}
    models = tuple(
        _served(found, name, live.get(name, ()), tried.get(name, ()), metrics) for name in names
    )
    return Status(
        settings,
        api.url,
        history.live_release,
        models,
        compared.result(),
        metrics,
        "" if metrics else str(measured),
        alarms.result(),
        console_links(settings, aws.endpoint, names, api.url),
        hearing.result(),
    )


def _served(
    found: Mapping[str, FunctionVersion],
    name: str,
    live: Sequence[str],
    tried: Sequence[str],
    metrics: ServiceMetrics | None,
) -> ServedModel:
    """Return a model.

    Args:
        found: the versions that exist, by ARN.
        live, tried: the ARNs that the live workflow and a canary's candidate name.
    """
    others = [arn for arn in tried if arn not in live]
    newest = {"live": _newest(live), "tried by the canary": _newest(others)}
    return ServedModel(
        name,
        found.get(newest["live"]),
        metrics.models[name] if metrics else None,
        found.get(newest["tried by the canary"]),
        tuple(whose for whose, arn in newest.items() if arn and arn not in found),
    )


def _newest(arns: Sequence[str]) -> str:
    """Return the last of a function's versions (releases.functions_of); "" of none."""
    return arns[-1] if arns else ""


@dataclass(frozen=True)
class _Api:
    url: str | None
    metrics: ApiMetrics | None


def _find_api(aws: Aws, settings: Settings) -> _Api:
    """Return the API; one without a URL if there is none, or more than one."""
    try:
        kind, api = find_api(aws, settings)
    except InvocationFailed:
        return _Api(None, None)
    return _Api(f"{api.endpoint}/", kind.metrics(api))


def _measure(aws: Aws, settings: Settings, names: Sequence[str], api: _Api) -> ServiceMetrics | str:
    """Return the metrics, or why there are none: the rest of the status does without."""
    try:
        return read_metrics(aws, settings, names, api.metrics)
    except AwsError as error:
        return error.message


def _read_alarms(aws: Aws, settings: Settings) -> list[str] | str:
    """Return the alarms that ring, or why that is not known."""
    prefix = f"{settings.prefix}-"
    try:
        found = list(
            aws.pages(
                "cloudwatch",
                "describe_alarms",
                "MetricAlarms",
                AlarmNamePrefix=prefix,
                StateValue="ALARM",
            )
        )
    except AwsError as error:
        return error.message
    return [alarm["AlarmName"] for alarm in found]


def _compare(aws: Aws, settings: Settings, pool: Executor) -> Comparison:
    """Compare the account with the folder; one that is not sound is a reason not to."""

    def ignore(event: Event) -> None:
        """`plan` shows what is told here."""

    try:
        release = read_release(settings, ignore, write=False)
        return Comparison(plan_release(aws, settings, release, pool, ignore).plan)
    except DeployerError as error:
        return Comparison(None, error.message.splitlines()[0])


def _places(change: Change, outside: bool) -> Iterator[str]:
    """Yield what of a change comes from outside; or what does not."""
    if change.note.startswith(DELETED):
        if outside:
            yield f"{change.key} ({DELETED})"
        return
    if not change.fields and not outside:
        yield change.key
    for place in change.fields:
        if (place.origin == CHANGED) == outside:
            yield f"{change.key} ({place.path})"


def _problems(status: Status) -> Iterator[Problem]:
    """Yield what is wrong, the worst first."""
    yield from _broken(status)
    yield from _failing(status)
    release = status.release
    if release is None:
        yield Problem("the live workflow is no release", "python -m deployer plan")
    elif release.canary:
        text = f"release {release.number} is a canary: make it live, or take it away by rollback"
        yield Problem(text, "python -m deployer promote")
    if status.comparison.outside:
        text = f"changed outside: {', '.join(status.comparison.outside)}"
        yield Problem(text, "python -m deployer plan")


def _broken(status: Status) -> Iterator[Problem]:
    for model in status.models:
        for whose in model.gone:
            text = f"{model.name}: the function version that is {whose} is gone"
            yield Problem(text, "python -m deployer up")
    if status.url is None:
        yield Problem("there is no API, or more than one", "python -m deployer plan")
    if isinstance(status.alarms, list) and status.alarms:
        text = f"alarms ring: {', '.join(status.alarms)}"
        yield Problem(text, f"{_ERRORS} --since 1h")
    if status.hearing:
        yield from (Problem(text, command) for text, command in status.hearing.problems)


def _failing(status: Status) -> Iterator[Problem]:
    failing, throttled = {}, []
    for model in status.models:
        metrics = model.metrics
        if metrics and metrics.errors > metrics.throttled:
            count = metrics.errors - metrics.throttled
            failing[model.name] = f"{model.name} {count:,} of {metrics.requests:,}"
        if metrics and metrics.throttled:
            throttled.append(f"{model.name} {metrics.throttled:,} of {metrics.requests:,}")
    if failing:
        text = f"requests failed: {', '.join(failing.values())}"
        yield Problem(text, f"{_ERRORS} {' '.join(failing)} --since 1h")
    if throttled:  # of which the functions' own logs have no line
        text = f"Lambda refused requests, for lack of concurrency: {', '.join(throttled)}"
        yield Problem(text, f"{_ERRORS} workflow --since 1h")
    if status.metrics and status.metrics.server_errors:
        counts = f"{status.metrics.server_errors:,} of {status.metrics.requests:,}"
        yield Problem(f"answered with 5xx: {counts}", f"{_ERRORS} api --since 1h")
    if status.metrics and status.metrics.failed:
        counts = f"{status.metrics.failed:,} of {status.metrics.executions:,}"
        text = f"executions failed: {counts}"
        yield Problem(text, f"{_ERRORS} workflow --since 1h")
