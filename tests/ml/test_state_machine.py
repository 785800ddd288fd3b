"""state_machine.json: its text, and its executions in moto's interpreter with Python functions."""

from __future__ import annotations

import copy
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_lambda import (
    StateTaskLambda,
)
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import (
    StepFunctionsParserBackend,
    stepfunctions_parser_backends,
)
from moto.stepfunctions.parser.utils import TMP_THREADS

from deployer.local.moto_backend import interpreter_mends
from deployer.local.workflow import DATA_LIMIT, Refused, start_sync_execution
from deployer.project.settings import FunctionSettings
from deployer.project.workflow import INTEGRATION_TIMEOUT_S, fill, placeholders, tasks
from tests.support.projects import ROOT

Json = dict[str, Any]
DEFINITION: Json = json.loads((ROOT / "state_machine.json").read_text(encoding="utf-8"))
NAMES = ["linear_regression", "random_forest", "support_vector"]


def renamed(value: Any, old: str, new: str) -> Any:
    """Return a copy in which every string and key says `new` for `old`."""
    if isinstance(value, dict):
        return {renamed(key, old, new): renamed(each, old, new) for key, each in value.items()}
    if isinstance(value, list):
        return [renamed(each, old, new) for each in value]
    return value.replace(old, new) if isinstance(value, str) else value


def with_branch(name: str) -> Json:
    """Add a model as a user does: one branch is copied and renamed, and nothing else changes."""
    definition = copy.deepcopy(DEFINITION)
    branches = definition["States"]["Predict"]["Branches"]
    branches.append(renamed(branches[0], NAMES[0], name))
    return definition


FOUR = with_branch("nearest_neighbours")
EACH = pytest.mark.parametrize(
    "definition", [DEFINITION, FOUR], ids=["three models", "four models"]
)


def machines(definition: Json) -> Iterator[Json]:
    """Yield a machine and those nested in it."""
    yield definition
    for state in definition["States"].values():
        for branch in state.get("Branches", ()):
            yield from machines(branch)


def targets(state: Json) -> set[str]:
    """Return the states that a state can lead to."""
    rules = [state, *state.get("Catch", ()), *state.get("Choices", ())]
    return {rule[key] for rule in rules for key in ("Next", "Default") if key in rule}


# The text.


@EACH
def test_every_branch_asks_one_function_and_has_its_name(definition: Json) -> None:
    predict = definition["States"][definition["StartAt"]]
    assert predict["Type"] == "Parallel"
    names = [branch["StartAt"] for branch in predict["Branches"]]
    assert names[:3] == NAMES
    resources = [
        (path, name) for path, name in placeholders(definition) if not path.endswith(".Comment")
    ]
    assert [name for _, name in resources] == names
    assert all(path.endswith(f".{name}.Resource") for path, name in resources)


@EACH
def test_every_task_retries_the_four_transient_errors_of_lambda_with_backoff_and_jitter(
    definition: Json,
) -> None:
    found = list(tasks(definition))
    assert len(found) == len(definition["States"]["Predict"]["Branches"])
    for task in found:
        (retry,) = task["Retry"]
        assert sorted(retry["ErrorEquals"]) == [
            "Lambda.AWSLambdaException",
            "Lambda.SdkClientException",
            "Lambda.ServiceException",
            "Lambda.TooManyRequestsException",
        ]
        assert retry["BackoffRate"] > 1
        assert retry["JitterStrategy"] == "FULL"
        assert retry["MaxAttempts"] >= 1


@EACH
def test_all_waits_between_retries_fit_into_the_machines_time(definition: Json) -> None:
    for task in tasks(definition):
        (retry,) = task["Retry"]
        waits = [
            retry["IntervalSeconds"] * retry["BackoffRate"] ** n
            for n in range(retry["MaxAttempts"])
        ]
        assert (
            sum(min(wait, retry["MaxDelaySeconds"]) for wait in waits)
            < definition["TimeoutSeconds"] / 2
        )


@EACH
def test_the_timeouts_nest_so_that_whoever_waits_outlives_what_it_waits_for(
    definition: Json,
) -> None:
    assert INTEGRATION_TIMEOUT_S == 29
    assert FunctionSettings().timeout_s == 20
    for task in tasks(definition):
        assert 29 > definition["TimeoutSeconds"] > task["TimeoutSeconds"] > 20


