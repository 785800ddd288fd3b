"""Deleting files of installed packages that no prediction reads. Licences and metadata stay."""

from __future__ import annotations

import re
from pathlib import Path

# Tests of packages and their data. Helper modules in these folders stay: numpy.testing imports one
# from numpy._core.tests.
TEST_FOLDERS = {"tests", "test"}
# Compiled modules that only tests import. numpy tests its use of SIMD instructions with _simd.
TEST_EXTENSIONS = re.compile(
    r"(numpy|scipy)/.*/_(test_\w+|\w+_tests|ctest|cytest|simd)\.[\w-]+\.so"
)
# Tables and pictures for sklearn.datasets.load_... The modules in these folders stay.
BUNDLED_DATA = re.compile(r"sklearn/datasets/(data|descr|images)/")
# Type stubs, and the sources of compiled modules.
LEFTOVERS = (
    ".pyi",
    ".pyx",
    ".pxd",
    ".pxi",
    ".pyx.tp",
    ".pxd.tp",
    ".pyx.in",
    ".h",
    ".hpp",
    ".c",
    ".cpp",
    ".cc",
    ".f",
    ".f90",
    ".a",
)
# Programs, with the path of this machine's Python in their first line; and files for Jupyter and
# man, which packages look for below sys.prefix, not here.
DATA_FOLDERS = {"bin", "etc", "share"}
# The installer, the origin, and the hashes of files, some of which are deleted here.
RECORDS = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def slim(site: Path) -> int:
    """Delete unneeded files from a folder of installed packages; return the number of bytes."""
    deleted = 0
    for path in sorted(site.rglob("*"), reverse=True):  # files come before their folder
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif _is_unneeded(path.relative_to(site).parts):
            deleted += path.stat().st_size
            path.unlink()
    return deleted


def _is_unneeded(parts: tuple[str, ...]) -> bool:
    *folders, name = parts
    if not TEST_FOLDERS.isdisjoint(folders):
        return not name.endswith(".py") or name.startswith(("test_", "conftest."))
    if folders and folders[-1].endswith(".dist-info"):
        return name in RECORDS
    if name == "conftest.py" or TEST_EXTENSIONS.fullmatch("/".join(parts)):
        return True
    if BUNDLED_DATA.match("/".join(parts)):
        return not name.endswith(".py")
    top = folders[0] if folders else ""
    return name.endswith(LEFTOVERS) or "__pycache__" in folders or top in DATA_FOLDERS
