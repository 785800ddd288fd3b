"""`promote`: make a canary's candidate live for every request."""

from __future__ import annotations

from dataclasses import replace

import click

from deployer.commands.options import Options, common
from deployer.commands.session import executor, session
from deployer.commands.switching import switch, switching


@click.command("promote")
@common
@switching
def command(options: Options, no_proof: bool, yes: bool) -> None:
    """Make a canary's candidate live for every request.

    \b
    Example:
        python -m deployer promote --yes
    """
    with session(options, "promote") as now, executor() as pool:
        from deployer.service.switching import plan_promotion

        settings = replace(now.settings, proof=not no_proof)
        switch(now, plan_promotion(now.aws, settings, pool, now.emit), yes)
