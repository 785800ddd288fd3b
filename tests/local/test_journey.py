"""The journey of a user: the real command line, real HTTP, the real models."""

from __future__ import annotations

import csv
import json
import re
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from deployer.aws.access import Aws
from deployer.local import process
from tests.support.accounts import Calls, connect
from tests.support.command_line import deployer as deploy
from tests.support.processes import children_of, deployer, ends
from tests.support.projects import ROOT, train

# Its tests share a server, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("local journey")

SAMPLE = (ROOT / "samples" / "boston_housing.json").read_bytes()
MODELS = ("linear_regression", "random_forest", "support_vector")


def account(folder: Path) -> Aws:
    found = process.find(folder)
    assert found is not None
    return connect(found)


def records(count: int) -> list[dict[str, float]]:
    with (ROOT / "data" / "boston_housing.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    return [
        {name: float(cell) for name, cell in rows[i % len(rows)].items() if name != "MEDV"}
        for i in range(count)
    ]


def predicted(folder: Path, name: str, rows: list[dict[str, float]]) -> Any:
    model = joblib.load(folder / "models" / f"{name}.joblib")
    return model.predict(np.array([list(row.values()) for row in rows]))


def post(url: str, body: bytes) -> tuple[int, Any]:
    request = urllib.request.Request(url, body, {"content-type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
def url(deployed: Path) -> str:
    """The URL of the API, which no test replaces."""
    return str(deploy(deployed, "plan", "--local", "--json").json["outputs"]["url"])


def test_the_last_line_of_up_is_the_url(deployed: Path, url: str) -> None:
    ran = deployer(deployed, "up", "--local")
    assert ran.out.splitlines() == [url]
    assert "no changes" in ran.err


def test_the_sample_is_answered_as_the_saved_models_predict(deployed: Path) -> None:
    results = deploy(deployed, "invoke", "--sample", "--local", "--json").json
    sample = json.loads((ROOT / "samples" / "boston_housing.json").read_text())
    assert [entry["model"] for entry in results] == list(MODELS)
    for entry in results:
        assert entry["predictions"] == pytest.approx(
            list(predicted(deployed, entry["model"], [sample])), abs=1e-9
        )


def test_the_answer_is_a_table_with_model_version_prediction_and_latency(deployed: Path) -> None:
    ran = deployer(deployed, "invoke", "--sample", "--local")
    manifest = json.loads((deployed / "models" / "manifest.json").read_text())
    for name in MODELS:
        assert f"{name}" in ran.out and manifest["models"][name]["sha256"][:12] in ran.out
    assert "answered in" in ran.out and ran.err == ""
    request = ran.out.splitlines()[-1].removeprefix("request ")
    lines = function_log(deployed)
    (line,) = (json.loads(line) for line in lines if f'"execution": "{request}"' in line)
    assert (line["model"], line["records"], line["outcome"]) == ("random_forest", 1, "answered")
    assert f"END RequestId: {line['request']}" in lines


def test_a_second_up_makes_no_writing_call(deployed: Path) -> None:
    ran = deployer(deployed, "up", "--local", "-v")
    calls = Calls(
        (words[1], words[2])
        for line in ran.err.splitlines()
        if len(words := line.split(" ")) == 3 and "_" in words[2]
    )
    assert len(calls) > 30
    assert calls.writing() == []
    assert "took" not in ran.err and "try it" not in ran.err, "nothing was done"


def test_the_plan_after_up_is_empty(deployed: Path) -> None:
    document = deploy(deployed, "plan", "--local", "--json", "--exit-code").json
    assert document["changes"] == []
    assert {
        "service",
        "stage",
        "account",
        "region",
        "endpoint",
        "changes",
        "outputs",
        "seconds",
    } <= document.keys()
    assert set(document["outputs"]["functions"]) == set(MODELS)
    assert all(
        arn.rpartition(":")[2].isdigit() for arn in document["outputs"]["functions"].values()
    )


def test_a_thousand_records_come_back_as_three_thousand_predictions(
    deployed: Path, url: str
) -> None:
    rows = records(1000)
    status, record = post(url, json.dumps({"instances": rows}).encode())
    assert (status, record["status"]) == (200, "SUCCEEDED")
    for entry in json.loads(record["output"]):
        assert entry["predictions"] == pytest.approx(
            list(predicted(deployed, entry["model"], rows)), abs=1e-9
        )


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (
            json.dumps({"instances": records(1001)}),
            "instances: holds 1001 records, but 1 to 1000 are allowed",
        ),
        ("{}", "CRIM: missing"),
        ("[]", "must be a record"),
        (
            json.dumps({name: value for name, value in records(1)[0].items() if name != "RM"}),
            "RM: missing",
        ),
        (json.dumps({**records(1)[0], "RM": "six"}), "RM: must be a number, not string"),
        (
            json.dumps({**records(1)[0], "RM": None, "AGE": True}),
            "RM: must be a number, not null; AGE: must be",
        ),
    ],
    ids=["1001", "{}", "[]", "missing", "string", "null and true"],
)
def test_a_breach_of_the_contract_fails_the_execution_with_a_cause(
    deployed: Path, url: str, body: str, cause: str
) -> None:
    status, record = post(url, body.encode())
    assert (status, record["status"], record["error"]) == (200, "FAILED", "InvalidInput")
    assert cause in record["cause"]
    assert (
        "Traceback" not in record["cause"]
        and "arn:" not in record["cause"]
        and "output" not in record
    )
    ran = deploy(deployed, "invoke", "--local", "--file", "-", stdin=body, code=1)
    assert "InvalidInput" in ran.err and cause in ran.err and ran.out == ""
    assert post(url, SAMPLE)[1]["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (json.dumps({**records(1)[0], "RM": float("nan")}), "InvalidExecutionInput"),
        (json.dumps({"instances": records(1700)}), "ValidationException"),
        ("no json", "InvalidExecutionInput"),
    ],
    ids=["NaN", "300 KB", "no json"],
)
def test_what_step_functions_itself_refuses_is_http_400(
    deployed: Path, url: str, body: str, error: str
) -> None:
    status, answer = post(url, body.encode())
    assert (status, answer["__type"]) == (400, error)
    assert (
        "HTTP 400" in deploy(deployed, "invoke", "--local", "--file", "-", stdin=body, code=1).err
    )
    assert post(url, SAMPLE)[1]["status"] == "SUCCEEDED"


