"""Composites of two workflows in the local interpreter: one side answers a request, and wholly."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from deployer.local.moto_backend import interpreter_mends
from deployer.local.workflow import start_sync_execution
from deployer.project.canary import compose
from deployer.project.workflow import fill, placeholders, problems
from tests.support.projects import read_definition

Json = dict[str, Any]
ACCOUNT = "111122223333"
CHOICE_EVENTS = 2  # a Choice is entered and exited


# In JSONPath, with one state in JSONata, whose expression has no value for a large prediction.
EVERY_TYPE: Json = {
    "TimeoutSeconds": 20,
    "StartAt": "Batch?",
    "States": {
        "Batch?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.instances", "IsPresent": True, "Next": "Each"}],
            "Default": "Wait",
        },
        "Wait": {"Type": "Wait", "Timestamp": "2020-01-01T00:00:00Z", "Next": "One"},
        "One": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "${support_vector}", "Payload.$": "$"},
            "Catch": [{"ErrorEquals": ["InvalidInput"], "ResultPath": "$.why", "Next": "Refuse"}],
            "Next": "Unwrap",
        },
        "Unwrap": {
            "Type": "Pass",
            "QueryLanguage": "JSONata",
            "Output": "{% $states.input.Payload[predictions[0] % 100 < 7] %}",
            "Next": "Done",
        },
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.instances",
            "Iterator": {
                "StartAt": "Ask",
                "States": {"Ask": {"Type": "Task", "Resource": "${random_forest}", "End": True}},
            },
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.why", "Next": "Refuse"}],
            "Next": "Done",
        },
        "Done": {"Type": "Succeed"},
        "Refuse": {"Type": "Fail", "ErrorPath": "$.why.Error", "Cause": "see the log"},
    },
}
WORKFLOWS = {
    "shipped": read_definition("state_machine.json"),
    "every_type": EVERY_TYPE,
    **{
        name: read_definition(f"docs/workflows/{name}.json")
        for name in ("choice", "two_stages", "average", "map")
    },
}
# Each beside itself, and each on either side of one in the same and in the other language.
PAIRS = [
    ("shipped", "shipped"), ("every_type", "every_type"), ("map", "map"),
    ("shipped", "choice"), ("every_type", "shipped"), ("two_stages", "map"),
    ("average", "two_stages"), ("shipped", "two_stages"), ("map", "every_type"),
    ("choice", "average"),
]  # fmt: skip
RECORD = {"RM": 6.5}
REQUESTS: dict[str, Json] = {
    "a record": RECORD,
    "a large one": {"RM": 8.0},
    "a refused one": {"RM": "high"},
    "one that a model fails on": {"RM": 1.5, "fails": "linear_regression"},
    "one that all models fail on": {"RM": 1.5, "fails": "all"},
    "a batch": {"instances": [RECORD, {"RM": "high"}, {"RM": 8.0}]},
}


# The cause of an error in a state itself begins with the state's name and its event (Sfn-40).
_PLACE = re.compile(r"(the state ')(?:live|canary): (.*?' \(entered at the event id #)(\d+)")


def in_place(outcome: Json) -> Json:
    """Return an outcome of a composite with the place that its cause names without the canary."""
    cause = _PLACE.sub(lambda m: f"{m[1]}{m[2]}{int(m[3]) - CHOICE_EVENTS}", outcome["cause"] or "")
    return {**outcome, "cause": cause or None}


class Interpreter:
    """Runs workflows whose functions answer with their version and keep what was asked."""

    def __init__(self) -> None:
        self.backend = stepfunctions_parser_backends[ACCOUNT]["us-east-1"]
        self.asked: set[str] = set()

    def invoke(self, arn: str, payload: bytes) -> tuple[bytes, str | None]:
        name, version = arn.split(":")[6:]
        self.asked.add(version)
        request = json.loads(payload)
        request = request.get("input", request)
        for record in request.get("instances", [request]):
            if isinstance(record["RM"], str):
                return self.error("InvalidInput", f"RM: must be a number, says {version}")
            if record.get("fails") in (name, "all"):
                return self.error("ModelError", f"{name} of {version}")
        prediction = request.get("RM", 0) + 100 * int(version)
        answer = {"model": name, "version": version, "predictions": [prediction]}
        return json.dumps(answer).encode(), None

    def error(self, kind: str, message: str) -> tuple[bytes, str]:
        return json.dumps({"errorType": kind, "errorMessage": message}).encode(), "Unhandled"

    def create(self, definition: Json) -> str:
        self.backend.reset()
        machine = self.backend.create_state_machine(
            name="inference",
            definition=json.dumps(definition),
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/workflow",
            sm_type="EXPRESS",
        )
        arn: str = machine.arn
        return arn

    def run(self, arn: str, request: Json) -> Json:
        """Return how an execution ended, and the versions of the functions that it asked."""
        self.asked.clear()
        started = {"stateMachineArn": arn, "input": json.dumps(request)}
        record = start_sync_execution(ACCOUNT, started)
        ended = {name: record.get(name) for name in ("status", "output", "error", "cause")}
        return {**ended, "asked": sorted(self.asked)}

    def outcomes(self, definition: Json) -> list[Json]:
        """Return how the executions of all requests end."""
        arn = self.create(definition)
        return [self.run(arn, request) for request in REQUESTS.values()]


def released(definition: Json, version: int) -> Json:
    """Return a workflow over one version of its functions."""
    arns = {
        name: f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}:{version}"
        for _, name in placeholders(definition)
    }
    filled: Json = fill(definition, arns)
    return filled


@pytest.fixture(scope="module")
def interpreter() -> Iterator[Interpreter]:
    """The mended interpreter, in this process; the mends but one are also those of other tests."""
    patch = pytest.MonkeyPatch()
    patch.setattr(
        lambda_eval_utils, "_invoke_lambda_function", lambda_eval_utils._invoke_lambda_function
    )
    interpreter = Interpreter()
    interpreter_mends.apply(interpreter.invoke)
    yield interpreter
    patch.undo()
    interpreter.backend.reset()


@pytest.fixture(scope="module")
def alone(interpreter: Interpreter) -> dict[tuple[str, int], list[Json]]:
    """How the requests end without a canary, by workflow and version."""
    return {
        (name, version): interpreter.outcomes(released(definition, version))
        for name, definition in WORKFLOWS.items()
        for version in (3, 4)
    }


def test_the_requests_end_in_every_way(alone: dict[tuple[str, int], list[Json]]) -> None:
    """Otherwise the comparisons below would show little."""
    ends = [outcome for outcomes in alone.values() for outcome in outcomes]
    assert {"SUCCEEDED", "FAILED"} == {end["status"] for end in ends}
    assert {"InvalidInput", "NoModelAnswered", "ModelError", "States.QueryEvaluationError"} <= {
        end["error"] for end in ends
    }
    for (name, _), outcomes in alone.items():
        assert len({json.dumps(outcome) for outcome in outcomes}) > 1, name
    assert all(end["asked"] in (["3"], ["4"], []) for end in ends)


@pytest.mark.slow(every=4)
@pytest.mark.parametrize(("live", "candidate"), PAIRS)
def test_a_composite_answers_as_one_of_its_sides_alone(
    interpreter: Interpreter,
    alone: dict[tuple[str, int], list[Json]],
    live: str,
    candidate: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = (released(WORKFLOWS[live], 3), released(WORKFLOWS[candidate], 4))
    composite = compose(*pair, 10)
    assert list(problems(composite)) == []
    monkeypatch.setattr(random.Random, "random", lambda self: 0.1)
    assert [in_place(end) for end in interpreter.outcomes(composite)] == alone[live, 3]
    monkeypatch.setattr(random.Random, "random", lambda self: 0.0999)
    assert [in_place(end) for end in interpreter.outcomes(composite)] == alone[candidate, 4]


def test_every_share_is_cut_where_it_says(
    interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answering(side: str) -> Json:
        return {"StartAt": "a", "States": {"a": {"Type": "Pass", "Result": side, "End": True}}}

    for percent in range(1, 100):
        arn = interpreter.create(compose(answering("live"), answering("canary"), percent))
        share = percent / 100
        for drawn, side in ((share, "live"), (math.nextafter(share, 0), "canary")):
            monkeypatch.setattr(random.Random, "random", lambda self, drawn=drawn: drawn)
            assert json.loads(interpreter.run(arn, {})["output"]) == side, (percent, drawn)


def test_requests_are_spread_over_both_sides_and_no_answer_mixes_them(
    interpreter: Interpreter,
) -> None:
    """With the interpreter's own random numbers."""
    definition = WORKFLOWS["shipped"]
    arn = interpreter.create(compose(released(definition, 3), released(definition, 4), 50))
    answered = set()
    for _ in range(60):
        outcome = interpreter.run(arn, RECORD)
        versions = [entry["version"] for entry in json.loads(outcome["output"])]
        assert len(versions) == 3
        assert set(versions) == set(outcome["asked"])
        answered.add(*outcome["asked"])
        if len(answered) == 2:
            break
    assert answered == {"3", "4"}
