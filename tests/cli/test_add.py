"""`add` and `remove`: the files that they write and delete, and those that they leave alone."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import joblib
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from deployer.commands.add import command as add
from deployer.project import branches
from deployer.project.settings import load_settings
from deployer.project.template import copy_template
from deployer.project.training import train
from deployer.service import adding
from deployer.service.retraining import FLAGS, recipes
from tests.support.command_line import deployer
from tests.support.made_elsewhere import NUMBERS, write
from tests.support.projects import ROOT
from tests.support.terminal import deployer as in_terminal
from tests.unit.test_model_files import mlflow_model

SHIPPED = (ROOT / "state_machine.json").read_text()
FILES = (
    "models/manifest.json",
    "models/odd.joblib",
    "samples/odd.json",
    "state_machine.json",
)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A project that has the template's workflow and no models."""
    copy_template(tmp_path / "project")
    return (tmp_path / "project").resolve()


@pytest.fixture
def odd(tmp_path: Path) -> tuple[str, ...]:
    """The arguments that add a classifier with odd column names."""
    path, example = write(tmp_path, "odd")
    return ("add", str(path), "--example", str(example), "--yes")


def picture(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def manifest(project: Path) -> Any:
    return json.loads((project / "models" / "manifest.json").read_text())


def test_a_model_is_added_described_and_removed_without_a_trace(
    empty: Path, odd: tuple[str, ...]
) -> None:
    before = picture(empty)
    ran = deployer(empty, *odd)
    assert re.search(r"^input +an array of numbers", ran.out, re.MULTILINE)
    assert "größe (cm) - number from" in ran.out and "classes     no, yes" in ran.out
    assert [f"written  {name}" in ran.out for name in FILES] == [True] * 4
    assert "python -m deployer remove linear_regression random_forest" in re.sub(
        r"\S*python\S* -m", "python -m", ran.err
    )
    assert re.search(r"^next: .* -m deployer up$", ran.err, re.MULTILINE)
    after = picture(empty)
    assert after.keys() - before.keys() == set(FILES) - {"state_machine.json"}
    entry = manifest(empty)["models"]["odd"]
    assert entry["sha256"] == hashlib.sha256(after["models/odd.joblib"]).hexdigest()
    assert entry["source"]["file"] == "odd.joblib"
    added = json.loads(after["state_machine.json"])["States"]["Predict"]["Branches"]
    assert json.dumps(added[3]) == json.dumps(added[2]).replace("support_vector", "odd")
    assert after["state_machine.json"].decode().startswith(SHIPPED[:2000])
    again = deployer(empty, *odd)
    assert "nothing was changed" in again.err and picture(empty) == after
    deployer(empty, "remove", "odd", "--yes")
    rest = picture(empty)
    assert manifest(empty)["models"] == {}
    assert {name: rest[name] for name in before} == before
    assert rest.keys() - before.keys() == {"models/manifest.json"}
    assert "nothing to remove" in deployer(empty, "remove", "odd").out


def test_one_document_is_printed_on_request(empty: Path, odd: tuple[str, ...]) -> None:
    document = deployer(empty, *odd, "--json").json
    assert document["model"] == "odd" and document["estimator"] == "RandomForestClassifier"
    assert [file["file"] for file in document["files"]] == list(FILES)
    assert document["entry"] == manifest(empty)["models"]["odd"]
    document = deployer(empty, "remove", "odd", "--yes", "--json").json
    assert len(document["removed"]) == 4 and document["remarks"] == []
    refused = deployer(empty, "add", "nothing.joblib", "--json", code=1).json
    assert refused["error"]["type"] == "ConfigError"


def test_a_branch_of_the_template_goes_into_a_workflow_that_has_none(
    empty: Path, odd: tuple[str, ...]
) -> None:
    """A fresh copy serves the user's model alone after two commands."""
    names = ("linear_regression", "random_forest", "support_vector")
    deployer(empty, "remove", *names, "--yes")
    ran = deployer(empty, *odd)
    assert "python train.py" not in ran.err
    (branch,) = json.loads((empty / "state_machine.json").read_text())["States"]["Predict"][
        "Branches"
    ]
    assert branch["StartAt"] == "odd"
    (empty / "state_machine.json").unlink()
    deployer(empty, *odd)
    (other,) = json.loads((empty / "state_machine.json").read_text())["States"]["Predict"][
        "Branches"
    ]
    assert other == branch


@pytest.mark.parametrize("moves", range(4))
def test_an_add_that_is_killed_is_completed_by_the_next(
    empty: Path, odd: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    replace, made = Path.replace, [0]

    def killed(self: Path, target: Path) -> Path:
        made[0] += 1
        if made[0] > moves:
            raise RuntimeError("killed")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        deployer(empty, *odd, code=1)
    assert not [name for name in picture(empty) if ".adding" in name]
    for name in ("state_machine.json",):
        json.loads((empty / name).read_text())
    deployer(empty, *odd)
    names = picture(empty)
    assert set(FILES) <= names.keys()
    assert "nothing was changed" in deployer(empty, *odd).err


def test_a_model_of_the_same_name_is_replaced_if_add_wrote_it(
    empty: Path, odd: tuple[str, ...], tmp_path: Path
) -> None:
    deployer(empty, *odd)
    before = manifest(empty)["models"]["odd"]["sha256"]
    joblib.dump(LinearRegression().fit(NUMBERS, NUMBERS["width"]), tmp_path / "new.joblib")
    ran = deployer(empty, "add", str(tmp_path / "new.joblib"), "--name", "odd", "--yes")
    assert f"it replaces version {before[:12]}, made of odd.joblib" in ran.err
    assert '"predictions"' in ran.err  # the former answer
    assert manifest(empty)["models"]["odd"]["outputs"] == ["predict"]
    assert set(json.loads((empty / "samples" / "odd.json").read_text())) == set(NUMBERS)


def foreign_file(project: Path) -> None:
    (project / "models").mkdir(exist_ok=True)
    (project / "models" / "odd.joblib").write_bytes(b"a colleague's")


def foreign_entry(project: Path) -> None:
    (project / "models").mkdir(exist_ok=True)
    entry = {"sha256": "0", "features": [{"name": "a"}]}
    text = json.dumps({"models": {"odd": entry}})
    (project / "models" / "manifest.json").write_text(text)


def changed_file(project: Path) -> None:
    path = project / "models" / "odd.joblib"
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (foreign_file, "models/odd.joblib is in the way"),
        (foreign_entry, "models/manifest.json has a model odd already, which `add` did not write"),
        (lambda project: (project / "state_machine.json").write_text("{"), "state_machine.json"),
    ],
)
def test_what_is_the_users_own_is_never_replaced(
    empty: Path, odd: tuple[str, ...], spoil: Callable[[Path], None], message: str
) -> None:
    spoil(empty)
    before = picture(empty)
    assert message in deployer(empty, *odd, code=1).err
    assert picture(empty) == before


