"""Mistakes that people make, and machines that refuse: one line with a way out, never a defect,
never a loss.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.errors import ConfigError
from deployer.local import process
from deployer.project.settings import load_settings
from deployer.service.release import load_release
from tests.support.accounts import keys, reset
from tests.support.processes import deployer, ends
from tests.support.projects import ROOT, make_project

COLLEAGUES = b"a colleague's model"


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def found(project: Path) -> str:
    """Read the project as every command does, in this process, and return what is wrong with it."""
    try:
        load_release(
            load_settings(project, {}, {}).located(
                account="1" * 12, partition="aws", region="eu-central-1"
            )
        )
    except ConfigError as error:
        return "\n".join(error.problems)
    return ""


# Nothing of the user's is lost


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
    """Trained on another table, deployed, then lost: the housing models must not take their place."""
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


# The user's own training program


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


# Files as editors write them


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
    assert found(project) == ""


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
    told = found(project)
    assert name.rpartition("/")[2] in told and "save it as UTF-8" in told, told


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
    assert found(project) == ""


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
    assert expected in found(project)


def test_other_sections_of_setup_cfg_are_nobodys_business(project: Path) -> None:
    with (project / "setup.cfg").open("a") as config:
        config.write("[deploy]\nx = 1\n[deployment]\ny = 2\n[tool:deployer]\nz = 3\n")
    assert found(project) == ""


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
    return [path, *(found for key, each in inner for found in places(each, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], by)
    return copy


@pytest.mark.parametrize("name", ["models/manifest.json", "state_machine.json"])
@given(data=st.data())
@settings(max_examples=200, suppress_health_check=list(HealthCheck), deadline=None)
def test_every_wrong_shape_is_a_problem_and_no_defect(
    mutable: Path, name: str, data: st.DataObject
) -> None:
    """Any value of the manifest or the workflow replaced by any other."""
    path = mutable / name
    text = path.read_text()
    whole = json.loads(text)
    where = data.draw(st.sampled_from(places(whole)))
    path.write_text(json.dumps(replaced(whole, where, data.draw(JSON))))
    try:
        assert isinstance(found(mutable), str)
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
    told = found(project)
    assert name in told and expected in told


def test_a_folder_in_the_place_of_a_file_is_told(project: Path) -> None:
    for name in ("state_machine.json", "models/manifest.json", "lambda_src/Dockerfile"):
        path = project / name
        kept = path.read_bytes()
        path.unlink()
        path.mkdir()
        assert "cannot be read: Is a directory" in found(project) or "has no Dockerfile" in found(
            project
        )
        path.rmdir()
        path.write_bytes(kept)


# Streams and machines


def run(
    project: Path, *arguments: str, environment: Mapping[str, str] | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deployer", *arguments]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, env=environment, timeout=120, **more
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_a_code_page_that_lacks_a_character_prints_something_else(
    project: Path, encoding: str
) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = run(project, "plan", "--stage", "日本", environment=environment)
    assert done.returncode == 1 and "\\u65e5" in done.stderr and "defect" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [("--help",), ("plan", "--local"), ("plan", "--local", "--json")]
)
@pytest.mark.parametrize("target", ["full", "closed", "gone"])
def test_a_stdout_that_takes_nothing_is_no_defect(
    project: Path, arguments: tuple[str, ...], target: str
) -> None:
    command = f"{sys.executable} -m deployer {' '.join(arguments)}"
    shell = {
        "full": f"{command} > /dev/full",
        "closed": f"{command} >&-",
        "gone": f"{command} | true; exit ${{PIPESTATUS[0]}}",
    }
    done = subprocess.run(
        ["bash", "-c", shell[target]], cwd=project, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == {"full": 1, "closed": 0}.get(target, done.returncode)
    assert (
        "defect" not in done.stderr
        and "Traceback" not in done.stderr
        and "Exception ignored" not in done.stderr
    )
    assert target != "full" or "No space left on device" in done.stderr
    assert target != "gone" or done.returncode in (0, 1)


@pytest.mark.parametrize("target", ["2>/dev/full", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_or_full_stderr_or_stdin_changes_no_exit_code(project: Path, target: str) -> None:
    for arguments, code in (("plan --local", 0), ("plan --stage No", 1)):
        shell = f"{sys.executable} -m deployer {arguments} {target}"
        done = subprocess.run(
            ["bash", "-c", shell], cwd=project, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code, done.stderr


def test_a_project_that_cannot_be_written_is_told(project: Path) -> None:
    """Root may write everywhere, so a file is in the way here."""
    (project / ".deployer").write_text("in the way")
    ran = deployer(project, "up", "--local", code=1)
    assert "defect" not in ran.err and ".deployer" in ran.err


def test_no_temporary_folder_is_told(project: Path) -> None:
    program = (
        "import tempfile, sys\n"
        'def none(*a, **k): raise FileNotFoundError(2, "No usable temporary directory found in '
        "['/tmp']\")\n"
        "tempfile._get_default_tempdir = none\n"
        "sys.argv = ['deployer', *sys.argv[1:]]\n"
        "from deployer.__main__ import main\nsys.exit(main())"
    )
    command = [sys.executable, "-c", program, "image", "--output", "x.tar", "--builder", "direct"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60)
    assert (
        done.returncode == 1 and "Traceback" not in done.stderr and "defect" not in done.stderr
    ), done.stderr


def limited(limit: int, value: int) -> Any:
    return lambda: resource.setrlimit(limit, (value, value))


def test_without_file_descriptors_it_is_told(project: Path, server: process.Server) -> None:
    arguments = ("plan", "--endpoint-url", server.url)
    environment = {**os.environ, **keys(server)}
    done = run(
        project, *arguments, environment=environment, preexec_fn=limited(resource.RLIMIT_NOFILE, 9)
    )
    assert done.returncode == 1 and "defect" not in done.stderr and "ulimit -n" in done.stderr, (
        done.stderr
    )


def test_without_threads_it_is_told(project: Path) -> None:
    """As where a container allows few processes; the limit itself does not bind root."""
    program = (
        "import sys, threading\n"
        'def none(self): raise RuntimeError("can\'t start new thread")\n'
        "threading.Thread.start = none\n"
        "sys.argv = ['deployer', *sys.argv[1:]]\n"
        "from deployer.__main__ import main\nsys.exit(main())"
    )
    command = [sys.executable, "-c", program, "plan", "--local"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60)
    assert (
        done.returncode == 1
        and "lets no further thread start" in done.stderr
        and "defect" not in done.stderr
    )


def test_an_environment_without_the_packages_is_one_line(project: Path) -> None:
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runpy; "
        f"runpy.run_module('deployer', run_name='__main__')",
    ]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first.startswith("error: ") and "has no package click" in first and "python" in second


def test_an_old_python_is_one_line(project: Path) -> None:
    program = (
        "import sys; sys.version_info = (3, 9, 2, 'final', 0)\nfrom deployer.__main__ "
        "import main\nsys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (
        done.returncode == 1
        and "deployer needs Python 3.10 or newer" in done.stderr.splitlines()[0]
    )


# --json, hints, suggestions


@pytest.mark.parametrize(
    ("arguments", "kind", "code"),
    [
        (("plan", "--json", "--stage", "No"), "ConfigError", 1),
        (("up", "--json"), "NoCredentials", 1),
        (("down", "--json", "--endpoint-url", "http://127.0.0.1:9"), "NoCredentials", 1),
        (("invoke", "--json", "--sample", "--local"), "NotRunning", 1),
        (("env", "--json", "--local"), "NotRunning", 1),
        (("invoke", "--json"), "UsageError", 2),
        (("plan", "--json", "--nonsense"), "UsageError", 2),
        (("--json", "plan", "--local"), "UsageError", 2),
        (("plan", "--local", "--json=1"), "UsageError", 2),
        (("plan", "--json", "--endpoint-url", "http://127.0.0.1:99999"), "UsageError", 2),
        (("plan", "--json", "--endpoint-url", "foo"), "UsageError", 2),
        (("image", "--json", "--output", "x.tar", "--builder", "direct"), "BuildError", 1),
    ],
)
def test_json_is_one_document_on_errors_too(
    project: Path, arguments: tuple[str, ...], kind: str, code: int
) -> None:
    (project / "lambda_src" / "base.lock").write_text("5")
    environment = {**os.environ, "AWS_REGION": "us-east-1"}
    done = run(project, *arguments, environment=environment)
    assert done.returncode == code, done.stderr
    error = json.loads(done.stdout)["error"]
    assert (
        error["type"] == kind and error["message"] and set(error) == {"type", "message", "advice"}
    )
    assert "Traceback" not in done.stderr


def test_a_failed_run_prints_one_document_with_what_it_was_to_change(
    project: Path, server: process.Server
) -> None:
    reset(server)
    environment = {**os.environ, **keys(server), "DEPLOYER_BASE_IMAGE": "127.0.0.1:9/x/python:1"}
    done = run(
        project,
        "up",
        "--json",
        "--endpoint-url",
        server.url,
        "--builder",
        "direct",
        environment=environment,
    )
    document = json.loads(done.stdout)
    assert done.returncode == 1 and document["error"]["type"] in ("ApplyFailed", "BuildError")
    assert "base image 127.0.0.1:9/x/python:1" in document["error"]["message"]


def test_down_without_a_local_aws_prints_a_document_too(project: Path) -> None:
    ran = deployer(project, "down", "--local", "--json")
    assert ran.json["changes"] == [] and "nothing to delete" in ran.err


@pytest.mark.parametrize(
    ("typed", "meant"), [("pln", "plan"), ("dwon", "down"), ("invok", "invoke"), ("chek", "check")]
)
def test_a_mistyped_command_gets_a_suggestion(project: Path, typed: str, meant: str) -> None:
    done = run(project, typed)
    assert done.returncode == 2 and re.search(rf"(?i)did you mean '?{meant}'?", done.stderr)


def test_hints_keep_where_and_with_what_the_command_was_typed(
    project: Path, tmp_path: Path
) -> None:
    options = (
        "--stage",
        "side",
        "--service",
        "other",
        "--region",
        "eu-west-1",
        "--project",
        str(project),
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    try:
        ran = deployer(elsewhere, "up", "--local", *options)
        hint = next(
            line for line in ran.err.splitlines() if line.startswith("next: ")
        ).removeprefix("next: ")
        done = subprocess.run(["sh", "-c", hint], cwd=elsewhere, capture_output=True, text=True)
        assert done.returncode == 0 and "linear_regression" in done.stdout, (hint, done.stderr)
        declined = deployer(elsewhere, "down", "--local", *options, code=1).err
        command = declined.splitlines()[-1].removeprefix("to agree: ")
        done = subprocess.run(["sh", "-c", command], cwd=elsewhere, capture_output=True, text=True)
        assert done.returncode == 0 and "18 deleted" in done.stderr, (command, done.stderr)
    finally:
        process.force_stop(project)
    missing = deployer(elsewhere, "invoke", "--sample", "--local", *options, code=1).err
    assert (
        f"-m deployer up --project {project} --service other --stage side --region eu-west-1 "
        f"--local" in missing
    )


def test_the_sample_fits_the_models_that_are_there(project: Path) -> None:
    """Of another table: a record made of the middle of each feature's range, where no file of
    samples/ fits.
    """
    shutil.copy(ROOT / "tests" / "cases" / "other_table.csv", project / "table.csv")
    subprocess.run(
        [sys.executable, "train.py", "--data", "table.csv", "--target", "y"],
        cwd=project,
        check=True,
    )
    try:
        deployer(project, "up", "--local")
        results = deployer(project, "invoke", "--sample", "--local", "--json").json
        assert all("predictions" in entry for entry in results) and len(results) == 3
        (project / "samples" / "own.json").write_text(
            '{"instances": [{"a": 0.1, "b": 0.2}, {"b": 0.3, "a": 0.4}]}'
        )
        results = deployer(project, "invoke", "--sample", "--local", "--json").json
        assert [len(entry["predictions"]) for entry in results] == [2, 2, 2]
    finally:
        process.force_stop(project)


# --local reads nothing of the user's AWS or proxy configuration


BROKEN: dict[str, Mapping[str, str]] = {
    "a proxy": {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    },
    "a profile that is gone": {"AWS_PROFILE": "gone"},
    "a file that is no configuration": {
        "AWS_CONFIG_FILE": "/etc/passwd",
        "AWS_SHARED_CREDENTIALS_FILE": "/etc/passwd",
    },
    "another region": {"AWS_REGION": "eu-west-3", "AWS_DEFAULT_REGION": "eu-west-3"},
    "another endpoint": {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    },
    "modes": {
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_DEFAULTS_MODE": "nonsense",
    },
    "retries": {"AWS_MAX_ATTEMPTS": "x", "AWS_RETRY_MODE": "nonsense"},
    "keys of somebody": {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "x",
    },
}


@pytest.mark.parametrize("what", BROKEN)
def test_local_commands_read_nothing_of_the_users_configuration(deployed: Path, what: str) -> None:  # noqa: F811
    environment = {
        **{name: value for name, value in os.environ.items() if name != "NO_PROXY"},
        **BROKEN[what],
    }
    done = run(deployed, "plan", "--local", "--exit-code", environment=environment)
    assert done.returncode == 0 and "us-east-1" in done.stderr, done.stderr
    done = run(deployed, "invoke", "--sample", "--local", environment=environment)
    assert done.returncode == 0, done.stderr


def test_the_users_training_program_sees_the_users_configuration(project: Path) -> None:
    shutil.rmtree(project / "models")
    process.start(project)
    try:
        environment = {
            **os.environ,
            "AWS_PROFILE": "mine",
            "HTTPS_PROXY": "http://proxy.example",
            "DEPLOYER_TRAIN": "env",
        }
        done = run(project, "up", "--local", environment=environment)
        assert (
            "AWS_PROFILE=mine" in done.stderr and "HTTPS_PROXY=http://proxy.example" in done.stderr
        )
    finally:
        process.force_stop(project)


# The local AWS that does not answer


def test_a_silent_local_aws_is_told_kept_and_can_be_ended(project: Path) -> None:
    server = process.start(project)
    deployer(project, "up", "--local")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        for command in (("plan",), ("down", "--yes"), ("up",), ("check",)):
            done = run(project, *command, "--local")
            assert (
                done.returncode == 1
                and f"(process {server.pid}) does not answer" in done.stderr + done.stdout
            ), done
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert deployer(project, "plan", "--local", "--json").json["changes"] == []
    os.kill(server.pid, signal.SIGSTOP)
    refused = deployer(project, "down", "--local", "--force", code=1)
    assert "--yes" in refused.err and process.folder(project).exists()
    ran = deployer(project, "down", "--local", "--force", "--yes")
    assert "the local AWS has ended" in ran.err and not process.folder(project).exists()
    assert "no local AWS runs" in deployer(project, "down", "--local", "--force", "--yes").err
    assert deployer(project, "down", "--force", "--yes", code=2).out == ""


def test_reading_verbs_start_no_server(project: Path) -> None:
    planned = deployer(project, "plan", "--local", "--json", "--exit-code", code=3)
    assert len(planned.json["changes"]) == 19 and planned.json["account"] == "123456789012"
    assert "no local AWS runs" in planned.err
    assert deployer(project, "check", "--local").out == "check: nothing found\n"
    assert not (project / ".deployer").exists()


def test_without_file_descriptors_the_local_aws_lives_on(project: Path) -> None:
    """Its record cannot be read then, which says nothing about the record."""
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))\n"
        "from pathlib import Path\nfrom deployer.local import process\n"
        f"print(process.start(Path({str(project)!r})).pid)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    server = process.find(project)
    assert server is not None
    try:
        sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(120)]
        time.sleep(6)
        for each in sockets:
            each.close()
        assert process.find(project) == server
    finally:
        process.force_stop(project)


def test_five_versions_of_every_function_and_then_down(project: Path) -> None:
    """cases: the numbering of versions forgot where a living version stands."""
    try:
        for memory in (1024, 1025, 1026, 1027, 1028, 1029):
            done = run(
                project,
                "up",
                "--local",
                environment={**os.environ, "DEPLOYER_MEMORY_MB": str(memory)},
            )
            assert done.returncode == 0, done.stderr
        assert deployer(project, "plan", "--local", "--json", code=0).json["changes"] != []
        assert "the local AWS has ended" in deployer(project, "down", "--local", "--yes").err
    finally:
        process.force_stop(project)


def test_a_manifest_that_names_other_files_has_none_of_them_read(project: Path) -> None:
    """Nor is it a defect: the paths are of the project, or nothing can be said."""
    files = {"/etc/passwd": "0", "../x": "0", "a\0b": "0", "lambda_src": "0"}
    manifest = json.loads((project / "models" / "manifest.json").read_text())
    edit(project / "models" / "manifest.json", trained={**manifest["trained"], "files": files})
    ran = deployer(project, "plan", "--local")
    assert "has changed" not in ran.err
