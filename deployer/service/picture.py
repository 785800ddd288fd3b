"""The workflow of a folder, to be drawn, and the file of its picture."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from deployer.errors import ConfigError
from deployer.files import read_object, write_own
from deployer.project.workflow import WORKFLOW, problems

# The last line of a file says who wrote it, so that it may be written again unless it was changed.
_MARKS = {
    "svg": "<!-- {} -->",
    "mermaid": "%% {}",
    "tree": "({})",
}
_WORDS = "drawn by python -m deployer graph, sha256:"
_MARK = re.compile(rf"^.*{re.escape(_WORDS)}([0-9a-f]{{64}}).*\n\Z", re.MULTILINE)


def read_workflow(project: Path) -> dict[str, Any]:
    """Return the workflow in a folder; raise ConfigError with all of its faults."""
    faults: list[str] = []
    definition = read_object(project, WORKFLOW, faults)
    if not faults:
        faults += (f"{WORKFLOW} {problem}" for problem in problems(definition))
    if faults:
        raise ConfigError(faults)
    return definition


def picture_file(path: Path, text: str, form: str) -> None:
    """Write a picture; raise ConfigError where another file would be overwritten."""
    mark = _MARKS[form].format(f"{_WORDS}{_hash(text)}")
    write_own(path, f"{text}{mark}\n", _is_own, "a picture")


def _is_own(text: str) -> bool:
    match = _MARK.search(text)
    return match is not None and match[1] == _hash(text[: match.start()])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