def test_what_was_changed_since_is_neither_replaced_nor_deleted(
    empty: Path, odd: tuple[str, ...], tmp_path: Path
) -> None:
    deployer(empty, *odd)
    changed_file(empty)
    (empty / "samples" / "odd.json").write_text("{}")
    joblib.dump(LinearRegression().fit(NUMBERS, NUMBERS["width"]), tmp_path / "odd.joblib")
    refused = deployer(empty, "add", str(tmp_path / "odd.joblib"), "--yes", code=1)
    assert "models/odd.joblib is in the way" in refused.err
    ran = deployer(empty, "remove", "odd", "--yes")
    assert "models/odd.joblib stays: it was changed since" in ran.err
    assert "samples/odd.json stays: it was changed since" in ran.err
    assert (empty / "models" / "odd.joblib").is_file()
    assert "odd" not in manifest(empty)["models"]
    assert (empty / "state_machine.json").read_text() == SHIPPED


def test_a_users_sample_stays(empty: Path, odd: tuple[str, ...]) -> None:
    (empty / "samples" / "odd.json").write_text("{}")
    assert "samples/odd.json stays as it is" in deployer(empty, *odd).err
    assert (empty / "samples" / "odd.json").read_text() == "{}"


def test_trained_models_are_taken_out_and_their_files_stay(project: Path) -> None:
    ran = deployer(project, "remove", "random_forest", "--yes")
    assert "models/random_forest.joblib stays: `add` did not write it" in ran.err
    assert "random_forest" not in (project / "state_machine.json").read_text()
    assert list(manifest(project)["models"]) == ["linear_regression", "support_vector"]
    assert (project / "models" / "random_forest.joblib").is_file()
    assert deployer(project, "check", "--local").out == "check: nothing found\n"


