"""`add`: put a trained model into the project."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployer.commands.asking import AGREE, answer, ask, can_ask
from deployer.commands.interrupts import raising
from deployer.commands.options import Options, common
from deployer.commands.session import settings_of, started
from deployer.errors import ConfigError, Declined
from deployer.project.folder import refuse_incomplete

if TYPE_CHECKING:
    from rich.console import Console

    from deployer.project.examples import Example
    from deployer.project.model_files import Source
    from deployer.service.adding import Addition, Answers, Inspected

NEXT = "next: python -m deployer up"
TYPES = {"n": "number", "b": "boolean", "s": "string"}


@click.command("add")
@common
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the model and its function; by default the file's name.")
@click.option(
    "--example",
    type=click.Path(path_type=Path),
    help="CSV or JSON file of input records; the model's answers are recorded and tested later.",
)
@click.option(
    "--yes",
    is_flag=True,
    help="Do not ask before FILE is loaded, which runs its code, or requirements.txt is changed.",
)
def command(
    options: Options, file: Path, name: str | None, example: Path | None, yes: bool
) -> None:
    """Add a trained model to the project.

    FILE is a joblib file, a pickle, or an MLflow folder. Loading FILE runs the code in it. The
    command copies FILE to models/ and describes it in models/manifest.json. It adds a branch to
    state_machine.json, a sample, and the lines that the model's packages need in requirements.txt.

    \b
    Example:
        python -m deployer add churn.joblib --example customers.csv
    """
    from deployer.project.examples import read_example
    from deployer.project.model_files import open_source
    from deployer.report.console import stderr_console
    from deployer.service.adding import function_name, locked, perform, plan_addition
    from deployer.service.release import long_names
    from deployer.service.retraining import on_adding

    started()
    project = options.project.resolve()
    refuse_incomplete(project)
    settings = settings_of(options)
    source = open_source(file)
    name = function_name(name, file)
    if problems := list(long_names(settings, [name])):
        raise ConfigError(problems, "give a shorter --name")
    records = read_example(example) if example is not None else source.example
    with raising():
        if not yes:
            consent(source.file)
        console = stderr_console(color=options.color)
        records, inspected = inspected_as_before(console, project, name, source, records)
        with locked(project):
            made = not records.columns
            addition = plan_addition(project, name, source, inspected, made=made)
            addition.add_lines(agreed=yes or agreed(addition))
            changed = perform(project, addition.writes)
    trained = [] if in_training() else list(on_adding(settings, name, file, example))
    show(options, addition, changed, trained)


def in_training() -> bool:
    """Tell whether the setting `train` runs this command."""
    from deployer.project.training import RUNNING

    return RUNNING in os.environ


def show(
    options: Options, addition: Addition, changed: Sequence[str], trained: Sequence[str]
) -> None:
    """Print what was concluded and written; remarks and the next command go to stderr.

    Args:
        trained: remarks on the setting `train`. The command in them is for setup.cfg, so it keeps
            its words.
    """
    from deployer.report.added import print_added
    from deployer.report.console import print_json, print_lines, stderr_console, stdout_console

    files = [(write.name, write.name in changed) for write in addition.writes]
    if options.as_json:
        document = {
            "model": addition.name,
            "estimator": addition.estimator,
            "entry": addition.entry,
            "files": [{"file": name, "changed": written} for name, written in files],
            "branch": addition.branch,
            "remarks": [*map(options.wording, addition.remarks), *trained],
        }
        print_json(sys.stdout, document)
        return
    out = stdout_console(color=options.color)
    print_added(out, addition.name, addition.estimator, addition.entry, files)
    if addition.branch is not None:
        print_json(sys.stdout, addition.branch)
    lines = [note(options.wording(remark)) for remark in addition.remarks]
    lines += [note(remark) for remark in trained]
    if not in_training():  # `up` goes on by itself
        lines.append(options.wording(NEXT))
    if not changed:
        lines.insert(0, "nothing was changed: the project has this very model already")
    print_lines(stderr_console(color=options.color), lines)


def note(remark: str) -> str:
    return f"note: {remark}"


def consent(file: Path) -> None:
    """Ask before the code in a file runs; raise Declined without a terminal."""
    if not can_ask():
        raise Declined(
            f"refusing to load {file}, which runs the code in it, without a terminal to confirm",
            AGREE,
        )
    ask(f"Loading {file} runs the code in it. Load it?")


def agreed(addition: Addition) -> bool:
    """Ask whether to write the lines of requirements.txt that the model's packages need."""
    if addition.lines is None:
        return False
    try:
        ask(f"{addition.lines.file} lacks {addition.lines.listed}. Write this?")
    except Declined:
        return False
    return True


def inspected_as_before(
    console: Console, project: Path, name: str, source: Source, records: Example
) -> tuple[Example, Inspected]:
    """Inspect a model; without an example, with that of the model which it replaces, if it fits."""
    from deployer.service.adding import former_example

    former = former_example(project, name)
    if former.columns and not records.columns:
        with suppress(ConfigError):  # it has other features
            return former, inspected_with_answers(console, project, name, source, former)
    return records, inspected_with_answers(console, project, name, source, records)


def inspected_with_answers(
    console: Console, project: Path, name: str, source: Source, records: Example
) -> Inspected:
    """Inspect a model, and once more with the user's answers to what it does not say."""
    from deployer.service.adding import Answers, inspect

    answers = Answers()

    def ask_model() -> Inspected:
        with console.status(f"loading {source.file.name} and asking it"):  # on a terminal alone
            return inspect(project, name, source, records, answers)

    inspected = ask_model()
    while inspected.unknown:
        if not can_ask():
            raise ConfigError(
                [f"{source.file}: {unsaid(inspected.unknown)}"],
                "add --example FILE: records as CSV or JSON, their columns in the order of the "
                "training",
            )
        ask_unknown(inspected.unknown, answers)
        inspected = ask_model()
    return inspected


def unsaid(unknown: dict[str, list[str]]) -> str:
    """Say what a model does not say."""
    if "names" in unknown:
        count = len(unknown["names"])
        what = "its feature" if count == 1 else f"its {count} features"
        return f"the model does not say the name of {what}"
    columns = ", ".join(unknown["types"])
    return f"the model does not say the type of its columns {columns}"


def ask_unknown(unknown: dict[str, list[str]], answers: Answers) -> None:
    """Ask for the names of features, or for the types of columns."""
    if "names" in unknown:
        default = unknown["names"]
        shown = ",".join(default if len(default) <= 6 else [*default[:3], "...", default[-1]])
        while answers.names is None:
            line = answer(f"Names of its {len(default)} features, with commas [{shown}]: ")
            names = [name.strip() for name in line.split(",")] if line else default
            if len(names) == len(default) and all(names):
                answers.names = names
            else:
                click.echo(f"{len(default)} names are needed", err=True)
        return
    for column in unknown["types"]:
        while column not in answers.types:
            line = answer(f"Type of the column {column}: number, boolean or string [number]: ")
            type_ = TYPES.get(line[:1].lower() or "n")
            if type_ is not None:
                answers.types[column] = type_
