"""What is deployed and how it does, on one screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from deployer.report.values import duration_text, local_time

if TYPE_CHECKING:
    from deployer.service.metrics import ModelMetrics, ServiceMetrics
    from deployer.service.status import ServedModel, Status

_AUTH = {
    "none": "the URL is public, everyone who knows the URL may call it",
    "iam": "callers sign with AWS credentials",
    "jwt": "callers send a token",
    "key": "callers send an API key",
}
_UNKNOWN = "?"
_LABEL = 11
_INDENT = 4


def print_status(
    console: Console, status: Status, now: datetime, wording: Callable[[str], str] = str
) -> None:
    """Print release, API, traffic, models, differences and what to do next.

    Args:
        wording: completes the commands, so that they work when copied.
    """
    for label, text in _head(status, now):
        _labelled(console, label, text)
    console.print()
    table = _table(status.models, status.links)
    wide = console.options.update(max_width=10_000)
    if Measurement.get(console, wide, table).maximum <= console.width:
        console.print(table)
    else:
        for model in status.models:
            _print_model(console, model)
    console.print()
    for label, text in _tail(status):
        _labelled(console, label, text)
    for problem in status.problems:
        _labelled(console, "problem", Text(problem.text, style="red"))
        _command(console, wording(problem.command))
    if status.comparison.others:
        places = ", ".join(status.comparison.others)
        _labelled(console, "differs", Text(f"from this folder: {places}"))
        _command(console, wording("python -m deployer plan"))


def _labelled(console: Console, label: str, text: Text) -> None:
    """Print a text beside its label; further lines are below its beginning."""
    lines = text.wrap(console, max(_LABEL, console.width - _LABEL))
    for number, line in enumerate(lines):
        start = "" if number else label
        console.print(Text.assemble((start.ljust(_LABEL), "bold"), line), soft_wrap=True)


def _command(console: Console, command: str) -> None:
    """Print a command unfolded, so that it works when copied."""
    console.print(Text(f"{' ' * _LABEL}{command}"), soft_wrap=True)


def _head(status: Status, now: datetime) -> Iterator[tuple[str, Text]]:
    settings = status.settings
    where = f"account {settings.account}, {settings.region}"
    yield "service", Text(f"{settings.service}, stage {settings.stage}, {where}")
    yield "release", Text(_release(status, now))
    yield "url", Text(status.url or "none", style="" if status.url else "red")
    doubt = "; the live API differs from this folder" if "api" in status.comparison.others else ""
    yield "auth", Text(f"{settings.auth}: {_AUTH[settings.auth]}{doubt}", style="red" * bool(doubt))
    metrics = status.metrics
    if metrics is None:
        yield "last hour", Text(f"not known: {status.unmeasured}", style="yellow")
        return
    executions = f"{_counted(metrics.executions, 'execution')}, {metrics.failed:,} failed"
    yield "last hour", Text(f"{_requests(metrics)}; {executions}")


def _requests(metrics: ServiceMetrics) -> str:
    if metrics.requests is None:
        return "requests are counted by API, and there is none"
    answers = f"{metrics.client_errors:,} answered with 4xx, {metrics.server_errors:,} with 5xx"
    latency = duration_text(metrics.p99_ms)
    return f"{_counted(metrics.requests, 'request')}, {answers}, p99 {latency}"


def _release(status: Status, now: datetime) -> str:
    release = status.release
    if release is None:
        return "none: the live workflow was changed outside, or by an earlier version of this tool"
    provenance = release.provenance
    parts = [
        f"{release.number}, since {local_time(release.created)} ({_ago(now - release.created)})"
    ]
    if release.canary:
        beside = f"release {provenance.beside}" if provenance.beside else "the former one"
        parts.append(f"a canary: {release.canary.percent} % of the requests, beside {beside}")
    if provenance.back_to:
        parts.append(f"back to {provenance.back_to}")
    if provenance.by:
        parts.append(f"by {provenance.by}")
    if provenance.commit:
        parts.append(f"commit {provenance.commit}{', changed' if provenance.changed else ''}")
    return ", ".join(parts)


def _ago(passed: timedelta) -> str:
    """Return how long ago something was, in its largest unit."""
    seconds = max(0, int(passed.total_seconds()))
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{_counted(seconds, 'second')} ago"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _table(models: Iterable[ServedModel], links: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("model", "version", "since"):
        table.add_column(name, overflow="fold")
    for name in ("memory", "requests", "errors", "p50", "p99", "cold starts"):
        table.add_column(name, justify="right", no_wrap=True)
    for model in models:
        link = links.get(f"logs/{model.name}")
        shown = Text(model.name, style=f"link {link}" if link else "")
        requests, errors, p50, p99, cold = _numbers(model.metrics)
        style = "red" if model.metrics and model.metrics.errors else ""
        version = Text("\n").join(_versions(model))
        table.add_row(
            shown,
            version,
            _since(model),
            _memory(model),
            requests,
            Text(errors, style),
            p50,
            p99,
            cold,
        )
    return table


def _print_model(console: Console, model: ServedModel) -> None:
    console.print(Text(model.name, style="bold"), soft_wrap=True)
    requests, errors, p50, p99, cold = _numbers(model.metrics)
    failed = bool(model.metrics and model.metrics.errors)
    lines = (
        Text.assemble(
            "model ",
            Text(", ").join(_versions(model)),
            f", since {_since(model)}, {_memory(model)}",
        ),
        Text.assemble(
            f"requests {requests}, ",
            (f"errors {errors}", "red" if failed else ""),
            f", p50 {p50}, p99 {p99}, cold starts {cold}",
        ),
    )
    for text in lines:
        for line in text.wrap(console, max(_LABEL, console.width - _INDENT)):
            console.print(Text.assemble(" " * _INDENT, line), soft_wrap=True)


def _versions(model: ServedModel) -> Iterator[Text]:
    """Yield the versions that serve: the live one, and the one that a canary tries."""
    if model.live or not model.candidate:
        yield Text(model.text, style="" if model.live else "red")
    if model.candidate:
        yield Text(f"canary: {model.candidate_text}", style="yellow")


def _since(model: ServedModel) -> str:
    return local_time(model.live.modified) if model.live else _UNKNOWN


def _memory(model: ServedModel) -> str:
    return f"{model.live.configuration.get('MemorySize')} MB" if model.live else _UNKNOWN


def _numbers(metrics: ModelMetrics | None) -> tuple[str, str, str, str, str]:
    if metrics is None:
        return (_UNKNOWN,) * 5
    if metrics.cold_starts is None:
        cold = _UNKNOWN
    else:
        cold = f"{metrics.cold_starts:,}{' or more' if metrics.more else ''}"
    percentiles = (duration_text(metrics.p50_ms), duration_text(metrics.p99_ms))
    return (f"{metrics.requests:,}", f"{metrics.errors:,}", *percentiles, cold)


def _tail(status: Status) -> Iterator[tuple[str, Text]]:
    comparison = status.comparison
    if comparison.unknown:
        yield "drift", Text(f"not known: {comparison.unknown}", style="yellow")
    elif not comparison.outside:
        yield "drift", Text("none that the live release tells of")
    if isinstance(status.alarms, str):
        yield "alarms", Text(f"not known: {status.alarms}", style="yellow")
    if status.hearing:
        label = "" if isinstance(status.alarms, str) else "alarms"
        yield label, Text(status.hearing.text)
        yield from (
            ("", Text(f"not known: {reason}", style="yellow")) for reason in status.hearing.unknown
        )
    for name in ("workflow", "api"):
        if name in status.links:
            yield "console" if name == "workflow" else "", Text(status.links[name])
