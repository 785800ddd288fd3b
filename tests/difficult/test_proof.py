"""Before the workflow is switched, new function versions answer their models' examples."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from deployer.errors import ApplyFailed
from deployer.project.settings import FunctionSettings
from deployer.service.proof import FunctionFailed, failed_to_answer, not_readable, not_ready
from tests.support.clock import Clock
from tests.support.deployments import Service
from tests.support.troubles import Always, Script
from tests.support.wire import Account, Answer, Call, Forward, Killed

CHANGE: dict[str, Any] = {"defaults": FunctionSettings(memory_mb=1500)}
FORBIDDEN = "s3://bucket/models/x.joblib is missing or forbidden"


def invoked(service: Service) -> list[str]:
    """Return the versions that were invoked, as NAME:NUMBER."""
    calls = [call for call in service.account.calls if call.operation == "Invoke"]
    return [unquote(call.url).split("function:")[1].partition("/")[0] for call in calls]


def live(service: Service) -> str:
    answer = service.account.aws().call(
        "stepfunctions", "describe_state_machine", stateMachineArn=service.settings.workflow_arn
    )
    return str(answer["definition"])


def function_error(kind: str, message: str, log: str = "") -> Answer:
    headers = {"Content-Type": "application/json", "X-Amz-Function-Error": "Unhandled"}
    headers["X-Amz-Log-Result"] = base64.b64encode(log.encode()).decode()
    content = json.dumps({"errorType": kind, "errorMessage": message}).encode()
    return Answer(200, headers, content)


def answering(model: str, answer: Answer, times: int = 1000) -> Callable[..., Answer | None]:
    """Answer the first invocations of one model otherwise."""
    left = [times]

    def trouble(call: Call, forward: Forward) -> Answer | None:
        if call.operation != "Invoke" or not call.says(model) or not left[0]:
            return None
        left[0] -= 1
        return answer

    return trouble


def test_each_new_version_is_asked_its_models_example_before_the_switch(service: Service) -> None:
    service.up()
    assert sorted(invoked(service)) == [
        "inference-dev-linear-regression:1",
        "inference-dev-random-forest:1",
        "inference-dev-support-vector:1",
    ]
    made = [call.operation for call in service.account.calls]
    assert len(made) - 1 - made[::-1].index("Invoke") < made.index("CreateStateMachine")
    assert "asking 3 new versions their models' examples" in service.told
    assert "3 new versions answer as trained" in service.told
    (call, *_) = [call for call in service.account.calls if call.operation == "Invoke"]
    assert call.headers["X-Amz-Log-Type"] in ("Tail", b"Tail")


def test_only_versions_that_are_not_live_are_asked(service: Service) -> None:
    service.up()
    service.account.calls.clear()
    one: dict[str, Any] = {"per_function": {"random_forest": FunctionSettings(memory_mb=2000)}}
    service.up(**one)
    assert invoked(service) == ["inference-dev-random-forest:2"]


def test_nothing_is_asked_when_the_definition_stays(service: Service) -> None:
    service.up()
    service.account.calls.clear()
    service.up()
    service.up(log_retention_days=30)
    aws, arn = service.account.aws(), service.settings.workflow_arn
    aws.call(
        "stepfunctions", "untag_resource", resourceArn=arn, tagKeys=list(service.settings.tags)
    )
    off = {"level": "OFF", "includeExecutionData": False, "destinations": []}
    aws.call("stepfunctions", "update_state_machine", stateMachineArn=arn, loggingConfiguration=off)
    service.up(adopt=True, log_retention_days=30)
    assert invoked(service) == []


def test_without_proof_nothing_is_asked(service: Service) -> None:
    service.up(proof=False)
    service.up(proof=False, **CHANGE)
    assert invoked(service) == []


WRONG = Answer(200, {"Content-Type": "application/json"}, b'{"predictions": [1e9]}')


def test_a_version_that_answers_otherwise_is_not_switched_to(service: Service) -> None:
    service.up()
    before = live(service)
    log = "START RequestId: 1\nloaded\x1b[31m it\nEND RequestId: 1\nREPORT RequestId: 1\n"
    failing = function_error("ModelError", "it is broken", log)
    service.account.troubles = [
        answering("random-forest", WRONG),
        answering("support-vector", failing),
    ]
    with pytest.raises(ApplyFailed) as caught:
        service.up(**CHANGE)
    message, advice = caught.value.message, caught.value.advice
    assert "the workflow is not switched: 2 of 3 new versions" in message
    assert "random_forest, version 2: predictions: [1000000000.0] where [" in message
    assert "support_vector, version 2: ModelError: it is broken" in message
    assert "the end of the log of support_vector, version 2:\n  loaded [31m it" in message
    assert "RequestId" not in message and "linear_regression" not in message
    assert "what was live stays live" in advice and "--no-proof" in advice
    assert "the next run resumes" in advice
    assert live(service) == before
    service.account.troubles = []
    assert [change.key for change in service.plan(**CHANGE).effective] == ["workflow"]
    service.account.calls.clear()
    service.up(**CHANGE)
    assert len(invoked(service)) == 3 and live(service) != before


def test_an_answer_may_differ_by_a_millionth(service: Service) -> None:
    manifest = json.loads((service.project / "models" / "manifest.json").read_text())
    (value,) = manifest["models"]["random_forest"]["example"]["answer"]["predictions"]
    near, far = (
        Answer(200, WRONG.headers, json.dumps({"predictions": [value * factor]}).encode())
        for factor in (1 + 9e-7, 1 + 2e-6)
    )
    service.account.troubles = [answering("random-forest", near)]
    service.up()
    service.account.troubles = [answering("random-forest", far)]
    with pytest.raises(ApplyFailed, match="random_forest, version 2: predictions"):
        service.up(**CHANGE)


def test_a_version_that_times_out_is_not_asked_again(service: Service) -> None:
    text = "RequestId: 1 Error: Task timed out after 20.00 seconds"
    service.account.troubles = [
        answering("random-forest", function_error("Sandbox.Timedout", text), times=1)
    ]
    with pytest.raises(ApplyFailed, match="Sandbox.Timedout: RequestId: 1 Error: Task timed out"):
        service.up()
    assert "waiting" not in " ".join(service.told)


def test_an_init_that_s3_refuses_is_waited_out_and_told(service: Service) -> None:
    clock = Clock()
    refused = function_error("ModelError", FORBIDDEN)
    service.account.troubles = [answering("random-forest", refused, times=4)]
    service.up(service.account.aws(clock))
    assert "waiting for IAM: the function's role may not read the model yet" in service.told
    assert service.plan().is_empty


def test_an_init_that_s3_refuses_for_long_fails_the_proof(service: Service) -> None:
    clock = Clock()
    refused = function_error("Runtime.ExitError", "exit status 1", FORBIDDEN)
    service.account.troubles = [answering("random-forest", refused)]
    with pytest.raises(ApplyFailed, match="is missing or forbidden"):
        service.up(service.account.aws(clock))
    assert 1040 < clock.now < 1120


_PENDING = "waiting for Lambda: the new version is being prepared"
_ANSWER = "waiting for AWS: it failed to answer"


@pytest.mark.slow(every=5)
@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("ResourceConflictException", 409, _PENDING),
        ("CodeArtifactUserPendingException", 409, _PENDING),
        ("ResourceNotReadyException", 502, _PENDING),
        ("EC2ThrottledException", 502, _PENDING),
        ("ResourceNotFoundException", 404, "waiting for Lambda: the new version is not seen yet"),
        ("TooManyRequestsException", 429, "waiting for AWS: too many calls in this account"),
        ("ServiceException", 500, _ANSWER),
        ("EC2UnexpectedException", 502, _ANSWER),
        (
            "KMSAccessDeniedException",
            502,
            "waiting for IAM: the function's role may not decrypt its environment yet",
        ),
    ],
)
def test_what_is_transient_is_waited_out_and_told(
    service: Service, code: str, status: int, told: str
) -> None:
    service.account.troubles = [Script({"Invoke": [(code, "not yet", status)] * 3})]
    service.up(service.account.aws(Clock()))
    assert told in service.told
    assert service.plan().is_empty


@pytest.mark.parametrize(
    ("code", "status"),
    [("InvalidRuntimeException", 502), ("KMSDisabledException", 502), ("EFSIOException", 410)],
)
def test_what_is_permanent_fails_at_once(service: Service, code: str, status: int) -> None:
    clock = Clock()
    service.account.troubles = [Always("Invoke", code, "no", status)]
    with pytest.raises(ApplyFailed, match=f"could not be asked its example: Invoke: {code}: no"):
        service.up(service.account.aws(clock))
    assert clock.slept == []


def test_a_missing_permission_is_said_with_both_ways_on(service: Service) -> None:
    text = "User: u is not authorized to perform: lambda:InvokeFunction on resource: r"
    service.account.troubles = [Always("Invoke", "AccessDeniedException", text, 403)]
    with pytest.raises(ApplyFailed) as caught:
        service.up()
    assert "allow lambda:InvokeFunction" in caught.value.advice
    assert "--no-proof" in caught.value.advice


def test_an_error_of_a_function_is_never_taken_for_one_of_aws() -> None:
    for code in ("ResourceNotFoundException", "ResourceConflictException", "ServiceException"):
        error = FunctionFailed(code, "of the handler's own call", "")
        assert (not_ready(error), failed_to_answer(error), not_readable(error)) == (None,) * 3


def test_a_run_killed_after_the_publishing_proves_before_it_switches(service: Service) -> None:
    service.up()

    def dying(call: Call, forward: Forward) -> Answer | None:
        if call.operation != "PublishVersion" or not call.says("support-vector"):
            return None
        forward(call)
        raise Killed

    service.account.troubles = [dying]
    with pytest.raises(Killed):
        service.up(**CHANGE)
    service.account.troubles = []
    service.account.calls.clear()
    service.up(**CHANGE)
    assert len(invoked(service)) == 3
    made = [call.operation for call in service.account.calls]
    assert "PublishVersion" not in made
    assert len(made) - 1 - made[::-1].index("Invoke") < made.index("UpdateStateMachine")


def test_a_machine_of_another_type_is_deleted_only_once_its_successor_is_proved(
    service: Service,
) -> None:
    service.up()
    aws, arn = service.account.aws(), service.settings.workflow_arn
    found = aws.call("stepfunctions", "describe_state_machine", stateMachineArn=arn)
    tags = aws.call("stepfunctions", "list_tags_for_resource", resourceArn=arn)["tags"]
    aws.call("stepfunctions", "delete_state_machine", stateMachineArn=arn)
    kept = {name: found[name] for name in ("name", "definition", "roleArn")}
    aws.call("stepfunctions", "create_state_machine", **kept, type="STANDARD", tags=tags)
    service.account.troubles = [answering("random-forest", WRONG)]
    with pytest.raises(ApplyFailed, match="the workflow is not switched"):
        service.up(**CHANGE)
    assert live(service) == found["definition"]


@pytest.fixture
def exampleless(account: Account, one_project: Path, tmp_path: Path) -> Service:
    """A project whose models have no examples."""
    folder = tmp_path / "project"
    shutil.copytree(one_project, folder)
    path = folder / "models" / "manifest.json"
    manifest = json.loads(path.read_text())
    for entry in manifest["models"].values():
        del entry["example"]
    path.write_text(json.dumps(manifest))
    return Service(account, folder)


def test_a_model_without_an_example_is_asked_a_made_one(
    account: Account, exampleless: Service
) -> None:
    service = exampleless
    asked: list[Any] = []

    def answer(call: Call) -> Answer:
        asked.append(call.json)
        return WRONG

    account.functions = answer
    service.up()
    assert len(asked) == 3 and all(len(each["instances"]) == 1 for each in asked)
    assert any("is not compared" in text for text in service.told)
    account.functions = lambda call: Answer(200, WRONG.headers, b'{"skipped": "no"}')
    with pytest.raises(ApplyFailed, match="no predictions for 1 records"):
        service.up(**CHANGE)


@pytest.mark.parametrize(
    ("kind", "message", "passes"),
    [
        ("InvalidInput", "town: unknown category ''; known are 'Ulm'", True),
        ("ValueError", "Found unknown categories [''] in column 0 during transform", True),
        ("ValueError", "operands could not be broadcast together with shapes (1,3) (2,)", False),
        ("ModelError", "the model was trained with 2 features", False),
    ],
)
def test_only_a_made_record_of_unknown_categories_is_no_proof_against_a_version(
    exampleless: Service, kind: str, message: str, passes: bool
) -> None:
    exampleless.account.functions = lambda call: function_error(kind, message)
    if not passes:
        with pytest.raises(ApplyFailed, match="not answer as trained"):
            exampleless.up()
        return
    exampleless.up()
    told = exampleless.told
    assert sum("refuses a made record, so it is not proved" in text for text in told) == 3
    assert not any("versions answer" in text for text in told)


def test_an_answer_is_waited_for_longer_than_the_function_may_take(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And botocore does not ask again meanwhile."""
    clients: list[Any] = []
    aws = service.account.aws()
    patient = aws.patient

    def observed(seconds: float) -> Any:
        view = patient(seconds)
        clients.append(view.client("lambda"))
        return view

    monkeypatch.setattr(aws, "telling", lambda tell: aws)  # the step's view is this one
    monkeypatch.setattr(aws, "patient", observed)
    service.up(aws, defaults=FunctionSettings(timeout_s=22))
    (client,) = clients
    assert client.meta.config.read_timeout > 22 + 10 + 22
    assert client.meta.config.retries["total_max_attempts"] == 1
    assert aws.client("lambda").meta.config.read_timeout == 30
