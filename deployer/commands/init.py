"""`init`: write a new project, or bring one up to date."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployer import __version__
from deployer.commands.asking import AGREE, ask, can_ask
from deployer.commands.interrupts import raising
from deployer.commands.options import Options, common
from deployer.commands.session import started
from deployer.errors import Declined
from deployer.hints import requirements_advice
from deployer.project.template import EXAMPLES

if TYPE_CHECKING:
    from deployer.service.initializing import Update, Written

SETTINGS = ("service", "stage", "region")


@click.command("init")
@common
@click.argument(
    "folder", required=False, type=click.Path(file_okay=False, path_type=Path), metavar="[FOLDER]"
)
@click.option(
    "--example",
    type=click.Choice(EXAMPLES),
    help=f"The project to start from; by default {EXAMPLES[0]}. minimal is a skeleton to fill in.",
)
@click.option(
    "--update",
    is_flag=True,
    help="Show what this version of the deployer changes in the files that you have not edited, "
    "and write the changes after asking.",
)
@click.option("--yes", is_flag=True, help="With --update: do not ask.")
def command(
    options: Options, folder: Path | None, example: str | None, update: bool, yes: bool
) -> None:
    """Write a new project into FOLDER, by default the current folder.

    All files are yours to change. The folder must be new or empty; nothing is overwritten.

    \b
    Example:
        python -m deployer init shop --example minimal
    """
    started()
    if folder is not None and options.project != Path():
        raise click.UsageError("name the folder once: as FOLDER, or by --project")
    options.project = options.project if folder is None else folder  # hints name it
    given = {name: getattr(options, name) for name in SETTINGS}
    settings = {name: value for name, value in given.items() if value is not None}
    with raising():
        if not update:
            begin(options, example or EXAMPLES[0], settings)
        elif example or settings:
            raise click.UsageError("--update takes the example and the settings of the project")
        else:
            bring_up_to_date(options, yes)


def begin(options: Options, example: str, settings: dict[str, str]) -> None:
    """Write a new project, and print its files and the next commands."""
    from deployer.project.initial import refuse_wrong, service_name
    from deployer.report.console import print_json, print_lines, stderr_console, stdout_console
    from deployer.report.initialized import print_written
    from deployer.service.initializing import initialize

    folder = options.project.resolve()
    refuse_wrong(settings)
    chosen = "service" in settings
    settings = {"service": service_name(folder, example), **settings}
    written = initialize(folder, example, settings, __version__)
    if options.as_json:
        print_json(sys.stdout, document(folder, written))
        return
    title = f"{folder.name}: the example {example}, as the service {settings['service']}"
    names = [name for name in written.files if name not in written.kept]
    print_written(stdout_console(color=options.color), title, names)
    lines = [f"note: {name} stays as it is: `init` did not write it" for name in written.kept]
    if not chosen and settings["service"] == example != folder.name:
        lines.append(
            f"note: the folder's name makes no name of a service, so it is {example}: services of "
            "one name are one service. To choose another, change service in setup.cfg"
        )
    lines += [options.wording(line) for line in next_commands(options.project)]
    print_lines(stderr_console(color=options.color), lines)


def document(folder: Path, written: Written) -> dict[str, object]:
    record = written.record
    return {
        "folder": str(folder),
        "example": record.example,
        "version": record.version,
        "settings": dict(record.settings),
        "files": [name for name in written.files if name not in written.kept],
        "kept": list(written.kept),
    }


def next_commands(project: Path) -> list[str]:
    """Return the commands that install what train.py needs, and deploy."""
    install = requirements_advice(project / "requirements.txt")
    indent = " " * len("next: ")
    return [
        f"next: {install}",
        f"{indent}python -m deployer up --local",
        f"{indent}python -m deployer invoke --sample --local",
    ]


def bring_up_to_date(options: Options, yes: bool) -> None:
    """Show what this version changes in a project, ask, and write it."""
    from deployer.project.folder import refuse_absent
    from deployer.report.console import print_json, print_lines, stderr_console, stdout_console
    from deployer.report.initialized import print_changes
    from deployer.service.initializing import perform_update, plan_update

    folder = options.project.resolve()
    refuse_absent(folder)
    update = plan_update(folder, __version__)
    changes = [(change.name, change.before, change.after) for change in update.changes]
    if not options.as_json:
        print_changes(stdout_console(color=options.color), changes, remarks(update))
    kept: list[str] = []
    if changes:
        consent(update, yes)
        kept = perform_update(folder, update)
    if options.as_json:
        print_json(sys.stdout, update_document(update, kept))
        return
    lines = [f"note: {name} stays as it is: it was changed meanwhile" for name in kept]
    count = len(changes) - len(kept)
    lines.append(f"written: {files(count)}" if count else "nothing is to be written")
    print_lines(stderr_console(color=options.color), lines)


def consent(update: Update, yes: bool) -> None:
    """Ask whether to write an update; raise Declined without a terminal."""
    if yes:
        return
    names = [change.name for change in update.changes]
    if not can_ask():
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        raise Declined(f"refusing to write {shown} without a terminal to confirm", AGREE)
    ask(f"Write {files(len(names))}?")


def files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def remarks(update: Update) -> list[str]:
    """Return a line for each file that the update leaves as it is."""
    new = update.record.version
    return [
        *(f"stays  {name}: you have changed it, and {new} has another" for name in update.touched),
        *(f"stays away  {name}: you have deleted it" for name in update.deleted),
        *(f"stays  {name}: {new} does without it" for name in update.obsolete),
    ]


def update_document(update: Update, kept: list[str]) -> dict[str, object]:
    return {
        "example": update.record.example,
        "version": {"before": update.before.version, "after": update.record.version},
        "written": [change.name for change in update.changes if change.name not in kept],
        "touched": [*update.touched, *kept],
        "deleted": list(update.deleted),
        "obsolete": list(update.obsolete),
    }
