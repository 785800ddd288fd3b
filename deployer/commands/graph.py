"""`graph`: draw the workflow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployer.commands.options import Options, common
from deployer.commands.session import started
from deployer.project.folder import refuse_foreign

if TYPE_CHECKING:
    from deployer.project.drawing import Machine

FORMATS = ("tree", "mermaid", "svg")
SUFFIXES = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid"}


@click.command("graph")
@common
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Form of the picture; by default a tree, or as the suffix of --output says.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the picture to this file.",
)
def command(options: Options, form: str | None, output: Path | None) -> None:
    """Draw state_machine.json: as a tree, a Mermaid flowchart, or an SVG picture.

    \b
    Example:
        python -m deployer graph --output workflow.svg
    """
    from deployer.project.drawing import drawing
    from deployer.project.workflow import WORKFLOW
    from deployer.report.console import print_json, stderr_console
    from deployer.service.picture import picture_file, read_workflow

    started()
    form = form or SUFFIXES.get(output.suffix.lower() if output else "", FORMATS[0])
    project = options.project.resolve()
    if not (project / WORKFLOW).exists():
        refuse_foreign(project)
    machine = drawing(read_workflow(project))
    if output is not None:
        picture_file(output, text_of(machine, form, WORKFLOW), form)
    if options.as_json:
        text = text_of(machine, form, WORKFLOW)
        written = None if output is None else str(output)
        print_json(sys.stdout, {"format": form, "output": written, "picture": text})
    elif output is not None:
        stderr_console(color=options.color).print(f"{output} is written", soft_wrap=True)
    else:
        show(options, machine, form, WORKFLOW)


def text_of(machine: Machine, form: str, title: str) -> str:
    """Return the whole text of a picture."""
    if form == "svg":
        from deployer.report.svg import svg

        return svg(machine, title)
    if form == "mermaid":
        from deployer.report.mermaid import mermaid

        return f"{mermaid(machine)}\n"
    from deployer.report.tree import WIDE, tree_lines

    return "".join(f"{line.plain}\n" for line in tree_lines(machine, WIDE))


def show(options: Options, machine: Machine, form: str, title: str) -> None:
    """Print a picture; the tree in colour, and folded at the width of the terminal."""
    if form != "tree":
        click.echo(text_of(machine, form, title), nl=False)
        return
    from deployer.report.console import stdout_console
    from deployer.report.tree import tree_lines

    console = stdout_console(color=options.color)
    for line in tree_lines(machine, console.width):
        console.print(line, soft_wrap=True)
