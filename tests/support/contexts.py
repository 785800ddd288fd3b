"""A small build context, and ways to change it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

DOCKERFILE = 'FROM scratch\nENV B=2 A=1\nCOPY . .\nCMD ["predict.handler"]\n'


def make_folder(folder: Path) -> Path:
    (folder / "package").mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "predict.py").write_text("def handler(event, context): ...\n")
    (folder / "package" / "__init__.py").write_text("")
    return folder


def touch_everything(folder: Path) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))


def add(name: str, content: str = "x") -> Callable[[Path], None]:
    """Return a change of a folder: one more file, or another content of a file."""

    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)

    return change