@EACH
def test_state_names_are_unique_in_the_whole_machine(definition: Json) -> None:
    names = Counter(name for machine in machines(definition) for name in machine["States"])
    assert [name for name, count in names.items() if count > 1] == []
    assert all(len(name) <= 80 for name in names)


@EACH
def test_every_target_exists_and_every_state_is_reached(definition: Json) -> None:
    for machine in machines(definition):
        reached: set[str] = set()
        waiting = {machine["StartAt"]}
        while waiting:
            name = waiting.pop()
            reached.add(name)
            waiting |= targets(machine["States"][name]) - reached
        assert reached == set(machine["States"])


@EACH
def test_every_state_goes_on_or_ends(definition: Json) -> None:
    for machine in machines(definition):
        for state in machine["States"].values():
            ways = ("Next" in state) + ("End" in state) + ("Default" in state)
            assert ways == (0 if state["Type"] == "Fail" else 1)


@EACH
def test_no_state_needs_jsonata(definition: Json) -> None:
    for machine in machines(definition):
        for fields in (machine, *machine["States"].values()):
            assert not fields.keys() & {"QueryLanguage", "Arguments", "Output", "Assign"}
    assert "{%" not in json.dumps(definition)


def test_a_fourth_model_needs_one_more_branch_and_nothing_else() -> None:
    assert len(FOUR["States"]["Predict"]["Branches"]) == 4
    without = copy.deepcopy(FOUR)
    del without["States"]["Predict"]["Branches"][3]
    assert without == DEFINITION
    assert "nearest_neighbours" not in json.dumps(DEFINITION)
    assert NAMES[0] not in json.dumps(FOUR["States"]["Predict"]["Branches"][3])


def test_the_branches_differ_in_the_models_name_alone() -> None:
    first, *others = DEFINITION["States"]["Predict"]["Branches"]
    assert others == [renamed(first, NAMES[0], name) for name in NAMES[1:]]


# The execution.

Function = Callable[[Any], Any]


class LambdaError(Exception):
    """What a function's process answers when its handler raises."""

    def __init__(self, kind: str, message: str = "secret of the cause") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def refused(code: str, status: int) -> ClientError:
    """What boto3 raises when Lambda itself refuses an invocation."""
    metadata: Any = {"HTTPStatusCode": status, "RequestId": "2"}
    return ClientError(
        {"Error": {"Code": code, "Message": "secret"}, "ResponseMetadata": metadata}, "Invoke"
    )


def answers(name: str, predictions: int = 1) -> Function:
    return lambda request: entry(name, predictions)


def entry(name: str, predictions: int = 1) -> Json:
    return {
        "model": name,
        "version": "0123456789ab",
        "predictions": [24.583333333333332] * predictions,
    }


def fails(error: Exception) -> Function:
    def function(request: Any) -> Any:
        raise error

    return function


class Workflow:
    """Runs definitions in moto's interpreter; the functions are callables that take a request."""

    ACCOUNT = "111122223333"

    def __init__(self) -> None:
        self.backend = stepfunctions_parser_backends[self.ACCOUNT]["us-east-1"]
        self.functions: dict[str, Function] = {}

    def invoke(self, arn: str, payload: bytes) -> tuple[bytes, str | None]:
        try:
            return json.dumps(self.functions[arn.split(":")[6]](json.loads(payload))).encode(), None
        except LambdaError as error:
            trace = ['  File "/var/task/predict.py", line 7, in handler\n']
            described = {
                "errorMessage": error.message,
                "errorType": error.kind,
                "requestId": "1",
                "stackTrace": trace,
            }
            return json.dumps(described).encode(), "Unhandled"

    def create(self, definition: Json, kind: str = "EXPRESS") -> str:
        """Create the machine anew and return its ARN."""
        arns = {
            name: f"arn:aws:lambda:us-east-1:{self.ACCOUNT}:function:{name}:3"
            for _, name in placeholders(definition)
        }
        self.backend.reset()
        machine = self.backend.create_state_machine(
            name="inference",
            definition=json.dumps(fill(definition, arns)),
            roleArn=f"arn:aws:iam::{self.ACCOUNT}:role/workflow",
            sm_type=kind,
        )
        arn: str = machine.arn
        return arn

    def run(
        self, functions: dict[str, Function], request: Any = None, definition: Json = DEFINITION
    ) -> Json:
        """Run to the end; functions that are not named answer."""
        arn = self.create(definition)
        self.functions = {name: answers(name) for _, name in placeholders(definition)} | functions
        return start_sync_execution(
            self.ACCOUNT, {"stateMachineArn": arn, "input": json.dumps(request or {})}
        )


