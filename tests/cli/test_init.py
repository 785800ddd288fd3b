"""`init`: the files of a new project, the folders that it refuses, and `init --update`."""

from __future__ import annotations

import configparser
import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer import __version__
from deployer.cli import VERBS
from deployer.project import workflow
from deployer.project.folder import RECORD
from deployer.project.initial import digest, initial_files, service_name
from deployer.project.settings import load_settings
from deployer.project.template import EXAMPLES
from deployer.project.training import outdated
from tests.support.command_line import deployer
from tests.support.processes import deployer as in_process
from tests.support.projects import ROOT
from tests.support.terminal import deployer as in_terminal

FUNCTIONS = {
    "housing": ["linear_regression", "random_forest", "support_vector"],
    "churn": ["churn"],
    "text": ["desk"],
    "minimal": ["model"],
}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def record(folder: Path) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((folder / RECORD).read_text())
    return known


def put_record(folder: Path, **members: Any) -> None:
    (folder / RECORD).write_text(json.dumps({**record(folder), **members}))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A new project."""
    deployer(tmp_path, "init", "shop", "--example", "minimal")
    return (tmp_path / "shop").resolve()


# A new project.


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_new_project_has_every_file_and_a_record_of_them(example: str, tmp_path: Path) -> None:
    ran = deployer(tmp_path, "init", "shop", "--example", example)
    shop = tmp_path / "shop"
    files = contents(shop)
    known = record(shop)
    files.pop(RECORD)
    assert {name: digest(content) for name, content in files.items()} == known["files"]
    assert (known["version"], known["example"]) == (__version__, example)
    assert "unfinished" not in known
    assert {"train.py", "setup.cfg", "state_machine.json", "requirements.txt"} <= files.keys()
    assert {"README.md", ".gitignore", ".github/workflows/deploy.yml"} <= files.keys()
    assert "lambda_src/predict.py" in files
    assert sum(name.startswith("samples/") for name in files) == 1
    assert not [name for name in files if "pycache" in name or "==VERSION" in str(files[name])]
    assert ran.out.startswith(f"shop: the example {example}, as the service shop\n\nwritten  ")
    up = f"{sys.orig_argv[0]} -m deployer up --project shop --local"
    assert up in ran.err and "-m pip install -r shop/requirements.txt" in ran.err
    parser = configparser.ConfigParser()
    parser.read(shop / "setup.cfg")
    assert parser.sections() == ["deployer"]
    assert load_settings(shop, {}, {}).service == "shop"
    definition = json.loads(files["state_machine.json"])
    assert list(workflow.functions(definition, [])) == FUNCTIONS[example]
    assert list(workflow.problems(definition)) == []


def test_the_checkouts_own_project_is_the_default(tmp_path: Path) -> None:
    document = deployer(tmp_path, "init", "--json").json
    assert document["example"] == "housing" and document["folder"] == str(tmp_path.resolve())
    files = contents(tmp_path)
    assert set(document["files"]) == files.keys() - {RECORD}
    for name in ("train.py", "state_machine.json", "lambda_src/predict.py"):
        assert files[name] == (ROOT / name).read_bytes()


def test_a_model_to_fill_in_takes_fifteen_lines() -> None:
    lines = (ROOT / "examples" / "minimal" / "train.py").read_text().splitlines()
    assert len(lines) <= 15


def test_settings_that_are_given_go_into_the_new_setup_cfg(tmp_path: Path) -> None:
    options = ("--service", "till", "--stage", "prod", "--region", "eu-west-1")
    for example in ("housing", "text"):
        deployer(tmp_path, "init", example, "--example", example, *options)
        settings = load_settings(tmp_path / example, {}, {})
        assert (settings.service, settings.stage) == ("till", "prod")
        assert settings.region == "eu-west-1"
    assert (
        "--service: 'No' must be 2 to"
        in deployer(tmp_path, "init", "no", "--service", "No", code=1).err
    )
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("shop", "shop"),
        ("Käse & Brot", "kase-brot"),
        ("2026 forecasts", "forecasts"),
        ("a_very_long_name_of_a_project_folder", "a-very-long-name-of-a-pr"),
        ("__x__", "text"),
        ("店", "text"),
        ("a" * 23 + "-b", "a" * 23),
    ],
)
def test_the_service_is_named_after_the_folder(folder: str, name: str) -> None:
    assert service_name(Path("/somewhere", folder), "text") == name


def test_without_a_workflow_the_plan_names_add(shop: Path) -> None:
    (shop / "models").mkdir()
    (shop / "models" / "manifest.json").write_text('{"format": 2, "libraries": {}, "models": {}}')
    (shop / "state_machine.json").unlink()
    (shop / "model.joblib").touch()
    ran = deployer(shop, "plan", "--local", code=1)
    assert f"error: state_machine.json does not exist in {shop}\nput the trained" in ran.err
    assert "-m deployer add --local model.joblib" in ran.err


def test_a_script_that_is_newer_than_the_added_model_is_told(shop: Path) -> None:
    manifest = shop / "models" / "manifest.json"
    manifest.parent.mkdir()
    manifest.write_text('{"format": 2, "libraries": {}, "models": {}}')
    settings = load_settings(shop, {}, {})
    for path in (*contents(shop), "models/manifest.json"):
        os.utime(shop / path, (1000, 1000))
    assert list(outdated(settings)) == []
    for name in ("train.py", "samples/model.json", "README.md"):
        os.utime(shop / name, (1001, 1001))
    again = "is newer than the models; to train again: python -m deployer up --train"
    assert list(outdated(settings)) == [f"train.py {again}", f"samples/model.json {again}"]
    assert list(outdated(replace(settings, train="python train.py"))) == []


# Folders that are not empty, or no folders.


def test_a_folder_with_files_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt", "d.txt"):
        (tmp_path / name).write_text("mine")
    before = contents(tmp_path)
    ran = deployer(tmp_path, "init", code=1)
    assert "is not empty: it holds a.txt, b.txt, c.txt and 1 more\n" in ran.err
    assert "name a new or an empty folder" in ran.err
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "code"),
    [(".git/config", 0), (".venv/x", 0), (".gitignore", 1), (".github/x", 1), ("README.md", 1)],
)
def test_hidden_entries_of_other_programs_do_not_count(
    name: str, code: int, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    deployer(tmp_path, "init", "--example", "text", code=code)
    assert path.read_text() == "mine"
    assert (tmp_path / "train.py").exists() == (code == 0)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "nowhere").symlink_to(tmp_path / "lost")
    assert "'file' is a file" in deployer(tmp_path, "init", "file", code=2).err
    assert "cannot be made: it" in deployer(tmp_path, "init", "file/shop", code=1).err
    assert (tmp_path / "file").read_text() == "mine"
    deployer(tmp_path, "init", "nowhere", "--example", "text")  # the link's folder is made
    assert (tmp_path / "lost" / "train.py").is_file()


def test_the_folder_is_named_once(tmp_path: Path) -> None:
    assert "name the folder once" in deployer(tmp_path, "init", "a", "--project", "b", code=2).err
    ran = deployer(tmp_path, "init", "--project", "b", "--example", "text")
    assert "up --project b --local" in ran.err


def test_a_project_is_not_begun_again(shop: Path) -> None:
    before = contents(shop)
    ran = deployer(shop.parent, "init", "shop", code=1)
    assert f"{shop} is a project already, of the example minimal" in ran.err
    assert "-m deployer init --project shop --update" in ran.err
    assert contents(shop) == before


# A run that was interrupted, and two at once.


def test_an_interrupted_run_is_finished_and_only_its_own_files_are_completed(shop: Path) -> None:
    whole = contents(shop)
    put_record(shop, unfinished=True)
    for name in ("lambda_src/predict.py", "train.py", ".gitignore"):
        path = shop / name
        path.write_bytes(path.read_bytes()[:40])
    (shop / "requirements.txt").unlink()
    (shop / "README.md").write_text("mine")
    (shop / "setup.cfg").unlink()
    (shop / "setup.cfg").symlink_to(shop / "README.md")
    ran = deployer(shop.parent, "init", "shop", "--example", "minimal")
    for name in ("README.md", "setup.cfg"):
        assert f"note: {name} stays as it is: `init` did not write it" in ran.err
    changed = {name for name, content in contents(shop).items() if content != whole[name]}
    assert changed == {"README.md", "setup.cfg"}
    assert (shop / "README.md").read_text() == "mine" and "unfinished" not in record(shop)


def test_files_are_not_written_through_links_to_other_folders(shop: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    put_record(shop, unfinished=True)
    (shop / "samples").rename(elsewhere)
    (shop / "samples").symlink_to(elsewhere)
    (elsewhere / "model.json").unlink()
    ran = deployer(shop.parent, "init", "shop", "--example", "minimal")
    assert "note: samples/model.json stays as it is" in ran.err
    assert list(elsewhere.iterdir()) == []


def test_an_interrupted_run_of_another_example_is_refused(shop: Path) -> None:
    put_record(shop, unfinished=True)
    (shop / "train.py").unlink()
    ran = deployer(shop.parent, "init", "shop", "--example", "text", code=1)
    assert f"`init` of the example minimal by version {__version__} was interrupted" in ran.err
    ran = deployer(shop, "init", "--update", code=1)
    assert "finish it first: " in ran.err and not (shop / "train.py").exists()


def test_of_two_runs_at_once_one_writes_and_one_refuses(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deployer", "init", "shop", "--example"]
    runs = [
        subprocess.Popen([*command, example], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for example in ("text", "minimal")
    ]
    errors = [process.communicate(timeout=60)[1] for process in runs]
    assert sorted(process.returncode for process in runs) == [0, 1]
    (refusal,) = (error for error in errors if "error: " in error)
    assert "is a project already" in refusal or "was interrupted" in refusal
    known = record(tmp_path / "shop")
    files = contents(tmp_path / "shop")
    files.pop(RECORD)
    assert {name: digest(content) for name, content in files.items()} == known["files"]


# Bringing a project up to date.


def of_older(folder: Path, **files: str | None) -> None:
    """Make some files those of an older version; None: it did not have the file."""
    known = record(folder)["files"]
    for name, text in files.items():
        path = folder / name
        if text is None:
            path.unlink()
            del known[name]
        else:
            path.write_text(text)
            known[name] = digest(text.encode())
    put_record(folder, version="0.0.9", files=known)


@pytest.fixture
def old(shop: Path) -> Path:
    """A project of an older version, in which the user has touched some files."""
    older = {"train.py": "older = 1\n", "lambda_src/predict.py": "older = 2\n"}
    of_older(shop, **older, **{"README.md": "older\n", "state_machine.json": "{}\n"})
    of_older(shop, **{".gitignore": None, "lambda_src/old.py": "older\n"})
    (shop / "lambda_src" / "predict.py").write_text("mine = 2\n")
    (shop / "samples" / "model.json").write_text('{"mine": 1}')
    (shop / "README.md").unlink()
    (shop / "requirements.txt").unlink()
    return shop


def test_an_update_writes_the_untouched_files_alone(old: Path) -> None:
    new = initial_files("minimal", record(old)["settings"], __version__)
    before = contents(old)
    ran = deployer(old.parent, "init", "--update", "shop", "--yes")
    for line in (
        '--- train.py\n+++ train.py\n@@ -1 +1,14 @@\n-older = 1\n+"""Train a model',
        "--- /dev/null\n+++ .gitignore\n",
        f"stays  lambda_src/predict.py: you have changed it, and {__version__} has another\n",
        "stays away  README.md: you have deleted it\n",
        f"stays  lambda_src/old.py: {__version__} does without it\n",
    ):
        assert line in ran.out, line
    assert "samples/model.json:" not in ran.out and "requirements.txt:" not in ran.out
    assert ran.err.endswith("written: 3 files\n")
    after = contents(old)
    changed = {name for name, content in after.items() if content != before.get(name)}
    assert changed == {".gitignore", "train.py", "state_machine.json", RECORD}
    assert all(after[name] == new[name] for name in changed - {RECORD})
    assert after.keys() - before.keys() == {".gitignore"} and not before.keys() - after.keys()
    known = record(old)
    assert known["version"] == __version__ and known["files"].keys() == new.keys()
    again = deployer(old, "init", "--update")
    assert (again.out, again.err) == ("", "nothing is to be written\n")