def test_many_requests_show_throughput_latency_cold_starts_and_failures(deployed: Path) -> None:
    many = ("invoke", "--local", "--repeat", "12", "--concurrency", "4")
    ran = deploy(deployed, *many, "--sample")
    assert re.match(r"12 requests in [\d.]+ s, 4 at a time: [\d.]+ per second\n", ran.out)
    assert "latency: fastest " in ran.out and "cold starts: " in ran.out
    document = deploy(deployed, *many, "--sample", "--json").json
    assert (document["requests"], document["errors"]) == (12, {})
    assert sum(part["count"] for part in document["histogram"]) == 12
    assert document["ms"]["min"] <= document["ms"]["p50"] <= document["ms"]["max"]
    assert {entry["model"] for entry in document["results"]} == set(document["cold_starts"])
    failed = deploy(deployed, *many, "--data", "{}", "--json", code=1).json
    assert failed["errors"] == {"InvalidInput": 12}
    deploy(deployed, "invoke", "--sample", "--local", "--concurrency", "2", code=2)


def test_a_failing_json_invocation_prints_the_record_and_exits_with_1(deployed: Path) -> None:
    ran = deploy(deployed, "invoke", "--local", "--json", "--data", "{}", code=1)
    assert (
        ran.json["execution"]["status"] == "FAILED"
        and ran.json["execution"]["error"] == "InvalidInput"
    )
    assert (
        ran.json["error"]["type"] == "InvocationFailed"
        and "InvalidInput" in ran.json["error"]["message"]
    )


def function_log(deployed: Path) -> list[str]:
    events = account(deployed).pages(
        "logs",
        "filter_log_events",
        "events",
        logGroupName="/aws/lambda/inference-dev-random-forest",
    )
    return [event["message"] for event in events]


def test_output_of_handlers_is_in_the_log_group(deployed: Path) -> None:
    deployer(deployed, "invoke", "--sample", "--local")
    lines = function_log(deployed)
    assert any(line.startswith("START RequestId") for line in lines)
    assert any(line.startswith("REPORT RequestId") for line in lines)