def test_the_rest_of_a_manifest_and_a_workflow_stays_to_the_letter(
    project: Path, odd: tuple[str, ...]
) -> None:
    path = project / "state_machine.json"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n").replace(b": 28", b":   28"))
    before = picture(project)
    deployer(project, *odd)
    text = path.read_bytes()
    assert text.count(b"\r\n") == text.count(b"\n") and b'"TimeoutSeconds":   28' in text
    deployer(project, "remove", "odd", "--yes")
    assert picture(project) == before


def test_a_manifest_of_format_1_becomes_one_of_format_2_if_it_can(
    empty: Path, odd: tuple[str, ...]
) -> None:
    models = empty / "models"
    models.mkdir()
    entry: dict[str, Any] = {"sha256": "0", "features": [{"name": "a"}]}
    (models / "manifest.json").write_text(json.dumps({"models": {"price": entry}}))
    deployer(empty, *odd)
    assert manifest(empty)["format"] == 2 and manifest(empty)["models"]["price"] == entry
    deployer(empty, "remove", "odd", "--yes")
    entry["author"] = "Ann"
    (models / "manifest.json").write_text(json.dumps({"models": {"price": entry}}))
    ran = deployer(empty, *odd, code=1)
    assert "is of format 1, and cannot become one of format 2: $.models.price.author" in ran.err


def test_a_workflow_of_another_shape_is_not_touched_and_the_branch_is_shown(
    empty: Path, odd: tuple[str, ...]
) -> None:
    choice = {
        "StartAt": "price",
        "TimeoutSeconds": 28,
        "States": {
            "price": {"Type": "Task", "Resource": "${price}", "TimeoutSeconds": 24, "End": True}
        },
    }
    (empty / "state_machine.json").write_text(json.dumps(choice))
    ran = deployer(empty, *odd)
    assert "the workflow has no Parallel state of models; put this model's branch in" in ran.err
    assert '"Resource": "${odd}"' in ran.out
    assert json.loads((empty / "state_machine.json").read_text()) == choice
    assert deployer(empty, *odd, "--json").json["branch"]["StartAt"] == "odd"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--name", "Odd-One"), "--name: 'Odd-One' must be lower-case letters"),
        (("--name", "workflow"), "a function cannot be called workflow"),
        (("--example", "none.csv"), "none.csv does not exist"),
    ],
)
def test_wrong_arguments_are_one_line_before_anything_is_loaded(
    empty: Path, odd: tuple[str, ...], arguments: tuple[str, ...], message: str
) -> None:
    ran = deployer(empty, "add", odd[1], *arguments, code=1)
    assert message in ran.err
    assert deployer(empty, "add", code=2).code == 2


@pytest.mark.parametrize(
    ("file", "name"),
    [("Churn Model (v2).pkl", "churn_model_v2"), ("2024-price.joblib", "model_2024_price")],
)
def test_a_name_is_made_of_the_files(file: str, name: str) -> None:
    assert adding.function_name(None, Path(file)) == name


def test_code_runs_only_with_consent(empty: Path, tmp_path: Path) -> None:
    """The pickle touches a file when it is loaded."""

    class Touching:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Touching()))
    ran = deployer(empty, "add", str(tmp_path / "m.pkl"), code=1)
    assert "runs the code in it, without a terminal to confirm" in ran.err
    assert not (tmp_path / "ran").exists()
    ran = deployer(empty, "add", str(tmp_path / "m.pkl"), "--yes", code=1)
    assert (tmp_path / "ran").exists() and "holds a NoneType" in ran.err
    (tmp_path / "m.pkl").write_bytes(b"cos\n_exit\n(I3\ntR.")
    ran = deployer(empty, "add", str(tmp_path / "m.pkl"), "--yes", code=1)
    assert "the process that loads it ended with exit code 3" in ran.err
    (tmp_path / "m.pkl").write_bytes(b"cos\nabort\n(tR.")
    ran = deployer(empty, "add", str(tmp_path / "m.pkl"), "--yes", code=1)
    assert "ended with SIGABRT" in ran.err
    assert "models" not in {path.name for path in empty.iterdir()}


