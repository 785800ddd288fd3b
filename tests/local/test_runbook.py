"""The table "By symptom" of docs/operating.md: each symptom is found as its row says."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployer.aws.access import Aws
from deployer.children import started_by
from deployer.local import process
from tests.support.accounts import connect
from tests.support.command_line import deployer
from tests.support.projects import ROOT, make_project
from tests.support.warm import Programs

# Its tests share a server, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("local runbook")

SMALL = {"DEPLOYER_MEMORY_MB": "256", "DEPLOYER_TIMEOUT_S": "3"}
FOREST = "inference-dev-random-forest"
GROUP = f"/aws/lambda/{FOREST}"
SAMPLE = json.loads((ROOT / "samples" / "boston_housing.json").read_text(encoding="utf-8"))
# One model that fails by what CRIM is.
FAULTS = """

class Faulty:
    def __init__(self, predictor):
        self.predictor, self.name, self.version = predictor, predictor.name, predictor.version

    def answer(self, event):
        fault = event["input"]["CRIM"] if self.name == "random_forest" and "input" in event else 0
        if fault == 100001:
            raise RuntimeError("the forest is on fire")
        if fault == 100002:
            held = [bytes([1]) * (1 << 24) for _ in range(32)]
            time.sleep(len(held))
        if fault == 100003:
            time.sleep(60)
        return self.predictor.answer(event)


