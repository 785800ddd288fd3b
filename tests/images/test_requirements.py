"""Requirements are read for the target, and compared with the versions that trained."""

from __future__ import annotations

import sys

import pytest

from deployer.errors import BuildError
from deployer.images.context import Context
from deployer.images.packages import find_python, glibc_minor, pinned_requirements, platform_tags
from deployer.images.recipe import interpret
from deployer.images.requirements import (
    check_complete,
    for_images,
    mismatches,
    read_requirements,
    target_environment,
)
from tests.support.projects import ROOT

TRAINED = {
    "numpy": "2.2.6",
    "scipy": "1.15.3",
    "scikit-learn": "1.7.2",
    "joblib": "1.6.0",
    "python": "3.11",
}
SERVED = "numpy==2.2.6\nscipy==1.15.3\nscikit_learn==1.7.2\njoblib==1.6.0\n"


@pytest.fixture
def requirements(tmp_path):
    def write(text):
        path = tmp_path / "requirements.txt"
        path.write_text(text)
        return path

    return write


def test_names_with_extras_are_normalised(folder):
    (folder / "requirements.txt").write_text("Some_Package[more]==1\n")
    (folder / "Dockerfile").write_text(
        'FROM x\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["a"]\n'
    )
    context = Context(folder, "x", "x86_64", "3.12")
    assert pinned_requirements(context, interpret(context, {}, "/")) == (
        ["Some_Package[more]==1"],
        {"some-package": {"more"}},
    )


def lines(path, python="3.12", architecture="x86_64"):
    return [
        line for _, _, line in read_requirements(path, target_environment(python, architecture))
    ]


def test_markers_are_evaluated_for_the_target(requirements):
    path = requirements(
        'a==1; python_version < "3.12"\nb==1; python_version >= "3.12"\nc==1; sys_platform == '
        '"linux"\n'
        'd==1; sys_platform == "darwin"\ne==1; platform_machine == "aarch64"\n'
    )
    assert lines(path) == ["b==1", "c==1"]
    assert lines(path, "3.11", "arm64") == ["a==1", "c==1", "e==1"]


def test_comments_extras_hashes_and_continued_lines(requirements):
    path = requirements(
        "# all\n\na[x,w]==1 # why\nb==2 \\\n    --hash=sha256:0 \\\n    --hash=sha256:1\n"
    )
    assert lines(path) == ["a[w,x]==1", "b==2 --hash=sha256:0 --hash=sha256:1"]


@pytest.mark.parametrize("line", ["-r more.txt", "--index-url x", "./local", "numpy==", "a b"])
def test_an_invalid_requirement_is_refused_with_its_line(requirements, line):
    path = requirements(f"numpy==1\n{line}\n")
    with pytest.raises(BuildError, match="requirements.txt line 2: .*: is no requirement such as"):
        lines(path)


def test_the_versions_that_trained_are_the_ones_that_serve(requirements):
    assert not list(mismatches(requirements(SERVED), target_environment("3.11", "x86_64"), TRAINED))


@pytest.mark.parametrize(
    "old, new, expected",
    [
        (
            "numpy==2.2.6",
            "numpy==2.2.5",
            " line 1: numpy==2.2.5: the models were trained with numpy==2.2.6",
        ),
        (
            "numpy==2.2.6",
            "numpy>=2.2.6",
            " line 1: numpy>=2.2.6: the models were trained with numpy==2.2.6",
        ),
        (
            "numpy==2.2.6",
            "numpy==2.2.*",
            " line 1: numpy==2.2.*: the models were trained with numpy==2.2.6",
        ),
        ("scipy==1.15.3\n", "", " does not name scipy; the models were trained with scipy==1.15.3"),
        (
            "joblib==1.6.0",
            '-r x\njoblib==1.6.0; python_version < "3"',
            " does not name joblib; the models",
        ),
    ],
)
def test_another_version_is_told_with_its_line(requirements, old, new, expected):
    path = requirements(SERVED.replace(old, new))
    (problem,) = mismatches(path, target_environment("3.11", "x86_64"), TRAINED)
    assert problem.startswith(f"{path.parent.name}/requirements.txt{expected}")
    named = "does not name" in problem
    assert problem.endswith(": add that line" if named else "pinned and train again")


