"""What a project consists of, and where the template of new projects is.

The files at the top level of the source checkout and in its examples/ are the one source. The
wheel carries them as deployer/template/ (setup.py), in the same places.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

NAMES = ("train.py", "state_machine.json", "setup.cfg", "lambda_src", "samples", "data")
# Of `init`; the first, which is the checkout's own project, is the default.
EXAMPLES = ("housing", "churn", "text", "minimal")
# written by a run in the checkout; no part of a new project
GENERATED = ("__pycache__", "base.lock", "models", ".deployer", "*.joblib")
COMMON = "common"  # the folder of examples/ with the files of every new project
_PACKAGE = Path(__file__).resolve().parents[1]
# the comment above [deployer], and the section itself
_SETTINGS = re.compile(r"^(?:#.*\n)*\[deployer\]\n(?:[^\[\n].*\n)*", re.MULTILINE)


def source() -> Path:
    """Return the folder of the template: the package's own, or the checkout's top level."""
    packaged = _PACKAGE / "template"
    return packaged if packaged.is_dir() else _PACKAGE.parent


def copy_template(folder: Path, template: Path | None = None) -> None:
    """Copy the example project, without trained models, into a new or an empty folder.

    Of setup.cfg only [deployer] is copied: the rest of a checkout's describes this package.
    """
    template = template or source()
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        if name == "setup.cfg":
            text = (template / name).read_text(encoding="utf-8")
            (folder / name).write_text(settings_of(text), encoding="utf-8")
        elif (template / name).is_dir():
            _copy_tree(template / name, folder / name)
        else:
            shutil.copy2(template / name, folder / name)


def pack(folder: Path, checkout: Path) -> None:
    """Copy everything that `init` reads from a checkout into a new folder."""
    copy_template(folder, checkout)
    for name in (*EXAMPLES, COMMON):
        _copy_tree(checkout / "examples" / name, folder / "examples" / name)


def _copy_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*GENERATED))


def settings_of(text: str) -> str:
    """Return the [deployer] section of a setup.cfg, with the comment above it."""
    section = _SETTINGS.search(text)
    if section is None:
        raise ValueError("setup.cfg has no [deployer]")
    return section[0]
