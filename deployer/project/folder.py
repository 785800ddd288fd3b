"""Whether a folder is a project, which every verb asks before it starts anything."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from deployer.errors import NoProject
from deployer.files import Unreadable, read_text

CONFIG = "setup.cfg"
CODE = "lambda_src"
RECORD = ".deployer-init.json"  # what `init` has written (project.initial)
_SECTION = re.compile(r"^\[deployer[.:\]]", re.MULTILINE)
_ADVICE = (
    "go to the project's folder, or name it: --project FOLDER\n"
    "to begin a project: python -m deployer init"
)


def refuse_absent(project: Path) -> None:
    """Raise NoProject if there is no setup.cfg."""
    if not project.is_dir():
        raise _no_project(project, "there is no such folder")
    if not (project / CONFIG).exists():
        if (project / RECORD).exists():
            raise NoProject(
                [f"{CONFIG} of the project {project} is gone"],
                f"bring it back: git checkout -- {CONFIG}; or write one with the line [deployer]",
            )
        raise _no_project(project, f"it has no {CONFIG}")


def refuse_foreign(project: Path) -> None:
    """Raise NoProject if setup.cfg belongs to something else, or is not there.

    `down` would otherwise delete the service of the default name.
    """
    from deployer.project.workflow import WORKFLOW  # --help imports this module

    refuse_absent(project)
    if any((project / name).exists() for name in (CODE, WORKFLOW)):
        return
    with suppress(Unreadable):  # whoever reads the settings says so
        if not _SECTION.search(read_text(project / CONFIG)):
            reason = f"its {CONFIG} has no [deployer], and there is no {CODE}/ and no {WORKFLOW}"
            raise _no_project(project, reason)


def refuse_incomplete(project: Path) -> None:
    """Raise NoProject if there is no setup.cfg or no code of the functions."""
    refuse_absent(project)
    if not (project / CODE).is_dir():
        raise _no_project(project, f"it has no {CODE}/, the code of the functions")


def _no_project(project: Path, reason: str) -> NoProject:
    return NoProject([f"{project} is no project: {reason}"], _ADVICE)