def test_an_update_asks(old: Path) -> None:
    before = contents(old)
    ran = deployer(old, "init", "--update", code=1)
    assert (
        "refusing to write .gitignore, state_machine.json, train.py without a terminal" in ran.err
    )
    assert "init --update --yes" in ran.err and "+++ train.py" in ran.out
    for answer, code in (("n", 1), ("y", 0)):
        terminal = in_terminal(old, "init", "--update", columns=80)
        terminal.until("Write 3 files? [y/N]: ")
        terminal.type(f"{answer}\n")
        assert terminal.end() == code
        assert (contents(old) == before) == (answer == "n")


def test_an_update_is_one_document_with_json(old: Path) -> None:
    assert deployer(old, "init", "--update", "--yes", "--json").json == {
        "example": "minimal",
        "version": {"before": "0.0.9", "after": __version__},
        "written": [".gitignore", "state_machine.json", "train.py"],
        "touched": ["lambda_src/predict.py"],
        "deleted": ["README.md"],
        "obsolete": ["lambda_src/old.py"],
    }


def test_an_update_leaves_links_as_they_are(old: Path, tmp_path: Path) -> None:
    target = tmp_path / "train.py"
    (old / "train.py").rename(target)
    (old / "train.py").symlink_to(target)
    ran = deployer(old, "init", "--update", "--yes")
    assert "stays  train.py: you have changed it" in ran.out
    assert (old / "train.py").is_symlink() and target.read_text() == "older = 1\n"


