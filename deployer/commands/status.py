"""`status`: show what is deployed, and how it does."""

from __future__ import annotations

import sys

import click

from deployer.commands.group import CHANGES
from deployer.commands.options import Options, common
from deployer.commands.session import executor, session


@click.command("status")
@common
@click.option(
    "--exit-code",
    is_flag=True,
    help="Exit with 3 if something is wrong or cannot be checked.",
)
def command(options: Options, exit_code: bool) -> None:
    """Show what is deployed, how it did in the last hour, and what to do next.

    \b
    Example:
        python -m deployer status
    """
    from deployer.report.console import print_json, stdout_console
    from deployer.report.status import print_status

    with session(options, "status", deploying=False) as now, executor() as pool:
        from deployer.service.status import read_status

        status = read_status(now.aws, now.settings, pool)
        now.reporter.pause()
        if options.as_json:
            print_json(sys.stdout, status.document(options.wording))
        else:
            console = stdout_console(color=options.color)
            print_status(console, status, now.aws.now, options.wording)
    if exit_code and not status.is_well:
        sys.exit(CHANGES)