def distribution(site, name, version, *needs):
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (folder / "METADATA").write_text(text + "".join(f"Requires-Dist: {need}\n" for need in needs))


@pytest.mark.parametrize(
    "needs, extras, problem",
    [
        ("two>=1", {}, None),
        ("two>=3", {}, "one needs two>=3, but 2 is pinned"),
        ("three>=1", {}, "one needs three>=1"),
        ("boto3>=1", {}, None),
        ("three; sys_platform == 'darwin'", {}, None),
        ("three; extra == 'more'", {}, None),
        ("three; extra == 'more'", {"one": {"more"}}, "one needs three"),
        ("three; python_version < '3.12'", {}, None),
    ],
)
def test_dependencies_must_be_pinned_or_in_the_base(tmp_path, needs, extras, problem):
    distribution(tmp_path, "one", "1", needs)
    distribution(tmp_path, "two", "2")
    if problem is None:
        check_complete(tmp_path, extras, target_environment("3.12", "x86_64"))
        return
    with pytest.raises(BuildError) as caught:
        check_complete(tmp_path, extras, target_environment("3.12", "x86_64"))
    assert caught.value.message == f"requirements.txt leaves something to chance: {problem}"


@pytest.mark.parametrize(
    "name, needs",
    [
        ("catboost", ["matplotlib", "plotly", "graphviz", "two"]),
        ("lightgbm", ["wheel", "two"]),
        ("shap", ["xgboost>=1"]),
    ],
)
def test_dependencies_that_no_prediction_imports_may_be_left_out(tmp_path, name, needs):
    """The modules of xgboost may be those of xgboost-cpu."""
    distribution(tmp_path, name, "1", *needs)
    distribution(tmp_path, "two", "2")
    distribution(tmp_path, "xgboost_cpu", "3.2.0")
    check_complete(tmp_path, {}, target_environment("3.12", "x86_64"))


def test_libraries_of_a_gpu_are_not_asked_for_without_saying_how_to_do_without(tmp_path):
    distribution(tmp_path, "xgboost", "3.2.0", "nvidia-nccl-cu12")
    with pytest.raises(BuildError, match="xgboost needs nvidia-nccl-cu12") as caught:
        check_complete(tmp_path, {}, target_environment("3.12", "x86_64"))
    assert caught.value.advice.endswith(
        "xgboost-cpu==3.2.0 in place of xgboost needs no GPU libraries"
    )


def test_packages_are_those_without_libraries_of_a_gpu():
    """There is no xgboost-cpu before 2.1.1."""
    assert for_images({"xgboost": "3.2.0", "pandas": "2.2"}) == {
        "xgboost-cpu": "3.2.0",
        "pandas": "2.2",
    }
    assert for_images({"xgboost": "1.7.6"}) == {"xgboost": "1.7.6"}


def test_the_newest_wheels_that_the_base_can_load_come_first():
    """AWS's images have glibc 2.26 up to Python 3.11, and 2.34 since."""
    assert (glibc_minor("3.11"), glibc_minor("3.12"), glibc_minor("3.13")) == (26, 34, 34)
    tags = platform_tags("3.12", "x86_64")
    assert tags[0] == "manylinux_2_34_x86_64"
    assert tags[-3:] == ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
    assert platform_tags("3.11", "arm64")[0] == "manylinux_2_26_aarch64"
    assert platform_tags("3.11", "arm64")[-2:] == [
        "manylinux_2_17_aarch64",
        "manylinux2014_aarch64",
    ]


def test_the_python_to_compile_with_is_this_one_or_on_the_path(monkeypatch, tmp_path):
    assert find_python(f"{sys.version_info.major}.{sys.version_info.minor}") == sys.executable
    (tmp_path / "python3.99").write_text("#!/bin/sh\n")
    (tmp_path / "python3.99").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_python("3.99") == str(tmp_path / "python3.99")
    with pytest.raises(BuildError, match="trained with Python 3.98, and none is on the PATH"):
        find_python("3.98")


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_the_shipped_requirements_pin_what_trains_on_every_python(python):
    names = {
        requirement.name
        for _, requirement, _ in read_requirements(
            ROOT / "lambda_src/requirements.txt", target_environment(python, "x86_64")
        )
    }
    assert {"numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl", "cloudpickle"} <= names
