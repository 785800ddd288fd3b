"""The session of a command: settings, an open account or the local AWS, reporter, interrupts."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployer.commands.options import Options
from deployer.errors import DeployerError
from deployer.project.folder import refuse_foreign, refuse_incomplete

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from deployer.aws.access import Aws, Tell
    from deployer.commands.interrupts import Interrupts
    from deployer.engine.events import Emit
    from deployer.local.process import Server
    from deployer.project.settings import Settings, SettingsSources
    from deployer.report.live import Reporter

WHOLE = ("up", "plan")  # read the whole project, not only its settings
READING = ("plan", "check", "down")  # with no local AWS they find an empty account, and start none
# By command: the module of `service`, and the services that it asks; () for all of them.
_SWITCHING = ("switching", ("stepfunctions", "lambda", "s3", "ecr"))
_PRELOADED: dict[str, tuple[str, tuple[str, ...]]] = {
    "down": ("down", ()),
    "rollback": _SWITCHING,
    "promote": _SWITCHING,
}
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
# With these, botocore finds no file and no metadata service.
_NO_CONFIGURATION = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass
class Session:
    """An open account, and the means to speak to the user and to AWS.

    Args:
        empty: no local AWS runs, so there is no account; nothing may be called, and every resource
            counts as absent.
        environment: of the user, for programs of the user.
    """

    options: Options
    settings: Settings
    aws: Aws
    reporter: Reporter
    interrupts: Interrupts
    environment: Mapping[str, str]
    empty: bool = False

    @property
    def emit(self) -> Emit:
        return self.reporter.emit


def settings_of(options: Options) -> Settings:
    return sources_of(options).settings


def sources_of(options: Options) -> SettingsSources:
    """Return the settings and the places that they come from."""
    from deployer.project.settings import read_settings

    names = ("service", "stage", "region", "builder")
    project = options.project.resolve()
    given = {name: getattr(options, name) for name in names}
    sources = read_settings(project, given, os.environ)
    refuse_foreign(project)
    return sources


def tell_other_stage(sources: SettingsSources, emit: Emit) -> None:
    """Say that a stage has no section in setup.cfg, where one that is spelt like it has."""
    from deployer.engine.events import Note

    meant = sources.places.stage_meant
    if meant is not None:
        stage = sources.settings.stage
        emit(Note(f"setup.cfg has no section of stage {stage}; did you mean --stage {meant}?"))


@contextmanager
def session(options: Options, command: str, *, deploying: bool = True) -> Iterator[Session]:
    """Collect the settings, open the account, and announce both before anything happens.

    Args:
        deploying: announce the target, and preload the deploy modules while STS answers.
    """
    from deployer.aws.access import Aws
    from deployer.commands.interrupts import Interrupts
    from deployer.engine.events import Note, RunStarted
    from deployer.report.console import stderr_console
    from deployer.report.live import Reporter

    environment = dict(os.environ)
    sources = sources_of(options)
    settings = sources.settings
    if command in WHOLE:
        refuse_incomplete(settings.project)
    reporter = Reporter(
        stderr_console(color=options.color),
        options.wording,
        timed=deploying,
        grouped=not options.verbose,
    )
    interrupts = Interrupts(reporter)
    record = (
        (lambda service, operation: reporter.emit(Note(f"{service} {operation}")))
        if options.verbose
        else None
    )
    access: dict[str, Any] = {"record": record} if record else {}
    access["tell"] = told_once(reporter.emit)
    # Whoever waits is woken by the signal.
    access |= {"stopped": interrupts.stopped.is_set, "sleep": interrupts.stopped.wait}
    hidden = users_configuration_hidden() if options.local else nullcontext()
    with hidden, interrupts.installed(), ExitStack() as stack:
        if options.local:
            from deployer.local.process import ACCOUNT, REGION

            stack.enter_context(reporter)
            tell_other_stage(sources, reporter.emit)
            settings = for_local(settings)
            server = find_local(settings.project, command, reporter.emit)
            if server is None:
                nowhere, aws = without_account(replace(settings, account=ACCOUNT))
                started()
                yield Session(options, nowhere, aws, reporter, interrupts, environment, empty=True)
                return
            aws = Aws(
                region=settings.region or REGION,
                endpoint_url=server.url,
                credentials=server.credentials,
                **access,
            )
        else:
            aws = Aws(
                region=settings.region,
                profile=options.profile,
                endpoint_url=options.endpoint_url,
                **access,
            )
            aws.sign_in()  # which may ask for a code, so nothing is drawn yet
            stack.enter_context(reporter)
            tell_other_stage(sources, reporter.emit)
        region = aws.region
        aws.client("sts")
        if deploying:
            tell_unknown_region(aws, reporter.emit)
        with executor(1) as meanwhile:
            answer = meanwhile.submit(lambda: aws.identity)
            if deploying:
                module, services = _PRELOADED.get(command, ("up", ()))
                import_module(f"deployer.service.{module}")
                aws.make_clients(*services)
            identity = answer.result()
        started()
        settings = settings.located(
            account=identity.account,
            partition=identity.partition,
            region=region,
            dns_suffix=aws.partitions.dns_suffix(identity.partition),
            caller=identity.arn,
        )
        if deploying:
            reporter.emit(
                RunStarted(
                    command,
                    settings.service,
                    settings.stage,
                    identity.account,
                    region,
                    aws.endpoint,
                )
            )
        yield Session(options, settings, aws, reporter, interrupts, environment)


def tell_unknown_region(aws: Aws, emit: Emit) -> None:
    """Warn of a region that the installed botocore does not know; it may be newer, or misspelt."""
    from deployer.engine.events import Note

    if aws.endpoint is None and not aws.partitions.has_region(aws.region):
        text = f"warning: the installed botocore does not know the region {aws.region}"
        emit(Note(f"{text}; if it is not misspelt, a newer boto3 knows it"))


def started() -> None:
    """Re-enable garbage collection and exempt everything imported so far, if `group.run` put it
    off.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


