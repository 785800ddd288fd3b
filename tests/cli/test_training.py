"""Models that are lost, replaced or trained anew, and training programs that fail."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command_line import deployer
from tests.support.processes import ends

COLLEAGUES = b"a colleague's model"


@pytest.mark.parametrize("name", ["price.joblib", "random_forest.joblib", "notes.txt"])
def test_a_folder_of_models_without_a_manifest_is_left_as_it_is(live: Path, name: str) -> None:
    models = live / "models"
    shutil.rmtree(models)
    models.mkdir()
    (models / name).write_bytes(COLLEAGUES)
    for command in (
        ("up", "--local"),
        ("plan", "--local"),
        ("check", "--local"),
        ("image", "--output", "x.tar"),
    ):
        ran = deployer(live, *command, code=1)
        assert f"models/ holds {name}, but no manifest.json" in ran.err + ran.out, command
    assert [path.name for path in models.iterdir()] == [name]
    assert (models / name).read_bytes() == COLLEAGUES


@pytest.mark.slow
def test_a_models_folder_that_is_a_mount_point_is_trained_into(live: Path, tmp_path: Path) -> None:
    """A volume holds lost+found and cannot be renamed. A link stands for it here."""
    models, volume = live / "models", tmp_path / "volume"
    shutil.rmtree(models)
    (volume / "lost+found").mkdir(parents=True)
    models.symlink_to(volume)
    ran = deployer(live, "up", "--local")
    assert "python train.py" in ran.err
    assert (volume / "manifest.json").is_file() and models.is_symlink()
    assert len(deployer(live, "invoke", "--sample", "--local", "--json").json) == 3


@pytest.mark.slow
def test_live_models_are_replaced_by_training_only_when_that_is_asked_for(
    live: Path, retrain: Callable[[Path], None]
) -> None:
    """Trained on another table, deployed, then lost: the housing models must not replace them."""
    retrain(live)
    deployer(live, "up", "--local")
    before = deployer(live, "invoke", "--sample", "--local", "--json").json
    shutil.rmtree(live / "models")
    ran = deployer(live, "up", "--local", code=1)
    names = "linear_regression, random_forest, support_vector"
    assert f"{names} of this service serve some already" in ran.err
    assert re.search(r"agree to train: \S*python\S* -m deployer up --local --train", ran.err)
    assert not (live / "models").exists()
    data = '{"a": 0.5, "b": 0.5}'
    answers = deployer(live, "invoke", "--local", "--json", "--data", data).json
    assert [entry["version"] for entry in answers] == [entry["version"] for entry in before]
    train = "python train.py --data table.csv --target y"
    config = live / "setup.cfg"
    config.write_text(config.read_text().replace("[deployer]\n", f"[deployer]\ntrain = {train}\n"))
    assert train in deployer(live, "up", "--local", "--train").err
    assert deployer(live, "invoke", "--sample", "--local", "--json").json == before


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


@pytest.mark.slow(every=4)
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
        ("python -c 'pass'", "-m deployer add --local FILE"),
        ('python -c \'open("a b.joblib", "w")\'', "-m deployer add --local 'a b.joblib'"),
        ("true && no-such-program --x", "training cannot start: no-such-program --x: No such"),
        ("true && false && touch models", "error: false ended with exit code 1 and said nothing"),
        ("python -c 'import nowhere'", "ended with exit code 1: ModuleNotFoundError: No module"),
        ("python -c 'import nowhere'", "-m pip install -r requirements.txt"),
        (
            "python -c 'import sys; sys.stdout.buffer.write(bytes([255, 10])); sys.exit(1)'",
            "ended with exit code 1",
        ),
    ],
)
def test_a_training_program_that_fails_is_told(live: Path, command: str, expected: str) -> None:
    shutil.rmtree(live / "models")
    (live / "requirements.txt").write_text("nowhere\n")
    ran = deployer(live, "up", "--local", code=1, environment={"DEPLOYER_TRAIN": command})
    assert not (live / "models").exists()
    assert expected in ran.err and "defect" not in ran.err


def test_a_training_programs_output_is_shown_as_it_comes_and_a_signal_ends_it(live: Path) -> None:
    shutil.rmtree(live / "models")
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('then python -m deployer up, or python eval.py')\n"
        "print('epoch 1 of', child.pid)\ntime.sleep(600)\n"
    )
    (live / "train.py").write_text(script)
    for number in (signal.SIGTERM, signal.SIGINT):
        running = subprocess.Popen(
            [sys.executable, "-m", "deployer", "up", "--local"],
            cwd=live,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert running.stderr is not None
        assert "then python -m deployer up, or python eval.py\n" in iter(running.stderr)
        line = next(line for line in running.stderr if line.startswith("epoch 1 of "))
        running.send_signal(number)
        _, rest = running.communicate(timeout=20)
        assert running.returncode == 130 and rest.splitlines()[-1] == "error: interrupted"
        assert ends(int(line.split()[-1]))
