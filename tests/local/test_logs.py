"""`logs` by the command line, against a service in a local AWS."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deployer.local import process
from tests.support.accounts import connect
from tests.support.command_line import deployer
from tests.support.projects import ROOT

# Its tests share a server, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("local logs")


def asked(folder: Path) -> tuple[str, str]:
    """Return the ids of a request that is answered, and of one that is refused."""
    answered = deployer(folder, "invoke", "--sample", "--local").out.splitlines()[-1]
    refused = deployer(
        folder, "invoke", "--data", '{"CRIM": "secret"}', "--local", "--json", code=1
    ).json["request"]
    return answered.removeprefix("request "), refused


@pytest.fixture(scope="module")
def ids(deployed: Path) -> tuple[str, str]:
    return asked(deployed)


def test_all_lines_are_merged_by_time_under_the_workflows_names(
    deployed: Path, ids: tuple[str, str]
) -> None:
    ran = deployer(deployed, "logs", "--local", "--json")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    times = [line["time"] for line in lines]
    assert times == sorted(times)
    functions = {"linear_regression", "random_forest", "support_vector"}
    assert {line["source"] for line in lines} == functions | {"workflow", "api"}
    assert {line["request"] for line in lines if line["source"] == "api"} >= {*ids}
    some = deployer(deployed, "logs", "--local", "random_forest", "api").out.splitlines()
    assert {line.split()[1] for line in some if line.startswith("20")} == {"random_forest", "api"}


def test_the_lines_of_one_request_are_of_each_part_and_of_no_other_request(
    deployed: Path, ids: tuple[str, str]
) -> None:
    answered, refused = ids
    # An id may begin with a dash.
    ran = deployer(deployed, "logs", "--local", "--json", f"--request={answered}")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    marks = [line["message"].split()[0] for line in lines if line["source"] == "random_forest"]
    assert marks[-4:] == ["START", '{"execution":', "END", "REPORT"]
    assert {line["request"] for line in lines if "request" in line} == {answered}
    shown = deployer(deployed, "logs", "--local", f"--request={refused}", "workflow").out
    assert "ExecutionFailed  InvalidInput: CRIM: must be a number, not string" in shown
    assert "random_forest refused" not in shown and answered not in shown


def test_errors_and_texts_are_filtered(deployed: Path, ids: tuple[str, str]) -> None:
    errors = deployer(deployed, "logs", "--local", "--errors").out
    assert "refused  1 record" in errors and "answered" not in errors and "REPORT" not in errors
    reports = deployer(deployed, "logs", "--local", "--filter", "max memory used").out
    assert reports.splitlines() and all("REPORT" in line for line in reports.splitlines())
    nothing = deployer(deployed, "logs", "--local", "--filter", "no such text", "--since", "30d")
    assert nothing.out == "" and "no such lines since" in nothing.err
    assert "older lines than 14 days are deleted" in nothing.err


def test_no_value_of_a_request_is_logged(deployed: Path, ids: tuple[str, str]) -> None:
    assert "secret" not in deployer(deployed, "logs", "--local").out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["random_fores"], "nothing here is called 'random_fores'; did you mean random_forest?"),
        (["--request", "nobody"], "no line of service inference, stage dev, names request nobody"),
        (["--stage", "prod"], "nothing of service inference, stage prod, is deployed in account"),
    ],
)
def test_what_is_not_there_is_one_clear_line(
    deployed: Path, ids: tuple[str, str], arguments: list[str], text: str
) -> None:
    ran = deployer(deployed, "logs", "--local", *arguments, code=1)
    assert text in ran.err and ran.out == ""


@pytest.mark.parametrize(
    "arguments",
    [["--since", "10"], ["--request", "a b"], ["--request", "a", "--follow"]],
)
def test_wrong_usage_is_said_before_anything_is_read(deployed: Path, arguments: list[str]) -> None:
    deployer(deployed, "logs", "--local", *arguments, code=2)


def test_a_request_of_another_stage_is_told_with_that_stage(
    deployed: Path, ids: tuple[str, str]
) -> None:
    server = process.find(deployed)
    assert server is not None
    aws = connect(server)
    group = "/aws/vendedlogs/apigateway/inference-prod"
    tags = {"deployer:service": "inference", "deployer:stage": "prod"}
    aws.call("logs", "create_log_group", logGroupName=group, tags=tags)
    aws.call("logs", "create_log_stream", logGroupName=group, logStreamName="a")
    (event, *_) = aws.call(
        "logs", "filter_log_events", logGroupName="/aws/vendedlogs/apigateway/inference-dev"
    )["events"]
    moved = [{"timestamp": event["timestamp"], "message": '{"requestId":"theirs="}'}]
    place = {"logGroupName": group, "logStreamName": "a"}
    aws.call("logs", "put_log_events", **place, logEvents=moved)
    ran = deployer(deployed, "logs", "--local", "--request", "theirs=", code=1)
    assert "request theirs= is of stage prod, not of dev" in ran.err
    assert "add --stage prod" in ran.err
    aws.call("logs", "delete_log_group", logGroupName=group)


def test_following_ends_with_ctrl_c(deployed: Path, ids: tuple[str, str]) -> None:
    command = [sys.executable, "-m", "deployer", "logs", "--local", "--follow", "--json"]
    with subprocess.Popen(
        command, cwd=deployed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout is not None and following.stderr is not None
        json.loads(following.stdout.readline())
        following.send_signal(signal.SIGINT)
        following.stdout.read()
        errors = following.stderr.read()
    assert following.returncode == 130
    assert "Traceback" not in errors and "interrupted" not in errors


@pytest.mark.slow
def test_the_commands_of_the_page_run(deployed: Path, ids: tuple[str, str]) -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    shell = "".join(re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    lines = [shlex.split(line) for line in shell.splitlines() if "--follow" not in line]
    assert len(lines) >= 4
    for words in lines:
        verb, *others = (word.replace("gS3PvE5xIAMEJQw=", ids[0]) for word in words[3:])
        dashes = ["--"] if others == [ids[0]] else []  # an id may begin with a dash
        deployer(deployed, verb, "--local", *dashes, *others)


def test_a_request_is_drawn_by_what_happened_in_each_state(deployed: Path) -> None:
    ids = asked(deployed)  # a test deletes a log group
    command = ["graph", "--local", f"--request={ids[0]}"]
    shown = deployer(deployed, *command)
    assert "random_forest  answered, " in shown.out and "not reached" not in shown.out
    assert "workflow_log = all" in shown.err
    picture = deployer(deployed, *command, "--format", "svg").out
    assert f"<title>request {ids[0]}</title>" in picture and ".answered {" in picture
    document = deployer(deployed, *command, "--json").json
    assert document["request"] == ids[0]
    kinds = {name: state["kind"] for name, state in document["states"].items()}
    assert kinds.keys() == {"linear_regression", "random_forest", "support_vector"}
    assert set(kinds.values()) <= {"answered", "cold"}
    refused = deployer(deployed, "graph", "--local", f"--request={ids[1]}", "--format=mermaid").out
    assert "refused, " in refused and "class " in refused
    deployer(deployed, "graph", "--local", "--request=nobody", code=1)
    deployer(deployed, "graph", "--local", "--request=a b", code=2)
    deployer(deployed, "graph", "--since", "1h", code=2)


def test_a_log_group_that_is_gone_is_told_and_the_others_are_shown(
    deployed: Path, ids: tuple[str, str]
) -> None:
    server = process.find(deployed)
    assert server is not None
    group = "/aws/lambda/inference-dev-support-vector"
    connect(server).call("logs", "delete_log_group", logGroupName=group)
    ran = deployer(deployed, "logs", "--local")
    assert f"the log group {group} of support_vector is gone" in ran.err
    assert "random_forest" in ran.out
    alone = deployer(deployed, "logs", "--local", "support_vector", code=1)
    assert "is gone" in alone.err and "deployer up" in alone.err
    asked = deployer(deployed, "invoke", "--sample", "--local", "--trace", "--json").json["trace"]
    assert list(asked["absent"]) == ["support_vector"] and len(asked["models"]) == 2
    drawn = deployer(deployed, "graph", "--local", f"--request={asked['request']}")
    assert "support_vector  no line of it" in drawn.out and f"group {group} is gone" in drawn.err
    of_one = deployer(deployed, "logs", "--local", f"--request={asked['request']}").err
    assert of_one.count(f"{group} of support_vector is gone") == 1
    deployer(deployed, "up", "--local")
    deployer(deployed, "invoke", "--sample", "--local")
    assert "REPORT" in deployer(deployed, "logs", "--local", "support_vector").out


def test_a_trace_tells_of_api_and_every_model(deployed: Path) -> None:
    both = deployer(deployed, "invoke", "--sample", "--local", "--trace", "--json").json
    assert [entry["model"] for entry in both["results"]] == sorted(both["trace"]["models"])
    trace = both["trace"]
    assert trace["api"]["status"] == "200" and trace["missing"] == []
    for model in trace["models"].values():
        assert model["outcome"] == "answered" and model["memory_mb"] == 1024
        assert 0 < model["duration_ms"] <= model["billed_ms"]
    assert trace["cost"]["request"] == pytest.approx(sum(trace["cost"]["items"].values()))
    again = deployer(deployed, "trace", "--local", "--json", "--", trace["request"]).json
    assert again == trace
    shown = deployer(deployed, "trace", "--local", "--", trace["request"]).out
    assert f"request {trace['request']}" in shown and "random_forest  answered" in shown
    assert "no line of service" in deployer(deployed, "trace", "nobody", "--local", code=1).err
    deployer(deployed, "trace", "a b", "--local", code=2)
    deployer(deployed, "invoke", "--sample", "--local", "--trace", "--repeat", "2", code=2)


def test_an_answer_is_shown_even_if_its_trace_cannot_be_read(deployed: Path) -> None:
    server = process.find(deployed)
    assert server is not None
    aws = connect(server)
    kept = {
        group["logGroupName"]: list(
            aws.pages("logs", "filter_log_events", "events", logGroupName=group["logGroupName"])
        )
        for group in aws.call("logs", "describe_log_groups")["logGroups"]
    }
    for group in kept:
        aws.call("logs", "delete_log_group", logGroupName=group)
    command = ["invoke", "--sample", "--local", "--trace"]
    shown = deployer(deployed, *command, code=1)
    assert "random_forest" in shown.out and "is gone" in shown.err
    document = deployer(deployed, *command, "--json", code=1).json
    assert len(document["results"]) == 3 and document["error"]["type"] == "LogsUnavailable"
    deployer(deployed, "up", "--local")
    for group, events in kept.items():  # the other tests look for them
        for stream in {event["logStreamName"] for event in events}:
            place = {"logGroupName": group, "logStreamName": stream}
            aws.call("logs", "create_log_stream", **place)
            lines = [
                {"timestamp": event["timestamp"], "message": event["message"]}
                for event in events
                if event["logStreamName"] == stream
            ]
            aws.call("logs", "put_log_events", **place, logEvents=lines)


def test_with_the_whole_execution_log_a_trace_tells_of_the_workflow(deployed: Path) -> None:
    deployer(deployed, "up", "--local", environment={"DEPLOYER_WORKFLOW_LOG": "all"})
    shown = deployer(deployed, "invoke", "--sample", "--local", "--trace").out
    assert "workflow  succeeded" in shown and "handler" in shown and "cost $" in shown
    request = next(line for line in shown.splitlines() if line.startswith("request ")).split()[1]
    drawn = deployer(deployed, "graph", "--local", f"--request={request}")
    assert "Predict  passed, " in drawn.out and "NoModelAnswered  not reached" in drawn.out
    assert "workflow_log" not in drawn.err
    deployer(deployed, "up", "--local")