def test_memory_changed_behind_our_back_is_shown_and_put_right(deployed: Path) -> None:
    aws = account(deployed)
    name = "inference-dev-random-forest"
    aws.call("lambda", "update_function_configuration", FunctionName=name, MemorySize=512)
    document = deploy(deployed, "plan", "--local", "--json", "--exit-code", code=3).json
    fields = {field["path"]: field for change in document["changes"] for field in change["fields"]}
    assert document["changes"][0]["resource"] == "function/random_forest"
    assert (fields["memory_mb"]["before"], fields["memory_mb"]["after"]) == (512, 1024)
    shown = deploy(deployed, "plan", "--local").out
    assert "function/random_forest" in shown and "memory_mb: 512 -> 1024" in shown
    deploy(deployed, "up", "--local")
    assert (
        aws.call("lambda", "get_function", FunctionName=name)["Configuration"]["MemorySize"] == 1024
    )
    deploy(deployed, "plan", "--local", "--exit-code")


@pytest.mark.slow
def test_an_edited_handler_is_live_only_after_the_next_up(deployed: Path) -> None:
    handler = deployed / "lambda_src" / "predict.py"
    source = handler.read_text()
    before = deploy(deployed, "invoke", "--sample", "--local", "--json").json
    handler.write_text(source.replace('"version": self.version', '"version": "edited"'))
    assert deploy(deployed, "invoke", "--sample", "--local", "--json").json == before
    deploy(deployed, "up", "--local")
    after = deploy(deployed, "invoke", "--sample", "--local", "--json").json
    assert {entry["version"] for entry in after} == {"edited"}
    handler.write_text(source)
    deploy(deployed, "up", "--local")
    assert deploy(deployed, "invoke", "--sample", "--local", "--json").json == before


def test_a_retrained_model_is_one_object_one_function_one_workflow_and_no_image(
    deployed: Path,
) -> None:
    script = deployed / "train.py"
    script.write_text(script.read_text().replace("min_samples_leaf=2", "min_samples_leaf=3"))
    train(deployed)
    document = deploy(deployed, "up", "--local", "--json").json
    changed = {change["resource"]: change["action"] for change in document["changes"]}
    assert changed == {
        "model/random_forest": "create",
        "function/random_forest": "update",
        "workflow": "update",
    }
    sample = json.loads((ROOT / "samples" / "boston_housing.json").read_text())
    for entry in deploy(deployed, "invoke", "--sample", "--local", "--json").json:
        assert entry["predictions"] == pytest.approx(
            list(predicted(deployed, entry["model"], [sample])), abs=1e-9
        )


def add_model(folder: Path) -> None:
    """What docs/own_models.md says about a fourth model: one entry in train.py, one branch in
    state_machine.json.
    """
    script = folder / "train.py"
    entry = '    "nearest": KNeighborsRegressor(),\n}\n'
    text = script.read_text().replace("}\n\n# Units", entry + "\n# Units")
    script.write_text(
        text.replace(
            "import joblib\n", "import joblib\nfrom sklearn.neighbors import KNeighborsRegressor\n"
        )
    )
    workflow = folder / "state_machine.json"
    definition = json.loads(workflow.read_text())
    branches = definition["States"]["Predict"]["Branches"]
    branches.append(json.loads(json.dumps(branches[0]).replace("linear_regression", "nearest")))
    workflow.write_text(json.dumps(definition))
    train(folder)


