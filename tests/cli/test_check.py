"""`check` reports all problems at once, most of them without AWS, and writes nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deployer.local import process
from tests.support.accounts import connect, keys, reset
from tests.support.command_line import run


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.fixture
def unverified(project: Path) -> Path:
    """A project whose predictions nobody compares, which takes most of a check's time."""
    (project / "lambda_src" / "verify.py").unlink()
    return project


def told(result: Any) -> str:
    """Return the standard error, without the warning of a base that this Python brings about."""
    lines = result.stderr.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("warning: public.ecr.aws"))


def test_a_sound_project_has_no_findings_and_needs_no_credentials(project: Path) -> None:
    result = run(project, "check", "--offline", code=0)
    assert result.stdout == "check: nothing found\n"
    assert told(result) == "predictions verified\n"
    warned = "stands on Amazon Linux 2, which is out of maintenance since 2026-06-30"
    assert (warned in result.stderr) == (sys.version_info < (3, 12))


@pytest.mark.slow
def test_check_imports_no_scikit_learn_and_collects_garbage_once_all_is_imported(
    project: Path,
) -> None:
    program = (
        "import atexit, gc, sys\n"
        "from deployer.__main__ import main\n"
        "atexit.register(lambda: print(gc.isenabled(), 'sklearn' in sys.modules))\n"
        "sys.argv = ['deployer', *sys.argv[1:]]\n"
        "main()"
    )
    for command, collects in ((["check", "--offline"], True), (["--help"], False)):
        done = subprocess.run(
            [sys.executable, "-c", program, *command], cwd=project, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"{collects} False"


def test_every_finding_is_told_at_once(project: Path) -> None:
    """Settings, workflow, models and limits in one list, a line for each."""
    edit(project / "setup.cfg", "stage = dev", "stage = Dev\nmemory_mb = 1")
    edit(project / "state_machine.json", '"Next": "Judge"', '"Next": "Jugde"')
    (project / "models" / "random_forest.joblib").write_bytes(b"x")
    result = run(project, "check", "--offline")
    lines = result.stdout.splitlines()
    for part in (
        "setup.cfg [deployer] stage: 'Dev' must be",
        "setup.cfg [deployer] memory_mb: '1' must be",
        "state_machine.json $.States.Predict.Next: 'Jugde' is no state beside it",
        "state_machine.json $.States.Judge: no state leads here",
        "models/random_forest.joblib is not the file that models/manifest.json describes",
    ):
        assert any(part in line for line in lines), part
    assert lines[-1] == f"check: {len(lines) - 1} findings"


@pytest.mark.slow
def test_a_handler_that_predicts_otherwise_than_its_models_is_a_finding(project: Path) -> None:
    edit(
        project / "lambda_src" / "fast" / "linear.py",
        "rows @ factors + intercept",
        "rows @ factors",
    )
    stdout = run(project, "check", "--local").stdout
    assert run(project, "check", "--offline").stdout == stdout
    assert "the handler of lambda_src/ does not predict as the models do" in stdout
    assert "linear_regression, evaluated with numpy: " in stdout
    assert "ENV FAST_PATHS=off in lambda_src/Dockerfile leaves all to scikit-learn" in stdout
    edit(project / "lambda_src" / "Dockerfile", "ENV FAST_PATHS=on", "ENV FAST_PATHS=off")
    assert run(project, "check", "--offline", code=0).stdout == "check: nothing found\n"


def test_a_faulty_expression_is_a_finding_of_check_and_stops_up(
    unverified: Path, server: process.Server
) -> None:
    workflow = unverified / "state_machine.json"
    definition = json.loads(workflow.read_text())
    definition["States"]["Answer"] = {
        "Type": "Pass",
        "QueryLanguage": "JSONata",
        "Output": {"a": "{% $states.input.results[0 %}", "b": "{% results %}"},
        "End": True,
    }
    workflow.write_text(json.dumps(definition))
    findings = (
        "state_machine.json $.States.Answer.Output.a: no valid JSONata: Expected ] before end of "
        "expression, at character 23 of '$states.input.results[0'",
        "state_machine.json $.States.Answer.Output.b: results has nothing to be read from at the "
        "top of an expression; the state's input is $states.input (in 'results')",
    )
    out = run(unverified, "check", "--offline").stdout
    assert out.splitlines() == [*findings, "check: 2 findings"]
    reset(server)
    result = run(unverified, "up", "--endpoint-url", server.url, environment=keys(server))
    assert findings[0] in result.stderr


def test_a_task_without_a_catch_is_a_warning_and_no_finding(unverified: Path) -> None:
    workflow = unverified / "state_machine.json"
    definition = json.loads(workflow.read_text())
    branch = definition["States"]["Predict"]["Branches"][0]["States"]
    branch["linear_regression"]["Catch"].pop()
    del branch["linear_regression fails"]
    workflow.write_text(json.dumps(definition))
    result = run(unverified, "check", "--offline", code=0)
    assert result.stdout == "check: nothing found\n"
    assert told(result) == (
        "warning: state_machine.json $.States.Predict.Branches[0].States.linear_regression: has no "
        "Catch for States.ALL: if linear_regression fails, its error's cause, a stack trace, "
        "reaches callers; add a Catch to this state or to the Parallel or Map around it\n"
    )


def test_without_jsonata_python_check_says_that_expressions_are_not_checked(
    unverified: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jsonata", None)
    edit(
        unverified / "state_machine.json",
        '"OutputPath": "$.results"',
        '"QueryLanguage": "JSONata", "Output": "{% 1 + %}"',
    )
    result = run(unverified, "check", "--offline", code=0)
    assert result.stdout == "check: nothing found\n"
    assert told(result) == "not checked: JSONata expressions; install the package jsonata-python\n"


def test_a_missing_training_is_a_finding_and_trains_nothing(project: Path) -> None:
    shutil.rmtree(project / "models")
    result = run(project, "check", "--offline", "--json")
    (finding,) = json.loads(result.stdout)["findings"]
    assert "there are no models: train them with " in finding
    assert finding in run(project, "check", "--offline").stdout
    assert not (project / "models").exists()


def test_limits_of_aws_are_checked_before_up_writes_anything(
    unverified: Path, server: process.Server
) -> None:
    """A workflow beyond the limit is found by check, by plan, and by up before its first write."""
    reset(server)
    workflow = unverified / "state_machine.json"
    workflow.write_text(json.dumps({**json.loads(workflow.read_text()), "Comment": "x" * 2**20}))
    finding = "workflow: CreateStateMachine.definition: 10"
    assert finding in run(unverified, "check", "--offline").stdout
    for command in ("plan", "up"):
        result = run(unverified, command, "--endpoint-url", server.url, environment=keys(server))
        assert finding in result.stderr and "nothing was written" in result.stderr
        assert "creating" not in result.stderr


def test_without_credentials_the_folder_is_checked_all_the_same(project: Path) -> None:
    edit(project / "state_machine.json", '"Next": "Judge"', '"Next": "Jugde"')
    out = run(project, "check", "--region", "eu-central-1").stdout
    assert "unable to locate credentials" in out and "'Jugde' is no state beside it" in out


def test_the_account_is_looked_at_and_left_alone(unverified: Path, server: process.Server) -> None:
    reset(server)
    options = ("--endpoint-url", server.url)
    clean = run(unverified, "check", *options, "--json", environment=keys(server), code=0)
    assert json.loads(clean.stdout) == {"findings": []}
    assert "not checked" not in clean.stderr
    aws = connect(server)
    aws.call("logs", "create_log_group", logGroupName="/aws/lambda/inference-dev-random-forest")
    aws.call(
        "iam", "create_role", RoleName="inference-dev-us-east-1-api",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}),
    )  # fmt: skip
    out = run(unverified, "check", *options, environment=keys(server)).stdout
    assert (
        "logs/random_forest: log group /aws/lambda/inference-dev-random-forest already exists"
        in out
    )
    assert "role/api: IAM role inference-dev-us-east-1-api already exists" in out
    assert out.splitlines()[-1] == "check: 2 findings"


