"""Questions before resources are deleted, replaced or adopted."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from deployer.errors import Declined

if TYPE_CHECKING:
    from deployer.commands.session import Session
    from deployer.engine.plan import Change

AGREE = "to agree: python -m deployer ... --yes"


def confirm(now: Session, verb: str, changes: Sequence[Change], yes: bool, question: str) -> None:
    """Ask before these changes; raise Declined without a terminal, unless --yes was given."""
    if yes or not changes:
        return
    if not can_ask():
        names = ", ".join(change.key for change in changes[:5])
        more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
        raise Declined(f"refusing to {verb} {names}{more} without a terminal to confirm", AGREE)
    now.reporter.pause()
    ask(question, now.interrupts.stopped.is_set)
    now.reporter.resume()


def can_ask() -> bool:
    """Tell whether there is a terminal to ask on."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def counted(changes: Sequence[Change]) -> str:
    return "1 resource" if len(changes) == 1 else f"{len(changes)} resources"


def ask(question: str, stopped: Callable[[], bool] = lambda: False) -> None:
    """Ask on the terminal; raise Declined unless the answer is yes.

    Args:
        stopped: whether a signal has come whose exception Python dropped.

    Raises:
        KeyboardInterrupt
    """
    line = ""
    while line.strip().lower() not in ("y", "yes"):
        line = read_line(f"{question} [y/N]: ", stopped)
        if line.strip().lower() in ("", "n", "no"):
            raise Declined("declined; nothing was changed")


def answer(question: str) -> str:
    """Ask on the terminal for a text; raise Declined at the end of input."""
    line = read_line(question)
    if not line:
        raise Declined("declined; nothing was changed")
    return line.strip()


def read_line(question: str, stopped: Callable[[], bool] = lambda: False) -> str:
    """Return the line that the user types; "" at the end of input.

    Waits for the line in short turns: a blocking read would notice a signal that came just before
    it only once the line is there.
    """
    try:
        click.echo(question, nl=False, err=True)
        while not select.select([sys.stdin], [], [], 0.1)[0]:
            if stopped():
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        click.echo(err=True)  # the question's line ends here
        raise
    line = sys.stdin.readline()
    if not line:  # the end of input leaves the cursor in the question's line
        click.echo(err=True)
    return line