@pytest.fixture(scope="module")
def workflow() -> Iterator[Workflow]:
    """Workflows in moto, with our patches of moto undone afterwards.

    The patches apply to the whole process. Those that no test can notice remain.
    """
    found = Workflow()
    patch = pytest.MonkeyPatch()
    for owner, name in (
        (lambda_eval_utils, "_invoke_lambda_function"),
        (StateTaskLambda, "_from_error"),
        (ExecutionWorker, "_get_evaluation_entrypoint"),
        (result_path, "parse"),
        (json_path, "parse"),
        (StepFunctionsParserBackend, "_validate_definition"),
    ):
        patch.setattr(owner, name, getattr(owner, name))
    interpreter_mends.invoke_directly(found.invoke)
    interpreter_mends.name_task_errors()
    interpreter_mends.remember_parsed()
    interpreter_mends.copy_json()
    interpreter_mends.release_threads()
    yield found
    patch.undo()
    found.backend.reset()


def output(record: Json) -> Any:
    assert record["status"] == "SUCCEEDED", record
    return json.loads(record["output"])


def test_an_execution_leaves_no_thread_behind(workflow: Workflow) -> None:
    """moto would keep each thread it started, with all data of the execution."""
    kept = len(TMP_THREADS)
    output(workflow.run({name: lambda request: entry("a") for name in NAMES}))
    assert len(TMP_THREADS) == kept


def test_the_answers_stand_in_the_machines_order_and_every_model_gets_the_request(
    workflow: Workflow,
) -> None:
    asked: dict[str, Any] = {}

    def noting(name: str) -> Function:
        return lambda request: asked.update({name: request}) or entry(name)

    request = {"instances": [{"CRIM": 0.00632, "B": None}]}
    record = workflow.run({name: noting(name) for name in NAMES}, request)
    assert output(record) == [entry(name) for name in NAMES]
    envelope = {"execution": record["name"], "input": request}
    assert asked == dict.fromkeys(NAMES, envelope)


def test_a_task_that_invokes_gets_the_payload_and_its_envelope(workflow: Workflow) -> None:
    """Sfn-27: the form that Workflow Studio writes."""
    invoke = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke"}
    request = {"FunctionName": "${one}", "Payload.$": "$"}
    selected = {"first.$": "$.Payload.predictions[0]", "version.$": "$.ExecutedVersion"}
    states = {
        "a": {**invoke, "Parameters": request, "ResultSelector": selected, "Next": "b"},
        "b": {**invoke, "Parameters": {"FunctionName": "${two}"}, "ResultPath": "$.b", "Next": "c"},
        "c": {
            **invoke,
            "Parameters": {**request, "FunctionName": "${three}"},
            "Catch": [{"ErrorEquals": ["ModelError"], "ResultPath": "$.caught", "Next": "d"}],
            "End": True,
        },
        "d": {"Type": "Pass", "End": True},
    }
    asked: list[Any] = []
    functions: dict[str, Function] = {
        "one": lambda request: asked.append(request) or entry("one"),
        "two": lambda request: asked.append(request) or "without a payload",
        "three": fails(LambdaError("ModelError")),
    }
    record = workflow.run(functions, {"CRIM": 1}, {"StartAt": "a", "States": states})
    answered = output(record)
    assert asked == [{"CRIM": 1}, {}]
    assert (answered["first"], answered["version"]) == (entry("one")["predictions"][0], "3")
    assert answered["b"]["Payload"] == "without a payload" and answered["b"]["StatusCode"] == 200
    assert answered["caught"]["Error"] == "ModelError"


@pytest.mark.parametrize(
    "kind", ["ModelError", "Sandbox.Timedout", "Runtime.ExitError", "Function.ResponseSizeTooLarge"]
)
@pytest.mark.parametrize("broken", NAMES)
def test_a_model_that_fails_gets_an_entry_of_the_errors_name_and_the_others_answer(
    workflow: Workflow, broken: str, kind: str
) -> None:
    record = workflow.run({broken: fails(LambdaError(kind))})
    assert output(record) == [
        {"model": name, "error": kind} if name == broken else entry(name) for name in NAMES
    ]


