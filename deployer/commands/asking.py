"""Asking before something is deleted, replaced or taken over."""

from __future__ import annotations

import select
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from deployer.errors import Declined

if TYPE_CHECKING:
    from deployer.commands.session import Session
    from deployer.engine.plan import Change

AGREE = "to agree: python -m deployer ... --yes"


def confirm(now: Session, verbs: str, changes: Sequence[Change], yes: bool, question: str) -> None:
    """Ask before these changes; without a terminal only --yes agrees."""
    if yes or not changes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        names = ", ".join(change.key for change in changes[:5])
        more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
        raise Declined(f"this would {verbs} {names}{more}; nobody can be asked here", AGREE)
    now.reporter.pause()
    ask(question)
    now.reporter.resume()


def ask(question: str) -> None:
    """Ask on the terminal, and raise Declined unless the answer is yes.

    The line is waited for in short turns: a signal that comes just before a blocking read would be
    seen after it only.
    """
    answer = ""
    while answer not in ("y", "yes"):
        click.echo(f"{question} [y/N]: ", nl=False, err=True)
        try:
            while not select.select([sys.stdin], [], [], 0.1)[0]:
                pass
        except KeyboardInterrupt:
            click.echo(err=True)  # the question's line ends here
            raise
        line = sys.stdin.readline()
        answer = line.strip().lower()
        if answer in ("", "n", "no"):
            if not line:  # the end of input leaves the cursor in the question's line
                click.echo(err=True)
            raise Declined("declined; nothing was changed")
