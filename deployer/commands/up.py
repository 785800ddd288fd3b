"""`up`: create or update everything."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import click

from deployer.commands.asking import confirm
from deployer.commands.changes import applied, document
from deployer.commands.options import Options, adopting, common, with_builder
from deployer.commands.session import Session, executor, session
from deployer.engine.events import Note
from deployer.errors import Declined


@click.command("up")
@common
@with_builder
@adopting
@click.option(
    "--train", is_flag=True, help="Train first, even where models of this service are live."
)
@click.option(
    "--yes",
    is_flag=True,
    help="Agree to deletions, replacements and adoptions without being asked.",
)
def command(options: Options, adopt: bool, train: bool, yes: bool) -> None:
    """Create or update everything; the last line is the URL.

    \b
    Example:
        python -m deployer up --stage prod
    """
    from deployer.report.console import print_json

    begun = time.monotonic()
    with session(options, "up") as now, executor() as pool:
        from deployer.service import runs

        train_if_needed(now, train)
        plan, run = runs.prepare_up(now.aws, replace(now.settings, adopt=adopt), pool, now.emit)
        if adopt:
            confirm(now, "take over", plan.adopting, yes, "Take over what the plan gives tags to?")
        confirm(
            now,
            "delete or replace",
            plan.destructive,
            yes,
            "Go on and delete what the plan deletes?",
        )
        outputs = applied(now, plan, run, begun)
        if not options.as_json:
            now.emit(Note("next: python -m deployer invoke --sample"))
        now.reporter.pause()
        if options.as_json:
            print_json(sys.stdout, document(now, plan, outputs, time.monotonic() - begun))
        else:
            click.echo(outputs["url"])


def train_if_needed(now: Session, wanted: bool) -> None:
    """Train when it is wanted, or when there are no models here and none are live that they would
    replace.
    """
    from deployer.project import training
    from deployer.service.declare import live_functions

    if not wanted:
        if not training.needed(now.settings):
            return
        live = live_functions(now.aws, now.settings)
        if live:
            raise Declined(
                f"there are no models here, but {', '.join(live)} of this service serve some "
                f"already; "
                "training would replace them",
                "bring those models back into models/, or agree to train: python -m deployer ... "
                "--train",
            )
    training.train(now.settings, now.emit, now.environment)
