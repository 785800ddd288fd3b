"""The layer of packages: wheels for the target, without unneeded files, byte-compiled."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

from packaging.utils import canonicalize_name

from deployer.aws.access import Tell
from deployer.errors import BuildError
from deployer.images.cache import cache_folder, cached
from deployer.images.context import FORMAT, Context
from deployer.images.layers import LAYER_TYPE, Blob, Layer, files_below, write_layer
from deployer.images.openmp import LIBRARY, link
from deployer.images.recipe import TASK_ROOT, Recipe
from deployer.images.requirements import (
    check_complete,
    pinned_version,
    read_requirements,
    target_environment,
)
from deployer.images.slim import slim
from deployer.images.symbols import drop_symbols

_MACHINE = {"x86_64": "x86_64", "arm64": "aarch64"}


def glibc_minor(python: str) -> int:
    """Return the minor version of glibc 2 in AWS's base image.

    Up to Python 3.11 the base is Amazon Linux 2, then Amazon Linux 2023.
    """
    return 26 if _minor(python) < 12 else 34


def platform_tags(python: str, architecture: str) -> list[str]:
    """Return the platform tags of wheels that run on AWS's base image, best first (PEP 600)."""
    machine = _MACHINE[architecture]
    lowest, old = (17, ("2014",)) if architecture == "arm64" else (5, ("2014", "2010", "1"))
    newer = [
        f"manylinux_2_{minor}_{machine}" for minor in range(glibc_minor(python), lowest - 1, -1)
    ]
    return [*newer, *(f"manylinux{year}_{machine}" for year in old)]


def package_layer(context: Context, recipe: Recipe, tell: Tell) -> Layer | None:
    """Return the layer of packages, or None without requirements.

    The packages are in the folder of pip's --target, by default in the working directory.

    The layer is cached under a hash of everything it depends on.
    """
    lines, extras = pinned_requirements(context, recipe)
    if not lines:
        return None
    target = recipe.target or recipe.workdir
    task_root = recipe.environment.get("LAMBDA_TASK_ROOT", TASK_ROOT)
    prefix = target.lstrip("/")
    inputs = [lines, context.python, context.architecture, prefix, task_root, recipe.needs_all]
    key = json.dumps([FORMAT, *inputs])
    name = f"packages/{hashlib.sha256(key.encode()).hexdigest()}"
    description = cache_folder() / f"{name}.json"

    def write(stream: IO[bytes]) -> None:
        with tempfile.TemporaryDirectory(prefix="deployer-packages-") as folder:
            site = Path(folder, prefix)
            site.mkdir(parents=True)
            _install(lines, context, site, tell)
            if recipe.needs_all:
                environment = target_environment(context.python, context.architecture)
                check_complete(site, extras, environment)
            slim(site)
            drop_symbols(site)
            if link(Path(folder), target, task_root):
                tell(f"{LIBRARY}, which a package needs, is linked to scikit-learn's copy")
            tell("byte-compiling the packages")
            byte_compile(site, target, context.python)
            tell("packing the packages")
            digest, size, diff_id = write_layer(files_below(Path(folder)), stream)
        description.write_text(
            json.dumps({"digest": digest, "size": size, "diff_id": diff_id}), encoding="utf-8"
        )

    # The description is written before the layer: without it, there is no usable layer.
    size = _read_json(description)["size"] if description.is_file() else -1
    path = cached(name, write, size)
    layer = _read_json(description)
    blob = Blob(layer["digest"], layer["size"], LAYER_TYPE, lambda: path, "packages")
    return Layer(blob, layer["diff_id"])


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def pinned_requirements(context: Context, recipe: Recipe) -> tuple[list[str], dict[str, set[str]]]:
    """Return the sorted lines for pip, and the extras by package.

    Raises:
        BuildError: a requirement is not pinned.
    """
    environment = target_environment(context.python, context.architecture)
    lines: list[str] = []
    extras: dict[str, set[str]] = {}
    for path in recipe.requirements:
        for number, requirement, line in read_requirements(path, environment):
            if pinned_version(requirement) is None:
                raise BuildError(
                    f"{path} line {number}: {requirement}: is not pinned",
                    "name one version with ==, so that the same folder gives the same image",
                )
            lines.append(line)
            extras.setdefault(canonicalize_name(requirement.name), set()).update(requirement.extras)
    return sorted(set(lines)), extras


