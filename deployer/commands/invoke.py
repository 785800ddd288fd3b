"""`invoke`: ask the deployed models for predictions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployer.commands.group import FAILED
from deployer.commands.options import Options, common
from deployer.commands.session import session
from deployer.commands.tracing import traced
from deployer.errors import ConfigError, DeployerError, LogsUnavailable
from deployer.project.folder import refuse_foreign

if TYPE_CHECKING:
    from deployer.commands.session import Session
    from deployer.commands.tracing import Priced
    from deployer.service.invoke import Answer

_JUST_NOW = timedelta(minutes=2)


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
@click.option("--trace", is_flag=True, help="Show where its time went, and what it cost.")
@click.option(
    "--token",
    help="The caller's token, with auth = jwt; better in DEPLOYER_TOKEN.",
)
@click.option(
    "--key",
    help="The caller's API key, with auth = key; better in DEPLOYER_API_KEY.",
)
@click.option("--allow-partial", is_flag=True, help="Exit with 0 even if some models failed.")
def command(
    options: Options,
    sample: bool,
    data: str | None,
    path: Path | None,
    repeat: int,
    trace: bool,
    token: str | None,
    key: str | None,
    allow_partial: bool,
) -> None:
    """Ask the deployed models for predictions.

    \b
    Example:
        python -m deployer invoke --data '{"instances": [...]}'
    """
    from deployer.service.credentials import authorizing
    from deployer.service.invoke import Client, fewest_answered, find_url

    if trace and repeat > 1:
        raise click.UsageError("--trace is for one request: it goes without --repeat")
    refuse_foreign(options.project.resolve())
    body = request_body(options.project.resolve(), sample, data, path)
    with session(options, "invoke", deploying=False) as now:
        answers: list[Answer] = []
        secrets = {"--token": token, "--key": key}
        authorize = authorizing(now.aws, now.settings, secrets, now.environment)
        with Client(find_url(now.aws, now.settings), authorize=authorize) as client:
            for _ in range(repeat):
                answers.append(client.post(body))
                if not answers[-1].succeeded:
                    break
        last = answers[-1]
        found = _traced(now, answers) if trace and last.succeeded else None
        now.reporter.pause()
        if not last.succeeded:
            failure = last.failure()
            failure.document = {
                "execution": {name: last.record.get(name) for name in ("status", "error", "cause")},
                "request": last.request,
            }
            raise failure
        _show(options, answers, found)
    answered, asked = fewest_answered(answers)
    if answered < asked and not allow_partial:
        click.echo(f"{answered} of {asked} models answered", err=True)
        sys.exit(FAILED)


def _show(options: Options, answers: Sequence[Answer], found: Priced | None) -> None:
    """Print the last answer, with the latency of all, and the trace if there is one."""
    from deployer.report.console import print_json, stdout_console
    from deployer.report.results import print_output, print_results
    from deployer.report.trace import print_trace

    last = answers[-1]
    if options.as_json:
        traced_output = found and {"results": last.output, "trace": found.document()}
        print_json(sys.stdout, traced_output or last.output)
        return
    console = stdout_console(color=options.color)
    latencies_s = [answer.seconds for answer in answers]
    if last.results is None:  # a workflow of the user's own shape
        print_output(console, last.output, latencies_s)
    else:
        print_results(console, last.results, latencies_s)
    if found is not None:
        click.echo()
        print_trace(console, found.trace, found.items, found.remarks)
    elif len(answers) == 1 and last.request:
        click.echo(f"request {last.request}")


def _traced(now: Session, answers: Sequence[Answer]) -> Priced:
    """Return the trace of the last request; if there is none, the answer is shown all the same."""
    from deployer.service.invoke import answered_models

    last = answers[-1]
    try:
        if last.request is None:
            raise LogsUnavailable("the answer names no request, so it cannot be traced")
        return traced(now, last.request, _JUST_NOW, answered_models(last))
    except DeployerError as error:
        now.reporter.pause()
        error.document = {"results": last.output}
        if not now.options.as_json:
            _show(now.options, answers, None)
        raise


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
