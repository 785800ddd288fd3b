"""`env`: how other AWS clients reach the local AWS."""

from __future__ import annotations

import shlex
import sys

import click

from deployer.commands.options import Options, common
from deployer.commands.session import settings_of


@click.command("env")
@common
def command(options: Options) -> None:
    """Print the environment variables with which AWS clients reach the local AWS.

    \b
    Example:
        eval "$(python -m deployer env --local)"
    """
    from deployer.local import process
    from deployer.report.console import print_json

    if not options.local:
        raise click.UsageError("only the local AWS needs this: add --local")
    settings = settings_of(options)
    server = process.find(settings.project)
    if server is None:
        raise process.NotRunning(settings.project)
    variables = server.environment(settings.region or process.REGION)
    if options.as_json:
        print_json(sys.stdout, variables)
    else:
        for name, value in variables.items():
            click.echo(f"export {name}={shlex.quote(value)}")
