"""Files of a project as editors write them, and with mistakes: every mistake is named."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.errors import ConfigError
from deployer.project.settings import load_settings
from deployer.service.release import load_release
from tests.support.projects import make_project
from tests.support.thinning import WHOLE


def problems(project: Path) -> str:
    """Read the project as every command does; return its problems, a line each."""
    try:
        load_release(
            load_settings(project, {}, {}).located(
                account="1" * 12, partition="aws", region="eu-central-1"
            )
        )
    except ConfigError as error:
        return "\n".join(error.problems)
    return ""


@pytest.mark.parametrize(
    "name",
    [
        "setup.cfg",
        "state_machine.json",
        "models/manifest.json",
        "lambda_src/requirements.txt",
        "lambda_src/Dockerfile",
    ]
    + ["lambda_src/base.lock", "lambda_src/.dockerignore"],
)
def test_a_byte_order_mark_changes_nothing(project: Path, name: str) -> None:
    path = project / name
    content = path.read_bytes() if path.exists() else b"*.md\n"
    path.write_bytes(codecs.BOM_UTF8 + content.replace(b"\n", b"\r\n"))
    assert problems(project) == ""


@pytest.mark.parametrize(
    "name", ["setup.cfg", "state_machine.json", "models/manifest.json", "lambda_src/Dockerfile"]
)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_a_file_in_another_encoding_is_named_with_the_way_out(
    project: Path, name: str, encoding: str
) -> None:
    path = project / name
    text = path.read_text()
    path.write_bytes(
        text.replace("{", '{"é": 1, ', 1).encode(encoding)
        if encoding == "latin-1"
        else text.encode(encoding)
    )
    if encoding == "latin-1" and name.endswith(("cfg", "Dockerfile")):
        path.write_bytes(f"# é\n{text}".encode(encoding))
    lines = problems(project)
    assert name.rpartition("/")[2] in lines and "save it as UTF-8" in lines, lines


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le-bom", "utf-32", "latin-1", "cp1252"]
)
def test_requirements_are_read_as_pip_reads_them(project: Path, encoding: str) -> None:
    path = project / "lambda_src" / "requirements.txt"
    text = "# précis\r\n" + path.read_text().replace("\n", "\r\n")
    if encoding == "utf-16-le-bom":
        path.write_bytes(codecs.BOM_UTF16_LE + text.encode("utf-16-le"))
    elif encoding == "cp1252":
        path.write_bytes(f"# -*- coding: cp1252 -*-\r\n{text}".encode(encoding))
    else:
        path.write_bytes(text.encode(encoding))
    assert problems(project) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[deployer]\nstage = a\n[deployer]\nstage = b\n", "section 'deployer' already exists"),
        (
            "[deployer]\nstage = a\nstage = b\n",
            "option 'stage' in section 'deployer' already exists",
        ),
        ("stage = a\n", "no section headers"),
        ("[deplyer]\nstage = a\n", "setup.cfg [deplyer]: did you mean [deployer]?"),
        ("[Deployer]\nstage = a\n", "did you mean [deployer]?"),
        ("[ deployer ]\nstage = a\n", "setup.cfg [ deployer ]: did you mean [deployer]?"),
        ("[deployer: random_forest]\nmemory_mb = 512\n", "did you mean [deployer:random_forest]?"),
        ("[deployer]\ntrain = python a\0b\n", "line 2: holds a NUL byte"),
        (f"[deployer]\nmemory_mb = {'9' * 5000}\n", "'99999"),
        ("[deploer:random_forest]\nmemory_mb = 1\n", "did you mean [deployer:random_forest]?"),
        ("[deployer]\ntrain = \n", "must be a command"),
        ("[deployer]\ntrain = 'x\n", "No closing quotation"),
        ("[deployer]\nstage", "setup.cfg"),
    ],
)
def test_a_mistake_in_the_settings_file_is_named(project: Path, text: str, expected: str) -> None:
    (project / "setup.cfg").write_text(text)
    assert expected in problems(project)


def test_other_sections_of_setup_cfg_are_nobodys_business(project: Path) -> None:
    with (project / "setup.cfg").open("a") as config:
        config.write("[deploy]\nx = 1\n[deployment]\ny = 2\n[tool:deployer]\nz = 3\n")
    assert problems(project) == ""


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
)
FLAT = (
    LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(st.text(max_size=5), LEAVES, max_size=3)
)
JSON = FLAT | st.lists(FLAT, max_size=2) | st.dictionaries(st.text(max_size=5), FLAT, max_size=2)


@pytest.fixture(scope="module")
def mutable(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    return make_project(tmp_path_factory.mktemp("mutable") / "project", trained)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], by)
    return copy


@pytest.mark.parametrize("name", ["models/manifest.json", "state_machine.json"])
@given(data=st.data())
@settings(max_examples=200 if WHOLE else 40, suppress_health_check=list(HealthCheck), deadline=None)
def test_every_wrong_shape_is_a_problem_and_no_defect(
    mutable: Path, name: str, data: st.DataObject
) -> None:
    """Any value of the manifest or the workflow replaced by any other: 40 examples, or 200."""
    path = mutable / name
    text = path.read_text()
    whole = json.loads(text)
    where = data.draw(st.sampled_from(places(whole)))
    path.write_text(json.dumps(replaced(whole, where, data.draw(JSON))))
    try:
        assert isinstance(problems(mutable), str)
    finally:
        path.write_text(text)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[" * 100_000, "levels deep"),
        ('{"a":' * 200 + "1" + "}" * 200, "levels deep"),
        ('{"TimeoutSeconds": NaN}', "holds NaN"),
        ('{"TimeoutSeconds": 1e999}', "holds 1e999"),
        ('{"TimeoutSeconds": ' + "9" * 5000 + "}", "5000 digits"),
        ('{"Comment": "\\ud800"}', "half a surrogate pair"),
        ("", "line 1, column 1"),
        ("null", "must hold a JSON object"),
        ("\x00\x00", "UTF-16"),
    ],
)
@pytest.mark.parametrize("name", ["state_machine.json", "models/manifest.json"])
def test_json_that_is_none_is_told(project: Path, name: str, content: str, expected: str) -> None:
    (project / name).write_text(content)
    lines = problems(project)
    assert name in lines and expected in lines


def test_a_folder_in_the_place_of_a_file_is_told(project: Path) -> None:
    for name in ("state_machine.json", "models/manifest.json", "lambda_src/Dockerfile"):
        path = project / name
        kept = path.read_bytes()
        path.unlink()
        path.mkdir()
        assert "cannot be read: Is a directory" in problems(
            project
        ) or "has no Dockerfile" in problems(project)
        path.rmdir()
        path.write_bytes(kept)


@pytest.mark.parametrize("name", ["state_machine.json", "models/manifest.json"])
def test_a_name_that_stands_twice_is_refused(project: Path, name: str) -> None:
    """JSON's readers keep the last one: a branch and its function would be lost silently."""
    path = project / name
    path.write_text(path.read_text().replace("{", '{"twice": 1, "twice": 2, ', 1))
    assert f"{name} has 'twice' twice in one object" in problems(project)
