"""`check`: find everything that AWS would refuse, before anything is written."""

from __future__ import annotations

import sys

import click

from deployer.commands.group import FAILED
from deployer.commands.options import Options, common
from deployer.commands.session import checking, executor


@click.command("check")
@common
@click.option("--offline", is_flag=True, help="Look at this folder only, not at the account.")
def command(options: Options, offline: bool) -> None:
    """Find everything that AWS would refuse, before anything is written.

    \b
    Example:
        python -m deployer check --offline
    """
    from deployer.report.console import print_json
    from deployer.report.results import findings_text
    from deployer.service.check import all_findings

    with checking(options, offline) as (now, found), executor() as pool:
        wording = now.options.wording
        offline = offline or now.empty or bool(found)
        found += all_findings(now.aws, now.settings, pool, now.emit, offline=offline)
        now.reporter.pause()
    found = [wording(finding) for finding in found]
    if options.as_json:
        print_json(sys.stdout, {"findings": found})
    else:
        click.echo(findings_text(found))
    if found:
        sys.exit(FAILED)
