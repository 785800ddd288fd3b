"""Loading a model's file, recording the modules that it names."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import pickle
import re
import sys
import sysconfig
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from deployer.project.inspection.refusal import Refused

LIBRARIES = ("sklearn", "numpy", "scipy", "joblib")  # recorded as `libraries`
_DAMAGED = (EOFError, pickle.UnpicklingError, zlib.error, OSError)
_COMPRESSED = (b"x", b"\x1f\x8b", b"BZ", b"\x5d\x00", b"\xfd7z", b"\x04\x22\x4d\x18")
_WRITTEN_BY = re.compile(rb"_sklearn_version.{1,8}?(\d+\.\d+(?:\.\w+)*)", re.DOTALL)


class Loaded:
    """A model, the modules that its file names, and whether joblib wrote that file."""

    def __init__(self, model: Any, modules: list[str], by_joblib: bool) -> None:
        self.model = model
        self.modules = modules
        self.by_joblib = by_joblib


def load(path: Path) -> Loaded:
    """Load a joblib or pickle file.

    Raises:
        Refused: it is damaged or no pickle, needs what is not here, or is of another scikit-learn.
    """
    import joblib

    modules: list[str] = []
    with warnings.catch_warnings(record=True) as told, _recording(modules):
        warnings.simplefilter("always")
        try:
            model = joblib.load(path)
        except Refused:
            raise
        except Exception as error:  # of any kind: the file's code runs
            refuse_other_sklearn(told, path)
            raise _unloadable(error, begun=bool(modules)) from error
    refuse_other_sklearn(told)
    with path.open("rb") as file:
        head = file.read(4)
    by_joblib = head.startswith(_COMPRESSED) or any(
        name.startswith("joblib.numpy_pickle") for name in modules
    )
    return Loaded(model, list(dict.fromkeys(modules)), by_joblib)


@contextmanager
def _recording(modules: list[str]) -> Iterator[None]:
    """Make joblib note the module of each class and function that it looks up."""
    from joblib import numpy_pickle

    original = numpy_pickle.NumpyUnpickler

    def find_class(self: Any, module: str, name: str) -> Any:
        if module in ("__main__", "__mp_main__"):
            raise Refused(
                f"it needs {name}, which was defined in the training script itself, and no other "
                "program can import that",
                f"move it to lambda_src/NAME.py, import it in the training script (from NAME "
                f"import {name}), train and save again",
            )
        modules.append(module)
        return original.find_class(self, module, name)

    numpy_pickle.NumpyUnpickler = type("Recording", (original,), {"find_class": find_class})
    try:
        yield
    finally:
        numpy_pickle.NumpyUnpickler = original


def refuse_other_sklearn(told: list[warnings.WarningMessage], path: Path | None = None) -> None:
    """Raise Refused if scikit-learn warned, or an unreadable file says, that it is of another."""
    import sklearn

    versions = [
        str(warning.message.original_sklearn_version)
        for warning in told
        if hasattr(warning.message, "original_sklearn_version")
    ]
    if not versions and path is not None:
        versions = [found[1].decode() for found in _WRITTEN_BY.finditer(path.read_bytes())]
    for version in versions:
        if version != sklearn.__version__:
            raise Refused(
                f"it was saved by scikit-learn {version}, but {sklearn.__version__} is installed "
                "here",
                f"python -m pip install scikit-learn=={version}, which lambda_src/requirements.txt "
                "must name, too; or train it again with the one that is installed",
            )


def _unloadable(error: Exception, *, begun: bool) -> Refused:
    """Say why a file cannot be loaded; `begun` tells whether it named any class."""
    if isinstance(error, ModuleNotFoundError):
        name = (error.name or str(error)).partition(".")[0]
        return Refused(
            f"it needs the module {name}, which is not installed here",
            f"python -m pip install {name}; if it is your own, put it into lambda_src/{name}.py",
        )
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, _DAMAGED) or not begun or "EOF" in said:
        return Refused(f"it cannot be read: it is cut off, damaged, or no pickle at all ({said})")
    return Refused(
        f"it cannot be loaded: {said}",
        "save it with the libraries that are installed here: joblib.dump(model, FILE)",
    )


def sort_modules(names: list[str], source: Path) -> tuple[dict[str, str], list[str]]:
    """Return the versions of the packages that modules are of, and the modules of the user's own.

    What the user's modules import counts as well.

    Args:
        source: the project's lambda_src/.

    Raises:
        Refused: a module is of no package and not in lambda_src/, so no image would hold it.
    """
    owners = functools.cache(metadata.packages_distributions)  # it reads every package's list
    packages: dict[str, str] = {}
    own: list[str] = []
    waiting = [name.partition(".")[0] for name in names]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name in LIBRARIES or name in sys.stdlib_module_names:
            continue
        seen.add(name)
        place = _place(name)
        if place is not None and place.is_relative_to(source):
            own.append(name)
            waiting += imported_by(place)
            continue
        # A compiled module may go by its own name alone: _loss is sklearn._loss._loss.
        package = _package(place) or (name if place is None else "")
        if not package:
            raise Refused(
                f"it needs the module {name} ({place}), which would not be in the image",
                f"move it to lambda_src/{name}.py",
            )
        if package not in LIBRARIES and package in owners():
            owner = owners()[package][0]
            packages[owner] = metadata.version(owner)
    return dict(sorted(packages.items())), sorted(own)


def _place(name: str) -> Path | None:
    """Return a module's file; None for built-in modules, and where there is none."""
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    origin = found.origin if found else None
    return Path(origin).resolve() if origin and origin not in ("built-in", "frozen") else None


def _package(place: Path | None) -> str:
    """Return the top-level name of an installed module; "" for a file elsewhere."""
    folders = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}
    folders |= {Path(entry).resolve() for entry in sys.path if entry.endswith("-packages")}
    for folder in folders:
        if place is not None and place.is_relative_to(folder):
            return place.relative_to(folder).parts[0].partition(".")[0]
    return ""


def imported_by(path: Path) -> list[str]:
    """Return the top-level modules that a Python file imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())) if path.suffix == ".py" else ():
        if isinstance(node, ast.Import):
            names += (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module.partition(".")[0])
    return names
