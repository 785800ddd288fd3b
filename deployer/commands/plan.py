"""`plan`: show what `up` would change."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence
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
    from deployer.service.cost import Bill
    from deployer.service.release import Release


@click.command("plan")
@common
@with_builder
@adopting
@click.option("--train", is_flag=True, help="Train first, as up --train does.")
@click.option("--exit-code", is_flag=True, help="Exit with 3 if there are changes.")
@click.option(
    "--full",
    is_flag=True,
    help="Show complete values and documents, and the fields of new resources.",
)
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option("--cost", is_flag=True, help="Show what the service costs, by a dated price table.")
@click.option(
    "--requests",
    type=click.IntRange(0, 10**12),
    help="With --cost: requests per month; by default 1,000,000.",
)
@click.option(
    "--milliseconds",
    multiple=True,
    metavar="[NAME=]N",
    help="With --cost: billed time of a call, for all models or for one; by default 20.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the plan to this file, for up --plan.",
)
def command(
    options: Options,
    adopt: bool,
    train: bool,
    exit_code: bool,
    full: bool,
    markdown: bool,
    cost: bool,
    requests: int | None,
    milliseconds: tuple[str, ...],
    out: Path | None,
) -> None:
    """Show what up would change, and any drift: changes made outside this tool.

    \b
    Example:
        python -m deployer plan --exit-code
    """
    if markdown and options.as_json:
        raise click.UsageError("--markdown and --json are two forms of the same: give one of them")
    if (requests is not None or milliseconds) and not cost:
        raise click.UsageError("--requests and --milliseconds go with --cost")
    times = parsed_milliseconds(milliseconds)
    begun = time.monotonic()
    with session(options, "plan") as now, executor() as pool:
        from deployer.project import training
        from deployer.service.plan_file import place_of, saved_plan, write_plan
        from deployer.service.release import read_release
        from deployer.service.up import plan_release

        if now.empty:
            now.emit(Note("no local AWS runs: this is the plan for an empty account"))
        if train:
            training.train(now.settings, now.emit, now.environment)
        settings = replace(now.settings, adopt=adopt)
        release = read_release(settings, now.emit, write=False)
        deployment = plan_release(now.aws, settings, release, pool, now.emit, empty=now.empty)
        plan = deployment.plan
        place = place_of(settings, where(now))
        saved = saved_plan(deployment, place)
        bill = bill_of(now, release, times, requests) if cost else None
        if out is not None:
            write_plan(out, saved)
            now.emit(Note(f"the plan is written to {out}, {saved['digest']}"))
        now.reporter.pause()
        if options.as_json:
            content = document(now, plan, deployment.outputs, time.monotonic() - begun)
            show_json({**content, "digest": saved["digest"]}, bill, asked=cost)
        else:
            notes = deployment.notes if markdown else ()
            show(now, plan, saved, bill, full=full, markdown=markdown, notes=notes)
    if exit_code and not plan.is_empty:
        sys.exit(CHANGES)


def show_json(content: dict[str, Any], bill: Bill | None, *, asked: bool) -> None:
    from deployer.report.console import print_json

    cost = {"cost": bill.document() if bill else None} if asked else {}
    print_json(sys.stdout, {**content, **cost})


def show(
    now: Session,
    plan: Plan,
    saved: Any,
    bill: Bill | None,
    *,
    full: bool,
    markdown: bool,
    notes: Sequence[str] = (),
) -> None:
    """Print the plan and its cost as text, or as Markdown, with notes that stderr has besides."""
    from deployer.report.console import stdout_console
    from deployer.report.cost import cost_lines, cost_markdown

    if markdown:
        from deployer.engine.saved import without_secrets
        from deployer.report.markdown import markdown as as_markdown

        tail = cost_markdown(bill) if bill else ""
        text = as_markdown(without_secrets(plan), saved, saved["digest"], tail, notes)
        click.echo(text, nl=False)
        return
    from deployer.report.plan import print_plan

    console = stdout_console(color=now.options.color)
    print_plan(console, plan, full=full)
    for line in cost_lines(bill, console.width) if bill else ():
        console.print(line, soft_wrap=True)


def parsed_milliseconds(texts: Sequence[str]) -> dict[str, int]:
    """Return the time by model; "" stands for all others."""
    times: dict[str, int] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        if not re.fullmatch(r"[0-9]{1,6}", number) or not 1 <= int(number) <= 900_000:
            raise click.UsageError(
                f"--milliseconds: {text!r} must be a whole number from 1 to 900000, or such as "
                "churn=35"
            )
        times[name] = int(number)
    return times


def bill_of(
    now: Session, release: Release, times: Mapping[str, int], requests: int | None
) -> Bill | None:
    """Return the bill; None where the table has no prices of the region, which is told."""
    from deployer.service.pricing import Unpriced, priced

    unknown = sorted(set(times) - {"", *release.names})
    if unknown:
        raise click.UsageError(
            f"--milliseconds: there is no model {unknown[0]}; there are {', '.join(release.names)}"
        )
    try:
        return priced(now.settings, release, times, 1_000_000 if requests is None else requests)
    except Unpriced as error:
        now.emit(Note(f"cost: {error}"))
        return None
