"""`check`: find everything that AWS would refuse, before the first write."""

from __future__ import annotations

import sys

import click

from deployer.commands.group import FAILED
from deployer.commands.options import Options, common
from deployer.commands.session import checking, executor


@click.command("check")
@common
@click.option("--offline", is_flag=True, help="Check the project's folder only, not the account.")
def command(options: Options, offline: bool) -> None:
    """Find everything that AWS would refuse, before the first write.

    \b
    Example:
        python -m deployer check --offline
    """
    from deployer.report.console import print_json
    from deployer.report.results import findings_text
    from deployer.service.check import all_findings

    with checking(options, offline) as (now, findings), executor() as pool:
        wording = now.options.wording
        offline = offline or now.empty or bool(findings)
        findings += all_findings(now.aws, now.settings, pool, now.emit, offline=offline)
        now.reporter.pause()
    findings = [wording(finding) for finding in findings]
    if options.as_json:
        print_json(sys.stdout, {"findings": findings})
    else:
        click.echo(findings_text(findings))
    if findings:
        sys.exit(FAILED)