@pytest.mark.slow
def test_names_are_needed_and_asked_for(empty: Path, tmp_path: Path) -> None:
    path = tmp_path / "plain.joblib"
    joblib.dump(LinearRegression().fit(NUMBERS.to_numpy(), NUMBERS["width"]), path)
    ran = deployer(empty, "add", str(path), "--yes", code=1)
    assert "the model does not say the name of its 4 features" in ran.err
    assert "add --example FILE" in ran.err
    terminal = in_terminal(empty, "add", str(path), columns=80)
    terminal.until("runs the code in it. Load it? [y/N]: ")
    terminal.type("y\n")
    terminal.until("Names of its 4 features, with commas [x0,x1,x2,x3]: ")
    terminal.type("a, b\n")
    terminal.until("4 names are needed")
    terminal.type("a, b, c, d\n")
    assert terminal.end() == 0
    features = manifest(empty)["models"]["plain"]["features"]
    assert [feature["name"] for feature in features] == ["a", "b", "c", "d"]
    terminal = in_terminal(empty, "remove", "plain", columns=80)
    terminal.until("Remove this? [y/N]: ")
    terminal.type("n\n")
    assert terminal.end() == 1 and "plain" in manifest(empty)["models"]
    assert "refusing to remove" in deployer(empty, "remove", "plain", code=1).err


def test_a_model_folder_of_mlflow_is_added(empty: Path, tmp_path: Path) -> None:
    folder = mlflow_model(tmp_path / "rent-model")
    document = deployer(empty, "add", str(folder), "--yes", "--json").json
    assert document["model"] == "rent_model"
    assert document["entry"]["targets"] == ["price", "rent"]
    assert len(document["entry"]["example"]["instances"]) == 2


def test_the_packages_workflow_is_that_of_the_example() -> None:
    """In a clone, the example's own may have lost its branches by `remove`."""
    template = json.loads(branches.TEMPLATE.read_text())
    shipped = json.loads(SHIPPED)
    (branch,) = template["States"]["Predict"]["Branches"]
    for own in shipped["States"]["Predict"].pop("Branches"):
        assert json.loads(json.dumps(branch).replace("MODEL", own["StartAt"])) == own
    del template["States"]["Predict"]["Branches"]
    assert template == shipped


@pytest.mark.parametrize("text", ["{}", '{"States": {"a": {"Branches": [5]}}}'])
def test_a_workflow_without_a_place_is_told_with_the_branch(
    empty: Path, odd: tuple[str, ...], text: str
) -> None:
    (empty / "state_machine.json").write_text(text)
    ran = deployer(empty, *odd)
    assert "is not changed: the workflow has no Parallel state of models" in ran.err
    assert '"Resource": "${odd}"' in ran.out
    assert (empty / "state_machine.json").read_text() == text


def test_a_file_that_lay_in_models_before_stays_at_remove(
    empty: Path, odd: tuple[str, ...]
) -> None:
    (empty / "models").mkdir()
    path = empty / "models" / "odd.joblib"
    path.write_bytes(Path(odd[1]).read_bytes())
    deployer(empty, "add", str(path), *odd[2:])
    removed = deployer(empty, "remove", "odd", "--yes")
    assert "models/odd.joblib stays: `add` did not write it" in removed.err
    assert path.read_bytes() == Path(odd[1]).read_bytes()


@pytest.fixture
def threaded(tmp_path: Path) -> Path:
    """A forest that was saved with n_jobs=2: its copy is saved anew, in other bytes each time."""
    path = tmp_path / "threaded.joblib"
    joblib.dump(RandomForestRegressor(3, n_jobs=2).fit(NUMBERS, NUMBERS["width"]), path)
    return path


def test_the_same_file_again_changes_nothing_though_its_copy_is_saved_anew(
    empty: Path, threaded: Path
) -> None:
    deployer(empty, "add", str(threaded), "--yes")
    before = picture(empty)
    assert "nothing was changed" in deployer(empty, "add", str(threaded), "--yes").err
    assert picture(empty) == before