def test_an_interrupted_update_is_finished_by_the_next(old: Path) -> None:
    new = initial_files("minimal", record(old)["settings"], __version__)
    (old / "train.py").write_bytes(new["train.py"])  # as a run that was killed leaves it
    deployer(old, "init", "--update", "--yes")
    assert record(old)["version"] == __version__
    assert (old / "state_machine.json").read_bytes() == new["state_machine.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / RECORD).unlink(), f"has no {RECORD}"),
        (lambda folder: (folder / RECORD).write_text("{"), f"{RECORD} line 1"),
        (lambda folder: (folder / RECORD).write_text("[]"), f"{RECORD} is damaged"),
        (lambda folder: put_record(folder, files={"../x": "0"}), f"{RECORD} is damaged"),
        (lambda folder: put_record(folder, files={"a": 1}), f"{RECORD} is damaged"),
        (lambda folder: put_record(folder, example="none"), "names an example or a setting that"),
        (lambda folder: put_record(folder, settings={"x": "y"}), "names an example or a setting"),
        (lambda folder: put_record(folder, version="99.0"), "99.0 wrote this project"),
        (lambda folder: (folder / "setup.cfg").unlink(), "is gone\nbring it back: git checkout"),
    ],
)
def test_a_project_that_cannot_be_updated_is_refused(
    change: Callable[[Path], None], message: str, shop: Path
) -> None:
    change(shop)
    before = contents(shop)
    assert message in deployer(shop, "init", "--update", "--yes", code=1).err
    assert contents(shop) == before