def _install(lines: list[str], context: Context, site: Path, tell: Tell) -> None:
    """Let pip unpack wheels for the target into a folder. No code of a package runs."""
    tell(f"fetching packages for Python {context.python} on {context.architecture}")
    with tempfile.TemporaryDirectory(prefix="deployer-pip-") as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text("\n".join(lines) + "\n", encoding="utf-8")
        version = context.python.replace(".", "")
        options = [
            "--no-deps",
            "--no-compile",
            "--only-binary=:all:",
            "--implementation=cp",
            f"--python-version={version}",
        ]
        options += [f"--abi={abi}" for abi in (f"cp{version}", "abi3", "none")]
        options += [
            f"--platform={tag}" for tag in platform_tags(context.python, context.architecture)
        ]
        options += [
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--target",
            str(site),
            "-r",
            str(requirements),
        ]
        command = [sys.executable, "-m", "pip", "install", *options]
        pip = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "PIP_USER": "0"}
        )
    if pip.returncode:
        raise _pip_error(pip.stderr or pip.stdout, context)


def _pip_error(output: str, context: Context) -> BuildError:
    """Explain why pip failed."""
    missing = re.search(r"No matching distribution found for (\S+)", output)
    offline = re.search(
        r"NewConnectionError|Connection (?:refused|reset)|Max retries|timed out|ProxyError", output
    )
    if missing and not offline:
        newer = (
            ", or train with Python 3.12 or newer, whose image has glibc 2.34"
            if _minor(context.python) < 12
            else ""
        )
        return BuildError(
            f"there is no wheel of {missing[1]} for Python {context.python}, {context.architecture}"
            f" and glibc 2.{glibc_minor(context.python)}, which AWS's image has",
            f"pin a version that has one{newer}",
        )
    if "No module named pip" in output:
        return BuildError(
            f"{sys.executable} has no pip to fetch packages with",
            "python -m ensurepip, then repeat",
        )
    if "No space left" in output:
        return BuildError(
            f"no room left on the disk of {tempfile.gettempdir()}",
            "free some, or name another in TMPDIR",
        )
    lines = [
        line for line in output.splitlines() if line.startswith("ERROR")
    ] or output.strip().splitlines()
    return BuildError(
        f"pip failed: {lines[-1] if lines else 'without a word'}",
        "check the network, or pip's own settings",
    )


def byte_compile(folder: Path, prefix: str, python: str) -> None:
    """Write the .pyc files of a folder with bytecode.py.

    Args:
        prefix: the folder's path in the image.
        python: the Python version of the image.
    """
    script = str(Path(__file__).with_name("bytecode.py"))
    compiler = subprocess.run(
        [find_python(python), "-I", script, str(folder), prefix],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if compiler.returncode:
        last = compiler.stderr.strip().splitlines()[-1:] or ["without a word"]
        if "No space left" in last[0]:
            raise BuildError(
                f"no room left on the disk of {folder}", "free some, or name another in TMPDIR"
            )
        raise BuildError(f"byte-compiling for Python {python} failed: {last[0]}")


def find_python(python: str) -> str:
    """Return a Python interpreter of a minor version: this one, or one on the PATH."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" == python:
        return sys.executable
    path = shutil.which(f"python{python}")
    if path is None:
        raise BuildError(
            f"the models were trained with Python {python}, and none is on the PATH to "
            f"byte-compile for it",
            f"run the deployer with Python {python}, or use --builder docker",
        )
    return path


def _minor(python: str) -> int:
    return int(python.partition(".")[2] or 0)
