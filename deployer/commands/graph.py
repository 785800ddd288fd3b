"""`graph`: draw the workflow."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deployer.commands.options import Options, common
from deployer.commands.session import session, started
from deployer.commands.tracing import find_trace
from deployer.project.folder import refuse_foreign

if TYPE_CHECKING:
    from deployer.project.drawing import Machine

FORMATS = ("tree", "mermaid", "svg")
SUFFIXES = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".txt": "tree", "": "tree"}


@click.command("graph")
@common
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Format of the picture; by default that of --output's suffix, or a tree.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the picture to this file.",
)
@click.option(
    "--request",
    metavar="ID",
    help="Draw the live workflow, coloured by what happened to this request.",
)
@click.option(
    "--since",
    metavar="SPAN",
    help="How far to look back for the request: 30s, 10m, 2h; by default 1d.",
)
def command(
    options: Options, form: str | None, output: Path | None, request: str | None, since: str | None
) -> None:
    """Draw the workflow as a tree, a Mermaid flowchart or an SVG picture.

    Draws state_machine.json. With --request, draws the live workflow and what happened to one
    request: which models answered, failed or were not reached, and how long each took. Write
    --request=ID, since an ID may begin with a dash.

    \b
    Example:
        python -m deployer graph --output workflow.svg
    """
    from deployer.project.drawing import drawing
    from deployer.project.workflow import WORKFLOW
    from deployer.service.picture import read_workflow

    form = form or _form_of(output)
    if request is not None:
        _draw_request(options, form, output, *_asked(request, since or "1d"))
        return
    if since is not None:
        raise click.UsageError("--since goes with --request")
    started()
    project = options.project.resolve()
    if not (project / WORKFLOW).exists():
        refuse_foreign(project)
    _draw(options, drawing(read_workflow(project)), form, output, WORKFLOW)


def _form_of(output: Path | None) -> str:
    """Return the form of the picture that a file's suffix says; UsageError for another suffix."""
    suffix = output.suffix.lower() if output else ""
    if suffix not in SUFFIXES:
        known = ", ".join(filter(None, SUFFIXES))
        raise click.UsageError(
            f"--output: no form of the picture is called {suffix}; its suffix may be {known}, or "
            "name the form by --format"
        )
    return SUFFIXES[suffix]


def _asked(request: str, since: str) -> tuple[str, timedelta]:
    """Return the id of a request, and how far to look back for it."""
    from deployer.service.logs import since as span_of
    from deployer.service.request_logs import check_id

    try:
        return check_id(request), span_of(since)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _draw_request(
    options: Options, form: str, output: Path | None, request: str, span: timedelta
) -> None:
    """Draw the live workflow with what happened to a request."""
    from deployer.engine.events import Note
    from deployer.project.drawing import marked
    from deployer.service.live_picture import live_picture, remarks
    from deployer.service.state_marks import marks

    with session(options, "graph", deploying=False) as now:
        trace = find_trace(now, request, span)
        picture = live_picture(now.aws, now.settings)
        found = marks(picture.machine, trace)
        for remark in remarks(picture, trace, found):
            now.emit(Note(remark))
        now.reporter.pause()
        states = {name: dict(vars(mark)) for name, mark in found.items()}
        more = {"request": trace.request, "states": states}
        title = f"request {trace.request}"
        _draw(options, marked(picture.machine, found), form, output, title, more)


def _draw(
    options: Options,
    machine: Machine,
    form: str,
    output: Path | None,
    title: str,
    more: Mapping[str, Any] = {},
) -> None:
    """Print a picture, or write it to a file; `more` is what --json prints beside it."""
    from deployer.report.console import print_json, stderr_console
    from deployer.service.picture import picture_file

    if output is not None:
        picture_file(output, text_of(machine, form, title), form)
    if options.as_json:
        text = text_of(machine, form, title)
        written = None if output is None else str(output)
        print_json(sys.stdout, {"format": form, "output": written, "picture": text, **more})
    elif output is not None:
        stderr_console(color=options.color).print(f"{output} is written", soft_wrap=True)
    else:
        show(options, machine, form, title)


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
