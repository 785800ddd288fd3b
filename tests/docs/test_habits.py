"""The habits of the project hold together: make, hooks, workflows, forms and the lock."""

from __future__ import annotations

import configparser
import os
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import deployer
from tests.support.projects import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z.][\w./]*):(?!=)", MAKEFILE, re.MULTILINE))
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
LOCK = (ROOT / "requirements-dev.lock").read_text()
HOOKS = ROOT / ".pre-commit-config.yaml"
WORKFLOW = ROOT / ".github" / "workflows" / "tests.yml"
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
# Words that may stand before the command itself.
PREFIX = re.compile(r"^(?:env -u \w+ )")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def check_command(command: str) -> None:
    """Fail unless a command of make, bash, git or the environment names what exists."""
    program, *arguments = PREFIX.sub("", command).split()
    if program == "make":
        assert set(arguments) <= TARGETS and arguments, command
    elif program == "bash":
        assert os.access(ROOT / arguments[0], os.X_OK), command
    else:
        assert program in {"git"}, f"an unknown program: {command}"


def pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^;\s]+)", text, re.MULTILINE))


def test_the_help_of_the_makefile_lists_every_target_for_people() -> None:
    listed = set(re.findall(r"^# make (\w+) ", MAKEFILE, re.MULTILINE))
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert listed == set(phony.split()) == {name for name in TARGETS if "." not in name}


def test_every_hook_runs_a_command_that_exists() -> None:
    (repository,) = load(HOOKS)["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert hook["language"] == "system" and hook["pass_filenames"] is False
        check_command(hook["entry"])


def test_every_step_of_ci_runs_a_command_that_exists() -> None:
    workflow = load(WORKFLOW)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] and job["runs-on"] in {"ubuntu-latest", "macos-latest"}
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])
            else:
                check_command(step["run"])
    for target in re.findall(
        r"^(?:TESTS=\S+ )?make (.+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE
    ):
        assert target in TARGETS


def test_ci_covers_the_oldest_python_to_the_newest() -> None:
    tested = load(WORKFLOW)["jobs"]["linux"]["strategy"]["matrix"]["python"]
    assert tested == ["3.10", "3.11", "3.12", "3.13", "3.14"]
    assert SETUP["options"]["python_requires"] == f">={tested[0]}"


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_forms_ask_in_fields(path: Path) -> None:
    form = load(path)
    if path.name == "config.yml":
        return
    assert form["name"] and form["description"]
    names = [field["id"] for field in form["body"]]
    assert len(names) == len(set(names))
    assert all(field["attributes"]["label"] for field in form["body"])


def test_the_lock_pins_every_development_dependency_once() -> None:
    """lambda_src/requirements.txt pins those of the function image."""
    image = pins((ROOT / "lambda_src" / "requirements.txt").read_text())
    locked = pins(LOCK)
    assert not set(image) & set(locked)
    versions = image | {canonicalize_name(name): version for name, version in locked.items()}
    extras = SETUP["options.extras_require"]
    text = "\n".join(
        [SETUP["options"]["install_requires"], extras["local"], extras["test"], extras["docs"]]
    )
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        if name != "setuptools":  # pip freeze leaves it out
            assert requirement.specifier.contains(versions[name]), line


def test_the_lock_holds_pins_alone() -> None:
    """No path, no address, no package without a version."""
    for line in LOCK.splitlines():
        assert line.startswith("# ") or re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][\w.+]*", line), line


def test_the_lock_can_be_installed_with_every_patch_of_its_python() -> None:
    """A newcomer's Python 3.11 is the system's, which may be older than that of CI."""
    for name in pins(LOCK):
        try:
            needed = metadata.metadata(name)["Requires-Python"]
        except metadata.PackageNotFoundError:
            continue  # this Python has others
        assert SpecifierSet(needed or "").contains("3.11.0"), f"{name} needs Python {needed}"


def test_the_lock_is_for_the_python_that_ci_runs() -> None:
    (locked,) = re.findall(r"for Python (3\.\d+) on Linux", LOCK)
    major, minor = locked.split(".")
    assert f"sys.version_info[:2] == ({major}, {minor})" in MAKEFILE
    assert load(WORKFLOW)["jobs"]["everything"]["container"]["image"] == f"python:{locked}"


def test_users_install_without_the_lock() -> None:
    (recipe,) = re.findall(r"^\.venv/local:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert "LOCK" not in recipe and "-c lambda_src/requirements.txt" in recipe


def test_the_package_ships_its_types() -> None:
    assert (ROOT / "deployer" / "py.typed").is_file()
    assert "py.typed" in SETUP["options.package_data"]["deployer"].split()


def test_the_changelog_has_a_section_for_this_version() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(deployer.__version__)}\] - \d{{4}}-\d\d-\d\d", headings[1])
