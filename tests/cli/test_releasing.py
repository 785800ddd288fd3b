"""`make release`: version, changelog, archives, commit and tag, and all that it refuses."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import deployer
from deployer.hints import DISTRIBUTION
from tests.support.projects import ROOT

CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- Much.\n\n## [0.1.0] - 2026-11-26\n"
PARTS = (
    *("setup.py", "setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"),
    *("train.py", "state_machine.json"),
    *("deployer/project/template.py", "deployer/project/workflow.json", "deployer/__init__.py"),
)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a part of this one, in version 0.1.0 with one unreleased entry."""
    folder = tmp_path / "checkout"
    for name in PARTS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in (".ci", "lambda_src", "samples", "data", "examples"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "deployer" / "__init__.py").write_text('"""Doc."""\n\n__version__ = "0.1.0"\n')
    (folder / "deployer" / "project" / "__init__.py").touch()
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    (folder / ".gitignore").write_text("/dist/\n__pycache__/\n*.egg-info/\n")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    for name, value in (("user.name", "a"), ("user.email", "a@b")):
        git(folder, "config", name, value)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all")
    return folder


def release(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ".ci/release.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_a_release_is_a_commit_a_tag_and_two_archives(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_REPOSITORY", "octo-org/deployer")
    (checkout / "dist").mkdir()
    (checkout / "dist" / "of_a_former_build.whl").touch()
    done = release(checkout, "cut", "0.2.0")
    assert done.returncode == 0, done.stderr
    assert '__version__ = "0.2.0"\n' in (checkout / "deployer" / "__init__.py").read_text()
    changelog = (checkout / "CHANGELOG.md").read_text()
    shown = re.sub(r"\d{4}-\d\d-\d\d", "DAY", changelog)
    cut = "## [Unreleased]\n\n## [0.2.0] - DAY\n\n### Added\n\n- Much.\n\n## [0.1.0] - DAY\n"
    assert shown == f"# Changelog\n\n{cut}"
    assert git(checkout, "status", "--porcelain") == ""
    assert git(checkout, "log", "-1", "--format=%s") == "Release 0.2.0"
    assert git(checkout, "rev-parse", "v0.2.0^{commit}") == git(checkout, "rev-parse", "HEAD")
    assert "next: git push origin main v0.2.0" in done.stdout
    stem = f"{DISTRIBUTION.replace('-', '_')}-0.2.0"
    wheel, source = f"{stem}-py3-none-any.whl", f"{stem}.tar.gz"
    assert {path.name for path in (checkout / "dist").iterdir()} == {wheel, source}
    with zipfile.ZipFile(checkout / "dist" / wheel) as archive:
        assert "deployer/template/examples/minimal/train.py" in archive.namelist()
        entries = archive.read(f"{stem}.dist-info/entry_points.txt").decode()
        description = archive.read(f"{stem}.dist-info/METADATA").decode()
    assert "deployer = deployer.__main__:main" in entries
    links = re.findall(r"\]\(([^)]*)\)", description)
    assert "https://github.com/octo-org/deployer/blob/v0.2.0/docs/start.md" in links
    assert all(link.startswith("https://") for link in links)  # PyPI has no other files
    (picture, *_) = re.findall(r"!\[[^]]*\]\(([^)]*)\)", description)
    assert picture.startswith("https://raw.githubusercontent.com/octo-org/deployer/v0.2.0/docs/")
    with tarfile.open(checkout / "dist" / source) as archive:
        assert f"{stem}/examples/common/.gitignore" in archive.getnames()


@pytest.mark.parametrize(
    ("version", "prepare", "message"),
    [
        ("", [], "name the version, as in make release VERSION=0.2.0"),
        ("1.0", [], "name the version, as in make release VERSION=0.2.0"),
        ("0.1.0", [], "0.1.0 is not above 0.1.0"),
        ("0.2.0", ["git checkout --quiet -b side"], "releases are cut on main"),
        ("0.2.0", ["touch new.txt"], "there are changes that are not committed"),
        ("0.2.0", ["git tag v0.2.0"], "the tag v0.2.0 exists"),
        (
            "0.2.0",
            ["sed -i.old /Much/d CHANGELOG.md", "rm CHANGELOG.md.old", "git commit -qam less"],
            "CHANGELOG.md has no entries under [Unreleased]",
        ),
        ("0.2.0", ["echo 'x =' >setup.py", "git commit -qam broken"], "sdist cannot be built"),
    ],
)
def test_what_cannot_be_released_is_refused(
    version: str, prepare: list[str], message: str, checkout: Path
) -> None:
    for command in prepare:
        subprocess.run(["sh", "-c", command], cwd=checkout, check=True)
    head, status = git(checkout, "rev-parse", "HEAD"), git(checkout, "status", "--porcelain")
    done = release(checkout, "cut", *filter(None, [version]))
    assert done.returncode == 1 and f"release: {message}" in done.stderr, done.stderr
    assert git(checkout, "rev-parse", "HEAD") == head
    assert git(checkout, "status", "--porcelain") == status


def test_the_distribution_has_one_name() -> None:
    """`deployer` is another's on PyPI."""
    for name in ("setup.cfg", "README.md", "examples/common/.github/workflows/deploy.yml"):
        assert DISTRIBUTION in (ROOT / name).read_text(encoding="utf-8"), name
    assert re.fullmatch(r"\d+\.\d+\.\d+", deployer.__version__)
