"""What of an installed package an image does not need. Licences, metadata and whatever may be read
at run time stay.
"""

from __future__ import annotations

import re
from pathlib import Path

# Tests of packages and their data. Helpers in these folders stay: numpy.testing imports one of
# numpy._core.tests.
TEST_FOLDERS = {"tests", "test"}
# Compiled modules that tests alone import; numpy tests its use of the processor with _simd.
TEST_EXTENSIONS = re.compile(
    r"(numpy|scipy)/.*/_(test_\w+|\w+_tests|ctest|cytest|simd)\.[\w-]+\.so"
)
# Tables and pictures that sklearn.datasets.load_... reads; their folders are packages, whose
# modules stay.
BUNDLED_DATA = re.compile(r"sklearn/datasets/(data|descr|images)/")
# Type stubs, and sources of what is compiled.
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
# Who installed it and from where, and hashes of files of which some are gone.
RECORDS = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def slim(site: Path) -> int:
    """Delete from a folder of installed packages what no prediction reads; return how many bytes
    that were.
    """
    saved = 0
    for path in sorted(
        site.rglob("*"), reverse=True
    ):  # what a folder holds comes before the folder
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif _is_useless(path.relative_to(site).parts):
            saved += path.stat().st_size
            path.unlink()
    return saved


def _is_useless(parts: tuple[str, ...]) -> bool:
    *folders, name = parts
    if not TEST_FOLDERS.isdisjoint(folders):
        return not name.endswith(".py") or name.startswith(("test_", "conftest."))
    if folders and folders[-1].endswith(".dist-info"):
        return name in RECORDS
    if name == "conftest.py" or TEST_EXTENSIONS.fullmatch("/".join(parts)):
        return True
    if BUNDLED_DATA.match("/".join(parts)):
        return not name.endswith(".py")
    # pip writes programs into bin/; they begin with the path of the Python that installed them.
    return name.endswith(LEFTOVERS) or "__pycache__" in folders or folders[:1] == ["bin"]
