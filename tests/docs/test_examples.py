"""examples/: the commands of each README, run in a copy, print the answers that it shows."""

from __future__ import annotations

import math
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deployer.local import process
from deployer.project.template import EXAMPLES as EXAMPLES_OF_INIT
from tests.support.command_line import deployer
from tests.support.containers import unavailable
from tests.support.projects import ROOT
from tests.support.thinning import WHOLE

# Its tests share a server, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("docs examples")

EXAMPLES = ROOT / "examples"
COPIED = ("bring_your_own", "unlike")  # this environment has their libraries
INSTALL, END = "python -m pip install ", "python -m deployer down --local --yes"
ANSWER = re.compile(r"^model .*?^answered in \d+ ms$", re.MULTILINE | re.DOTALL)
TOLERANCE = 0.01  # of numbers: another scikit-learn grows other trees


def blocks(page: Path, language: str) -> list[str]:
    return blocks_of(page.read_text(encoding="utf-8"), language)


def blocks_of(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(name: str, place: Path) -> list[str]:
    """Return the commands of an example's README, with another folder in place of its own.

    The README of an example of `init` stands in the new project; the command before it is added.
    """
    if name in EXAMPLES_OF_INIT:
        page = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
        (init,) = re.findall(r"`(python -m deployer init \w+ --example \w+)` writes this", page)
        *first, _, option, example = shlex.split(init)
        assert example == name
        begin = shlex.join([*first, str(place), option, example])
        return [begin, f"cd {place}", *"".join(blocks_of(page, "sh")).splitlines()]
    text = "".join(blocks(EXAMPLES / name / "README.md", "sh"))
    (own,) = re.findall(r"^mkdir (/tmp/\w+)$", text, re.MULTILINE)
    return re.sub(rf"{own}\b", shlex.quote(str(place)), text).splitlines()


def words(answer: str) -> list[str | float]:
    """Return the words and numbers of an answer of `invoke`, without versions and times."""
    answer = re.sub(r"\b[0-9a-f]{12}\b|\d+(?= ms)", "#", answer)
    found = re.findall(r"\d+\.?\d*|\w+|[^\w\s]", answer)
    return [float(word) if word[0].isdigit() else word for word in found]


def same(printed: str, shown: str) -> bool:
    """Tell whether two answers agree, numbers to within a tolerance."""
    ours, theirs = words(printed), words(shown)
    return len(ours) == len(theirs) and all(
        math.isclose(a, b, rel_tol=TOLERANCE)
        if isinstance(a, float) and isinstance(b, float)
        else a == b
        for a, b in zip(ours, theirs, strict=True)
    )


def check_answers(name: str, printed: str) -> None:
    """Fail unless the README shows the answers among what its commands printed, in their order."""
    page = "".join(blocks(EXAMPLES / name / "README.md", "text"))
    answers, shown = (ANSWER.findall(text) for text in (printed, page))
    assert len(answers) == len(shown) > 0
    for answer, of_page in zip(answers, shown, strict=True):
        assert same(answer, of_page), f"examples/{name}/README.md shows\n{of_page}\nnot\n{answer}"


def test_an_answer_is_compared_by_words_and_numbers() -> None:
    shown = "churn   2a0248f500c8   leaves (0.97)\n\nanswered in 9 ms\n"
    assert same("churn  a2a248f500c8  leaves (0.971)\n\nanswered in 311 ms", shown)
    for other in ("leaves (0.9)", "stays (0.97)", "leaves", "leaves (0.97), stays (0.9)"):
        assert not same(f"churn  2a0248f500c8  {other}\n\nanswered in 9 ms", shown)


def check_installed(arguments: list[str], folder: Path) -> None:
    """Fail unless pip would have nothing to install; this environment pins the versions."""
    if arguments[0] == "-r":
        lines = (folder / arguments[1]).read_text().splitlines()
        named = [line.partition("#")[0].strip() for line in lines if not line.startswith("#")]
        arguments = [line for line in named if line and not line.startswith("-r ")]
        nested = [line.removeprefix("-r ") for line in named if line.startswith("-r ")]
        for name in nested:
            check_installed(["-r", name], folder)
    for requirement in map(Requirement, arguments):
        if requirement.marker is None or requirement.marker.evaluate():
            assert requirement.specifier.contains(metadata.version(requirement.name)), requirement


def step(command: str, place: Path, folder: Path) -> str:
    """Run one command of a README in a folder, in this process; return what it prints."""
    if command.startswith(INSTALL):
        check_installed(shlex.split(command.removeprefix(INSTALL)), folder)
        return ""
    program = shlex.split(command)
    if program[:3] == ["python", "-m", "deployer"]:
        return deployer(folder, *program[3:]).out
    if program == ["python", "train.py"]:
        runpy.run_path(str(folder / "train.py"), run_name="__main__")
        return ""
    assert program[0] in ("cp", "mkdir"), command
    if program != ["mkdir", str(place)]:  # it is there
        subprocess.run(["sh", "-c", command], cwd=folder, check=True)
    return ""


@pytest.mark.parametrize(
    "name",
    [
        *COPIED,
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (EXAMPLES_OF_INIT if WHOLE else ("churn", "text"))
        ),
    ],
)
def test_an_example_answers_as_its_readme_shows(
    name: str, live_empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default four of six: tests/cli/test_installed.py runs minimal, many others housing."""
    *lines, end = commands(name, live_empty)
    assert end == END  # this server serves the next example
    monkeypatch.chdir(ROOT)
    printed = ""
    for line in lines:
        if line == f"cd {live_empty}":
            monkeypatch.chdir(live_empty)
        else:
            printed += step(line, live_empty, Path.cwd())
    check_answers(name, printed)


def test_the_five_lines_for_your_own_model_are_enough(
    tmp_path: Path, live_empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that somebody else trained is that of bring_your_own."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, section = readme.split("\n## Your own model\n")
    init, enter, *lines = blocks_of(section, "sh")[0].splitlines()
    assert init == "python -m deployer init taxi --example minimal" and enter == "cd taxi"
    shutil.copytree(EXAMPLES / "bring_your_own", tmp_path / "trained")
    monkeypatch.chdir(tmp_path / "trained")
    runpy.run_path("train.py", run_name="__main__")
    deployer(live_empty, "init", str(live_empty), *shlex.split(init)[5:])
    printed = ""
    for line in lines:
        arguments = shlex.split(line.replace("../", f"{tmp_path}/trained/"))[3:]
        printed += deployer(live_empty, *arguments, *(["--yes"] if "add" in arguments else [])).out
    answer = ANSWER.findall(printed)[-1]
    (shown,) = blocks(EXAMPLES / "bring_your_own" / "README.md", "text")
    assert same(answer.replace("model ", "taxi  ", 2).replace("taxi ", "model", 1), shown)


# XGBoost is not in this environment: another one gets it, which also has all that this one has.


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return variables that make `python` one with the packages of boosted's README, too."""
    folder = tmp_path / "environment"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    paths = [str(ROOT), *(path for path in sys.path if path.endswith("-packages"))]
    (site / "shared.pth").write_text("\n".join(paths) + "\n")
    variables = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    install = [line for line in commands("boosted", tmp_path) if line.startswith(INSTALL)]
    for line in install:
        done = subprocess.run(
            ["sh", "-c", f"{line} --quiet --only-binary=:all:"],
            env=variables,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            unavailable(f"{line}: {done.stderr}")
    assert install
    return variables


@pytest.fixture
def bikes(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path.resolve() / "bikes"
    yield folder
    process.force_stop(folder)


@pytest.mark.weekly
def test_the_boosted_example_answers_as_its_readme_shows(
    environment: dict[str, str], bikes: Path
) -> None:
    """All commands are run by a shell, as a reader runs them."""
    done = subprocess.run(
        ["sh", "-ec", "\n".join(commands("boosted", bikes))],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    check_answers("boosted", done.stdout)
    assert done.stderr.splitlines()[-1] == "the local AWS has ended"
    shared = bikes / "lambda_src" / "requirements.txt"
    own = bikes / "lambda_src" / "bikes" / "requirements.txt"
    package = own.read_text().removeprefix(shared.read_text()).strip()
    assert f"{INSTALL}{package}" in commands("boosted", bikes)
    assert f"with one more line, `{package}`" in (bikes / "README.md").read_text()


# The pages and the files.


def test_every_example_is_listed_and_run() -> None:
    folders = {path.parent.name for path in EXAMPLES.glob("*/README.md")}
    assert folders == {"boosted", *COPIED, *EXAMPLES_OF_INIT}
    listed = re.findall(r"^\| \[(\w+)\]\((\w+)\)", (EXAMPLES / "README.md").read_text(), re.M)
    assert {(name, name) for name in folders} == set(listed)


def test_the_environment_is_prepared_as_the_readme_of_the_project_says() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (preparation,) = blocks(EXAMPLES / "README.md", "sh")
    *made, activated = preparation.splitlines()
    assert made and activated == ". .venv/bin/activate"
    assert all(f"`{line}`" in readme for line in made)


def test_the_page_on_models_that_exist_begins_with_the_shortest_example() -> None:
    text = (ROOT / "docs" / "own_models.md").read_text(encoding="utf-8")
    _, section = text.split("\n## Add a model that exists\n")
    page = EXAMPLES / "bring_your_own" / "README.md"
    for language in ("sh", "text"):
        assert blocks_of(section, language)[0] == blocks(page, language)[0]
    lengths = {name: len(commands(name, ROOT)) for name in ("boosted", *COPIED)}
    assert min(lengths.values()) == lengths["bring_your_own"]
