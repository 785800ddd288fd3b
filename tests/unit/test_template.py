"""What a new project consists of, in the checkout, in a wheel and in a source distribution."""

from __future__ import annotations

import configparser
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.project import template
from tests.support.projects import ROOT


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file's bytes by its name within a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def setup(*commands: str) -> None:
    """Run commands of the build that write outside of the checkout."""
    subprocess.run(
        [sys.executable, "-B", "-W", "ignore", "setup.py", "-q", *commands],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a wheel is packed from."""
    folder = tmp_path_factory.mktemp("built")
    egg_info = ("egg_info", "--egg-base", str(folder))
    setup(*egg_info, "build", "-b", str(folder / "build"), "--build-lib", str(folder / "lib"))
    return folder / "lib"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the checkout's own template."""
    template.copy_template(tmp_path / "project")
    return tmp_path / "project"


def test_the_template_is_everything_that_a_project_needs_and_nothing_generated(
    copied: Path,
) -> None:
    assert {path.name for path in copied.iterdir()} == set(template.NAMES)
    names = set(contents(copied))
    assert {
        "data/boston_housing.csv",
        "samples/boston_housing.json",
        "lambda_src/.dockerignore",
        "lambda_src/Dockerfile",
        "lambda_src/fast/estimators.py",
        "lambda_src/predict.py",
        "lambda_src/verify.py",
    } <= names
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode == 0:  # a checkout of git, not an unpacked source distribution
        assert names <= set(tracked.stdout.splitlines())


def test_of_the_packages_setup_cfg_a_project_gets_its_own_settings_alone(copied: Path) -> None:
    parser, package = configparser.ConfigParser(), configparser.ConfigParser()
    parser.read(copied / "setup.cfg")
    package.read(ROOT / "setup.cfg")
    assert parser.sections() == ["deployer"]
    assert dict(parser["deployer"]) == dict(package["deployer"])
    assert (copied / "setup.cfg").read_text().startswith("# ")


def test_a_setup_cfg_without_settings_is_no_template() -> None:
    with pytest.raises(ValueError, match=r"setup.cfg has no \[deployer\]"):
        template.settings_of("[metadata]\nname = deployer\n")


def test_other_files_are_copied_as_they_are(copied: Path) -> None:
    for name, content in contents(copied).items():
        assert name == "setup.cfg" or content == (ROOT / name).read_bytes(), name


def test_a_wheel_carries_the_same_template_and_the_examples_of_init(
    built: Path, copied: Path
) -> None:
    carried = contents(built / "deployer" / "template")
    examples = {name: carried.pop(name) for name in list(carried) if name.startswith("examples/")}
    assert carried == contents(copied)
    for name, content in examples.items():
        assert content == (ROOT / name).read_bytes(), name
    for name in (*template.EXAMPLES, template.COMMON):
        packed = contents(ROOT / "examples" / name)
        generated = {path for path in packed if "__pycache__" in path or path.endswith(".joblib")}
        assert {f"examples/{name}/{path}" for path in packed.keys() - generated} <= set(examples)
    assert {path.name for path in built.iterdir()} == {"deployer"}


def test_an_installed_package_copies_its_own_template(
    built: Path, copied: Path, tmp_path: Path
) -> None:
    program = (
        "from pathlib import Path; from deployer.project import template; "
        "template.copy_template(Path('new')); print(template.source())"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(built)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{built / 'deployer' / 'template'}\n"
    assert contents(tmp_path / "new") == contents(copied)


@pytest.fixture
def sdist(tmp_path: Path) -> Iterator[tarfile.TarFile]:
    egg_info = ("egg_info", "--egg-base", str(tmp_path))
    setup(*egg_info, "sdist", "--formats", "gztar", "-d", str(tmp_path / "dist"))
    (path,) = (tmp_path / "dist").iterdir()
    with tarfile.open(path) as archive:
        yield archive


def test_a_source_distribution_can_build_that_wheel(sdist: tarfile.TarFile, copied: Path) -> None:
    names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {*contents(copied), "setup.py", "pyproject.toml", "CHANGELOG.md", "LICENSE"} <= names
    for name in (*template.EXAMPLES, template.COMMON):
        own = {f"examples/{name}/{path}" for path in contents(ROOT / "examples" / name)}
        assert {path for path in own if not path.endswith((".pyc", ".joblib"))} <= names
