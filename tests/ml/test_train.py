"""train.py as a user runs it: a program of its own, with files in and files out."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import importlib
import importlib.metadata
import io
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from tests.support.projects import ROOT

# Its tests share a training, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("training")

DATA = ROOT / "data" / "boston_housing.csv"
FEATURES = [
    "CRIM",
    "ZN",
    "INDUS",
    "CHAS",
    "NOX",
    "RM",
    "AGE",
    "DIS",
    "RAD",
    "TAX",
    "PTRATIO",
    "B",
    "LSTAT",
]
NAMES = ["linear_regression", "random_forest", "support_vector"]
ROWS = [f"{number},{number * 7 % 11},{3 * number - 2 * (number * 7 % 11)}" for number in range(25)]


def train(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "train.py"), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def manifest(trained: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((trained / "manifest.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A second training: another folder, another hash seed. What it printed, and where it wrote."""
    folder = tmp_path_factory.mktemp("again") / "deeper" / "models"
    done = train("--output", folder, PYTHONHASHSEED="12345")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, folder


def test_the_data_are_506_rows_of_13_features_and_the_target() -> None:
    with DATA.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == [*FEATURES, "MEDV"]
    assert len(rows) == 506
    assert {len(row) for row in rows} == {14}


def test_the_sample_is_a_record_of_the_data() -> None:
    sample = json.loads((ROOT / "samples" / "boston_housing.json").read_text(encoding="utf-8"))
    with DATA.open(encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    del first["MEDV"]
    assert sample == {name: float(cell) for name, cell in first.items()}


def test_training_twice_gives_the_same_bytes(trained: Path, again: tuple[str, Path]) -> None:
    assert contents(again[1]) == contents(trained)


def test_it_leaves_the_models_the_manifest_and_nothing_else(again: tuple[str, Path]) -> None:
    assert sorted(contents(again[1].parent)) == sorted(
        ["models/manifest.json", *(f"models/{name}.joblib" for name in NAMES)]
    )
    assert [path.name for path in again[1].parent.iterdir()] == ["models"]


def test_the_manifest_names_the_hash_and_size_of_each_model_file(
    trained: Path, manifest: dict[str, Any]
) -> None:
    assert list(manifest["models"]) == NAMES
    for name, entry in manifest["models"].items():
        content = (trained / f"{name}.joblib").read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["size_bytes"] == len(content)


def test_the_manifest_names_the_features_in_the_order_of_the_columns_with_units(
    manifest: dict[str, Any],
) -> None:
    for entry in manifest["models"].values():
        units = {feature["name"]: feature["unit"] for feature in entry["features"]}
        assert list(units) == FEATURES
        assert all(units.values())
        assert (units["NOX"], units["RM"], units["CRIM"]) == (
            "parts per 10 million",
            "rooms",
            "crimes per capita",
        )
    assert manifest["target"] == {"name": "MEDV", "unit": "$1000"}


def test_the_manifest_names_how_many_threads_each_model_takes(manifest: dict[str, Any]) -> None:
    assert {entry["n_jobs"] for entry in manifest["models"].values()} == {1}


@pytest.mark.parametrize("threads", [None, 1, 3, -1])
def test_threads_are_found_inside_a_pipeline_too(
    threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.pipeline import make_pipeline

    monkeypatch.syspath_prepend(ROOT)
    n_jobs = importlib.import_module("train").n_jobs
    forest = RandomForestRegressor(n_jobs=threads)
    assert n_jobs(make_pipeline(forest)) == n_jobs(forest) == (threads or 1)


def test_the_manifest_names_the_data_the_seed_and_the_library_versions(
    manifest: dict[str, Any],
) -> None:
    digest = hashlib.sha256(DATA.read_bytes()).hexdigest()
    assert manifest["data"] == {"file": "boston_housing.csv", "sha256": digest, "rows": 506}
    assert isinstance(manifest["seed"], int)
    libraries = {
        name: importlib.metadata.version(name)
        for name in ("numpy", "scipy", "scikit-learn", "joblib")
    }
    major, minor, _ = platform.python_version_tuple()
    assert manifest["libraries"] == {"python": f"{major}.{minor}", **libraries}


@pytest.mark.parametrize("name", NAMES)
def test_every_model_beats_the_baseline_in_every_metric(
    manifest: dict[str, Any], name: str
) -> None:
    metrics, baseline = manifest["models"][name]["metrics"], manifest["baseline"]
    assert set(metrics) == set(baseline) == {"rmse", "mae", "r2", "cv_rmse"}
    for error in ("rmse", "mae", "cv_rmse"):
        assert 0 < metrics[error] < 0.7 * baseline[error]
    assert baseline["r2"] < 0.1 < 0.7 < metrics["r2"] < 1


@pytest.mark.parametrize("name", NAMES)
def test_the_metrics_are_those_of_the_saved_model_on_the_held_out_fifth(
    trained: Path, manifest: dict[str, Any], name: str
) -> None:
    table = np.loadtxt(DATA, delimiter=",", skiprows=1)
    _, x, _, y = train_test_split(
        table[:, :-1], table[:, -1], test_size=0.2, random_state=manifest["seed"]
    )
    missed = joblib.load(trained / f"{name}.joblib").predict(x) - y
    metrics = manifest["models"][name]["metrics"]
    assert metrics["rmse"] == pytest.approx(np.sqrt(np.mean(missed**2)), rel=1e-9)
    assert metrics["mae"] == pytest.approx(np.mean(np.abs(missed)), rel=1e-9)
    assert metrics["r2"] == pytest.approx(
        1 - np.sum(missed**2) / np.sum((y - y.mean()) ** 2), rel=1e-9
    )


def test_the_printed_table_shows_the_manifests_metrics_with_the_baseline_first(
    again: tuple[str, Path], manifest: dict[str, Any]
) -> None:
    summary, blank, header, *rows = again[0].splitlines()
    assert summary == "506 rows, 13 features, target MEDV [$1000]"
    assert blank == ""
    assert header.split() == ["model", "RMSE", "MAE", "R2", "5-fold", "RMSE"]
    expected = {"baseline": manifest["baseline"]}
    expected |= {name: entry["metrics"] for name, entry in manifest["models"].items()}
    assert [row.split() for row in rows] == [
        [name, *(f"{metrics[key]:.3f}" for key in ("rmse", "mae", "r2", "cv_rmse"))]
        for name, metrics in expected.items()
    ]


def test_another_table_of_the_fewest_rows_is_trained_beside_what_is_there(tmp_path: Path) -> None:
    rows = [",".join([cells[0], cells[2], cells[1]]) for cells in (row.split(",") for row in ROWS)]
    data = tmp_path / "prices.csv"
    # As a spreadsheet saves it: byte order mark, CRLF, a quoted name, a blank line at the end; the
    # target in the middle.
    data.write_bytes(
        b"\xef\xbb\xbf" + "\r\n".join(['"size, net",price,RM', *rows, "", ""]).encode()
    )
    output = tmp_path / "models"
    output.mkdir()
    write(output / "retired.joblib", "old")
    done = train("--data", data, "--target", "price", "--output", output)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models", "prices.csv"]
    names = ["manifest.json", "retired.joblib", *(f"{name}.joblib" for name in NAMES)]
    assert sorted(contents(output)) == sorted(names)
    assert (output / "retired.joblib").read_text() == "old\n"
    manifest = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["data"]["file"] == "prices.csv"
    assert manifest["data"]["rows"] == 25
    assert manifest["target"] == {"name": "price", "unit": None}
    number = {"type": "number", "nullable": False, "unit": None}
    for entry in manifest["models"].values():
        assert entry["features"] == [
            {"name": "size, net", **number, "range": [0.0, 24.0]},
            {"name": "RM", **number, "range": [0.0, 10.0]},
        ]
    assert joblib.load(output / "linear_regression.joblib").predict(
        [[100.0, 10.0]]
    ) == pytest.approx([280.0])
    assert done.stdout.splitlines()[0] == "25 rows, 2 features, target price"


def with_row(number: int, row: str) -> list[str]:
    """The good rows, with another one at this row of the file (the header is row 1)."""
    return [*ROWS[: number - 2], row, *ROWS[number - 1 :]]


def text(*lines: str) -> bytes:
    return "\n".join([*lines, ""]).encode()


# By what is wrong: the file's bytes (None: no file), and what stderr says after "train.py: ", with
# {path} for the file.
REFUSED: dict[str, tuple[bytes | None, str]] = {
    "a missing file": (None, "cannot read {path}: No such file or directory"),
    "an empty file": (b"", "{path} is empty; the first line must name the columns"),
    "not UTF-8": (
        b"a,b,y\n1,\xff,3\n",
        "{path} is not a CSV file in UTF-8: 'utf-8' codec can't decode byte 0xff in position 8: "
        "invalid start byte",
    ),
    "an open quote": (
        b'a,b,y\n1,"2,3\n',
        "{path} is not a CSV file in UTF-8: unexpected end of data",
    ),
    "a missing target": (
        text("a,b,MEDV", *ROWS),
        "{path} has no column 'y' to predict; it has a, b, MEDV (see --target)",
    ),
    "a word": (
        text("a,b,y", *with_row(4, "1,many,2")),
        "{path} row 4, column b: 'many' is not a number",
    ),
    "an empty cell": (
        text("a,b,y", *with_row(2, ",1,2")),
        "{path} row 2, column a: '' is not a number",
    ),
    "not a number": (
        text("a,b,y", *with_row(9, "1,2,nan")),
        "{path} row 9, column y: 'nan' is not a finite number",
    ),
    "infinity": (
        text("a,b,y", *with_row(26, "1,-inf,2")),
        "{path} row 26, column b: '-inf' is not a finite number",
    ),
    "too large": (
        text("a,b,y", *with_row(7, "1,1e308,2")),
        "{path} row 7, column b: '1e308' is too large to train with",
    ),
    "Python's digits": (
        text("a,b,y", *with_row(7, "1,1_0,2")),
        "{path} row 7, column b: '1_0' is not a number",
    ),
    "a short row": (
        text("a,b,y", *with_row(5, "1,2")),
        "{path} row 5: 2 cells, but the header names 3 columns",
    ),
    "a long row": (
        text("a,b,y", *with_row(5, "1,2,3,4")),
        "{path} row 5: 4 cells, but the header names 3 columns",
    ),
    "a column twice": (text("a,a,y", *ROWS), "{path} row 1, column 2: the name 'a' stands twice"),
    "an unnamed column": (text("a, ,y", *ROWS), "{path} row 1, column 2: the column has no name"),
    "too few rows": (
        text("a,b,y", *ROWS[:24]),
        "{path} has 24 rows of data; training needs at least 25",
    ),
    "no row at all": (text("a,b,y"), "{path} has 0 rows of data; training needs at least 25"),
    "no feature left": (
        text("y", *map(str, range(25))),
        "{path} has no column besides 'y' to predict from",
    ),
}


def refusal(
    program: ModuleType, folder: Path, trained: Path, content: bytes | None, output: str = "models"
) -> str:
    """Train in vain beside old models, check that these are unchanged, and return the error.

    In this process: nearly all that another one takes is the import of scikit-learn.
    """
    models, data = folder / "models", folder / "bad.csv"
    shutil.copytree(trained, models)
    if content is not None:
        data.write_bytes(content)
    before, names = contents(folder), sorted(folder.iterdir())
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as ended:
        program.main(["--data", str(data), "--target", "y", "--output", str(folder / output)])
    assert said.getvalue() == ""
    assert contents(folder) == before
    assert sorted(folder.iterdir()) == names
    message = ended.value.code
    assert isinstance(message, str) and "\n" not in message  # and so 1 is the exit code
    return message


@pytest.mark.parametrize("what", REFUSED)
def test_bad_data_are_refused_in_one_line_that_names_the_place(
    program: ModuleType, tmp_path: Path, trained: Path, what: str
) -> None:
    content, message = REFUSED[what]
    said = refusal(program, tmp_path, trained, content)
    assert said == "train.py: " + message.format(path=tmp_path / "bad.csv")


@pytest.mark.parametrize("kind", ["file", "link"])
def test_an_output_that_is_no_folder_is_refused_and_kept(tmp_path: Path, kind: str) -> None:
    output = tmp_path / "models"
    (tmp_path / "target").write_text("precious")
    output.symlink_to("target") if kind == "link" else output.write_text("precious")
    before = sorted(tmp_path.iterdir())
    done = train("--output", output)
    assert (done.returncode, done.stderr) == (
        1,
        f"train.py: {output} is a {kind}; --output must name a folder of models\n",
    )
    assert output.read_text() == "precious" and sorted(tmp_path.iterdir()) == before


def described(program: ModuleType, files: dict[str, bytes]) -> dict[str, Any]:
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    found: dict[str, Any] = {
        "models": {name: {"sha256": value} for name, value in hashes.items()},
        "trained": {"wrote": {f"{name}.joblib": value for name, value in hashes.items()}},
    }
    found["trained"]["manifest"] = program.seal(found)
    return found


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("train")


def save(program: ModuleType, folder: Path, **files: bytes) -> None:
    program.save(folder, files, described(program, files))


@pytest.mark.parametrize("moves", range(6))
def test_a_training_killed_at_any_moment_is_completed_by_the_next(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    """Killed before each of its moves; what is not its own stays through all of it."""
    folder = tmp_path / "models"
    save(program, folder, one=b"1", two=b"2", old=b"3")
    (folder / "thesis.txt").write_text("years of work")
    replace, made = Path.replace, [0]

    def killed(self: Path, target: Path) -> Path:
        made[0] += 1
        if made[0] > moves:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with suppress(KeyboardInterrupt):
            save(program, folder, one=b"4", two=b"5")
    save(program, folder, one=b"6", two=b"7")
    models = {path.name: path.read_bytes() for path in folder.glob("*.joblib")}
    assert models == {"one.joblib": b"6", "two.joblib": b"7"}
    assert (folder / "thesis.txt").read_text() == "years of work"
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


def removed(path: Path) -> Path:
    path.unlink()
    return path


FOREIGN: dict[str, Callable[[Path], object]] = {
    "another's model": lambda folder: (folder / "one.joblib").write_bytes(b"a colleague's"),
    "a changed model": lambda folder: (folder / "two.joblib").write_bytes(b"changed"),
    "a link": lambda folder: removed(folder / "one.joblib").symlink_to("/dev/null"),
    "a folder": lambda folder: removed(folder / "one.joblib").mkdir(),
    "an edited manifest": lambda folder: edit(folder / "manifest.json", note="approved by Ann"),
    "an added model": lambda folder: edit(
        folder / "manifest.json", models={"price": {"sha256": "0"}}
    ),
    "a manifest of somebody": lambda folder: (folder / "manifest.json").write_text(
        '{"models": {}}'
    ),
    "a manifest that is a pipe": lambda folder: os.mkfifo(removed(folder / "manifest.json")),
    "a folder of that name aside": lambda folder: write_into(folder / ".training" / "notes.txt"),
    "a model aside": lambda folder: write_into(folder / ".training" / "one.joblib"),
    "a link aside": lambda folder: (folder / ".training").symlink_to(folder.parent),
}  # fmt: skip


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}, indent=2))


