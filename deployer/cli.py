"""The command line: parse, call, choose the exit code. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import atexit
import functools
import gc
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from deployer import __version__
from deployer.errors import ConfigError, Declined, DeployerError, Interrupted
from deployer.session import (
    INTERRUPTED,
    Options,
    Session,
    checking,
    end_local,
    executor,
    interruptible,
    local_is_running,
    session,
    settings_of,
    started,
    train_if_needed,
)
from deployer.settings import BUILDERS

if TYPE_CHECKING:
    from deployer.invoke import Answer
    from deployer.plan import Change, Plan

FAILED, CHANGES = 1, 3
F = TypeVar("F", bound=Callable[..., Any])


class Cli(click.Group):
    """Turns errors into one red line and an exit code, for every command alike."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DeployerError as error:
            self._show(error.message, error.advice)
            ctx.exit(INTERRUPTED if isinstance(error, Interrupted) else FAILED)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:  # the reader of our output went away, which is its right
            sys.stdout = open(os.devnull, "w")
            ctx.exit(FAILED)
        except Exception as error:
            with tempfile.NamedTemporaryFile("w", prefix="deployer-", suffix=".log", delete=False) as log:
                traceback.print_exc(file=log)
            self._show(
                f"unexpected {type(error).__name__}: {error}", f"this is a defect; the details are in {log.name}"
            )
            ctx.exit(FAILED)

    @staticmethod
    def _show(message: str, advice: str) -> None:
        from deployer.report import print_error, stderr_console

        print_error(stderr_console(color=not os.environ.get("NO_COLOR")), message, advice)


def with_builder(command: F) -> F:
    """Add the option of the commands that may make an image, or tell which would."""
    kinds = click.Choice(BUILDERS)
    return click.option("--builder", type=kinds, help="What makes the image: a Docker engine, or none.")(command)


