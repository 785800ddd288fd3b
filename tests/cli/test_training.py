"""Models that are lost, replaced or trained anew, and training programs that fail."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deployer.local import process
from tests.support.processes import deployer, ends
from tests.support.projects import ROOT

COLLEAGUES = b"a colleague's model"


def run(
    project: Path, *arguments: str, environment: Mapping[str, str] | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deployer", *arguments]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, env=environment, timeout=120, **more
    )


@pytest.mark.parametrize("name", ["price.joblib", "random_forest.joblib", "notes.txt"])
def test_a_folder_of_models_without_a_manifest_is_left_as_it_is(project: Path, name: str) -> None:
    shutil.rmtree(project / "models")
    (project / "models").mkdir()
    (project / "models" / name).write_bytes(COLLEAGUES)
    for command in (
        ("up", "--local"),
        ("plan", "--local"),
        ("check", "--local"),
        ("image", "--output", "x.tar"),
    ):
        ran = deployer(project, *command, code=1)
        assert f"models/ holds {name}, but no manifest.json" in ran.err + ran.out, command
    assert [path.name for path in (project / "models").iterdir()] == [name]
    assert (project / "models" / name).read_bytes() == COLLEAGUES
    process.force_stop(project)


def test_a_models_folder_that_is_a_mount_point_is_trained_into(
    project: Path, tmp_path: Path
) -> None:
    """As a volume has it: with lost+found, and not to be renamed. A link stands for it here."""
    shutil.rmtree(project / "models")
    volume = tmp_path / "volume"
    (volume / "lost+found").mkdir(parents=True)
    (project / "models").symlink_to(volume)
    try:
        ran = deployer(project, "up", "--local")
        assert "python train.py" in ran.err
        assert (volume / "manifest.json").is_file() and (project / "models").is_symlink()
        assert len(deployer(project, "invoke", "--sample", "--local", "--json").json) == 3
    finally:
        process.force_stop(project)


def test_live_models_are_replaced_by_training_only_when_that_is_asked_for(project: Path) -> None:
    """Trained on another table, deployed, then lost: the housing models must not replace them."""
    table = ROOT / "tests" / "cases" / "other_table.csv"
    shutil.copy(table, project / "table.csv")
    subprocess.run(
        [sys.executable, "train.py", "--data", "table.csv", "--target", "y"],
        cwd=project,
        check=True,
    )
    try:
        deployer(project, "up", "--local")
        before = deployer(project, "invoke", "--sample", "--local", "--json").json
        shutil.rmtree(project / "models")
        ran = deployer(project, "up", "--local", code=1)
        assert (
            "linear_regression, random_forest, support_vector of this service serve some already"
            in ran.err
        )
        assert re.search(r"agree to train: \S*python\S* -m deployer up --local --train", ran.err)
        assert not (project / "models").exists()
        sent = deployer(
            project, "invoke", "--local", "--json", "--data", '{"a": 0.5, "b": 0.5}'
        ).json
        assert [entry["version"] for entry in sent] == [entry["version"] for entry in before]
        config = project / "setup.cfg"
        config.write_text(
            config.read_text().replace(
                "[deployer]\n", "[deployer]\ntrain = python train.py --data table.csv --target y\n"
            )
        )
        assert (
            "python train.py --data table.csv --target y"
            in deployer(project, "up", "--local", "--train").err
        )
        assert deployer(project, "invoke", "--sample", "--local", "--json").json == before
    finally:
        process.force_stop(project)


def test_the_plan_tells_that_data_or_script_are_newer_than_the_models(project: Path) -> None:
    assert "has changed" not in deployer(project, "plan", "--local").err
    with (project / "data" / "boston_housing.csv").open("a") as table:
        table.write("\n")
    with (project / "train.py").open("a") as script:
        script.write("# edited\n")
    err = deployer(project, "plan", "--local").err
    for name in ("data/boston_housing.csv", "train.py"):
        assert re.search(
            rf"{name} has changed since the models were trained; .* up --local --train", err
        )


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            "no-such-program --x",
            "training cannot start: no-such-program --x: No such file or directory",
        ),
        ("python -c 'import sys; sys.exit(3)'", "ended with exit code 3 and said nothing"),
        ("python -c 'print(7); import sys; sys.exit(3)'", "ended with exit code 3"),
        ("python -c 'import os; os.kill(os.getpid(), 9)'", "was ended by SIGKILL"),
        ("python -c 'import os; os.kill(os.getpid(), 40)'", "was ended by signal 40"),
        ("python -c 'pass'", "ended well, but left no models/manifest.json"),
        (
            "python -c 'import sys; sys.stdout.buffer.write(bytes([255, 10])); sys.exit(1)'",
            "ended with exit code 1",
        ),
    ],
)
def test_a_training_program_that_fails_is_told(project: Path, command: str, expected: str) -> None:
    shutil.rmtree(project / "models")
    process.start(project)
    try:
        environment = {**os.environ, "DEPLOYER_TRAIN": command}
        done = run(project, "up", "--local", environment=environment)
        assert done.returncode == 1 and expected in done.stderr and "defect" not in done.stderr
    finally:
        process.force_stop(project)


def test_a_training_programs_output_is_shown_as_it_comes_and_a_signal_ends_it(
    project: Path,
) -> None:
    shutil.rmtree(project / "models")
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('then python -m deployer up, or python eval.py')\n"
        "print('epoch 1 of', child.pid)\ntime.sleep(600)\n"
    )
    (project / "train.py").write_text(script)
    process.start(project)
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            command = [sys.executable, "-m", "deployer", "up", "--local"]
            running = subprocess.Popen(
                command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            assert running.stderr is not None
            assert next(
                line
                for line in running.stderr
                if line == "then python -m deployer up, or python eval.py\n"
            )
            line = next(line for line in running.stderr if line.startswith("epoch 1 of "))
            running.send_signal(number)
            _, rest = running.communicate(timeout=20)
            assert running.returncode == 130 and rest.splitlines()[-1] == "error: interrupted"
            assert ends(int(line.split()[-1]))
    finally:
        process.force_stop(project)