def test_an_update_keeps_example_and_settings(shop: Path) -> None:
    for options in (("--example", "text"), ("--stage", "prod")):
        ran = deployer(shop, "init", "--update", *options, code=2)
        assert "--update takes the example and the settings of the project" in ran.err


# Folders that are no project.

ARGUMENTS = {
    "up": ("--local",),
    "plan": ("--local",),
    "check": ("--local",),
    "down": ("--local", "--yes"),
    "add": ("model.joblib", "--yes"),
    "remove": ("model", "--yes"),
    "image": ("--output", "image.tar"),
    "invoke": ("--sample", "--local"),
    "env": ("--local",),
    "config": ("show",),
    "keys": ("list", "--local"),
    "policy": (),
    "status": ("--local",),
    "logs": ("--local",),
    "trace": ("gS3PvE5xIAMEJQw=", "--local"),
    "releases": ("--local",),
    "rollback": ("--local", "--yes"),
    "promote": ("--local", "--yes"),
    "graph": (),
    "openapi": (),
    "page": ("--output", "try.html"),
}


@pytest.mark.parametrize("verb", sorted({*VERBS} - {"init"}))
def test_in_a_folder_that_is_no_project_nothing_starts(verb: str, tmp_path: Path) -> None:
    for text, reason in (
        (None, "it has no setup.cfg"),
        ("", "its setup.cfg has no [deployer]" if verb != "add" else "it has no lambda_src/"),
        ("[metadata]\nname = other\n", ""),
    ):
        if text is not None:
            (tmp_path / "setup.cfg").write_text(text)
        before = contents(tmp_path)
        ran = deployer(tmp_path, verb, *ARGUMENTS[verb], code=1)
        assert f"error: {tmp_path.resolve()} is no project: " in ran.err and ran.out == ""
        assert reason in ran.err or verb in ("up", "plan", "check", "image"), ran.err
        assert f"to begin a project: {sys.orig_argv[0]} -m deployer init\n" in ran.err
        assert contents(tmp_path) == before and not (tmp_path / ".deployer").exists()
    with_json = deployer(tmp_path, verb, *ARGUMENTS[verb], "--json", code=1).json
    assert with_json["error"]["type"] == "NoProject"


