"""Checking the predictions of a context's handler with the context's own verify.py, if it has one.

    python verify.py MODELS NAME...

MODELS is the folder of the models and their manifest, NAME a model that the image will serve.
Exit code 0: all predictions are right. 1: some are wrong; stdout has a line for each problem.
Any other: they could not be checked on this machine; the last line of stderr says why.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE

from deployer.aws.access import Tell
from deployer.children import child
from deployer.errors import BuildError
from deployer.images.context import NO_BASE, Context, lay_out

PROGRAM = "verify.py"
SWITCH = "FAST_PATHS"  # a variable of the handler, see lambda_src/loading.py


@contextmanager
def prediction_check(
    context: Context, models: Sequence[Path], tell: Tell
) -> Iterator[Callable[[], None]]:
    """Run a context's verify.py in the background; yield a function that waits for its result.

    The function raises BuildError if predictions are wrong. An image without a base is not
    checked, because only its models' examples are to delay `up --local`; `check` gives the context
    of the image for AWS.
    """
    program = context.path(PROGRAM)
    if not program.is_file() or context.base == NO_BASE or not models:
        yield lambda: None
        return
    names = [path.stem for path in models]
    command = [sys.executable, PROGRAM, str(models[0].parent.resolve()), *names]
    variables = {**_environment(context), "PYTHONDONTWRITEBYTECODE": "1"}
    with (
        _laid_out(context, program) as folder,
        # Ctrl-C must reach the deployer only: an interrupted verify.py would verify nothing.
        child(command, folder, variables, stdout=PIPE, stderr=PIPE) as process,
    ):
        yield partial(_finish, process, context.folder.name, tell)


@contextmanager
def _laid_out(context: Context, program: Path) -> Iterator[Path]:
    """Yield the folder with verify.py and a context's files; a copy if they lie in two folders."""
    if context.shared is None:
        yield context.folder
        return
    with tempfile.TemporaryDirectory(prefix="deployer-verify-") as name:
        lay_out({**context.files, PROGRAM: program}, Path(name))
        yield Path(name)


def _finish(process: subprocess.Popen[str], folder: str, tell: Tell) -> None:
    """Wait for verify.py; raise BuildError if it found wrong predictions or was killed."""
    output, errors = process.communicate()
    if process.returncode < 0:
        raise BuildError(
            f"{PROGRAM} was ended by signal {-process.returncode}", "run the command again"
        )
    if process.returncode == 1 and output.strip():
        raise BuildError(
            f"the handler of {folder}/ does not predict as the models do:\n{output.strip()}",
            f"ENV {SWITCH}=off in {folder}/Dockerfile leaves all to scikit-learn",
        )
    if process.returncode:
        lines = errors.strip().splitlines() or [f"{PROGRAM} ended with {process.returncode}"]
        tell(f"predictions not verified: {lines[-1]}", lasting=True)
    else:
        tell("predictions verified", lasting=True)


def _environment(context: Context) -> dict[str, str]:
    """Return this process's variables, with the handler's switch as the image sets it."""
    variables = {name: value for name, value in os.environ.items() if name != SWITCH}
    for instruction in context.dockerfile.instructions:
        if instruction.name == "ENV":
            for value in re.findall(rf"\b{SWITCH}=[\"']?(\w*)", instruction.argument):
                variables[SWITCH] = value
    return variables