def test_a_refusal_by_lambda_that_is_not_transient_is_not_tried_again(workflow: Workflow) -> None:
    asked = []

    def function(request: Any) -> Any:
        asked.append(request)
        raise refused("ResourceNotFoundException", 404)

    first, *others = output(workflow.run({"linear_regression": function}))
    assert first == {"model": "linear_regression", "error": "Lambda.ResourceNotFoundException"}
    assert others == [entry(name) for name in NAMES[1:]]
    assert len(asked) == 1


@pytest.mark.parametrize(
    "refusing", [NAMES, NAMES[:1], NAMES[2:]], ids=["all", "the first", "the last"]
)
def test_an_input_that_any_model_refuses_fails_the_execution_with_the_bare_message(
    workflow: Workflow, refusing: list[str]
) -> None:
    message = (
        'CRIM: must be a number, not string; "Ü": unknown feature\n(in instances 0, 1 and 7 more)'
    )
    record = workflow.run({name: fails(LambdaError("InvalidInput", message)) for name in refusing})
    assert (record["status"], record["error"], record["cause"]) == (
        "FAILED",
        "InvalidInput",
        message,
    )
    assert "output" not in record
    assert "predict.py" not in json.dumps(record)


def test_an_input_that_one_model_refuses_fails_the_execution_even_when_another_model_fails(
    workflow: Workflow,
) -> None:
    functions = {
        "linear_regression": fails(LambdaError("ModelError")),
        "random_forest": fails(LambdaError("InvalidInput", "B: missing")),
    }
    record = workflow.run(functions)
    assert (record["status"], record["error"], record["cause"]) == (
        "FAILED",
        "InvalidInput",
        "B: missing",
    )


def test_when_no_model_answers_the_execution_fails_and_leaks_no_cause(workflow: Workflow) -> None:
    record = workflow.run({name: fails(LambdaError("ModelError")) for name in NAMES})
    assert (record["status"], record["error"]) == ("FAILED", "NoModelAnswered")
    assert record["cause"] == "No model could answer; the functions' log groups say why."
    assert "secret of the cause" not in json.dumps(record)


def with_one_retry(definition: Json) -> Json:
    """Return a copy with one retry for a task: the original's three wait for up to 7 s."""
    changed = copy.deepcopy(definition)
    for task in tasks(changed):
        task["Retry"][0]["MaxAttempts"] = 1
    return changed


def test_a_throttled_call_is_tried_again_and_then_answers(workflow: Workflow) -> None:
    outcomes: list[Function] = [
        fails(refused("TooManyRequestsException", 429)),
        answers("support_vector"),
    ]
    record = workflow.run({"support_vector": lambda request: outcomes.pop(0)(request)})
    assert output(record) == [entry(name) for name in NAMES]
    assert outcomes == []


def test_a_call_that_stays_throttled_becomes_the_models_error(workflow: Workflow) -> None:
    asked = []

    def function(request: Any) -> Any:
        asked.append(request)
        raise refused("TooManyRequestsException", 429)

    record = workflow.run({"random_forest": function}, definition=with_one_retry(DEFINITION))
    assert output(record)[1] == {
        "model": "random_forest",
        "error": "Lambda.TooManyRequestsException",
    }
    assert len(asked) == 2


def test_four_models_answer_and_fail_like_three(workflow: Workflow) -> None:
    names = [*NAMES, "nearest_neighbours"]
    assert output(workflow.run({}, definition=FOUR)) == [entry(name) for name in names]
    broken = {"nearest_neighbours": fails(LambdaError("ModelError"))}
    assert output(workflow.run(broken, definition=FOUR))[3] == {
        "model": "nearest_neighbours",
        "error": "ModelError",
    }
    refusing = {"nearest_neighbours": fails(LambdaError("InvalidInput", "B: missing"))}
    assert workflow.run(refusing, definition=FOUR)["cause"] == "B: missing"
    assert (
        workflow.run({name: fails(LambdaError("X")) for name in names}, definition=FOUR)["error"]
        == "NoModelAnswered"
    )


