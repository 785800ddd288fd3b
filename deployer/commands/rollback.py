"""`rollback`: make a former release live again."""

from __future__ import annotations

from dataclasses import replace

import click

from deployer.commands.options import Options, common
from deployer.commands.session import executor, session
from deployer.commands.switching import switch, switching


@click.command("rollback")
@common
@click.option(
    "--to",
    type=click.IntRange(1),
    metavar="N",
    help="Go back to this release. Without --to: remove a running canary, or go back to the "
    "release before the live one.",
)
@switching
def command(options: Options, to: int | None, no_proof: bool, yes: bool) -> None:
    """Make a former release live again, from the resources in the account.

    \b
    Example:
        python -m deployer rollback --to 12
    """
    with session(options, "rollback") as now, executor() as pool:
        from deployer.service.switching import plan_rollback

        settings = replace(now.settings, proof=not no_proof)
        switch(now, plan_rollback(now.aws, settings, pool, now.emit, to), yes)
