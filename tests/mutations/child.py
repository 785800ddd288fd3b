"""A run of pytest in a process that has imported the large packages already."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def run(
    arguments: Sequence[str], checkout: Path, variables: Mapping[str, str], output: Path
) -> None:
    """Run pytest on a checkout, with its modules in place of those that are imported."""
    os.setsid()  # so that all that it starts can be ended with it
    with output.open("wb") as stream:
        for number in (1, 2):
            os.dup2(stream.fileno(), number)
    os.chdir(checkout)
    os.environ.update(variables)
    for name in list(sys.modules):
        if name.partition(".")[0] in ("deployer", "tests"):
            del sys.modules[name]
    sys.path.insert(0, str(checkout))
    import pytest

    code = int(pytest.main(list(arguments)))
    sys.stdout.flush()
    os._exit(code)