def test_a_batch_of_1000_records_fits_both_ways(workflow: Workflow) -> None:
    sample = json.loads((ROOT / "samples" / "boston_housing.json").read_text(encoding="utf-8"))
    request = {"instances": [sample] * 1000}
    assert len(json.dumps(request)) < DATA_LIMIT
    record = workflow.run({name: answers(name, 1000) for name in NAMES}, request)
    assert output(record) == [entry(name, 1000) for name in NAMES]
    assert len(record["output"].encode()) < DATA_LIMIT == 256 * 1024


def test_results_beyond_the_limit_fail_the_execution(workflow: Workflow) -> None:
    record = workflow.run({name: answers(name, 5000) for name in NAMES})
    assert (record["status"], record["error"]) == ("FAILED", "States.DataLimitExceeded")
    assert "output" not in record


def refusal(workflow: Workflow, text: str, arn: str | None = None) -> Refused:
    """Start with this input, expect a refusal before any function is asked, and return it."""
    workflow.functions = {}
    with pytest.raises(Refused) as caught:
        start_sync_execution(
            workflow.ACCOUNT, {"stateMachineArn": arn or workflow.create(DEFINITION), "input": text}
        )
    return caught.value


def of_size(size: int) -> str:
    """A JSON string of that many bytes, with fewer characters."""
    return '"é' + "x" * (size - 4) + '"'


def test_an_input_of_the_limit_is_taken(workflow: Workflow) -> None:
    arn = workflow.create(DEFINITION)
    workflow.functions = {name: answers(name) for name in NAMES}
    text = of_size(DATA_LIMIT)
    record = start_sync_execution(workflow.ACCOUNT, {"stateMachineArn": arn, "input": text})
    assert len(text.encode()) == DATA_LIMIT
    assert output(record) == [entry(name) for name in NAMES]


def test_an_input_of_one_byte_more_is_refused(workflow: Workflow) -> None:
    found = refusal(workflow, of_size(DATA_LIMIT + 1))
    assert found.code == "ValidationException"
    assert "less than or equal to 262144" in str(found)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_input_of_a_number_that_json_does_not_know_is_refused(
    workflow: Workflow, value: float
) -> None:
    found = refusal(workflow, json.dumps({"CRIM": value}))
    assert found.code == "InvalidExecutionInput"
    assert repr(value).strip("-").lower()[:3] in str(found).lower()


@pytest.mark.parametrize("text", ["CRIM=1", "{", "[1,]", "{'CRIM': 1}", " "])
def test_an_input_that_is_not_json_is_refused(workflow: Workflow, text: str) -> None:
    assert refusal(workflow, text).code == "InvalidExecutionInput"


def test_a_machine_that_does_not_exist_or_is_not_express_is_refused(workflow: Workflow) -> None:
    arn = workflow.create(DEFINITION)
    assert refusal(workflow, "{}", f"{arn}-2").code == "StateMachineDoesNotExist"
    assert refusal(workflow, "{}", "inference").code == "InvalidArn"
    assert (
        refusal(workflow, "{}", workflow.create(DEFINITION, "STANDARD")).code
        == "StateMachineTypeNotSupported"
    )


def test_executions_share_what_the_definition_was_parsed_to_and_nothing_else(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []
    parse = AmazonStateLanguageParser.parse
    monkeypatch.setattr(
        AmazonStateLanguageParser, "parse", lambda text: parsed.append(text) or parse(text)
    )
    arn = workflow.create({**DEFINITION, "Comment": "shared"})
    parsed.clear()  # creating it checks it
    busy: Counter[str] = Counter()

    def function(name: str) -> Function:
        def answer(request: Any) -> Any:
            number = request["input"]["number"]
            busy[f"{name} {number}"] += 1
            if busy[f"{name} {number}"] == 1:  # each execution has all its attempts
                raise refused("TooManyRequestsException", 429)
            return {**entry(name), "predictions": [number]}

        return answer

    workflow.functions = {name: function(name) for name in NAMES}

    def run(number: int) -> Json:
        text = json.dumps({"number": number})
        return start_sync_execution(workflow.ACCOUNT, {"stateMachineArn": arn, "input": text})

    with ThreadPoolExecutor(4) as pool:
        records = list(pool.map(run, range(4)))
    for number, record in enumerate(records):
        assert [each["predictions"] for each in output(record)] == [[number]] * len(NAMES)
    assert set(busy.values()) == {2}
    assert 1 <= len(parsed) <= 4, "threads that come first at once may each parse it"
    again = len(parsed)
    assert output(run(4)) and len(parsed) == again
