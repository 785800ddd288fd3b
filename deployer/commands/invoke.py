"""`invoke`: ask the deployed models for predictions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployer.commands.group import FAILED
from deployer.commands.measuring import MOST_CONCURRENT, MOST_REQUESTS, exit_code, measured
from deployer.commands.options import Options, common
from deployer.commands.session import session
from deployer.commands.tracing import traced
from deployer.errors import ConfigError, DeployerError, InvocationFailed, LogsUnavailable
from deployer.project.folder import refuse_foreign

if TYPE_CHECKING:
    from deployer.commands.session import Session
    from deployer.commands.tracing import Priced
    from deployer.service.invoke import Answer, Client

_JUST_NOW = timedelta(minutes=2)


@click.command("invoke")
@common
@click.option(
    "--sample",
    is_flag=True,
    help="Send a record from samples/, or one made from the manifest.",
)
@click.option("--data", help="Send this JSON text.")
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    help="Send the content of this file; - is stdin.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, MOST_REQUESTS),
    default=1,
    help="Send the request this many times; show throughput, latency and failures.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, MOST_CONCURRENT),
    default=1,
    help="With --repeat: how many requests are sent at a time.",
)
@click.option("--yes", is_flag=True, help="Send more than 1,000 requests to AWS without asking.")
@click.option("--trace", is_flag=True, help="Show where the request's time went, and its cost.")
@click.option(
    "--token",
    help="The caller's token, with auth = jwt; safer in the variable DEPLOYER_TOKEN.",
)
@click.option(
    "--key",
    help="The caller's API key, with auth = key; safer in the variable DEPLOYER_API_KEY.",
)
@click.option("--allow-partial", is_flag=True, help="Exit with 0 even if some models failed.")
def command(
    options: Options,
    sample: bool,
    data: str | None,
    path: Path | None,
    repeat: int,
    concurrency: int,
    yes: bool,
    trace: bool,
    token: str | None,
    key: str | None,
    allow_partial: bool,
) -> None:
    """Request predictions from the deployed models.

    \b
    Example:
        python -m deployer invoke --data '{"instances": [...]}'
    """
    from deployer.service.credentials import authorizing
    from deployer.service.invoke import Client, count_answered, find_url

    if concurrency > repeat:
        raise click.UsageError(
            f"--concurrency {concurrency} is more than --repeat {repeat}: there is nothing to send "
            "at the same time"
        )
    if trace and repeat > 1:
        raise click.UsageError("--trace is for one request: it goes without --repeat")
    refuse_foreign(options.project.resolve())
    body = request_body(options.project.resolve(), sample, data, path)
    with session(options, "invoke", deploying=False) as now:
        secrets = {"--token": token, "--key": key}
        authorize = authorizing(now.aws, now.settings, secrets, now.environment)
        make_client = partial(Client, find_url(now.aws, now.settings), authorize=authorize)
        if repeat > 1:
            load = measured(now, make_client, body, repeat, concurrency, yes)
            sys.exit(exit_code(load, allow_partial))
        answer = _answered(now, make_client, body)
        found = _traced(now, answer) if trace else None
        now.reporter.pause()
        _show(options, answer, found)
    answered, asked = count_answered(answer)
    if answered < asked and not allow_partial:
        click.echo(f"{answered} of {asked} models answered", err=True)
        sys.exit(FAILED)


def _answered(now: Session, make_client: Callable[[], Client], body: bytes) -> Answer:
    """Return the answer to one request; InvocationFailed with advice if it holds no predictions."""
    from deployer.service.advice import advice

    try:
        with make_client() as client:
            answer = client.post(body)
        if answer.succeeded:
            return answer
        raise answer.failure()
    except InvocationFailed as error:
        if error.refusal is not None:
            error.advice = advice(now.aws, now.settings, error.refusal)
        raise


def _show(options: Options, answer: Answer, found: Priced | None) -> None:
    """Print an answer, its latency, and its trace if there is one."""
    from deployer.report.console import print_json, stdout_console
    from deployer.report.results import print_output, print_results
    from deployer.report.trace import print_trace

    if options.as_json:
        traced_output = found and {"results": answer.output, "trace": found.document()}
        print_json(sys.stdout, traced_output or answer.output)
        return
    console = stdout_console(color=options.color)
    if answer.results is None:  # a workflow of the user's own shape
        print_output(console, answer.output, answer.seconds)
    else:
        print_results(console, answer.results, answer.seconds)
    if found is not None:
        click.echo()
        print_trace(console, found.trace, found.items, found.remarks)
    elif answer.request:
        click.echo(f"request {answer.request}")


def _traced(now: Session, answer: Answer) -> Priced:
    """Return the trace of a request; if there is none, the answer is shown all the same."""
    from deployer.service.invoke import answered_models

    try:
        if answer.request is None:
            raise LogsUnavailable("the answer names no request, so it cannot be traced")
        return traced(now, answer.request, _JUST_NOW, answered_models(answer))
    except DeployerError as error:
        now.reporter.pause()
        error.document = {"results": answer.output}
        if not now.options.as_json:
            _show(now.options, answer, None)
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