@pytest.mark.parametrize("option", ["--exit-code", "--yes", "--adopt"])
def test_check_takes_no_options_of_what_writes(project: Path, option: str) -> None:
    assert "No such option" in run(project, "check", option, code=2).stderr


@pytest.mark.parametrize(
    ("file", "line", "finding"),
    [
        ("Dockerfile", "RUN dnf install -y gcc", "RUN is understood for pip install -r alone"),
        ("requirements.txt", "flask>=3", "flask>=3: is not pinned; name one version with =="),
    ],
)
def test_what_the_direct_builder_refuses_is_found_before_anything_is_created(
    unverified: Path, server: process.Server, file: str, line: str, finding: str
) -> None:
    with (unverified / "lambda_src" / file).open("a") as text:
        text.write(f"{line}\n")
    edit(unverified / "setup.cfg", "stage = dev", "stage = dev\nbuilder = direct")
    assert finding in run(unverified, "check", "--offline").stdout
    locally = run(unverified, "check", "--local", code=0)  # where nothing needs the builder
    assert f": {finding}" in locally.stderr
    assert "warning: without --local, up refuses this: " in locally.stderr
    reset(server)
    result = run(unverified, "up", "--endpoint-url", server.url, environment=keys(server))
    assert finding.partition(";")[0] in result.stderr
    assert "creating" not in result.stderr


def test_a_broken_lock_file_is_found_without_a_registry(unverified: Path) -> None:
    lock = unverified / "lambda_src" / "base.lock"
    lock.write_text("5")
    finding = f"{lock} must be a JSON object of digests by reference; delete it: the next up pins"
    assert run(unverified, "check", "--offline").stdout.startswith(finding)
    locally = run(unverified, "check", "--local", code=0)
    assert f"warning: without --local, up refuses this: {finding}" in locally.stderr


@pytest.mark.parametrize("option", ["--offline", "--local"])
def test_without_an_account_too_check_tells_of_changed_data_and_old_bases(
    unverified: Path, option: str
) -> None:
    edit(
        unverified / "lambda_src" / "Dockerfile",
        "FROM ${BASE}",
        f"FROM public.ecr.aws/lambda/python:{sys.version_info[0]}.{sys.version_info[1]}",
    )
    with (unverified / "train.py").open("a") as program:
        program.write("# another line\n")
    told = run(unverified, "check", option, code=0).stderr
    assert "train.py has changed since the models were trained" in told
    assert ("stands on Amazon Linux 2, which" in told) == (sys.version_info < (3, 12))
