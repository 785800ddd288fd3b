"""What a command works in: options, settings, an open account or the local AWS, a reporter, and a way to be interrupted."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployer.errors import DeployerError

if TYPE_CHECKING:
    from deployer.aws import Aws, Tell
    from deployer.events import Emit
    from deployer.report import Reporter
    from deployer.settings import Settings

INTERRUPTED = 130


@dataclass
class Options:
    """What every command takes."""

    project: Path
    service: str | None
    stage: str | None
    region: str | None
    profile: str | None
    endpoint_url: str | None
    local: bool
    as_json: bool
    no_color: bool
    verbose: bool
    builder: str | None = None

    @property
    def color(self) -> bool:
        return not self.no_color and not os.environ.get("NO_COLOR")


@dataclass
class Session:
    """An open account: who we are, where, and how to speak to user and AWS."""

    options: Options
    settings: Settings
    aws: Aws
    reporter: Reporter
    stopped: threading.Event

    @property
    def emit(self) -> Emit:
        return self.reporter.emit


def settings_of(options: Options) -> Settings:
    from deployer.settings import load_settings

    names = ("service", "stage", "region", "builder")
    return load_settings(options.project.resolve(), {name: getattr(options, name) for name in names}, os.environ)


@contextmanager
def session(options: Options, command: str, *, deploying: bool = True) -> Iterator[Session]:
    """Collect the settings, open the account, and say where we are before anything happens.

    `deploying`: whether the command is about the whole service. Then it is told where, and while AWS says who we are, what
    such a command needs next is made ready.
    """
    from concurrent.futures import ThreadPoolExecutor

    from deployer.aws import Aws
    from deployer.events import Note, RunStarted
    from deployer.report import Reporter, stderr_console

    settings = settings_of(options)
    reporter = Reporter(stderr_console(color=options.color))
    record = (lambda service, operation: reporter.emit(Note(f"{service} {operation}"))) if options.verbose else None
    recording: dict[str, Any] = {"record": record} if record else {}
    recording["tell"] = told_once(reporter.emit)
    with reporter, interruptible(reporter.emit) as stopped:
        recording |= {"stopped": stopped.is_set, "sleep": stopped.wait}  # whoever waits is woken by the signal
        if options.local:
            settings, account = open_local(settings, command, reporter.emit)
            aws = Aws(**account, **recording)
        else:
            aws = Aws(region=settings.region, profile=options.profile, endpoint_url=options.endpoint_url, **recording)
        region = aws.region
        aws.client("sts")
        with ThreadPoolExecutor(1) as meanwhile:
            asked = meanwhile.submit(lambda: aws.identity)
            if deploying:
                import_module("deployer.operate")
                aws.make_clients()
            identity = asked.result()
        started()
        settings = settings.located(account=identity.account, partition=identity.partition, region=region)
        if deploying:
            reporter.emit(RunStarted(command, settings.service, settings.stage, identity.account, region, aws.endpoint))
        yield Session(options, settings, aws, reporter, stopped)


def started() -> None:
    """Collect garbage from now on, of what is made from now on, if `main` put it off until all is imported."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


@contextmanager
def checking(options: Options, offline: bool) -> Iterator[tuple[Session, list[str]]]:
    """Open a session to look round in, and yield it with what was wrong with that: then it is one without an account."""
    from deployer.errors import ConfigError

    found: list[str] = []
    now = None
    with ExitStack() as stack:
        if not offline:
            try:
                now = stack.enter_context(session(options, "check"))
            except ConfigError as error:
                found += error.problems
            except DeployerError as error:
                found.append(error.message)
        yield now or _unlocated(options, found, stack), found


def _unlocated(options: Options, found: list[str], stack: ExitStack) -> Session:
    """Return a session in no account: the clients know AWS's models, and nobody calls."""
    from deployer.aws import Aws
    from deployer.errors import ConfigError
    from deployer.report import Reporter, stderr_console
    from deployer.settings import Settings

    try:
        settings = settings_of(options)
    except ConfigError as error:
        found += (problem for problem in error.problems if problem not in found)
        settings = Settings(options.project.resolve())
    reporter = stack.enter_context(Reporter(stderr_console(color=options.color)))
    region = settings.region or "us-east-1"
    settings = settings.located(account=settings.account or "0" * 12, partition="aws", region=region)
    aws = Aws(region=region, credentials=("nobody", "nobody"))
    started()
    return Session(options, settings, aws, reporter, threading.Event())


def told_once(emit: Emit) -> Tell:
    """Return what says a thing once, for waits that belong to no step."""
    from deployer.events import Note

    told: set[str] = set()

    def tell(text: str, *, lasting: bool = False) -> None:
        if text not in told:
            told.add(text)
            emit(Note(text))

    return tell


def open_local(settings: Settings, command: str, emit: Emit) -> tuple[Settings, dict[str, Any]]:
    """Find or start the local AWS; return the settings for it and how to reach it."""
    from dataclasses import replace

    from deployer.events import Note
    from deployer.images.context import NO_BASE
    from deployer.local import process

    server = process.find(settings.project)
    if server is None:
        if command in ("invoke", "down"):
            raise process.NotRunning(settings.project)
        emit(Note("starting the local AWS"))
        server = process.start(settings.project)
        emit(Note(f"the local AWS runs at {server.url} (process {server.pid}); its log is {server.log}"))
    account = {
        "region": settings.region or process.REGION,
        "endpoint_url": server.url,
        "credentials": process.CREDENTIALS,
    }
    return replace(settings, base_image=NO_BASE, account=""), account


@contextmanager
def interruptible(emit: Emit) -> Iterator[threading.Event]:
    """Let the first Ctrl-C or SIGTERM end the run in good order, and the second at once."""
    from deployer.events import Note

    stopped = threading.Event()

    def handle(number: int, frame: object) -> None:
        if stopped.is_set():
            os._exit(INTERRUPTED)
        stopped.set()
        emit(Note("interrupted: what runs is finished, nothing new begins; once more leaves at once"))

    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def executor() -> Any:
    from concurrent.futures import ThreadPoolExecutor

    from deployer.aws import WORKERS

    return ThreadPoolExecutor(WORKERS, thread_name_prefix="deployer")


def train_if_needed(settings: Settings, emit: Emit) -> None:
    import subprocess

    from deployer.events import Note
    from deployer.project import MANIFEST, needs_training

    if not needs_training(settings):
        return
    emit(Note(f"{MANIFEST} is missing: training first (python train.py)"))
    training = subprocess.run(
        [sys.executable, "train.py"], cwd=settings.project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    emit(Note(training.stdout.rstrip()))
    if training.returncode != 0:
        raise DeployerError(f"train.py ended with exit code {training.returncode}", "its own message stands above")


def local_is_running(options: Options) -> bool:
    from deployer.local import process

    return process.find(options.project.resolve()) is not None


def end_local(options: Options) -> str:
    """End the local AWS, unless another service or stage still lives in it; say which."""
    from deployer.local import process

    if process.stop_if_empty(options.project.resolve()):
        return "the local AWS has ended"
    return "the local AWS goes on: other resources live in it"
