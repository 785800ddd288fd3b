"""The wheel in an environment of its own: init, up, check, invoke and down by what it installed.

The example is minimal by default, and each one with TESTS=every.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

import deployer
from deployer.hints import DISTRIBUTION
from deployer.local import process
from deployer.project.template import EXAMPLES
from tests.docs.test_examples import check_answers, check_installed, commands
from tests.support.projects import ROOT
from tests.support.thinning import WHOLE

INSTALL, MODULE = "python -m pip install ", "python -m deployer "


def run(*command: str, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of an environment that has the wheel, and this one's other packages."""
    folder = tmp_path_factory.mktemp("installed").resolve()
    build = ("egg_info", "--egg-base", str(folder), "build", "-b", str(folder / "build"))
    wheel = ("bdist_wheel", "-d", str(folder / "dist"))
    setup = [sys.executable, "-B", "-W", "ignore", "setup.py", "-q", *build, *wheel]
    run(*setup, cwd=ROOT, env=dict(os.environ))
    (file,) = (folder / "dist").iterdir()
    assert file.name.startswith(f"{DISTRIBUTION.replace('-', '_')}-{deployer.__version__}-")
    venv.create(folder / "environment", symlinks=True)
    (site,) = folder.glob("environment/lib/python*/site-packages")
    (site / "shared.pth").write_text("\n".join(p for p in sys.path if p.endswith("-packages")))
    python = str(folder / "environment" / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    install = [*pip, "install", "-q", "--no-deps", "--no-index", str(file)]
    run(*install, cwd=folder, env=dict(os.environ))
    path = f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path}
    variables.pop("PYTHONPATH", None)
    found = run("python", "-c", "print(__import__('deployer').__file__)", cwd=folder, env=variables)
    assert Path(found.stdout.strip()).is_relative_to(site)
    hint = "print(__import__('deployer.hints').hints.install_command())"
    installed = run("python", "-c", hint, cwd=folder, env=variables).stdout.strip()
    assert installed == f"pip install '{DISTRIBUTION}[local]'"
    return variables


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path = (tmp_path / "Grüße an alle").resolve()
    yield path
    process.force_stop(path)


def steps(workflow: Path) -> dict[str, list[str]]:
    """Return the commands of each job of a workflow."""
    jobs: dict[str, Any] = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    return {
        name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES if WHOLE else ["minimal"])
def test_an_installed_wheel_begins_a_project_that_its_workflow_deploys(
    example: str, environment: dict[str, str], folder: Path
) -> None:
    begin = ("deployer", "init", str(folder), "--example", example)
    run(*begin, cwd=folder.parent, env=environment)
    _, _, install, *readme = commands(example, folder)
    first, *test = steps(folder / ".github" / "workflows" / "deploy.yml")["test"]
    assert set(readme) <= set(test)
    assert install.removeprefix(INSTALL) in first
    check_installed(shlex.split(install.removeprefix(INSTALL)), folder)
    printed = ""
    for step in test:
        assert step.startswith(MODULE)
        printed += run("sh", "-c", step, cwd=folder, env=environment).stdout
    check_answers(example, printed)
    run("deployer", "page", "--output", "try.html", cwd=folder, env=environment)
    assert (folder / "try.html").read_text().endswith(" -->\n")
    update = run("deployer", "init", "--update", cwd=folder, env=environment)
    assert (update.stdout, update.stderr) == ("", "nothing is to be written\n")


def test_the_workflow_of_a_new_project_installs_this_version() -> None:
    from deployer.project.initial import initial_files

    files = initial_files("minimal", {}, deployer.__version__)
    text = files[".github/workflows/deploy.yml"].decode()
    lines = [line for line in text.splitlines() if "run: python -m pip install" in line]
    named = [Requirement(shlex.split(line)[6]) for line in lines]
    assert [requirement.name for requirement in named] == [DISTRIBUTION] * 4
    assert [requirement.extras for requirement in named] == [{"local"}, set(), set(), set()]
    assert {str(requirement.specifier) for requirement in named} == {f"=={deployer.__version__}"}