@contextmanager
def checking(options: Options, offline: bool) -> Iterator[tuple[Session, list[str]]]:
    """Yield a session and the problems met while opening it; with any, it is offline."""
    from deployer.errors import ConfigError

    refuse_incomplete(options.project.resolve())
    problems: list[str] = []
    now = None
    with ExitStack() as stack:
        if not offline:
            try:
                now = stack.enter_context(session(options, "check"))
            except ConfigError as error:
                problems += error.problems
            except DeployerError as error:
                problems.append(error.message)
        yield now or _offline(options, problems, stack), problems


def _offline(options: Options, problems: list[str], stack: ExitStack) -> Session:
    """Return a session without an account; problems of the settings are added to `problems`."""
    from deployer.commands.interrupts import Interrupts
    from deployer.errors import ConfigError
    from deployer.project.settings import Settings
    from deployer.report.console import stderr_console
    from deployer.report.live import Reporter

    try:
        settings = settings_of(options)
    except ConfigError as error:
        problems += (line for line in error.problems if line not in problems)
        settings = Settings(options.project.resolve())
    reporter = stack.enter_context(Reporter(stderr_console(color=options.color), options.wording))
    interrupts = stack.enter_context(Interrupts(reporter).installed())
    settings, aws = without_account(for_local(settings) if options.local else settings)
    started()
    return Session(options, settings, aws, reporter, interrupts, os.environ, empty=True)


def without_account(settings: Settings) -> tuple[Settings, Aws]:
    """Return settings with a made-up account if they name none, and clients that must not be
    called.

    The clients give access to botocore's service models.
    """
    from deployer.aws.access import Aws

    region = settings.region or "us-east-1"
    settings = settings.located(
        account=settings.account or "0" * 12, partition="aws", region=region
    )
    return settings, Aws(region=region, credentials=("nobody", "nobody"))


def for_local(settings: Settings) -> Settings:
    """Return the settings for the local AWS: images without a base, and its own account."""
    return replace(settings, bare=True, account="")


@contextmanager
def users_configuration_hidden() -> Iterator[None]:
    """Hide AWS's and the proxies' environment variables: --local does not read them."""
    hidden = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("AWS_") or name.lower() in _PROXIES
    }
    for name in hidden:
        del os.environ[name]
    os.environ.update(_NO_CONFIGURATION)
    try:
        yield
    finally:
        for name in _NO_CONFIGURATION:
            os.environ.pop(name, None)
        os.environ.update(hidden)


def told_once(emit: Emit) -> Tell:
    """Return a `Tell` that reports each text once, for waits that belong to no step."""
    from deployer.engine.events import Note

    texts: set[str] = set()

    def tell(text: str, *, lasting: bool = False) -> None:
        if text not in texts:
            texts.add(text)
            emit(Note(text))

    return tell


def find_local(project: Path, command: str, emit: Emit) -> Server | None:
    """Return the project's local AWS. `up` starts one; reading commands get None if none runs."""
    from deployer.engine.events import Note
    from deployer.local import process

    server = process.find(project)
    if server is not None or command in READING:
        return server
    if command != "up":
        raise process.NotRunning(project)
    emit(Note("starting the local AWS"))
    server = process.start(project)
    emit(
        Note(f"the local AWS runs at {server.url} (process {server.pid}); its log is {server.log}")
    )
    return server


@contextmanager
def executor(workers: int | None = None) -> Iterator[Executor]:
    """Yield a thread pool. Its calls are awaited, unless the block ends with an exception."""
    from concurrent.futures import ThreadPoolExecutor

    from deployer.aws.access import WORKERS

    pool = ThreadPoolExecutor(workers or WORKERS, thread_name_prefix="deployer")
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def enforce_iam(project: Path, enabled: bool) -> str:
    """Let the local AWS enforce IAM, or not; return a message if that changed anything."""
    from deployer.local import process

    if not process.enforce_iam(project, enabled):
        return ""
    return (
        "the local AWS enforces IAM: the service's own roles decide what it may do"
        if enabled
        else "the local AWS no longer enforces IAM: that takes --enforce-iam each time"
    )


def end_local(project: Path) -> str:
    """End the local AWS unless another service or stage lives in it; return a message."""
    from deployer.local import process

    if process.stop_if_empty(project):
        return "the local AWS has ended"
    return "the local AWS keeps running: other resources live in it"


def force_end_local(project: Path) -> str:
    """End the local AWS, even if it does not answer, and delete its files; return a message."""
    from deployer.local import process

    ended = process.force_stop(project)
    return (
        "the local AWS has ended, and its files are removed"
        if ended
        else "no local AWS runs; its files are removed"
    )
