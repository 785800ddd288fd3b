"""`down`: delete everything of this service and stage."""

from __future__ import annotations

import sys
import time

import click

from deployer.commands.asking import AGREE, ask, confirm
from deployer.commands.changes import applied, document
from deployer.commands.options import Options, common
from deployer.commands.session import end_local, executor, force_end_local, session
from deployer.engine.events import Note
from deployer.errors import Declined


@click.command("down")
@common
@click.option(
    "--keep-data", is_flag=True, help="Keep the bucket with its models, and the log groups."
)
@click.option(
    "--force",
    is_flag=True,
    help="With --local: stop the local AWS and delete its files, even if it does not answer.",
)
@click.option("--yes", is_flag=True, help="Delete without asking.")
def command(options: Options, keep_data: bool, force: bool, yes: bool) -> None:
    """Delete everything of this service and stage, and verify that nothing is left.

    \b
    Example:
        python -m deployer down --stage dev --yes
    """
    from deployer.engine.plan import Plan
    from deployer.report.console import print_json

    begun = time.monotonic()
    if force and not options.local:
        raise click.UsageError("--force ends the local AWS: it goes with --local")
    if force:
        confirm_end(yes)
        ended = force_end_local(options.project.resolve())
        click.echo(ended, err=True)
        if options.as_json:
            print_json(sys.stdout, {"ended": ended})
        return
    with session(options, "down") as now, executor() as pool:
        from deployer.service.down import plan_down

        if now.empty:
            now.emit(Note("the local AWS is not running, so there is nothing to delete"))
            now.reporter.pause()
            if options.as_json:
                print_json(sys.stdout, document(now, Plan(()), {}, time.monotonic() - begun))
            return
        teardown = plan_down(now.aws, now.settings, pool, now.emit, keep_data=keep_data)
        plan = teardown.plan
        question = f"Delete all of {now.settings.service}, stage {now.settings.stage}?"
        confirm(now, "delete", plan.destructive, yes, question)
        applied(now, plan, teardown.apply, begun)
        now.reporter.pause()
        if options.as_json:
            print_json(sys.stdout, document(now, plan, {}, time.monotonic() - begun))
    if options.local:
        click.echo(end_local(options.project.resolve()), err=True)


def confirm_end(yes: bool) -> None:
    """Ask before the local AWS ends, with all services in it."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Declined("this would end the local AWS with all that lives in it", AGREE)
    ask("End the local AWS with all that lives in it, and remove its files?")
