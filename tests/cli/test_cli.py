"""The command line: contents of the streams, exit codes, and one line with advice per mistake."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from deployer.cli import VERBS, cli
from deployer.commands.group import Cli
from deployer.commands.options import Options, common
from deployer.local import process
from tests.support.accounts import keys, reset
from tests.support.command_line import run
from tests.support.projects import ROOT
from tests.support.stub import reading_only, refusing_everything, serve

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
}


def verb(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command


def test_help_is_fast_and_imports_nothing_heavy() -> None:
    """--help and completion need no boto3, rich, scikit-learn or moto, and no settings."""
    program = (
        "import sys\nfrom deployer.cli import cli\n"
        "try:\n    cli(['--help'], prog_name='deployer')\nexcept SystemExit:\n    pass\n"
        "heavy = {'boto3', 'botocore', 'rich', 'sklearn', 'numpy', 'moto', 'joblib', "
        "'concurrent.futures', 'deployer.project.settings', 'deployer.project.declared'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "up" in done.stdout and "Example" in done.stdout


@pytest.mark.parametrize("name", sorted(VERBS))
def test_every_command_has_help_that_opens_with_an_example_that_parses(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "-h"])
    assert result.exit_code == 0 and "Example:" in result.output
    line = next(
        line for line in (verb(name).help or "").splitlines() if "python -m deployer" in line
    )
    assert f"deployer {name}" in line
    assert result.output.index("Example:") < result.output.index("Options:")


@pytest.mark.parametrize("name", sorted(VERBS))
def test_the_common_options_mean_the_same_everywhere(name: str) -> None:
    options = {option for parameter in verb(name).params for option in parameter.opts}
    expected = [
        "--stage",
        "--region",
        "--profile",
        "--endpoint-url",
        "--local",
        "--json",
        "--no-color",
        "-v",
        "--service",
        "--project",
    ]
    assert set(expected) <= options


def test_the_console_script_and_the_module_are_the_same_program() -> None:
    script = shutil.which("deployer", path=str(Path(sys.executable).parent))
    assert script, "the package is not installed: pip install -e '.[local,test]'"
    outputs = [
        subprocess.run([*command, "--version"], capture_output=True, text=True, cwd=ROOT).stdout
        for command in ([script], [sys.executable, "-m", "deployer"])
    ]
    assert outputs[0] == outputs[1] and outputs[0].startswith("deployer, version")


def test_the_console_script_completes_its_commands() -> None:
    script = str(Path(sys.executable).parent / "deployer")
    asked = {"_DEPLOYER_COMPLETE": "bash_complete", "COMP_WORDS": "deployer pl", "COMP_CWORD": "1"}
    done = subprocess.run([script], capture_output=True, text=True, env={**os.environ, **asked})
    assert done.stdout.split() == ["plain,plan"], done.stderr


@pytest.mark.parametrize(
    "command", [["up"], ["plan"], ["down"], ["invoke", "--sample"]], ids=lambda command: command[0]
)
def test_without_credentials_there_is_one_line_and_the_local_way(
    project: Path, command: list[str]
) -> None:
    result = run(project, *command, environment={"AWS_REGION": "us-east-1"})
    assert result.stdout == ""
    assert "error: NoCredentials: unable to locate credentials" in result.stderr
    assert "--local" in result.stderr and "Traceback" not in result.stderr


def test_without_a_region_there_is_one_line_and_the_way_out(project: Path) -> None:
    result = run(
        project,
        "up",
        environment={name: value for name, value in KEYS.items() if name != "AWS_REGION"},
    )
    assert (
        "error: no region" in result.stderr and "--region" in result.stderr and result.stdout == ""
    )


def test_an_unknown_profile_is_named(project: Path) -> None:
    result = run(project, "plan", "--profile", "nobody", environment=KEYS)
    assert "nobody" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ExpiredToken", "sign in again"),
        ("InvalidClientTokenId", "does not know these credentials"),
    ],
)
def test_credentials_that_aws_refuses_are_explained(project: Path, code: str, advice: str) -> None:
    with serve(
        refusing_everything(code, "The security token included in the request is expired")
    ) as url:
        result = run(project, "up", environment={**KEYS, "AWS_ENDPOINT_URL": url})
    assert (
        f"GetCallerIdentity: {code}" in result.stderr
        and advice in result.stderr
        and result.stdout == ""
    )


def test_an_endpoint_that_does_not_answer_is_said(project: Path) -> None:
    result = run(project, "plan", "--endpoint-url", "http://127.0.0.1:9", environment=KEYS)
    assert "EndpointConnectionError" in result.stderr and "--endpoint-url" in result.stderr


def test_a_credential_that_may_only_read_can_plan_and_learns_why_it_cannot_up(
    project: Path, server: process.Server
) -> None:
    reset(server)
    with serve(reading_only(server.url)) as url:
        options = ("--endpoint-url", url)
        planned = run(project, "plan", *options, "--json", environment=keys(server), code=0)
        assert len(json.loads(planned.stdout)["changes"]) == 19
        result = run(project, "up", *options, environment=keys(server))
    assert "is not authorized to perform" in result.stderr
    assert "-m deployer policy " in result.stderr and "prints the permissions" in result.stderr
    assert "once that is fixed, the next run resumes from there" in result.stderr
    assert "run the command again" not in result.stderr and result.stdout == ""


def test_every_mistake_in_the_settings_is_reported_at_once(project: Path) -> None:
    config = project / "setup.cfg"
    config.write_text(
        config.read_text().replace("[deployer]\n", "[deployer]\nmemory_mb = 64\nmemroy = 1\n")
    )
    with config.open("a") as file:
        file.write("[deployer:random_forest]\ntimeout_s = 0\n")
    result = run(
        project, "plan", "--stage", "No", environment={**KEYS, "DEPLOYER_TRACING": "perhaps"}
    )
    for line in (
        "setup.cfg [deployer] memory_mb: '64' must be a whole number from 128 to 10240",
        "setup.cfg [deployer] memroy: unknown; did you mean memory_mb?",
        "setup.cfg [deployer:random_forest] timeout_s: '0' must be",
        "environment DEPLOYER_TRACING: 'perhaps' must be yes or no",
        "--stage: 'No' must be",
    ):
        assert line in result.stderr


def test_outside_a_project_folder_the_error_says_so(tmp_path: Path) -> None:
    result = run(tmp_path, "plan", environment=KEYS)
    assert "is no project: it has no setup.cfg" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["invoke"], "none was given"),
        (["invoke", "--sample", "--data", "{}"], "not --sample and --data"),
        (["up", "--local", "--profile", "x"], "takes no --profile"),
        (["up", "--loca"], "--local"),
        (["invoke", "--sample", "--repeat", "0"], "--repeat"),
        (["plan", "--requests", "5"], "go with --cost"),
        (["plan", "--cost", "--requests", "-1"], "--requests"),
        (["plan", "--cost", "--milliseconds", "churn=0"], "whole number from 1 to 900000"),
        (["plan", "--local", "--cost", "--milliseconds", "no=5"], "there is no model no"),
        (["graph", "--format", "png"], "png"),
        (["graph", "--output", "g.png"], "its suffix may be .svg, .mmd, .mermaid, .txt"),
        (["up", "--local", "--plan", "x", "--canary", "5"], "no --train and no --canary"),
    ],
)
def test_wrong_usage_exits_with_2(project: Path, arguments: list[str], text: str) -> None:
    result = run(project, *arguments, code=2)
    assert text in result.stderr and result.stdout == ""


def test_a_file_that_cannot_be_read_is_named(project: Path) -> None:
    result = run(project, "invoke", "--file", str(project / "nothing.json"), environment=KEYS)
    assert "nothing.json: No such file" in result.stderr


def test_invoke_without_a_local_aws_names_the_command_that_starts_it(project: Path) -> None:
    result = run(project, "invoke", "--sample", "--local")
    assert "no local AWS runs" in result.stderr
    assert f"-m deployer up --project {project} --local" in result.stderr
    assert not (project / ".deployer").exists()


class Defective(Cli):
    """A command line whose every verb has a defect."""

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        @click.command(name)
        @common
        def command(options: Options) -> None:
            raise ZeroDivisionError("by nought")

        return command


def test_a_defect_leaves_its_traceback_in_a_file_and_one_line_on_screen() -> None:
    result = CliRunner().invoke(Defective(), ["plan"])
    assert result.exit_code == 1
    assert "unexpected ZeroDivisionError: by nought" in result.stderr
    assert "Traceback" not in result.stderr
    log = Path(result.stderr.split()[-1])
    assert "Traceback" in log.read_text()
    log.unlink()


def test_a_base_that_cannot_be_had_fails_the_image_alone(
    project: Path, server: process.Server
) -> None:
    """The rest is created, and the error says which registry, and what to do."""
    reset(server)
    environment = {
        **keys(server),
        "DEPLOYER_BASE_IMAGE": "127.0.0.1:9/lambda/python:1",
        "DEPLOYER_BUILDER": "direct",
    }
    result = run(project, "up", "--endpoint-url", server.url, environment=environment)
    assert "base image 127.0.0.1:9/lambda/python:1: the registry does not answer" in result.stderr
    assert "HTTPS_PROXY" in result.stderr and result.stdout == ""


def test_an_engine_that_was_asked_for_must_answer_before_anything_is_created(
    project: Path, server: process.Server
) -> None:
    """PRE-9."""
    reset(server)
    environment = {**keys(server), "DOCKER_HOST": "tcp://127.0.0.1:9"}
    result = run(
        project, "up", "--endpoint-url", server.url, "--builder", "docker", environment=environment
    )
    assert (
        "error: no Docker engine answers" in result.stderr and "--builder direct" in result.stderr
    )
    assert "creating" not in result.stderr
    run(
        project,
        "plan",
        "--endpoint-url",
        server.url,
        "--builder",
        "docker",
        environment=environment,
        code=0,
    )


def test_an_image_is_refused_where_none_is_needed(project: Path) -> None:
    result = run(project, "image", "--output", "x.tar", "--local", code=2)
    assert "no image --local" in result.stderr


def test_the_image_of_which_function_must_be_clear(project: Path) -> None:
    own = project / "lambda_src" / "random_forest"
    shutil.copytree(project / "lambda_src", own)
    result = run(project, "image", "--output", str(project / "x.tar"), code=2)
    assert (
        "name one with --function: linear_regression, random_forest, support_vector"
        in result.stderr
    )


def test_other_versions_than_trained_are_refused_before_anything_is_written(
    project: Path, server: process.Server
) -> None:
    """For the real AWS; the local one runs the very packages that trained."""
    reset(server)
    requirements = project / "lambda_src" / "requirements.txt"
    requirements.write_text(re.sub("(?m)^numpy==.*$", "numpy==1.26.4", requirements.read_text()))
    for command in ("plan", "up"):
        result = run(project, command, "--endpoint-url", server.url, environment=keys(server))
        assert re.search(
            r"lambda_src/requirements.txt line \d+: numpy==1.26.4: the models were trained",
            result.stderr,
        )
    assert "failed to" not in result.stderr and "create" not in result.stderr


def test_no_color_and_a_pipe_have_no_escapes(project: Path) -> None:
    for environment in ({"FORCE_COLOR": "1"}, {"TERM": "dumb"}, {"NO_COLOR": "1"}):
        command = [sys.executable, "-m", "deployer", "plan"]
        done = subprocess.run(
            command, cwd=project, capture_output=True, text=True, env={**os.environ, **environment}
        )
        assert done.returncode == 1 and "\x1b" not in done.stderr