@pytest.mark.parametrize("verb", ["up", "plan", "check", "add", "image"])
def test_a_project_without_the_functions_code_is_none(verb: str, tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text("[deployer]\n")
    ran = deployer(tmp_path, verb, *ARGUMENTS[verb], code=1)
    assert "is no project: it has no lambda_src/, the code of the functions" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["setup.cfg"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    ran = deployer(tmp_path, "plan", "--project", "nowhere", code=1)
    assert f"{tmp_path.resolve() / 'nowhere'} is no project: there is no such folder" in ran.err
    assert "-m deployer init --project nowhere" in ran.err


def without_privilege() -> None:
    """Take root's right to write anywhere from a new process (CAP_DAC_OVERRIDE, Linux)."""
    if os.getuid() == 0:
        drop, override = 24, 1
        assert ctypes.CDLL(None).prctl(drop, override, 0, 0, 0) == 0


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    for name in ("locked", "locked/shop"):
        ran = in_process(tmp_path, "init", name, code=1, limit=without_privilege)
        assert f"error: Permission denied: {locked.resolve()}" in ran.err
        assert "look at the owner and the permissions of that file or folder" in ran.err
    assert list(locked.iterdir()) == []


def test_a_folder_whose_name_makes_no_service_is_told(tmp_path: Path) -> None:
    said = "the folder's name makes no name of a service, so it is text"
    assert said in deployer(tmp_path, "init", "日本", "--example", "text").err
    assert said not in deployer(tmp_path, "init", "text", "--example", "text").err
    chosen = ("init", "店", "--example", "text", "--service", "text")
    assert said not in deployer(tmp_path, *chosen).err


def test_a_project_without_its_settings_is_not_told_to_begin_anew(shop: Path) -> None:
    (shop / "setup.cfg").unlink()
    for command in (["plan", "--local"], ["init", "--update"]):
        ran = deployer(shop, *command, code=1)
        assert "setup.cfg of the project" in ran.err and "git checkout -- setup.cfg" in ran.err