def common(command: F) -> F:
    """Add the options that mean the same everywhere."""

    @functools.wraps(command)
    def collect(**values: Any) -> Any:
        options = Options(**{name: values.pop(name) for name in Options.__dataclass_fields__ if name in values})
        if options.local and (options.profile or options.endpoint_url):
            raise click.UsageError("--local is an account of its own: it takes no --profile and no --endpoint-url")
        return command(options, **values)

    decorated: Any = collect
    for option in reversed(
        [
            click.option(
                "--project", type=click.Path(file_okay=False, path_type=Path), default=".", help="The project's folder."
            ),
            click.option("--service", help="First part of every name."),
            click.option("--stage", help="Second part of every name, such as dev or prod."),
            click.option("--region", help="AWS region."),
            click.option("--profile", help="Profile of the AWS configuration."),
            click.option("--endpoint-url", help="One endpoint in place of AWS's own."),
            click.option("--local", is_flag=True, help="Use the AWS that runs on this machine."),
            click.option("--json", "as_json", is_flag=True, help="End with one JSON document on stdout."),
            click.option("--no-color", is_flag=True, help="Print without colours."),
            click.option("-v", "--verbose", is_flag=True, help="Show every AWS call."),
        ]
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


@click.group(cls=Cli, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="deployer")
def cli() -> None:
    """Deploy several models behind one HTTP endpoint.

    \b
    Example, on this machine, without AWS and without Docker:
        python -m deployer up --local
        python -m deployer invoke --sample --local
        python -m deployer down --local --yes
    """


def adopting(command: F) -> F:
    """Add the option of the commands that may take over what carries no tags, or tell what they would."""
    return click.option("--adopt", is_flag=True, help="Take over what has our names and no tags.")(command)


def confirm(now: Session, verbs: str, changes: Sequence[Change], yes: bool, question: str) -> None:
    """Ask before these changes; without a terminal only --yes agrees."""
    if yes or not changes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        names = ", ".join(change.key for change in changes[:5])
        more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
        raise Declined(f"this would {verbs} {names}{more}; nobody can be asked here", "add --yes to agree")
    now.reporter.pause()
    if not click.confirm(question, err=True):
        raise Declined("declined; nothing was changed")
    now.reporter.resume()


def document(
    now: Session, plan: Plan, outputs: dict[str, Any], seconds: float, error: str | None = None
) -> dict[str, Any]:
    """Return what --json prints (design: Commands)."""
    from deployer.report import change_document

    settings = now.settings
    return {
        "service": settings.service,
        "stage": settings.stage,
        "account": settings.account,
        "region": settings.region,
        "endpoint": now.aws.endpoint,
        "changes": [change_document(change) for change in plan.effective],
        "outputs": outputs,
        "seconds": round(seconds, 3),
        **({"error": error} if error else {}),
    }


@cli.command()
@common
@with_builder
@adopting
@click.option("--yes", is_flag=True, help="Agree to deletions, replacements and adoptions without being asked.")
def up(options: Options, adopt: bool, yes: bool) -> None:
    """Create or update everything; the last line is the URL.

    \b
    Example:
        python -m deployer up --stage prod
    """
    from deployer.report import print_json

    begun = time.monotonic()
    with session(options, "up") as now, executor() as pool:
        from deployer import operate

        train_if_needed(now.settings, now.emit)
        plan, run = operate.prepare_up(now.aws, replace(now.settings, adopt=adopt), pool, now.emit)
        if adopt:
            confirm(now, "take over", plan.adopting, yes, "Take over what the plan gives tags to?")
        confirm(now, "delete or replace", plan.destructive, yes, "Go on and delete what the plan deletes?")
        try:
            outputs = run(now.stopped.is_set)
        except DeployerError as error:
            if options.as_json:
                print_json(sys.stdout, document(now, plan, {}, time.monotonic() - begun, error.message))
            raise
        if options.as_json:
            print_json(sys.stdout, document(now, plan, outputs, time.monotonic() - begun))
        else:
            where = " --local" if options.local else ""
            now.emit(_note(f"next: python -m deployer invoke --sample{where}"))
            now.reporter.pause()
            click.echo(outputs["url"])


@cli.command()
@common
@with_builder
@adopting
@click.option("--exit-code", is_flag=True, help="Exit with 3 when there are changes.")
def plan(options: Options, adopt: bool, exit_code: bool) -> None:
    """Show what up would change, and what was changed behind its back.

    \b
    Example:
        python -m deployer plan --exit-code
    """
    from deployer.report import print_json, print_plan, stdout_console

    begun = time.monotonic()
    with session(options, "plan") as now, executor() as pool:
        from deployer import operate

        found, outputs = operate.show_plan(now.aws, replace(now.settings, adopt=adopt), pool, now.emit)
        now.reporter.pause()
        if options.as_json:
            print_json(sys.stdout, document(now, found, outputs, time.monotonic() - begun))
        else:
            print_plan(stdout_console(color=options.color), found)
    if exit_code and not found.is_empty:
        sys.exit(CHANGES)


@cli.command()
@common
@click.option("--offline", is_flag=True, help="Look at this folder only, not at the account.")
def check(options: Options, offline: bool) -> None:
    """Find everything that AWS would refuse, before anything is written.

    \b
    Example:
        python -m deployer check --offline
    """
    from deployer.check import all_findings
    from deployer.report import findings_text, print_json

    with checking(options, offline) as (now, found), executor() as pool:
        found += all_findings(now.aws, now.settings, pool, now.emit, offline=offline or bool(found))
        now.reporter.pause()
    if options.as_json:
        print_json(sys.stdout, {"findings": found})
    else:
        click.echo(findings_text(found))
    if found:
        sys.exit(FAILED)


@cli.command()
@common
@click.option("--keep-data", is_flag=True, help="Leave the bucket with its models, and the log groups.")
@click.option("--yes", is_flag=True, help="Delete without being asked.")
def down(options: Options, keep_data: bool, yes: bool) -> None:
    """Delete everything of this service and stage, and prove that nothing is left.

    \b
    Example:
        python -m deployer down --stage dev --yes
    """
    from deployer.report import print_json

    begun = time.monotonic()
    if options.local and not local_is_running(options):
        click.echo("the local AWS is not running, so there is nothing to delete", err=True)
        return
    with session(options, "down") as now, executor() as pool:
        from deployer import operate

        plan, run = operate.prepare_down(now.aws, now.settings, pool, now.emit, keep_data=keep_data)
        question = f"Delete all of {now.settings.service}, stage {now.settings.stage}?"
        confirm(now, "delete", plan.destructive, yes, question)
        try:
            run(now.stopped.is_set)
        except DeployerError as error:
            if options.as_json:
                print_json(sys.stdout, document(now, plan, {}, time.monotonic() - begun, error.message))
            raise
        if options.as_json:
            print_json(sys.stdout, document(now, plan, {}, time.monotonic() - begun))
    if options.local:
        click.echo(end_local(options), err=True)


@cli.command()
@common
@with_builder
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Write it here, for docker load."
)
@click.option("--function", help="The function whose image is meant, where several have their own.")
def image(options: Options, output: Path, function: str | None) -> None:
    """Build the function image into a file, without any AWS call.

    \b
    Example:
        python -m deployer image --output image.tar && docker load --input image.tar
    """
    from deployer import operate
    from deployer.events import StepFinished, StepProgress, StepStarted
    from deployer.images.build import save
    from deployer.report import Reporter, image_line, print_json, stderr_console

    if options.local:
        raise click.UsageError("an image is for AWS; the local AWS needs none, so there is no image --local")
    begun = time.monotonic()
    started()
    settings = settings_of(options)
    reporter = Reporter(stderr_console(color=options.color))
    with reporter, interruptible(reporter.emit):
        train_if_needed(settings, reporter.emit)
        project = operate.read_project(settings, reporter.emit)
        key = image_key(project.image_of, function)
        context = project.images[key]
        name = f"{settings.prefix}:{context.tag}"
        reporter.emit(StepStarted("image", "create"))

        def tell(text: str, *, lasting: bool = False) -> None:
            reporter.emit(StepProgress("image", text, lasting))

        built = save(context, name, output, settings.builder, tell, project.served_by(key))
        reporter.emit(StepFinished("image", "create", time.monotonic() - begun))
    document = {
        "image": name,
        "builder": built.builder,
        "base": context.base,
        "architecture": context.architecture,
        "digest": built.digest,
        "layers": [{"what": what, "bytes": size} for what, size in built.layers],
        "output": str(output),
    }
    if options.as_json:
        print_json(sys.stdout, document)
    else:
        click.echo(image_line(document))


