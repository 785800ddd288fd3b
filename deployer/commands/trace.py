"""`trace`: where the time of one request went, and what it cost."""

from __future__ import annotations

import sys

import click

from deployer.commands.options import Options, common
from deployer.commands.session import session
from deployer.commands.tracing import traced


@click.command("trace")
@common
@click.argument("request", metavar="ID")
@click.option(
    "--since", default="1d", metavar="SPAN", help="How far to look back: 30s, 10m, 2h, 7d."
)
def command(options: Options, request: str, since: str) -> None:
    """Show where the time of one request went, and what it cost.

    ID is the request's id, which invoke prints. Write -- before an ID that begins with a dash.

    \b
    Example:
        python -m deployer trace gS3PvE5xIAMEJQw=
    """
    from deployer.report.console import print_json, stdout_console
    from deployer.report.trace import print_trace
    from deployer.service.logs import since as span_of
    from deployer.service.request_logs import check_id

    try:
        span, name = span_of(since), check_id(request)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with session(options, "trace", deploying=False) as now:
        found = traced(now, name, span)
        now.reporter.pause()
        if options.as_json:
            print_json(sys.stdout, found.document())
        else:
            console = stdout_console(color=options.color)
            print_trace(console, found.trace, found.items, found.remarks)
