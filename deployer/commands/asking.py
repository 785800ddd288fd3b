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
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        names = ", ".join(change.key for change in changes[:5])
        more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
        raise Declined(f"refusing to {verb} {names}{more} without a terminal to confirm", AGREE)
    now.reporter.pause()
    ask(question, now.interrupts.stopped.is_set)
    now.reporter.resume()


def counted(changes: Sequence[Change]) -> str:
    return "1 resource" if len(changes) == 1 else f"{len(changes)} resources"


def ask(question: str, stopped: Callable[[], bool] = lambda: False) -> None:
    """Ask on the terminal; raise Declined unless the answer is yes.

    Waits for the line in short turns: a blocking read would notice a signal that came just before
    it only once the line is there.

    Args:
        stopped: whether a signal has come whose exception Python dropped.

    Raises:
        KeyboardInterrupt
    """
    answer = ""
    while answer not in ("y", "yes"):
        click.echo(f"{question} [y/N]: ", nl=False, err=True)
        try:
            while not select.select([sys.stdin], [], [], 0.1)[0]:
                if stopped():
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            click.echo(err=True)  # the question's line ends here
            raise
        line = sys.stdin.readline()
        answer = line.strip().lower()
        if answer in ("", "n", "no"):
            if not line:  # the end of input leaves the cursor in the question's line
                click.echo(err=True)
            raise Declined("declined; nothing was changed")
