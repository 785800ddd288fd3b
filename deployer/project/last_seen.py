"""The release that a project's folder saw last, to tell when somebody else has deployed.

It is kept in .deployer/releases.json, which git ignores. Nothing depends on it but a warning.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from deployer.files import Unreadable, read_json


def last_seen(folder: Path, service: str) -> int | None:
    """Return the number of the release that this folder saw last; None if it saw none.

    Args:
        service: the ARN of the service's state machine.
    """
    number = _read(folder).get(service)
    return number if isinstance(number, int) else None


def remember(folder: Path, service: str, number: int) -> None:
    """Note a release as seen; raise OSError where the folder cannot be written."""
    seen = _read(folder)
    if seen.get(service) == number:
        return
    path = _path(folder)
    path.parent.mkdir(exist_ok=True)
    # A run at the same time may write too: each replaces the whole file.
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        new.write_text(json.dumps({**seen, service: number}, indent=1) + "\n")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _path(folder: Path) -> Path:
    return folder / ".deployer" / "releases.json"


def _read(folder: Path) -> dict[str, Any]:
    with suppress(FileNotFoundError, Unreadable):
        seen = read_json(_path(folder))
        return seen if isinstance(seen, dict) else {}
    return {}
