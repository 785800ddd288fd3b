"""`config`: the settings and where they come from."""

from __future__ import annotations

import sys

import click

from deployer.commands.options import Options, common
from deployer.commands.session import sources_of, started


@click.command("config")
@common
@click.argument("action", type=click.Choice(["show"]), default="show")
def command(options: Options, action: str) -> None:
    """Show every setting, its value, and where the value comes from.

    Does not call AWS and starts no server. The own values of a function are listed below the value
    for all other functions. Values that look like secrets are withheld.

    \b
    Example:
        python -m deployer config show --stage prod
    """
    from deployer.report.configuration import print_configuration
    from deployer.report.console import print_json, print_lines, stderr_console, stdout_console
    from deployer.service.configuration import configuration
    from deployer.service.release import declared_names, section_problems

    started()
    sources = sources_of(options)
    shown = configuration(sources)
    if options.as_json:
        print_json(sys.stdout, shown.document)
    else:
        print_configuration(stdout_console(color=options.color), shown)
    if names := declared_names(sources.settings):
        problems = section_problems(sources.settings, names)
        print_lines(stderr_console(color=options.color), (f"note: {one}" for one in problems))
