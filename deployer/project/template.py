"""What a project consists of, and copies of the example project.

The files at the top level of the source checkout are the one source. The wheel carries them as
deployer/template/ (setup.py).
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

NAMES = ("train.py", "state_machine.json", "setup.cfg", "lambda_src", "samples", "data")
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
    ignored = shutil.ignore_patterns("__pycache__", "base.lock")
    for name in NAMES:
        if name == "setup.cfg":
            text = (template / name).read_text(encoding="utf-8")
            (folder / name).write_text(settings_of(text), encoding="utf-8")
        elif (template / name).is_dir():
            shutil.copytree(template / name, folder / name, ignore=ignored)
        else:
            shutil.copy2(template / name, folder / name)


def settings_of(text: str) -> str:
    """Return the [deployer] section of a setup.cfg, with the comment above it."""
    section = _SETTINGS.search(text)
    if section is None:
        raise ValueError("setup.cfg has no [deployer]")
    return section[0]