def test_the_same_file_again_changes_nothing_though_its_threads_add_in_another_order(
    empty: Path, threaded: Path
) -> None:
    deployer(empty, "add", str(threaded), "--yes")
    path = empty / "models" / "manifest.json"
    text = path.read_text()

    def answers() -> Any:
        return manifest(empty)["models"]["threaded"]["example"]["answer"]["predictions"]

    (value,) = answers()
    other = math.nextafter(value, math.inf)
    assert text.count(repr(value)) == 1
    path.write_text(text.replace(repr(value), repr(other)))
    before = picture(empty)
    assert "nothing was changed" in deployer(empty, "add", str(threaded), "--yes").err
    assert picture(empty) == before
    path.write_text(text.replace(repr(value), repr(value + 1)))
    assert "nothing was changed" not in deployer(empty, "add", str(threaded), "--yes").err
    assert answers() == pytest.approx([value])


@pytest.mark.parametrize("written", range(4))
def test_an_add_that_ended_in_between_knows_its_own_copy(
    empty: Path, threaded: Path, written: int
) -> None:
    """After any of its four writes, with another copy of the same model."""
    deployer(empty, "add", str(threaded), "--yes")
    names = ["models/manifest.json", "models/threaded.joblib", "samples/threaded.json"]
    for name in names[written:]:
        (empty / name).unlink()
    (empty / "state_machine.json").write_text(SHIPPED)
    deployer(empty, "add", str(threaded), "--yes")
    assert "threaded" in manifest(empty)["models"]
    assert "${threaded}" in (empty / "state_machine.json").read_text()
    removed = deployer(empty, "remove", "threaded", "--yes")
    assert "removed  models/threaded.joblib" in removed.err + removed.out


def test_a_retrained_model_is_asked_the_former_examples_records(
    empty: Path, tmp_path: Path
) -> None:
    path, example = tmp_path / "size.joblib", tmp_path / "rows.csv"
    NUMBERS.head(7).to_csv(example, index=False)
    joblib.dump(LinearRegression().fit(NUMBERS, NUMBERS["width"]), path)
    deployer(empty, "add", str(path), "--example", str(example), "--yes")
    first = manifest(empty)["models"]["size"]["example"]
    joblib.dump(LinearRegression().fit(NUMBERS, NUMBERS["height"]), path)
    deployer(empty, "add", str(path), "--yes")
    second = manifest(empty)["models"]["size"]["example"]
    assert len(first["instances"]) == 5 and second["instances"] == first["instances"]
    assert second["answer"]["predictions"] == pytest.approx(
        [record["height"] for record in first["instances"]]
    )


def test_a_column_of_dates_is_refused(empty: Path, tmp_path: Path) -> None:
    dates = pd.DataFrame({"when": pd.to_datetime(["2026-01-01", "2026-01-02"] * 5)})
    encoder = make_column_transformer((OneHotEncoder(), ["when"]))
    joblib.dump(
        make_pipeline(encoder, LinearRegression()).fit(dates, range(10)), tmp_path / "d.joblib"
    )
    dates.to_csv(tmp_path / "d.csv", index=False)
    command = ("add", str(tmp_path / "d.joblib"), "--example", str(tmp_path / "d.csv"), "--yes")
    assert "holds dates or times, which JSON has not" in deployer(empty, *command, code=1).err


@pytest.mark.parametrize("shape", ["record", "list", "instances"])
def test_a_sample_that_is_the_example_is_no_remark(shape: str, empty: Path, tmp_path: Path) -> None:
    path, sample = tmp_path / "size.joblib", empty / "samples" / "size.json"
    joblib.dump(LinearRegression().fit(NUMBERS, NUMBERS["width"]), path)
    records = NUMBERS.head(1 if shape == "record" else 2).to_dict("records")
    shapes = {"record": records[0], "list": records, "instances": {"instances": records}}
    sample.write_text(text := json.dumps(shapes[shape]))
    ran = deployer(empty, "add", str(path), "--example", str(sample), "--yes")
    assert "stays as it is" not in ran.err and sample.read_text() == text
    sample.write_text(text := json.dumps({**records[0], "width": -1}))
    example = tmp_path / "rows.csv"
    NUMBERS.head(2).to_csv(example, index=False)
    ran = deployer(empty, "add", str(path), "--example", str(example), "--yes")
    assert "samples/size.json stays as it is" in ran.err and sample.read_text() == text


