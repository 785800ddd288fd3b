"""`releases`: show what has been live."""

from __future__ import annotations

import sys

import click

from deployer.commands.options import Options, common
from deployer.commands.session import session


@click.command("releases")
@common
@click.option(
    "--diff",
    "pair",
    type=(click.IntRange(1), click.IntRange(1)),
    metavar="A B",
    help="Show what differs between two releases.",
)
def command(options: Options, pair: tuple[int, int] | None) -> None:
    """Show what has been live, newest first, and what each release changed.

    \b
    Example:
        python -m deployer releases --diff 12 14
    """
    from deployer.report.console import print_json, stdout_console
    from deployer.report.releases import print_difference, print_releases

    with session(options, "releases", deploying=False) as now:
        from deployer.service.listing import difference, list_releases

        if pair is None:
            releases = list_releases(now.aws, now.settings)
            now.reporter.pause()
            if options.as_json:
                print_json(sys.stdout, {"releases": [release.document for release in releases]})
            else:
                print_releases(stdout_console(color=options.color), releases)
            return
        found = difference(now.aws, now.settings, *pair)
        now.reporter.pause()
        if options.as_json:
            document = {"from": found.before, "to": found.after}
            lines = {"changes": found.changes, "workflow": found.workflow}
            print_json(sys.stdout, {**document, **lines})
        else:
            print_difference(stdout_console(color=options.color), found)
