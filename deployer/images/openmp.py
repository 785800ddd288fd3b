"""The system library libgomp.so.1, which LightGBM needs and AWS's base images lack.

scikit-learn's wheel brings the same library under another name. The loader finds it by a link that
has the needed name, in a folder of LD_LIBRARY_PATH. That variable is read when a process starts:
AWS's base images name `lib` in the task root there.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

from deployer.images.symbols import needed_libraries

LIBRARY = "libgomp.so.1"
FOLDER = "lib"  # in the task root
NEEDING = ("lightgbm",)  # distributions whose wheels need the system's library
# What gives an image the library where an engine builds it.
_INSTALL = re.compile(
    r"(?:micro)?(?:dnf|yum) install -y libgomp(?: && (?:micro)?(?:dnf|yum) clean all)?"
)


def installs(command: str) -> bool:
    """Tell whether a RUN instruction installs the library, and nothing else."""
    return _INSTALL.fullmatch(" ".join(command.split())) is not None


def install_line(python: str) -> str:
    """Return the line of a Dockerfile that installs the library on AWS's base image."""
    program = "yum" if int(python.partition(".")[2] or 0) < 12 else "dnf"
    return f"RUN {program} install -y libgomp"


def link(root: Path, site: str, task_root: str) -> bool:
    """Link the library to the copy that a package brings, if another package needs it.

    Args:
        root: a folder with the image's files.
        site: the folder of the packages, as its name in the image.
        task_root: the value of LAMBDA_TASK_ROOT in the image.

    Returns:
        Whether a link was made.
    """
    packages = root / site.lstrip("/")
    copies = sorted(packages.glob("*.libs/libgomp*.so*"), key=_order)
    place = root / task_root.lstrip("/") / FOLDER / LIBRARY
    if not copies or place.exists() or not _is_needed(packages.rglob("*.so*")):
        return False
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(os.path.relpath(copies[0], place.parent))
    return True


def _order(path: Path) -> tuple[bool, str]:
    """Order scikit-learn's copy first: it is loaded anyway."""
    return path.parent.name != "scikit_learn.libs", posixpath.join(*path.parts[-2:])


def _is_needed(modules: Iterable[Path]) -> bool:
    return any(
        LIBRARY.encode() in needed_libraries(path.read_bytes())
        for path in modules
        if path.is_file()
    )
