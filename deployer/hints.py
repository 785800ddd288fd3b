"""Commands inside messages, written so that they work when copied.

Messages name commands plainly, as `python -m deployer up` or `python train.py`; `python -m deployer
...` is the command that is running. Before a message is shown, `copyable` puts in the interpreter
or script that the user typed, and the options that say where to work.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DISTRIBUTION = "multi-model-deployer"  # on PyPI; setup.cfg has it, too
# Options that decide what a command works on, in the order in which hints name them.
PLACE = ("project", "service", "stage", "region", "profile", "endpoint_url", "local")
SECRET = ("--token", "--key")  # their values stand in no message
_OF_INIT = PLACE[:4]  # it calls no AWS

_COMMAND = re.compile(r"(?<![\w/.-])python (?:-m deployer ([a-z]+|\.\.\.)|(?=[^\s']+\.py\b))")


def interpreter() -> str:
    """Return the Python in use, as the user typed it if that is known."""
    return shlex.quote(sys.orig_argv[0] or sys.executable)


def program() -> str:
    """Return the start of a command as the user typed it: `python -m deployer`, or the script."""
    script = Path(sys.argv[0])
    if script.name != "deployer":
        return f"{interpreter()} -m deployer"
    if _in_uvx():
        return f"uvx --from '{DISTRIBUTION}[local]' {script.name}"
    path = shutil.which(script.name)
    return (
        script.name
        if path and Path(path).resolve() == script.resolve()
        else shlex.quote(str(script))
    )


def place(options: Mapping[str, Any], names: Sequence[str] = PLACE) -> str:
    """Return the given options of these names as command line arguments, each after a space."""
    given = ""
    for name in names:
        value = options.get(name)
        if value in (None, False) or name == "project" and Path(str(value)) == Path():
            continue
        given += f" --{name.replace('_', '-')}"
        given += "" if value is True else f" {shlex.quote(str(value))}"
    return given


def copyable(text: str, options: Mapping[str, Any], typed: Sequence[str] = ()) -> str:
    """Return a text whose commands work when copied.

    Args:
        options: of the running command; those of PLACE are repeated in the commands.
        typed: all arguments of the running command.
    """

    def command(match: re.Match[str]) -> str:
        if match[1] is None:
            return f"{interpreter()} "
        if match[1] == "...":
            return f"{program()} {shlex.join(_without_secrets(typed))}"
        names = _OF_INIT if match[1] == "init" else PLACE
        return f"{program()} {match[1]}{place(options, names)}"

    return _COMMAND.sub(command, text)


def _without_secrets(typed: Sequence[str]) -> list[str]:
    """Return arguments without the values of options that are secret."""
    shown: list[str] = []
    for argument in typed:
        name, equals, _ = argument.partition("=")
        if equals and name in SECRET:
            shown.append(f"{name}=...")
        else:
            shown.append("..." if shown and shown[-1] in SECRET else argument)
    return shown


def environment_advice() -> str:
    """Name the Python that has the packages of the deployer, or tell how to make one.

    Runs on any Python 3.
    """
    if Path(".venv/bin/deployer").exists():
        return "use this project's own environment: .venv/bin/python -m deployer"
    return (
        "make an environment that has it: python3 -m venv .venv && .venv/bin/python -m "
        f"{install_command()}"
    )


def install_command() -> str:
    """Return the command of pip that installs what --local needs: of the checkout, or of PyPI."""
    checkout = (Path(__file__).resolve().parents[1] / "setup.py").exists()
    return "pip install " + ("-e '.[local]'" if checkout else f"'{DISTRIBUTION}[local]'")


def requirements_advice(path: Path) -> str:
    """Tell how to install a requirements file into the environment in use."""
    prefix, file = Path(sys.prefix), shlex.quote(os.path.relpath(path))
    if _in_uvx():
        return f"add an option of uvx, --with-requirements {file}"
    if (prefix / "pipx_metadata.json").is_file():
        return f"pipx runpip {prefix.name} install -r {shlex.quote(str(path.resolve()))}"
    if importlib.util.find_spec("pip") is not None:
        return f"{interpreter()} -m pip install -r {file}"
    return f"uv pip install --python {shlex.quote(sys.executable)} -r {file}"


def _in_uvx() -> bool:
    """Tell whether uvx made the environment, which is then a folder of uv's cache."""
    return "archive-v0" in Path(sys.prefix).parts
