"""`invoke`: ask the deployed models for predictions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployer.commands.group import FAILED
from deployer.commands.options import Options, common
from deployer.commands.session import session
from deployer.errors import ConfigError
from deployer.project.folder import refuse_foreign

if TYPE_CHECKING:
    from deployer.service.invoke import Answer


@click.command("invoke")
@common
@click.option(
    "--sample",
    is_flag=True,
    help="Send a record from samples/, or one made from the manifest's features.",
)
@click.option("--data", help="Send this JSON.")
@click.option(
    "--file", "path", type=click.Path(path_type=Path), help="Send this file; - is standard input."
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 10_000),
    default=1,
    help="Send it this many times, and show how the latency spreads.",
)
@click.option("--allow-partial", is_flag=True, help="Exit with 0 even if some models failed.")
def command(
    options: Options,
    sample: bool,
    data: str | None,
    path: Path | None,
    repeat: int,
    allow_partial: bool,
) -> None:
    """Ask the deployed models for predictions.

    \b
    Example:
        python -m deployer invoke --data '{"instances": [...]}'
    """
    from deployer.report.console import print_json, stdout_console
    from deployer.report.results import print_output, print_results
    from deployer.service.invoke import Client, fewest_answered, find_url

    refuse_foreign(options.project.resolve())
    body = request_body(options.project.resolve(), sample, data, path)
    with session(options, "invoke", deploying=False) as now:
        answers: list[Answer] = []
        with Client(find_url(now.aws, now.settings)) as client:
            for _ in range(repeat):
                answers.append(client.post(body))
                if not answers[-1].succeeded:
                    break
        now.reporter.pause()
        last = answers[-1]
        if not last.succeeded:
            failure = last.failure()
            failure.document = {
                "execution": {name: last.record.get(name) for name in ("status", "error", "cause")},
                "request": last.request,
            }
            raise failure
        results = last.results
        latencies_s = [answer.seconds for answer in answers]
        if options.as_json:
            print_json(sys.stdout, last.output)
        elif results is None:  # a workflow of the user's own shape
            print_output(stdout_console(color=options.color), last.output, latencies_s)
        else:
            print_results(stdout_console(color=options.color), results, latencies_s)
        if not options.as_json and repeat == 1 and last.request:
            click.echo(f"request {last.request}")
    answered, asked = fewest_answered(answers)
    if answered < asked and not allow_partial:
        click.echo(f"{answered} of {asked} models answered", err=True)
        sys.exit(FAILED)


def request_body(project: Path, sample: bool, data: str | None, path: Path | None) -> bytes:
    """Return the request body, from the one source that was named."""
    from deployer.files import Unreadable, read_text
    from deployer.project.samples import sample_request

    named = [
        name
        for name, given in (
            ("--sample", sample),
            ("--data", data is not None),
            ("--file", path is not None),
        )
        if given
    ]
    if len(named) != 1:
        what = f"not {' and '.join(named)}" if named else "none was given"
        raise click.UsageError(
            f"choose the request with one of --sample, --data and --file; {what}"
        )
    if data is not None:
        return data.encode()
    if path is None:
        return sample_request(project)
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return read_text(path).encode()
    except FileNotFoundError as error:
        raise ConfigError([f"{path}: No such file"]) from error
    except Unreadable as error:
        raise ConfigError([f"{path} {error}"]) from error