def image_key(image_of: Mapping[str, str], function: str | None) -> str:
    """Return which image is meant: the function's, or the only one there is."""
    keys = set(image_of.values())
    if function is None and len(keys) == 1:
        return keys.pop()
    if function is not None and function in image_of:
        return image_of[function]
    raise click.UsageError(f"name one with --function: {', '.join(image_of)} do not all share one image")


@cli.command()
@common
@click.option("--sample", is_flag=True, help="Send samples/boston_housing.json.")
@click.option("--data", help="Send this JSON.")
@click.option("--file", "path", type=click.Path(path_type=Path), help="Send a file; - is standard input.")
@click.option(
    "--repeat", type=click.IntRange(1, 10_000), default=1, help="Send it so often, and show how latency spreads."
)
def invoke(options: Options, sample: bool, data: str | None, path: Path | None, repeat: int) -> None:
    """Ask the deployed models for predictions.

    \b
    Example:
        python -m deployer invoke --data '{"instances": [...]}'
    """
    from deployer.invoke import Client, find_url
    from deployer.report import print_json, print_results, stdout_console

    body = request_body(options.project, sample, data, path)
    with session(options, "invoke", deploying=False) as now:
        answers: list[Answer] = []
        with Client(find_url(now.aws, now.settings)) as client:
            for _ in range(repeat):
                if now.stopped.is_set():
                    raise Interrupted(f"interrupted after {len(answers)} requests")
                answers.append(client.post(body))
                if not answers[-1].succeeded:
                    break
        now.reporter.pause()
        last = answers[-1]
        if not last.succeeded:
            if options.as_json:
                shown = {name: last.record.get(name) for name in ("status", "error", "cause")}
                print_json(sys.stdout, shown)
            raise last.failure()
        if options.as_json:
            print_json(sys.stdout, last.results)
        else:
            print_results(stdout_console(color=options.color), last.results, [each.seconds for each in answers])


def request_body(project: Path, sample: bool, data: str | None, path: Path | None) -> bytes:
    """Return what to send, from the one source that was named."""
    named = [
        name
        for name, given in (("--sample", sample), ("--data", data is not None), ("--file", path is not None))
        if given
    ]
    if len(named) != 1:
        what = f"not {' and '.join(named)}" if named else "none was given"
        raise click.UsageError(f"name what to send with one of --sample, --data and --file; {what}")
    if data is not None:
        return data.encode()
    source = project / "samples" / "boston_housing.json" if path is None else path
    try:
        return sys.stdin.buffer.read() if str(source) == "-" else source.read_bytes()
    except OSError as error:
        raise ConfigError([f"cannot read {source}: {error.strerror}"]) from error


def _note(text: str) -> Any:
    from deployer.events import Note

    return Note(text)


def main() -> None:
    """The console script.

    What imports make is no garbage before the end, and then its memory goes anyway; to look for some was a fifth of a plan.
    """
    gc.disable()
    atexit.register(gc.freeze)
    cli()  # click finds out by which name we were called; completion needs that of the console script
