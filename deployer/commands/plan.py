"""`plan`: show what `up` would change."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deployer.commands.changes import document, where
from deployer.commands.group import CHANGES
from deployer.commands.options import Options, adopting, common, with_builder
from deployer.commands.session import executor, session
from deployer.engine.events import Note

if TYPE_CHECKING:
    from deployer.commands.session import Session
    from deployer.engine.plan import Plan


@click.command("plan")
@common
@with_builder
@adopting
@click.option("--exit-code", is_flag=True, help="Exit with 3 if there are changes.")
@click.option(
    "--full",
    is_flag=True,
    help="Show long values and documents whole, and the fields of new resources.",
)
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the plan to this file, for up --plan.",
)
def command(
    options: Options, adopt: bool, exit_code: bool, full: bool, markdown: bool, out: Path | None
) -> None:
    """Show what up would change, and any drift: changes made outside this tool.

    \b
    Example:
        python -m deployer plan --exit-code
    """
    if markdown and options.as_json:
        raise click.UsageError("--markdown and --json are two forms of the same: give one of them")
    begun = time.monotonic()
    with session(options, "plan") as now, executor() as pool:
        from deployer.service.plan_file import place_of, saved_plan, write_plan
        from deployer.service.release import read_release
        from deployer.service.up import plan_release

        if now.empty:
            now.emit(Note("no local AWS runs: this is the plan for an empty account"))
        settings = replace(now.settings, adopt=adopt)
        release = read_release(settings, now.emit, write=False)
        deployment = plan_release(now.aws, settings, release, pool, now.emit, empty=now.empty)
        plan = deployment.plan
        place = place_of(settings, where(now))
        saved = saved_plan(deployment, place)
        if out is not None:
            write_plan(out, saved)
            now.emit(Note(f"the plan is written to {out}, {saved['digest']}"))
        now.reporter.pause()
        if options.as_json:
            content = document(now, plan, deployment.outputs, time.monotonic() - begun)
            show_json(content, saved["digest"])
        else:
            show(now, plan, saved, full=full, markdown=markdown)
    if exit_code and not plan.is_empty:
        sys.exit(CHANGES)


def show_json(content: dict[str, Any], digest: str) -> None:
    from deployer.report.console import print_json

    print_json(sys.stdout, {**content, "digest": digest})


def show(now: Session, plan: Plan, saved: Any, *, full: bool, markdown: bool) -> None:
    """Print the plan as text, or as Markdown."""
    from deployer.report.console import stdout_console

    if markdown:
        from deployer.engine.saved import without_secrets
        from deployer.report.markdown import markdown as as_markdown

        click.echo(as_markdown(without_secrets(plan), saved, saved["digest"]), nl=False)
        return
    from deployer.report.plan import print_plan

    print_plan(stdout_console(color=now.options.color), plan, full=full)
