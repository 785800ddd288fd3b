"""`plan`: show what `up` would change."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import click

from deployer.commands.changes import document
from deployer.commands.group import CHANGES
from deployer.commands.options import Options, adopting, common, with_builder
from deployer.commands.session import executor, session
from deployer.engine.events import Note


@click.command("plan")
@common
@with_builder
@adopting
@click.option("--exit-code", is_flag=True, help="Exit with 3 if there are changes.")
def command(options: Options, adopt: bool, exit_code: bool) -> None:
    """Show what up would change, and any drift: changes made outside this tool.

    \b
    Example:
        python -m deployer plan --exit-code
    """
    from deployer.report.console import print_json, stdout_console
    from deployer.report.plan import print_plan

    begun = time.monotonic()
    with session(options, "plan") as now, executor() as pool:
        from deployer.service.release import read_release
        from deployer.service.up import plan_release

        if now.empty:
            now.emit(Note("no local AWS runs: this is the plan for an empty account"))
        settings = replace(now.settings, adopt=adopt)
        release = read_release(settings, now.emit, write=False)
        deployment = plan_release(now.aws, settings, release, pool, now.emit, empty=now.empty)
        plan = deployment.plan
        now.reporter.pause()
        if options.as_json:
            print_json(
                sys.stdout, document(now, plan, deployment.outputs, time.monotonic() - begun)
            )
        else:
            print_plan(stdout_console(color=options.color), plan)
    if exit_code and not plan.is_empty:
        sys.exit(CHANGES)
