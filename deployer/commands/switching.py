"""The part that `rollback` and `promote` have in common."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from deployer.commands.asking import confirm
from deployer.commands.changes import applied, document
from deployer.engine.events import Suggestion

if TYPE_CHECKING:
    from deployer.commands.session import Session
    from deployer.service.switching import Switch

Command = TypeVar("Command", bound=Callable[..., Any])


def switching(command: Command) -> Command:
    """Add the options of the verbs that switch the live workflow."""
    yes = click.option("--yes", is_flag=True, help="Do not ask before the switch.")
    no_proof = click.option(
        "--no-proof",
        is_flag=True,
        help="Switch without first testing that the function versions answer.",
    )
    return no_proof(yes(command))


def switch(now: Session, planned: Switch, yes: bool) -> None:
    """Ask, apply a planned switch, and print the number of the release that it made."""
    from deployer.report.console import print_json

    begun = time.monotonic()
    plan = planned.plan
    confirm(now, "switch", plan.effective, yes, f"Make {planned.target.name} live?")
    outputs = applied(now, plan, planned.apply, begun)
    if not (now.options.as_json or plan.is_empty):
        now.emit(Suggestion("next", ["python -m deployer status"]))
    now.reporter.pause()
    if now.options.as_json:
        print_json(sys.stdout, document(now, plan, outputs, time.monotonic() - begun))
    else:
        click.echo(f"release {outputs['release']}")
