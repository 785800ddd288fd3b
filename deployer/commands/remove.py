"""`remove`: take models out of the project again."""

from __future__ import annotations

import sys

import click

from deployer.commands.asking import AGREE, ask, can_ask
from deployer.commands.options import Options, common
from deployer.commands.session import settings_of, started
from deployer.errors import Declined

NEXT = (
    "next: python -m deployer up; what was deployed of it stays as long as a kept release needs it"
)


@click.command("remove")
@common
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(options: Options, names: tuple[str, ...], yes: bool) -> None:
    """Remove models from the project.

    Removes their branches, their manifest entries, and the files that `add` wrote. Files that `add`
    did not write, or that were changed since, stay.

    \b
    Example:
        python -m deployer remove churn
    """
    from deployer.report.console import print_json, print_lines, stderr_console
    from deployer.service.adding import locked, perform
    from deployer.service.removing import plan_removal
    from deployer.service.retraining import on_removing

    started()
    settings = settings_of(options)
    project = settings.project
    with locked(project):
        removal = plan_removal(project, names)
        if removal.parts and not yes:
            if not can_ask():
                parts = "; ".join(removal.parts)
                raise Declined(
                    f"refusing to remove {', '.join(names)} without a terminal to confirm: {parts}",
                    AGREE,
                )
            print_lines(stderr_console(color=options.color), removal.parts)
            ask("Remove this?")
        if removal.parts:
            perform(project, removal.writes)
            removal.remarks += on_removing(settings, names)
    remarks = [options.wording(remark) for remark in removal.remarks]
    if options.as_json:
        print_json(sys.stdout, {"removed": removal.parts, "remarks": remarks})
        return
    for part in removal.parts or [f"nothing to remove: there is no {', '.join(names)}"]:
        click.echo(f"removed  {part}" if removal.parts else part)
    lines = [f"note: {remark}" for remark in remarks]
    lines += [options.wording(NEXT)] if removal.parts else []
    print_lines(stderr_console(color=options.color), lines)