def test_outside_of_a_project_nothing_is_written(tmp_path: Path, odd: tuple[str, ...]) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    assert "is no project" in deployer(folder, *odd, code=1).err
    assert list(folder.iterdir()) == []


def test_a_model_that_the_workflow_needs_elsewhere_is_not_removed(
    empty: Path, odd: tuple[str, ...]
) -> None:
    deployer(empty, *odd)
    workflow = json.loads((empty / "state_machine.json").read_text())
    workflow["States"]["Again"] = {"Type": "Task", "Resource": "${odd}", "End": True}
    (empty / "state_machine.json").write_text(json.dumps(workflow))
    before = picture(empty)
    refused = deployer(empty, "remove", "odd", "--yes", code=1)
    assert "names ${odd} outside of a branch of its own" in refused.err
    assert picture(empty) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_add_leaves_no_process_and_no_folder(
    empty: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """The model's code is still running when the signal comes."""
    (empty / "lambda_src" / "slow_steps.py").write_text(
        "import os, pathlib, time\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    (tmp_path / "slow.pkl").write_bytes(b"cslow_steps\nModel\n.")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    run = subprocess.Popen(
        [sys.executable, "-m", "deployer", "add", str(tmp_path / "slow.pkl"), "--yes"],
        cwd=empty,
        env={**os.environ, "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 30
    while not (tmp_path / "pid").exists() and time.monotonic() < until:
        time.sleep(0.05)
    run.send_signal(number)
    _, said = run.communicate(timeout=30)
    assert run.returncode == 130 and said.endswith("interrupted\n"), said
    assert list(scratch.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.fixture
def table(tmp_path: Path) -> tuple[str, ...]:
    """The arguments that add a model of a table, which needs pandas."""
    path, example = write(tmp_path, "churn")
    return ("add", str(path), "--example", str(example))


def requirements(project: Path) -> Path:
    return project / "lambda_src" / "requirements.txt"


def test_the_lines_that_a_models_packages_need_are_added(
    empty: Path, table: tuple[str, ...]
) -> None:
    """At the end of the file; once, and without touching what is there."""
    path, line = requirements(empty), f"pandas=={pd.__version__}"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n").rstrip())
    before = path.read_bytes()
    ran = deployer(empty, *table, "--yes")
    assert path.read_bytes() == before + f"\r\n{line}\r\n".encode()
    assert "written    lambda_src/requirements.txt" in ran.out.replace("written ", "written   ")
    assert f"note: lambda_src/requirements.txt now names {line}" in ran.err
    assert "nothing was changed" in deployer(empty, *table, "--yes").err
    assert path.read_bytes() == before + f"\r\n{line}\r\n".encode()
    left = deployer(empty, "remove", "churn", "--yes").err
    assert "lambda_src/requirements.txt still names pandas, which no other model needs" in left
    assert path.read_bytes() == before + f"\r\n{line}\r\n".encode()


@pytest.mark.slow
def test_lines_are_written_with_consent_alone(empty: Path, table: tuple[str, ...]) -> None:
    """The model is added without them."""
    before = requirements(empty).read_text()
    for given, added in (("n", ""), ("y", f"pandas=={pd.__version__}\n")):
        terminal = in_terminal(empty, *table, columns=200)
        terminal.until("runs the code in it. Load it? [y/N]: ")
        terminal.type("y\n")
        terminal.until(
            f"lambda_src/requirements.txt lacks pandas=={pd.__version__}. Write this? [y/N]: "
        )
        terminal.type(f"{given}\n")
        assert terminal.end() == 0 and "churn" in manifest(empty)["models"]
        assert requirements(empty).read_text() == f"{before}{added}"
        assert ("the model's image needs them" in terminal.text) == (given == "n")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A project of `init`, whose training adds trained.joblib as `model`."""
    deployer(tmp_path, "init", "shop", "--example", "minimal")
    return (tmp_path / "shop").resolve()


def numbers(folder: Path, name: str) -> None:
    """Write a model of numbers, NAME.joblib, and records for it, NAME.csv."""
    table = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 5.0]})
    joblib.dump(LinearRegression().fit(table, [1.0, 2.0, 3.0]), folder / f"{name}.joblib")
    table.to_csv(folder / f"{name}.csv", index=False)


def set_training(project: Path, line: str) -> None:
    config = (project / "setup.cfg").read_text()
    (project / "setup.cfg").write_text(re.sub("^train = .*$", line, config, flags=re.MULTILINE))


def commands_for_training(text: str) -> list[str]:
    return re.findall(r"end with: (python -m deployer add .*)$", text, re.MULTILINE)


def test_a_model_that_the_training_does_not_add_is_added_in_ci_by_the_printed_command(
    shop: Path, tmp_path: Path
) -> None:
    numbers(shop, "mails 1")
    ran = deployer(shop, "add", "mails 1.joblib", "--example", "mails 1.csv", "--yes")
    assert "the setting train does not add mails 1.joblib" in ran.err
    assert "git add -f 'mails 1.joblib'" in ran.err
    (command,) = commands_for_training(ran.err)
    set_training(shop, f"train = {command}")
    deployer(shop, "remove", "model", "--yes")

    checkout = tmp_path / "checkout"
    shutil.copytree(shop, checkout, ignore=shutil.ignore_patterns("models", ".deployer"))
    train(load_settings(checkout, {}, {}), lambda event: None, {**os.environ})
    assert manifest(checkout)["models"].keys() == {"mails_1"}
    assert deployer(checkout, "check", "--offline").code == 0
    again = deployer(shop, "add", "mails 1.joblib", "--example", "mails 1.csv", "--yes")
    assert "setting train" not in again.err


def test_a_model_in_the_place_of_one_that_the_training_adds_is_told(
    shop: Path, tmp_path: Path
) -> None:
    numbers(tmp_path, "taxi")
    added = ("add", "../taxi.joblib", "--name", "model", "--example", "../taxi.csv", "--yes")
    ran = deployer(shop, *added)
    assert "the setting train adds trained.joblib" in ran.err
    assert commands_for_training(ran.err) == [
        "python -m deployer add taxi.joblib --name model --example taxi.csv --yes"
    ]
    assert commands_for_training("\n".join(deployer(shop, *added, "--json").json["remarks"]))
    ran = deployer(shop, "remove", "model", "--yes")
    assert "adds trained.joblib, so that up --train makes model again" in ran.err


def test_without_a_training_nothing_is_said_of_it(shop: Path) -> None:
    set_training(shop, "")
    (shop / "train.py").unlink()
    numbers(shop, "mails")
    assert "the setting train" not in deployer(shop, "add", "mails.joblib", "--yes").err


@pytest.mark.parametrize(
    ("train", "models"),
    [
        ("python train.py", {}),
        ("python t.py && python -m deployer add b-1.pkl", {"b_1": "b-1.pkl"}),
        ("python -m deployer add --yes --name x f/a.pkl --example e.csv", {"x": "f/a.pkl"}),
        ("python3 -m deployer add -v a --name=x && p -m deployer add b", {"x": "a", "b": "b"}),
        ("python -m deployer add --stage prod --json", {}),
        ("python -m deployer add *", {}),
    ],
)
def test_what_the_training_adds_is_known(shop: Path, train: str, models: dict[str, str]) -> None:
    (shop / "setup.cfg").write_text(f"[deployer]\ntrain = {train}\n")
    found = recipes(load_settings(shop, {}, {}))
    assert {one.name: one.file for one in found} == {
        name: shop / file for name, file in models.items()
    }


def test_the_flags_of_add_are_known() -> None:
    flags = {
        option
        for one in add.params
        if isinstance(one, click.Option) and one.is_flag
        for option in one.opts
    }
    assert {*FLAGS} == flags | {"--help"}


def test_a_name_that_lambda_does_not_take_is_refused_before_anything_is_written(
    shop: Path, tmp_path: Path
) -> None:
    numbers(tmp_path, "mails")
    before = picture(shop)
    ran = deployer(shop, "add", "../mails.joblib", "--name", "m" * 60, "--yes", code=1)
    assert "longer than Lambda's 64" in ran.err and "give a shorter --name" in ran.err
    assert picture(shop) == before


def test_a_removal_that_cannot_be_confirmed_names_the_models_first(shop: Path) -> None:
    ran = deployer(shop, "remove", "model", code=1)
    assert "refusing to remove model without a terminal to confirm: state_machine.json: " in ran.err
