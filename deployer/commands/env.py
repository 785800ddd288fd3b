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
    """Print the environment variables by which AWS clients reach the local AWS.

    \b
    Example:
        eval "$(python -m deployer env --local)"
    """
    from deployer.local import process
    from deployer.report.console import print_json

    if not options.local:
        raise click.UsageError("only the local AWS needs this: add --local")
    server = process.find(options.project.resolve())
    if server is None:
        raise process.NotRunning(options.project.resolve())
    variables = server.environment(settings_of(options).region or process.REGION)
    if options.as_json:
        print_json(sys.stdout, variables)
    else:
        for name, value in variables.items():
            click.echo(f"export {name}={shlex.quote(value)}")
