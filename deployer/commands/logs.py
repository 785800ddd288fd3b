"""`logs`: what functions, workflow and API said."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from deployer.commands.group import INTERRUPTED
from deployer.commands.options import Options, common
from deployer.commands.session import session

if TYPE_CHECKING:
    from deployer.commands.session import Session
    from deployer.report.logs import LogView
    from deployer.service.log_lines import Event

_SINCE, _SINCE_OF_REQUEST = "10m", "1d"


@click.command("logs")
@common
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("-f", "--follow", is_flag=True, help="Keep showing new lines until Ctrl-C.")
@click.option(
    "--since",
    metavar="SPAN",
    help="How far to look back: 30s, 10m, 2h, 1d. By default 10m, and 1d with --request.",
)
@click.option("--filter", "text", help="Show only lines that contain this text, ignoring case.")
@click.option("--errors", is_flag=True, help="Show only lines of errors.")
@click.option("--request", metavar="ID", help="Show only the lines of this request.")
def command(
    options: Options,
    names: Sequence[str],
    follow: bool,
    since: str | None,
    text: str | None,
    errors: bool,
    request: str | None,
) -> None:
    """Show the logs of functions, workflow and API, merged by time.

    NAME is workflow, api, or a function's name in the workflow. With --json, each line is a JSON
    object.

    \b
    Example:
        python -m deployer logs --since 1h --errors
    """
    from deployer.service.request_logs import check_id

    if follow and request is not None:
        raise click.UsageError("--request shows what is over: it goes without --follow")
    span = _parsed(_span, since or (_SINCE if request is None else _SINCE_OF_REQUEST), "--since")
    wanted = None if request is None else _parsed(check_id, request, "--request")

    def shown(events: Iterable[Event]) -> Iterable[Event]:
        for event in events:
            if (not errors or event.is_error) and (text or "").lower() in event.message.lower():
                yield event

    with session(options, "logs", deploying=False) as now:
        _show(now, names, span, wanted, follow, shown)


def _span(text: str) -> timedelta:
    from deployer.service.logs import since

    return since(text)


def _parsed(parse: Callable[[str], Any], text: str, option: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from error


def _show(
    now: Session,
    names: Sequence[str],
    span: timedelta,
    request: str | None,
    follow: bool,
    shown: Callable[[Iterable[Event]], Iterable[Event]],
) -> None:
    """Read and print the lines."""
    from deployer.engine.events import Note
    from deployer.report.console import stdout_console
    from deployer.report.logs import LogView
    from deployer.service import logs, request_logs

    def tell(text: str, *, lasting: bool = False) -> None:
        now.emit(Note(text))
        now.reporter.resume()
        now.reporter.pause()

    now.reporter.pause()  # which would draw between the lines
    # All lines of a request are found by those of the API and the workflow.
    sources = logs.find_sources(now.aws, now.settings, () if request else names)
    for remark in (*sources.remarks, *logs.beyond_retention(sources.groups, span)):
        tell(remark)
    reader = logs.Reader(now.aws, tell)
    start = sources.now - span
    events: Iterable[Event]
    if request is not None:
        found = request_logs.of_request(now.aws, reader, sources, request, start)
        if not found.events:
            raise request_logs.not_found(now.aws, now.settings, request, start)
        wanted = names or [*(source.name for source in sources.groups), *sources.gone]
        events = [event for event in found.events if event.source in wanted]
        for name in sorted(found.absent.keys() & {*wanted} - sources.gone.keys()):
            tell(f"{name}: {found.absent[name].reason}")
    elif follow:
        events = reader.followed(sources.groups, start, now.interrupts.stopped.wait)
    else:
        events = reader.merged(sources.groups, start)
    view = LogView(
        stdout_console(color=now.options.color), [source.name for source in sources.groups]
    )
    with ended_by_ctrl_c() if follow else nullcontext():
        found_any = _print_lines(now, view, shown(events))
    if not found_any and not now.options.as_json:
        tell("no such lines" if request else f"no such lines since {start:%Y-%m-%d %H:%M:%S} UTC")


def _print_lines(now: Session, view: LogView, events: Iterable[Event]) -> bool:
    """Print lines as they come; return whether there was one."""
    found_any = False
    for event in events:
        found_any = True
        if now.options.as_json:
            sys.stdout.write(json.dumps(event.document()) + "\n")
        else:
            view.print(event)
        sys.stdout.flush()
    return found_any


@contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """Take Ctrl-C for the end, and not for an error; calls under way are not waited for."""
    try:
        yield
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
