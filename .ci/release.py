"""Cut a release: version, changelog, wheel and source distribution, commit and tag.

    python .ci/release.py cut 0.2.0   (make release VERSION=0.2.0)
    python .ci/release.py build       (make dist)

Nothing is pushed or uploaded.
"""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

VERSION, CHANGELOG = Path("deployer/__init__.py"), Path("CHANGELOG.md")
BRANCH = "main"
_ASSIGNMENT = re.compile(r'^__version__ = "(\d+\.\d+\.\d+)"$', re.MULTILINE)
_UNRELEASED = "## [Unreleased]\n"


def fail(message: str) -> NoReturn:
    sys.exit(f"release: {message}")


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    if done.returncode:
        fail(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def with_section(changelog: str, version: str, day: str) -> str:
    """Return a changelog whose unreleased entries are those of a version."""
    head, mark, rest = changelog.partition(_UNRELEASED)
    entries = rest.partition("\n## [")[0]
    if not mark or not re.search(r"^- ", entries, re.MULTILINE):
        fail(f"{CHANGELOG} has no entries under {_UNRELEASED.strip('# ' + chr(10))}")
    return f"{head}{mark}\n## [{version}] - {day}\n{rest}"


def refuse(version: str, current: str) -> None:
    """End the program unless this version can be cut here and now."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        fail("name the version, as in make release VERSION=0.2.0")
    if numbers(version) <= numbers(current):
        fail(f"{version} is not above {current}, the version in {VERSION}")
    if git("branch", "--show-current") != BRANCH:
        fail(f"releases are cut on {BRANCH}")
    if git("status", "--porcelain"):
        fail("there are changes that are not committed")
    if git("tag", "--list", f"v{version}"):
        fail(f"the tag v{version} exists")


def cut(version: str) -> None:
    """Write version and changelog, build, commit and tag; restore both files if that fails."""
    texts = {path: path.read_text(encoding="utf-8") for path in (VERSION, CHANGELOG)}
    match = _ASSIGNMENT.search(texts[VERSION])
    if match is None:
        fail(f"{VERSION} has no __version__ of three numbers")
    refuse(version, match[1])
    day = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    changelog = with_section(texts[CHANGELOG], version, day)
    assignment = f'__version__ = "{version}"'
    try:
        VERSION.write_text(_ASSIGNMENT.sub(assignment, texts[VERSION]), encoding="utf-8")
        CHANGELOG.write_text(changelog, encoding="utf-8")
        build()
        git("commit", "--quiet", "--message", f"Release {version}", str(VERSION), str(CHANGELOG))
    except BaseException:
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
        raise
    git("tag", "--annotate", f"v{version}", "--message", f"Release {version}")
    print(f"next: git push origin {BRANCH} v{version}, which publishes it on PyPI")


def build() -> None:
    """Build wheel and source distribution into dist/, without anything of former builds."""
    for path in Path("dist").glob("*"):
        path.unlink()
    with tempfile.TemporaryDirectory() as folder:
        parts = ("egg_info", "--egg-base", folder, "build", "-b", f"{folder}/build")
        for archive in ("sdist", "bdist_wheel"):
            command = [
                sys.executable,
                "-B",
                "-W",
                "ignore",
                "setup.py",
                "-q",
                *parts,
                archive,
                "-d",
                "dist",
            ]
            if subprocess.run(command).returncode:
                fail(f"{archive} cannot be built")
    for path in sorted(Path("dist").iterdir()):
        print(path)


def main(arguments: list[str]) -> None:
    commands: dict[tuple[str, int], Callable[..., None]] = {("cut", 1): cut, ("build", 0): build}
    name, *rest = arguments or [""]
    command = commands.get((name, len(rest)))
    if command is None:
        fail("name the version, as in make release VERSION=0.2.0")
    command(*rest)


if __name__ == "__main__":
    main(sys.argv[1:])
