"""Asking a context whether its handler predicts as it should: its own verify.py, if it has one,
says so.

    python verify.py MODELS NAME...

MODELS is the folder of models and their manifest, NAME a model that the image will serve. Exit code
0: it does; 1: it does not, a line on stdout for each problem; anything else: it cannot be told
here, with the reason as the last line on stderr.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from deployer.aws.access import Tell
from deployer.errors import BuildError
from deployer.images.context import NO_BASE, Context

PROGRAM = "verify.py"
SWITCH = "FAST_PATHS"  # a variable of the handler, see lambda_src/loading.py


@contextmanager
def verifying(context: Context, models: Sequence[Path], tell: Tell) -> Iterator[Callable[[], None]]:
    """Run a context's verify.py while the image is built; yield what waits for its answer and
    raises BuildError.

    An image without a base serves with this Python's own libraries, and is not asked about.
    """
    if not (context.folder / PROGRAM).is_file() or context.base == NO_BASE or not models:
        yield lambda: None
        return
    command = [
        sys.executable,
        PROGRAM,
        str(models[0].parent.resolve()),
        *(path.stem for path in models),
    ]
    process = subprocess.Popen(
        command,
        cwd=context.folder,
        env={**_environment(context), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # an interrupt is for us: it finishes what runs, and what is half verified is not verified
        start_new_session=True,
    )

    def answer() -> None:
        output, errors = process.communicate()
        if process.returncode < 0:
            raise BuildError(
                f"{PROGRAM} was ended by signal {-process.returncode}", "run the command again"
            )
        if process.returncode == 1 and output.strip():
            raise BuildError(
                f"the handler of {context.folder.name}/ does not predict as the models "
                f"do:\n{output.strip()}",
                f"ENV {SWITCH}=off in {context.folder.name}/Dockerfile leaves all to scikit-learn",
            )
        if process.returncode:
            reason = errors.strip().splitlines()[-1:] or [
                f"{PROGRAM} ended with {process.returncode}"
            ]
            tell(f"predictions not verified: {reason[0]}", lasting=True)
        else:
            tell("predictions verified", lasting=True)

    with process:
        try:
            yield answer
        finally:
            with suppress(ProcessLookupError):  # it has ended, and so have those that it started
                os.killpg(process.pid, signal.SIGKILL)


def _environment(context: Context) -> dict[str, str]:
    """Return this process's variables, with the handler's switch as the image sets it."""
    variables = {name: value for name, value in os.environ.items() if name != SWITCH}
    for instruction in context.dockerfile.instructions:
        if instruction.name == "ENV":
            for value in re.findall(rf"\b{SWITCH}=[\"']?(\w*)", instruction.argument):
                variables[SWITCH] = value
    return variables
