"""`invoke --repeat`: send many requests, and show what they gave."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from deployer.commands.asking import AGREE, ask, can_ask
from deployer.commands.group import FAILED
from deployer.engine.events import Note
from deployer.errors import Declined, DeployerError

if TYPE_CHECKING:
    from deployer.commands.session import Session
    from deployer.service.invoke import Client
    from deployer.service.load import Load

MOST_REQUESTS = 100_000
MOST_CONCURRENT = 200
ASKED_FROM = 1_000  # requests to AWS, which cost


def measured(
    now: Session,
    make_client: Callable[[], Client],
    body: bytes,
    requests: int,
    concurrency: int,
    yes: bool,
) -> Load:
    """Send a request many times and print what that gave; raise Declined unless many are agreed to.

    Requests to AWS cost and may be throttled for others, so more than a thousand are asked for.
    """
    from deployer.report.console import print_json, stdout_console
    from deployer.report.load import print_load
    from deployer.service.load import cold_starts, measure

    if requests > ASKED_FROM and not now.options.local and not yes:
        question = f"send {requests:,} requests to {make_client().url}?"
        if not can_ask():
            raise Declined(f"refusing to send {requests:,} requests without being asked to", AGREE)
        now.reporter.pause()
        ask(question, now.interrupts.stopped.is_set)
        now.reporter.resume()
    begun = now.aws.now
    load = measure(make_client, body, requests, concurrency, now.interrupts.stopped.is_set)
    try:
        load.cold_starts = cold_starts(now.aws, now.settings, load, begun)
    except DeployerError as error:  # what was measured is shown all the same
        now.emit(Note(f"cold starts are not known: {error.message}"))
    now.reporter.pause()
    if now.options.as_json:
        print_json(sys.stdout, load.document())
    else:
        print_load(stdout_console(color=now.options.color), load)
    return load


def exit_code(load: Load, allow_partial: bool) -> int:
    """Return the exit code: 1 if a request failed, or a model in one."""
    return FAILED if load.failed or (load.partial and not allow_partial) else 0
