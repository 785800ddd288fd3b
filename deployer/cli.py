"""The command line: parse, call, choose the exit code. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import functools
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from deployer import __version__
from deployer.commands.group import CHANGES, FAILED, TYPED, Cli
from deployer.errors import ConfigError, Declined, DeployerError
from deployer.session import (
    Options,
    Session,
    checking,
    end_local,
    executor,
    force_end_local,
    session,
    settings_of,
    started,
)
from deployer.settings import BUILDERS

_AGREE = "to agree: python -m deployer ... --yes"

if TYPE_CHECKING:
    from deployer.invoke import Answer
    from deployer.plan import Change, Plan

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def with_builder(command: F) -> F:
    """Add the option of the commands that may make an image, or tell which would."""
    kinds = click.Choice(BUILDERS)
    return click.option("--builder", type=kinds, help="What makes the image: a Docker engine, or none.")(command)


def common(command: F) -> F:
    """Add the options that mean the same everywhere."""

    @functools.wraps(command)
    def collect(**values: Any) -> Any:
        root = click.get_current_context().find_root()
        own = {name: values.pop(name) for name in Options.__dataclass_fields__ if name in values}
        root.obj = options = Options(**own, typed=root.meta[TYPED])
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
        raise Declined(f"this would {verbs} {names}{more}; nobody can be asked here", _AGREE)
    now.reporter.pause()
    ask(question)
    now.reporter.resume()


def ask(question: str) -> None:
    """Ask on the terminal, and raise Declined unless the answer is yes.

    The line is waited for in short turns: a signal that comes just before a blocking read would be seen after it only.
    """
    import select

    answer = ""
    while answer not in ("y", "yes"):
        click.echo(f"{question} [y/N]: ", nl=False, err=True)
        try:
            while not select.select([sys.stdin], [], [], 0.1)[0]:
                pass
        except KeyboardInterrupt:
            click.echo(err=True)  # the question's line ends here
            raise
        line = sys.stdin.readline()
        answer = line.strip().lower()
        if answer in ("", "n", "no"):
            if not line:  # the end of input leaves the cursor in the question's line
                click.echo(err=True)
            raise Declined("declined; nothing was changed")


def document(now: Session, plan: Plan, outputs: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return what --json prints (design: Commands)."""
    from deployer.report import change_document

    settings = now.settings
    return {
        "service": settings.service,
        "stage": settings.stage,
        "account": settings.account,
        "region": settings.region,
        "endpoint": None if now.empty else now.aws.endpoint,
        "changes": [change_document(change) for change in plan.effective],
        "outputs": outputs,
        "seconds": round(seconds, 3),
    }


def applied(now: Session, plan: Plan, run: Callable[[Callable[[], bool]], T], begun: float) -> T:
    """Apply a plan, finishing what runs when the user ends it; an error carries the document of what was to change."""
    try:
        with now.interrupts.finishing():
            return run(now.interrupts.stopped.is_set)
    except DeployerError as error:
        error.document = document(now, plan, {}, time.monotonic() - begun)
        raise


@cli.command()
@common
@with_builder
@adopting
@click.option("--train", is_flag=True, help="Train first, even where models of this service are live.")
@click.option("--yes", is_flag=True, help="Agree to deletions, replacements and adoptions without being asked.")
def up(options: Options, adopt: bool, train: bool, yes: bool) -> None:
    """Create or update everything; the last line is the URL.

    \b
    Example:
        python -m deployer up --stage prod
    """
    from deployer.report import print_json

    begun = time.monotonic()
    with session(options, "up") as now, executor() as pool:
        from deployer import operate

        train_if_needed(now, train)
        plan, run = operate.prepare_up(now.aws, replace(now.settings, adopt=adopt), pool, now.emit)
        if adopt:
            confirm(now, "take over", plan.adopting, yes, "Take over what the plan gives tags to?")
        confirm(now, "delete or replace", plan.destructive, yes, "Go on and delete what the plan deletes?")
        outputs = applied(now, plan, run, begun)
        if not options.as_json:
            now.emit(_note("next: python -m deployer invoke --sample"))
        now.reporter.pause()
        if options.as_json:
            print_json(sys.stdout, document(now, plan, outputs, time.monotonic() - begun))
        else:
            click.echo(outputs["url"])