PREDICTOR = Faulty(PREDICTOR)
"""
FIRE, MEMORY, HANG = 100001, 100002, 100003


@dataclass(frozen=True)
class Place:
    """A deployed project, and its account."""

    folder: Path
    aws: Aws

    def up(self, *options: str) -> None:
        deployer(self.folder, "up", "--local", "--yes", *options, environment=SMALL)

    def asked(self, crim: float | str = 0.1, code: int = 0) -> str:
        """Ask for a prediction, and return the id of the request; "" if none came to be."""
        data = json.dumps({**SAMPLE, "CRIM": crim})
        ran = deployer(self.folder, "invoke", "--data", data, "--local", code=code)
        found = re.search(r"request[ =]([^\s)]+)", ran.out + ran.err)
        return found[1] if found else ""


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, trained: Path, programs: Programs
) -> Iterator[Place]:
    folder = make_project(tmp_path_factory.mktemp("runbook") / "project", trained)
    handler = folder / "lambda_src" / "predict.py"
    handler.write_text(handler.read_text(encoding="utf-8") + FAULTS, encoding="utf-8")
    with started_by(programs):
        deployer(folder, "up", "--local", environment=SMALL)
    server = process.find(folder)
    assert server is not None
    yield Place(folder, connect(server))
    process.stop(folder)


Cause = Callable[[Place], Iterator[str]]  # yields the id of a request, and repairs what it broke


def failing(crim: float | str) -> Cause:
    def cause(place: Place) -> Iterator[str]:
        yield place.asked(crim, code=1)

    return cause


def answered_cold(place: Place) -> Iterator[str]:
    place.asked(MEMORY, code=1)  # which ends the process of the function
    yield place.asked()


def throttled(place: Place) -> Iterator[str]:
    stop = {"FunctionName": FOREST, "ReservedConcurrentExecutions": 0}
    place.aws.call("lambda", "put_function_concurrency", **stop)
    yield place.asked(code=1)
    place.aws.call("lambda", "delete_function_concurrency", FunctionName=FOREST)


def without_function(place: Place) -> Iterator[str]:
    place.aws.call("lambda", "delete_function", FunctionName=FOREST)
    yield place.asked(code=1)
    place.up()


def without_permission(place: Place) -> Iterator[str]:
    place.up("--enforce-iam")
    role = {"RoleName": "inference-dev-us-east-1-api", "PolicyName": "start"}
    place.aws.call("iam", "delete_role_policy", **role)
    yield place.asked(code=1)
    place.up()


def without_api(place: Place) -> Iterator[str]:
    (api,) = place.aws.pages("apigatewayv2", "get_apis", "Items")
    place.aws.call("apigatewayv2", "delete_api", ApiId=api["ApiId"])
    yield place.asked(code=1)
    place.up()


def without_workflow(place: Place) -> Iterator[str]:
    arn = "arn:aws:states:us-east-1:123456789012:stateMachine:inference-dev"
    place.aws.call("stepfunctions", "delete_state_machine", stateMachineArn=arn)
    yield place.asked(code=1)
    place.up()


def without_log(place: Place) -> Iterator[str]:
    place.aws.call("logs", "delete_log_group", logGroupName=GROUP)
    yield place.asked()
    place.up()


@dataclass(frozen=True)
class Case:
    """What causes a symptom, and what the command of its row shows. `code`: its exit code."""

    cause: Cause
    shown: str
    code: int = 0


CASES = {
    "nobody knows what is wrong": Case(
        failing(FIRE),
        r"requests failed: .*random_forest \d+ of \d+.*\n .* logs --local --errors .*random_forest",
    ),
    "a model's entry is an `error`": Case(
        failing(FIRE), r"failed  1 record .*RuntimeError(.|\n)*predict\.py.* in answer"
    ),
    "every request is refused": Case(
        failing("much"),
        r" refused  1 record (.|\n)*ExecutionFailed +InvalidInput: CRIM: must be a number",
    ),
    "`Runtime.OutOfMemory`": Case(
        failing(MEMORY), r"Memory Size: 256 MB\s+Max Memory Used: 256 MB.*Runtime\.(Out|Exit)"
    ),
    "`Sandbox.Timedout`": Case(failing(HANG), r"Duration: 3\d\d\d\.\d\d ms.*Status: timeout"),
    "`Lambda.TooManyRequestsException`": Case(
        throttled, r"LambdaFunctionFailed +Lambda\.TooManyRequestsException"
    ),
    "`Lambda.ResourceNotFoundException`": Case(
        without_function, "random_forest: the function version that is live is gone"
    ),
    "a request is slow": Case(failing(HANG), r"random_forest +timeout .*ran 3,?\d\d\d ms"),
    "the first request after a pause is slow": Case(answered_cold, r"Init Duration: \d+\.\d\d ms"),
    "HTTP 5xx, or 403 of AWS": Case(
        without_permission, r"api +POST /  500 .*integrationError: .*not authorized to perform"
    ),
    "a role may not do what it did": Case(
        without_permission, r"role/api\n +policies(.|\n)*StartSyncExecution"
    ),
    "the URL does not answer any more": Case(without_api, "there is no API"),
    "the API says that the state machine does not exist": Case(
        without_workflow, "the workflow inference-dev is gone, but its API still stands", code=1
    ),
    "a log group was deleted by hand": Case(without_log, f"the log group {GROUP} of .* is gone"),
}


def rows() -> dict[str, str]:
    """Return the command of each row by its symptom."""
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    table = page.partition("## By symptom")[2].partition("\n\n")[2].partition("\n\n")[0]
    cells = [line.strip("|").split(" | ") for line in table.splitlines()[2:]]
    return {symptom.strip(): look.strip("` ") for symptom, look, _ in cells}


@pytest.mark.slow
def test_the_exit_code_of_the_status_says_that_something_is_wrong(place: Place) -> None:
    place.asked(FIRE, code=1)
    deployer(place.folder, "status", "--local", environment=SMALL)
    shown = deployer(place.folder, "status", "--local", "--exit-code", "--json", code=3)
    assert shown.json["problems"]


def test_every_symptom_is_caused_by_a_test() -> None:
    assert len(rows()) == len(CASES)
    for symptom in rows():
        assert sum(symptom.startswith(case) for case in CASES) == 1, symptom


@pytest.mark.slow  # it breaks and repairs a service 14 times
@pytest.mark.parametrize("symptom", CASES)
def test_a_symptom_is_found_by_the_command_of_its_row(place: Place, symptom: str) -> None:
    (look,) = (look for row, look in rows().items() if row.startswith(symptom))
    case = CASES[symptom]
    caused = case.cause(place)
    request = next(caused)
    verb, *others = shlex.split(look.replace("NAME", "random_forest"))
    words = [word.replace("ID", request) for word in others]
    dashes = ["--"] if request in words else []  # an id may begin with a dash
    ran = deployer(
        place.folder, verb, "--local", *dashes, *words, code=case.code, environment=SMALL
    )
    assert next(caused, None) is None
    assert re.search(case.shown, ran.out + ran.err), ran.out + ran.err
