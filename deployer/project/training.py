"""Training: whether the project has models, and running the user's training program."""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from deployer.engine.events import Emit, Note, StepFailed, StepFinished, StepStarted
from deployer.errors import ConfigError, TrainingFailed
from deployer.hints import requirements_advice
from deployer.project.manifest import MANIFEST, read_manifest
from deployer.project.parsers import train_commands
from deployer.project.settings import Settings

RUNNING = "_DEPLOYER_TRAINING"  # is set in the environment of the training's programs
_SAVED = (".joblib", ".pkl", ".pickle")  # endings of trained models
_PATIENCE_S = 5.0  # for a training program to end when it is asked to, and for its last words


def needed(settings: Settings) -> bool:
    """Tell whether models/ is absent or empty.

    Hidden files do not count, since the folder may be a mount point.

    Raises:
        ConfigError: the folder holds files but no manifest; they are the user's, so nothing
            may replace them.
    """
    if (settings.project / MANIFEST).exists():
        return False
    folder = (settings.project / MANIFEST).parent
    try:
        names = sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return True
    except OSError as error:
        raise ConfigError([f"{folder.name}/ cannot be read: {error.strerror}"]) from error
    others = [name for name in names if not name.startswith(".") and name != "lost+found"]
    if not others:
        return True
    shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    raise ConfigError(
        [
            f"{folder.name}/ holds {shown}, but no manifest.json that describes them; nothing "
            f"was trained or changed"
        ],
        "put each into the project: python -m deployer add FILE; or describe them in "
        "models/manifest.json (docs/models.md), or move them away",
    )


def train(settings: Settings, emit: Emit, environment: Mapping[str, str]) -> None:
    """Run the setting `train` in the project's folder, and show its output line by line.

    Raises:
        TrainingFailed: it cannot be started, fails, is killed, or leaves no manifest.
        KeyboardInterrupt: the user ended it; the program and its children have ended, too.
    """
    started = time.monotonic()
    emit(Note(f"training: {settings.train}", verbatim=True))
    emit(StepStarted("models", "train"))
    try:
        _run(settings, emit, environment)
    except TrainingFailed as error:
        emit(StepFailed("models", "train", error.message, error.advice))
        raise
    emit(StepFinished("models", "train", time.monotonic() - started))


def _run(settings: Settings, emit: Emit, environment: Mapping[str, str]) -> None:
    commands = train_commands(settings.train)
    for command in commands:
        text = shlex.join(command) if len(commands) > 1 else settings.train
        _run_command(settings, command, text, emit, environment)
    if not (settings.project / MANIFEST).is_file():
        raise TrainingFailed(
            f"{settings.train} ended well, but left no {MANIFEST}", add_advice(settings.project)
        )


def add_advice(project: Path) -> str:
    """Advise to add a trained model, by its name if one lies in the project's folder."""
    paths = [path for path in project.iterdir() if path.suffix in _SAVED and path.is_file()]
    if not paths:
        return "put a trained model into the project: python -m deployer add FILE"
    newest = max(paths, key=lambda path: path.stat().st_mtime_ns)
    name = shlex.quote(newest.name)
    return f"put the trained model into the project: python -m deployer add {name}"


def _run_command(
    settings: Settings,
    command: Sequence[str],
    text: str,
    emit: Emit,
    environment: Mapping[str, str],
) -> None:
    program = sys.executable if command[0] in ("python", "python3") else command[0]
    variables = {
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": _path(settings, environment),
        RUNNING: "1",
    }
    try:
        process = subprocess.Popen(
            [program, *command[1:]],
            cwd=settings.project,
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # one group, so that what it starts ends with it
        )
    except OSError as error:
        raise TrainingFailed(
            f"training cannot start: {text}: {error.strerror}",
            "see the setting train in setup.cfg",
        ) from error
    said: list[str] = []
    # Not read here: a program that it left behind may hold the output open for ever.
    reader = threading.Thread(target=_show, args=(process.stdout, emit, said), daemon=True)
    reader.start()
    try:
        code = process.wait()
        reader.join(_PATIENCE_S)
    except BaseException:
        _end(process)
        raise
    if code:
        raise _failure(settings.project, text, code, "".join(said))


def _path(settings: Settings, environment: Mapping[str, str]) -> str:
    """Return PYTHONPATH with lambda_src/, whose modules a pickled model may name."""
    own = str(settings.project / "lambda_src")
    before = environment.get("PYTHONPATH")
    return f"{own}{os.pathsep}{before}" if before else own


def _show(output: IO[str] | None, emit: Emit, said: list[str]) -> None:
    assert output is not None
    with output:
        for line in output:
            said[:] = [line]  # it may say a lot
            emit(Note(line.rstrip(), verbatim=True))


def _end(process: subprocess.Popen[str]) -> None:
    """Terminate the program and its children; kill them if they do not end in time."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_S)
            return


def _failure(project: Path, command: str, code: int, said: str) -> TrainingFailed:
    """Return the error of a program that failed; `said` is its last line."""
    how = f"was ended by {_name(-code)}" if code < 0 else f"ended with exit code {code}"
    if -code == signal.SIGKILL:
        return TrainingFailed(f"{command} {how}", "the system does that when memory runs out")
    if said.startswith("ModuleNotFoundError") and (project / "requirements.txt").is_file():
        return TrainingFailed(
            f"{command} {how}: {said.strip()}",
            f"install what it needs: {requirements_advice(project / 'requirements.txt')}",
        )
    if not said:
        return TrainingFailed(f"{command} {how} and said nothing", f"run it by itself: {command}")
    return TrainingFailed(f"{command} {how}", "its own messages stand above")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a realtime signal
        return f"signal {number}"


def outdated(settings: Settings) -> Iterator[str]:
    """Yield a line for each file that has changed since the models were trained with it.

    The manifest records these files. Only a file that is newer than the manifest is read: a table
    may be large, and `plan` is to be fast.
    """
    trained = read_manifest(settings.project, []).get("trained")
    files = trained.get("files") if isinstance(trained, Mapping) else None
    if files is None:
        yield from _newer(settings)
    for name, sha256 in files.items() if isinstance(files, Mapping) else ():
        path = settings.project / str(name).replace("\0", "")
        if not path.resolve().is_relative_to(settings.project) or not path.is_file():
            continue  # no longer there, or elsewhere: nothing can be said
        try:
            if path.stat().st_mtime_ns <= (settings.project / MANIFEST).stat().st_mtime_ns:
                continue
            content = path.read_bytes()
        except OSError:
            continue
        if hashlib.sha256(content).hexdigest() != sha256:
            yield (
                f"{name} has changed since the models were trained; to train again: python -m "
                f"deployer up --train"
            )


def _newer(settings: Settings) -> Iterator[str]:
    """Yield a line for each newer file that a training which ends with `add` names.

    `add` records no script.
    """
    commands = train_commands(settings.train)
    if not any(command[1:4] == ["-m", "deployer", "add"] for command in commands):
        return
    models = (settings.project / MANIFEST).stat().st_mtime_ns
    for name in dict.fromkeys(word for command in commands for word in command[1:]):
        path = settings.project / name
        if path.is_file() and path.stat().st_mtime_ns > models:
            yield f"{name} is newer than the models; to train again: python -m deployer up --train"