@pytest.mark.slow
def test_a_fourth_model_is_added_and_removed_again(
    deployed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOYER_KEEP_RELEASES", "2")
    kept = {name: (deployed / name).read_text() for name in ("train.py", "state_machine.json")}
    shutil.copytree(deployed / "models", deployed / "before")
    add_model(deployed)
    deploy(deployed, "up", "--local")
    results = deploy(deployed, "invoke", "--sample", "--local", "--json").json
    assert [entry["model"] for entry in results] == [*MODELS, "nearest"]
    for name, text in kept.items():
        (deployed / name).write_text(text)
    shutil.rmtree(deployed / "models")
    (deployed / "before").rename(deployed / "models")
    without = deploy(deployed, "up", "--local")
    assert "function/nearest, logs/nearest, model/nearest" in without.err  # kept
    workflow = deployed / "state_machine.json"
    workflow.write_text(kept["state_machine.json"].replace("Ask every", "Now ask every"))
    refused = deploy(deployed, "up", "--local", code=1)
    assert "--yes" in refused.err and "function/nearest" in refused.err
    document = deploy(deployed, "up", "--local", "--yes", "--json").json
    deleted = [change["resource"] for change in document["changes"] if change["action"] == "delete"]
    assert deleted == ["function/nearest", "logs/nearest", "model/nearest"]
    deploy(deployed, "plan", "--local", "--exit-code")
    workflow.write_text(kept["state_machine.json"])
    deploy(deployed, "up", "--local")
    names = [
        each["FunctionName"]
        for each in account(deployed).pages("lambda", "list_functions", "Functions")
    ]
    assert sorted(names) == [f"inference-dev-{name.replace('_', '-')}" for name in MODELS]
    assert len(deploy(deployed, "invoke", "--sample", "--local", "--json").json) == 3


def test_a_foreign_role_of_our_name_is_refused_by_name_and_left_alone(live: Path) -> None:
    aws = account(live)
    name = "inference-dev-us-east-1-api"
    aws.call("iam", "create_role", RoleName=name, AssumeRolePolicyDocument="{}")
    ran = deploy(live, "up", "--local", code=1)
    assert f"IAM role {name} already exists" in ran.err and "left alone" in ran.err
    assert aws.call("lambda", "list_functions")["Functions"] == []
    down = deploy(live, "down", "--local", "--yes", code=1)
    assert name in down.err
    assert [role["RoleName"] for role in aws.call("iam", "list_roles")["Roles"]] == [name]


@pytest.mark.slow
def test_two_stages_live_side_by_side_and_down_takes_only_its_own(live: Path) -> None:
    first = deploy(live, "up", "--local").out.strip()
    second = deploy(live, "up", "--local", "--stage", "other").out.strip()
    assert first != second
    ran = deploy(live, "down", "--local", "--yes")
    assert "keeps running" in ran.err
    assert (
        len(deploy(live, "invoke", "--sample", "--local", "--stage", "other", "--json").json) == 3
    )
    assert "no API of service" in deploy(live, "invoke", "--sample", "--local", code=1).err


@pytest.mark.slow
def test_what_lost_its_tags_is_adopted_and_data_kept_only_when_asked(project: Path) -> None:
    """Without the proof, which starts a process for each function and is not the point here."""
    deploy(project, "up", "--local", "--no-proof")
    server = process.find(project)
    assert server is not None
    role = "inference-dev-us-east-1-api"
    tags = ["deployer:service", "deployer:stage", "deployer:managed-by"]
    connect(server).call("iam", "untag_role", RoleName=role, TagKeys=tags)
    refused = deploy(project, "up", "--local", "--no-proof", code=1).err
    assert (
        f"IAM role {role} already exists and does not carry this service's tags" in refused
        and "--adopt" in refused
    )
    assert (
        'tags.deployer:service: null -> "inference"'
        in deploy(project, "plan", "--local", "--adopt").out
    )
    asked = deploy(project, "up", "--local", "--no-proof", "--adopt", code=1).err
    assert "refusing to adopt role/api without a terminal to confirm" in asked and "--yes" in asked
    deploy(project, "up", "--local", "--no-proof", "--adopt", "--yes")
    kept = deploy(project, "down", "--local", "--keep-data", "--yes").err
    assert "kept, with all that is in it: S3 bucket inference-dev-123456789012-us-east-1" in kept
    assert "the local AWS keeps running" in kept
    again = deploy(project, "up", "--local", "--no-proof").err
    assert "bucket: creating" not in again and "logs/api: creating" not in again
    assert "the local AWS has ended" in deploy(project, "down", "--local", "--yes").err


@pytest.mark.slow
def test_down_leaves_no_resource_and_no_process(project: Path) -> None:
    deployer(project, "up", "--local")
    deployer(project, "invoke", "--sample", "--local")
    running = process.find(project)
    assert running is not None
    children = children_of(running.pid)
    assert len(children) == 3
    refused = deployer(project, "down", "--local", code=1)
    assert "--yes" in refused.err
    ran = deployer(project, "down", "--local", "--yes", "--json")
    assert "by names only" not in ran.err and "waiting" not in ran.err
    document = ran.json
    assert len(document["changes"]) == 18 and {
        change["action"] for change in document["changes"]
    } == {"delete"}
    assert process.find(project) is None
    assert all(ends(pid, 2) for pid in [running.pid, *children])
    assert "nothing to delete" in deployer(project, "down", "--local", "--yes").err


@pytest.mark.slow
def test_up_trains_first_when_there_are_no_models(live: Path) -> None:
    shutil.rmtree(live / "models")
    ran = deploy(live, "up", "--local")
    assert "python train.py" in ran.err and (live / "models" / "manifest.json").is_file()