def train_if_needed(now: Session, wanted: bool) -> None:
    """Train when it is wanted, or when there are no models here and none are live that they would replace."""
    from deployer import training
    from deployer.service import live_functions

    if not wanted:
        if not training.needed(now.settings):
            return
        live = live_functions(now.aws, now.settings)
        if live:
            raise Declined(
                f"there are no models here, but {', '.join(live)} of this service serve some already; "
                "training would replace them",
                "bring those models back into models/, or agree to train: python -m deployer ... --train",
            )
    training.train(now.settings, now.emit, now.environment)


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

        if now.empty:
            now.emit(_note("no local AWS runs: this is the plan for an empty account"))
        settings = replace(now.settings, adopt=adopt)
        found, outputs = operate.show_plan(now.aws, settings, pool, now.emit, empty=now.empty)
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
        wording = now.options.wording
        offline = offline or now.empty or bool(found)
        found += all_findings(now.aws, now.settings, pool, now.emit, offline=offline)
        now.reporter.pause()
    found = [wording(finding) for finding in found]
    if options.as_json:
        print_json(sys.stdout, {"findings": found})
    else:
        click.echo(findings_text(found))
    if found:
        sys.exit(FAILED)


@cli.command()
@common
@click.option("--keep-data", is_flag=True, help="Leave the bucket with its models, and the log groups.")
@click.option("--force", is_flag=True, help="With --local: end the local AWS and remove its files, without asking it.")
@click.option("--yes", is_flag=True, help="Delete without being asked.")
def down(options: Options, keep_data: bool, force: bool, yes: bool) -> None:
    """Delete everything of this service and stage, and prove that nothing is left.

    \b
    Example:
        python -m deployer down --stage dev --yes
    """
    from deployer.plan import Plan
    from deployer.report import print_json

    begun = time.monotonic()
    if force and not options.local:
        raise click.UsageError("--force ends the local AWS: it goes with --local")
    if force:
        confirm_end(yes)
        ended = force_end_local(options.project.resolve())
        click.echo(ended, err=True)
        if options.as_json:
            print_json(sys.stdout, {"ended": ended})
        return
    with session(options, "down") as now, executor() as pool:
        from deployer import operate

        if now.empty:
            now.emit(_note("the local AWS is not running, so there is nothing to delete"))
            now.reporter.pause()
            if options.as_json:
                print_json(sys.stdout, document(now, Plan(()), {}, time.monotonic() - begun))
            return
        plan, run = operate.prepare_down(now.aws, now.settings, pool, now.emit, keep_data=keep_data)
        question = f"Delete all of {now.settings.service}, stage {now.settings.stage}?"
        confirm(now, "delete", plan.destructive, yes, question)
        applied(now, plan, run, begun)
        now.reporter.pause()
        if options.as_json:
            print_json(sys.stdout, document(now, plan, {}, time.monotonic() - begun))
    if options.local:
        click.echo(end_local(options.project.resolve()), err=True)


def confirm_end(yes: bool) -> None:
    """Ask before the local AWS is ended with all that lives in it."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Declined("this would end the local AWS with all that lives in it", _AGREE)
    ask("End the local AWS with all that lives in it, and remove its files?")


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
    from deployer import operate, training
    from deployer.events import StepFinished, StepProgress, StepStarted
    from deployer.images.build import save
    from deployer.interrupts import Interrupts
    from deployer.report import Reporter, image_line, print_json, stderr_console

    if options.local:
        raise click.UsageError("an image is for AWS; the local AWS needs none, so there is no image --local")
    begun = time.monotonic()
    started()
    settings = settings_of(options)
    reporter = Reporter(stderr_console(color=options.color), options.wording)
    with reporter, Interrupts(reporter).installed():
        if training.needed(settings):
            training.train(settings, reporter.emit, os.environ)
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
@click.option("--sample", is_flag=True, help="Send a record of samples/, or one made of the features in the manifest.")
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
            failure.document = {"execution": {name: last.record.get(name) for name in ("status", "error", "cause")}}
            raise failure
        if options.as_json:
            print_json(sys.stdout, last.results)
        else:
            print_results(stdout_console(color=options.color), last.results, [each.seconds for each in answers])


def request_body(project: Path, sample: bool, data: str | None, path: Path | None) -> bytes:
    """Return what to send, from the one source that was named."""
    from deployer.files import Unreadable, read_text
    from deployer.project import sample_request

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


@cli.command()
@common
def env(options: Options) -> None:
    """Print the lines by which any AWS client talks to the local AWS.

    \b
    Example:
        eval "$(python -m deployer env --local)"
    """
    from deployer.local import process
    from deployer.report import print_json

    if not options.local:
        raise click.UsageError("only the local AWS needs this: add --local")
    server = process.find(options.project.resolve())
    if server is None:
        raise process.NotRunning(options.project.resolve())
    variables = server.environment(settings_of(options).region or process.REGION)
    if options.as_json:
        print_json(sys.stdout, variables)
    else:
        for name, value in variables.items():
            click.echo(f"export {name}={shlex.quote(value)}")


def _note(text: str) -> Any:
    from deployer.events import Note

    return Note(text)