def write_into(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("mine")


@pytest.mark.parametrize("what", FOREIGN)
def test_what_this_program_did_not_write_is_never_replaced(
    program: ModuleType, tmp_path: Path, what: str
) -> None:
    folder = tmp_path / "models"
    save(program, folder, one=b"1", two=b"2")
    FOREIGN[what](folder)

    def picture() -> dict[str, object]:
        paths = sorted(tmp_path.rglob("*"))
        return {
            str(path): path.read_bytes() if path.is_file() else path.lstat().st_mode
            for path in paths
        }

    before = picture()
    with pytest.raises(SystemExit, match="move it away"):
        save(program, folder, one=b"3", two=b"4")
    assert picture() == before


def test_a_manifest_of_a_former_version_is_still_its_own(
    program: ModuleType, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    save(program, folder, linear_regression=b"1")
    known = json.loads((folder / "manifest.json").read_text())
    del known["trained"]
    (folder / "manifest.json").write_text(json.dumps({**known, "seed": 1, "baseline": {}}))
    save(program, folder, linear_regression=b"2")
    assert (folder / "linear_regression.joblib").read_bytes() == b"2"


ADDED = {"sha256": "1", "libraries": {"numpy": "2.0"}, "source": {"file": "x", "added": True}}


def test_entries_of_added_models_are_kept_and_removed_ones_stay_away(
    program: ModuleType, tmp_path: Path
) -> None:
    """`python -m deployer add` and `remove` edit the manifest between two trainings."""
    folder = tmp_path / "models"
    path = folder / "manifest.json"
    folder.mkdir()
    (folder / "churn.joblib").write_bytes(b"added")
    path.write_text(json.dumps({"format": 2, "libraries": {}, "models": {"churn": ADDED}}))
    for content in (b"1", b"2"):
        files = {"one": content, "two": content}
        description = described(program, files)
        description["trained"]["entries"] = program.seals(description["models"])
        description["trained"]["manifest"] = program.seal(description)
        program.save(folder, files, description)
        known = json.loads(path.read_text())
        assert known["models"]["churn"] == ADDED
        assert known["models"].keys() == {"churn", "one", "two"}
        del known["models"]["one"]
        path.write_text(json.dumps(known))
    assert (folder / "churn.joblib").read_bytes() == b"added"
    known["models"]["two"]["features"] = []
    path.write_text(json.dumps(known))
    with pytest.raises(SystemExit, match="move it away"):
        save(program, folder, one=b"3", two=b"4")


def test_an_added_model_of_an_estimators_name_is_not_replaced(
    program: ModuleType, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "one.joblib").write_bytes(b"added")
    text = json.dumps({"format": 2, "models": {"one": ADDED}})
    (folder / "manifest.json").write_text(text)
    with pytest.raises(SystemExit, match=r"one\.joblib was not written by this program"):
        save(program, folder, one=b"3")
    assert (folder / "one.joblib").read_bytes() == b"added"


@pytest.mark.parametrize("seconds", [0.4, 1.2])  # while libraries are imported, and later
def test_ctrl_c_is_one_line(tmp_path: Path, seconds: float) -> None:
    command = [sys.executable, str(ROOT / "train.py"), "--output", str(tmp_path / "models")]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert (running.returncode, said) == (130, "train.py: interrupted\n")


def test_another_table_with_the_same_target_has_no_unit(tmp_path: Path) -> None:
    data = tmp_path / "other.csv"
    data.write_bytes(text("a,b,MEDV", *ROWS))
    done = train("--data", data, "--output", tmp_path / "models")
    assert "target MEDV\n" in done.stdout


def test_an_output_folder_that_cannot_be_made_is_refused_in_one_line(
    program: ModuleType, tmp_path: Path, trained: Path
) -> None:
    said = refusal(program, tmp_path, trained, text("a,b,y", *ROWS), output="bad.csv/models")
    assert said.startswith(f"train.py: cannot write {tmp_path / 'bad.csv' / 'models'}: ")
