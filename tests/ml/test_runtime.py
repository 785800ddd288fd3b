"""Handlers in their own processes behind the Runtime API, under AWS's client and under ours."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import pytest

from deployer.local.functions import Functions, runtime_client, standard_library_client
from deployer.local.invocation import PAYLOAD_LIMIT, Response, Version
from deployer.local.process import Credentials
from deployer.project.models import Model
from tests.support.handlers import FEATURES, SAMPLE, Storage, serving
from tests.support.projects import ROOT

HANDLERS = """
import os, sys, time

calls = 0


def echo(event, context):
    return {"event": event, "pid": os.getpid()}


def count(event, context):
    global calls
    calls += 1
    return [calls, os.getpid()]


def fail(event, context):
    raise LookupError(f"no {event} here: ü")


def say(event, context):
    print(event)
    print("to stderr", file=sys.stderr)


def hang(event, context):
    if event == "hang":
        time.sleep(3600)
    return os.getpid()


def leave(event, context):
    if event == "leave":
        os._exit(7)
    return os.getpid()


def use(event, context):
    megabytes, held_s = event
    used = bytearray(b"x") * (megabytes * 1024 * 1024)
    time.sleep(held_s)
    return os.getpid()


def reserve(event, context):
    import mmap

    with mmap.mmap(-1, event * 1024 * 1024):
        return event


def sized(event, context):
    return "x" * (event - 2)


def environment(event, context):
    return dict(os.environ)


def describe(event, context):
    return {
        "request": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "function": context.function_name,
        "version": context.function_version,
        "memory": context.memory_limit_in_mb,
        "group": context.log_group_name,
        "stream": context.log_stream_name,
        "remaining": context.get_remaining_time_in_millis(),
    }
"""

CLIENTS: dict[str, Callable[[], list[str]]] = {
    "awslambdaric": runtime_client,
    "standard library": standard_library_client,
}


class Log:
    """Collects the output of functions; a test can wait for a line, which may arrive late."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str, str]] = []
        self._changed = threading.Condition()

    def write(self, region: str, group: str, stream: str, lines: list[str]) -> None:
        with self._changed:
            self.written += [(group, stream, line) for line in lines]
            self._changed.notify_all()

    def lines(self) -> list[str]:
        with self._changed:
            return [line for _, _, line in self.written]

    def wait_for(self, part: str) -> str:
        """Return the first line that holds the part, as soon as there is one."""

        def found() -> str | None:
            return next((line for _, _, line in self.written if part in line), None)

        with self._changed:
            line = self._changed.wait_for(found, timeout=10)
        assert line is not None, f"no line with {part!r} in {self.lines()}"
        return line


class Runner:
    """Runs handlers by name from a folder."""

    def __init__(self, code: Path, client: list[str]) -> None:
        self.code = code
        self.log = Log()
        self.functions = Functions(
            code.parent,
            "http://127.0.0.1:9",
            self.log.write,
            Credentials("key", "secret"),
            client,
        )

    def version(self, command: str, **fields: Any) -> Version:
        arn = "arn:aws:lambda:eu-west-3:123456789012:function:inference-dev-a:4"
        usual = Version(arn, "inference-dev-a", "4", self.code, command, {}, 20.0, 512)
        return dataclasses.replace(usual, **fields)

    def invoke(self, version: Version, event: Any = None) -> Response:
        return self.functions.invoke(version, json.dumps(event).encode())

    def answer(self, version: Version, event: Any = None) -> Any:
        """Invoke and return the answer, which must not be an error."""
        response = self.invoke(version, event)
        assert not response.is_error, response.payload
        return json.loads(response.payload)

    def error(self, version: Version, event: Any = None) -> Any:
        """Invoke and return the error."""
        response = self.invoke(version, event)
        assert response.is_error, response.payload
        return json.loads(response.payload)


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> list[str]:
    return CLIENTS[request.param]()


@pytest.fixture
def runner(tmp_path: Path, client: list[str]) -> Iterator[Runner]:
    code = tmp_path / "task"
    code.mkdir()
    (code / "app.py").write_text(HANDLERS, encoding="utf-8")
    found = Runner(code, client)
    yield found
    found.functions.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="awslambdaric has wheels for Linux only")
def test_on_linux_functions_run_under_awss_own_client() -> None:
    assert runtime_client() == [sys.executable, "-m", "awslambdaric"]
    assert runtime_client() != standard_library_client()


@pytest.mark.parametrize("event", [{"a": [1, None, True]}, [], "text: üé€", 1.5, None, {}])
def test_an_event_reaches_the_handler_and_its_answer_comes_back(runner: Runner, event: Any) -> None:
    assert runner.answer(runner.version("app.echo"), event)["event"] == event


def test_a_process_stays_warm_for_the_next_call(runner: Runner) -> None:
    version = runner.version("app.count")
    (first, pid), (second, same) = runner.answer(version), runner.answer(version)
    assert (first, second, same) == (1, 2, pid)
    assert pid != os.getpid()


def test_calls_that_come_at_once_are_answered_in_turn_by_one_process(runner: Runner) -> None:
    version = runner.version("app.count")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: runner.answer(version), range(24)))
    assert sorted(number for number, _ in answers) == list(range(1, 25))
    assert len({pid for _, pid in answers}) == 1


def test_an_exception_becomes_lambdas_error(runner: Runner) -> None:
    version = runner.version("app.fail")
    error = runner.error(version, "luck")
    assert (error["errorType"], error["errorMessage"]) == ("LookupError", "no luck here: ü")
    assert isinstance(error["stackTrace"], list)
    assert "in fail\n" in error["stackTrace"][-1]
    assert "app.py" in error["stackTrace"][-1]
    assert "ü" in runner.log.wait_for("LookupError: no luck here")


def test_a_handler_that_raised_answers_the_next_call_in_the_same_process(runner: Runner) -> None:
    (runner.code / "moody.py").write_text(
        "import os\n\ndef main(event, context):\n    return [os.getpid(), 1 / event]\n"
    )
    version = runner.version("moody.main")
    before = runner.answer(version, 1)
    assert runner.error(version, 0)["errorType"] == "ZeroDivisionError"
    assert runner.answer(version, 1) == before


def test_an_exception_at_import_ends_the_init_and_every_call_tells_it(runner: Runner) -> None:
    (runner.code / "broken.py").write_text(
        "print('importing')\nraise ArithmeticError('at import')\n", encoding="utf-8"
    )
    version = runner.version("broken.main")
    for _ in range(2):
        error = runner.error(version)
        assert (error["errorType"], error["errorMessage"]) == ("ArithmeticError", "at import")
        assert "broken.py" in error["stackTrace"][-1]
    runner.log.wait_for("importing")
    assert [line.partition(" ")[0] for line in runner.log.lines()[-4:]] == [
        "INIT_REPORT",
        "START",
        "END",
        "REPORT",
    ]
    assert runner.log.lines()[-4].endswith("\tStatus: error\tError Type: ArithmeticError")


def test_a_module_mended_after_a_failed_init_answers(runner: Runner) -> None:
    module = runner.code / "mended.py"
    module.write_text("raise ArithmeticError\n", encoding="utf-8")
    version = runner.version("mended.main")
    assert runner.error(version)["errorType"] == "ArithmeticError"
    module.write_text("def main(event, context):\n    return 'well'\n", encoding="utf-8")
    assert runner.answer(version) == "well"


@pytest.mark.parametrize(
    ("command", "kind", "message"),
    [
        (
            "needs.main",
            "Runtime.ImportModuleError",
            "Unable to import module 'needs': No module named 'nothing_of_the_kind'",
        ),
        (
            "nowhere.main",
            "Runtime.ImportModuleError",
            "Unable to import module 'nowhere': No module named 'nowhere'",
        ),
        ("typo.main", "Runtime.UserCodeSyntaxError", "Syntax error in module 'typo': "),
        ("app.nothing", "Runtime.HandlerNotFound", "Handler 'nothing' missing on module 'app'"),
        ("app", "Runtime.MalformedHandlerName", "Bad handler 'app': "),
        ("app.unspeakable", "Runtime.MarshalError", "Unable to marshal response: "),
    ],
)
def test_what_cannot_be_called_or_answered_has_lambdas_name(
    runner: Runner, command: str, kind: str, message: str
) -> None:
    """The standard library's client says what AWS's says."""
    (runner.code / "needs.py").write_text("import nothing_of_the_kind\n")
    (runner.code / "typo.py").write_text("def main(event, context:\n")
    with (runner.code / "app.py").open("a") as file:
        file.write("\n\ndef unspeakable(event, context):\n    return {1, 2}\n")
    error = runner.error(runner.version(command))
    assert error["errorType"] == kind and error["errorMessage"].startswith(message), error


def test_a_trace_holds_the_handlers_frames_alone(runner: Runner) -> None:
    trace = runner.error(runner.version("app.fail"), "x")["stackTrace"]
    assert len(trace) == 1 and "app.py" in trace[0]


def test_a_call_in_mid_air_hears_at_once_that_its_process_was_ended(runner: Runner) -> None:
    """Not after the 300 s that the function has: the suite itself would show it."""
    version = runner.version("app.hang", timeout_s=300.0)
    runner.answer(version, "warm up")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(runner.error, version, "hang")
        runner.log.wait_for("START")
        while sum(line.startswith("START") for line in runner.log.lines()) < 2:
            time.sleep(0.01)
        runner.functions.close()
        error = waiting.result(timeout=60)
    assert (
        error["errorType"] == "Runtime.ExitError"
        and "the environment was ended" in error["errorMessage"]
    )


def test_an_init_that_ends_the_process_is_an_exit_error(runner: Runner) -> None:
    (runner.code / "quits.py").write_text("import os\nos._exit(4)\n", encoding="utf-8")
    error = runner.error(runner.version("quits.main"))
    assert error == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "Runtime exited with error: exit status 4",
    }


def test_output_reaches_the_functions_log_between_its_marks(runner: Runner) -> None:
    runner.answer(runner.version("app.say"), "one line\nand another ü")
    for line in ("one line", "and another ü", "to stderr"):
        assert runner.log.wait_for(line) == line
    lines = runner.log.lines()
    start, end, report = (
        next(line for line in lines if line.startswith(mark)) for mark in ("START", "END", "REPORT")
    )
    found = re.fullmatch(r"START RequestId: ([0-9a-f-]{36}) Version: 4", start)
    assert found is not None
    assert end == f"END RequestId: {found[1]}"
    expected = (
        rf"REPORT RequestId: {found[1]}\tDuration: (\d+\.\d\d) ms\tBilled Duration: (\d+) ms\t"
        r"Memory Size: 512 MB\tMax Memory Used: (\d+) MB\tInit Duration: (\d+\.\d\d) ms"
    )
    fields = re.fullmatch(expected, report)
    assert fields is not None
    duration, billed, used, init = map(float, fields.groups())
    assert duration + init <= billed < duration + init + 1  # Lambda-33
    assert 5 < used < 512 or sys.platform != "linux"
    assert lines.index(start) < lines.index(end) < lines.index(report)


def test_only_the_first_report_of_a_process_tells_of_its_init(runner: Runner) -> None:
    version = runner.version("app.echo")
    for _ in range(2):
        runner.answer(version)
    first, second = (line for line in runner.log.lines() if line.startswith("REPORT"))
    assert "Init Duration" in first and "Init Duration" not in second


MEMORY_IS_COUNTED = pytest.mark.skipif(
    sys.platform != "linux", reason="memory is limited on Linux only"
)


@MEMORY_IS_COUNTED
@pytest.mark.parametrize("held_s", [0, 20])
def test_memory_that_is_used_beyond_the_limit_ends_the_process_as_on_lambda(
    runner: Runner, held_s: float
) -> None:
    """However short it is held; the next request gets a new process."""
    version = runner.version("app.use", memory_mb=160)
    before = runner.answer(version, [10, 0])
    error = runner.error(version, [400, held_s])
    assert error["errorType"] == "Runtime.OutOfMemory"
    text = r"RequestId: [0-9a-f-]{36} Error: Runtime exited with error: signal: killed"
    assert re.fullmatch(text, error["errorMessage"])
    *_, end, report, exited = runner.log.lines()
    assert end.startswith("END RequestId") and exited == error["errorMessage"]
    assert "Max Memory Used: 160 MB" in report
    assert report.endswith("Status: error\tError Type: Runtime.OutOfMemory")
    assert not alive(before)
    assert runner.answer(version, [10, 0]) != before


@MEMORY_IS_COUNTED
def test_memory_that_is_reserved_and_not_used_does_not_count(runner: Runner) -> None:
    assert runner.answer(runner.version("app.reserve", memory_mb=160), 3000) == 3000


@MEMORY_IS_COUNTED
def test_an_init_that_uses_more_memory_than_there_is_fails_the_request(runner: Runner) -> None:
    (runner.code / "greedy.py").write_text("x = bytearray(b'x') * 400_000_000\n", encoding="utf-8")
    error = runner.error(runner.version("greedy.main", memory_mb=160))
    assert error["errorType"] == "Runtime.OutOfMemory"
    init, start, end, report, _ = runner.log.lines()[-5:]
    assert re.fullmatch(
        r"INIT_REPORT Init Duration: \d+\.\d\d ms\tPhase: init\tStatus: error\t"
        r"Error Type: Runtime.OutOfMemory",
        init,
    )
    assert [line.partition(" ")[0] for line in (start, end, report)] == ["START", "END", "REPORT"]


def test_one_process_writes_to_one_stream_of_the_functions_group(runner: Runner) -> None:
    version = runner.version("app.leave")
    for event in ("stay", "stay", "leave", "stay"):
        runner.invoke(version, event)
    marks = [
        (group, stream) for group, stream, line in runner.log.written if line.startswith("START")
    ]
    assert {group for group, _ in marks} == {"/aws/lambda/inference-dev-a"}
    first, second, third, fourth = (stream for _, stream in marks)
    assert first == second == third != fourth
    assert all(re.fullmatch(r"\d{4}/\d\d/\d\d/\[4\][0-9a-f]{32}", stream) for _, stream in marks)


def test_a_call_that_takes_too_long_is_ended_and_the_next_one_gets_a_new_process(
    runner: Runner,
) -> None:
    version = runner.version("app.hang", timeout_s=0.75)
    before = runner.answer(version, "go")
    error = runner.error(version, "hang")
    assert error["errorType"] == "Sandbox.Timedout"
    found = re.fullmatch(
        r"RequestId: ([0-9a-f-]{36}) Error: Task timed out after 0.75 seconds",
        error["errorMessage"],
    )
    assert found is not None
    assert not alive(before)
    after = runner.answer(version, "go")
    assert after != before
    assert error["errorMessage"] in runner.log.lines()
    assert f"END RequestId: {found[1]}" in runner.log.lines()
    reports = [line for line in runner.log.lines() if line.startswith("REPORT")]
    assert [line.endswith("\tStatus: timeout") for line in reports] == [False, True, False]


def test_a_process_that_ends_itself_is_an_exit_error_and_the_next_call_gets_a_new_one(
    runner: Runner,
) -> None:
    version = runner.version("app.leave")
    before = runner.answer(version, "stay")
    error = runner.error(version, "leave")
    assert error["errorType"] == "Runtime.ExitError"
    assert re.fullmatch(
        r"RequestId: [0-9a-f-]{36} Error: Runtime exited with error: exit status 7",
        error["errorMessage"],
    )
    assert runner.log.lines()[-1] == error["errorMessage"]
    after = runner.answer(version, "stay")
    assert after != before
    assert not alive(before)


def test_a_process_that_ended_between_two_calls_is_replaced(runner: Runner) -> None:
    version = runner.version("app.count")
    _, pid = runner.answer(version)
    os.kill(pid, 9)
    until = time.monotonic() + 10
    while alive(pid) and time.monotonic() < until:
        pass
    number, after = runner.answer(version)
    assert number == 1
    assert after != pid


def test_an_answer_of_the_limit_is_taken_and_one_byte_more_is_not(runner: Runner) -> None:
    version = runner.version("app.sized")
    assert len(runner.invoke(version, PAYLOAD_LIMIT).payload) == PAYLOAD_LIMIT == 6 * 1024 * 1024
    error = runner.error(version, PAYLOAD_LIMIT + 1)
    assert error["errorType"] == "Function.ResponseSizeTooLarge"
    assert "6291456 bytes" in error["errorMessage"]
    assert runner.answer(version, 5) == "xxx"


def test_a_handler_sees_lambdas_variables_and_its_own_and_none_of_this_machine(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "of-the-developer")
    monkeypatch.setenv("SECRET", "of the developer")
    version = runner.version("app.environment", environment={"MODEL": "a", "OMP_NUM_THREADS": "1"})
    seen = runner.answer(version)
    assert "SECRET" not in seen
    assert "AWS_PROFILE" not in seen
    expected = {
        "MODEL": "a",
        "OMP_NUM_THREADS": "1",
        "AWS_LAMBDA_FUNCTION_NAME": "inference-dev-a",
        "AWS_LAMBDA_FUNCTION_VERSION": "4",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/inference-dev-a",
        "AWS_REGION": "eu-west-3",
        "AWS_DEFAULT_REGION": "eu-west-3",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "LAMBDA_TASK_ROOT": str(runner.code),
        "_HANDLER": "app.environment",
        "TZ": ":UTC",
    }
    assert expected.items() <= seen.items()


def test_the_context_describes_the_invocation(runner: Runner) -> None:
    version = runner.version("app.describe")
    context = runner.answer(version)
    assert 0 < context.pop("remaining") <= 20_000
    assert runner.log.lines()[0] == f"START RequestId: {context.pop('request')} Version: 4"
    assert context == {
        "arn": version.arn,
        "function": "inference-dev-a",
        "version": "4",
        "memory": "512",
        "group": "/aws/lambda/inference-dev-a",
        "stream": runner.log.written[0][1],
    }


def test_versions_with_other_environments_run_apart(runner: Runner) -> None:
    versions = [runner.version("app.count", environment={"MODEL": name}) for name in ("a", "b")]
    (first, pid), (second, other) = (runner.answer(version) for version in versions)
    assert (first, second) == (1, 1)
    assert pid != other


def test_keep_ends_the_processes_of_unwanted_versions_alone(runner: Runner) -> None:
    wanted, unwanted = (
        runner.version("app.count", environment={"MODEL": name}) for name in ("a", "b")
    )
    (_, staying), (_, going) = runner.answer(wanted), runner.answer(unwanted)
    runner.functions.keep(lambda version: version.environment["MODEL"] == "a")
    assert not alive(going)
    assert runner.answer(wanted) == [2, staying]
    number, after = runner.answer(unwanted)
    assert (number, after != going) == (1, True)


def test_close_ends_every_process(runner: Runner) -> None:
    versions = [runner.version("app.count", environment={"MODEL": name}) for name in ("a", "b")]
    pids = [runner.answer(version)[1] for version in versions]
    assert all(map(alive, pids))
    runner.functions.close()
    assert not any(map(alive, pids))


@pytest.mark.parametrize(
    "fields",
    [
        {"environment": {"MODEL": "b"}},
        {"environment": {}},
        {"timeout_s": 3.0},
        {"memory_mb": 1024},
        {"command": "app.main"},
        {"code": Path("/elsewhere")},
        {"arn": "arn:aws:lambda:eu-west-3:123456789012:function:a:2"},
    ],
    ids=lambda fields: "_".join(fields),
)
def test_the_identity_changes_with_whatever_a_running_process_could_not_take_over(
    fields: dict[str, Any],
) -> None:
    arn = "arn:aws:lambda:eu-west-3:123456789012:function:a:1"
    version = Version(
        arn, "a", "1", Path("/task"), "predict.handler", {"MODEL": "a", "KEY": "k"}, 20.0, 512
    )
    turned = dataclasses.replace(version, environment={"KEY": "k", "MODEL": "a"})
    assert turned.identity == version.identity
    assert dataclasses.replace(version, **fields).identity != version.identity


# The handler that is deployed.


def predicting(
    trained: Path, name: str, client: list[str], endpoint: str, **other: str
) -> tuple[Functions, Version, Model]:
    """The version that a deployment would publish for a model."""
    manifest = json.loads((trained / "manifest.json").read_text(encoding="utf-8"))
    entry = manifest["models"][name]
    path = trained / f"{name}.joblib"
    model = Model(name, path, entry["sha256"], entry, manifest["libraries"], {})
    variables = model.environment("a-bucket")
    arn = "arn:aws:lambda:eu-west-3:123456789012:function:inference-dev-a:4"
    code = ROOT / "lambda_src"
    version = Version(
        arn, "inference-dev-a", "4", code, "predict.handler", {**variables, **other}, 20.0, 512
    )
    functions = Functions(
        code,
        endpoint,
        lambda region, group, stream, lines: None,
        Credentials("key", "secret"),
        client,
    )
    return functions, version, model


def test_the_deployed_handler_answers_with_the_models_own_predictions_and_refuses_bad_input(
    trained: Path, client: list[str]
) -> None:
    storage = Storage(b"")
    functions, version, model = predicting(trained, "random_forest", client, storage.url)
    storage.answers = [model.signature, model.path.read_bytes()]
    with serving(storage):
        response = functions.invoke(version, json.dumps(SAMPLE).encode())
        batch = functions.invoke(version, json.dumps({"instances": [SAMPLE] * 1000}).encode())
        refused = functions.invoke(version, json.dumps({**SAMPLE, "CRIM": "x", "ü": 1}).encode())
        functions.close()
    assert storage.paths == [f"/a-bucket/{model.signature_key}", f"/a-bucket/{model.key}"]
    expected = (
        joblib.load(trained / "random_forest.joblib")
        .predict([[SAMPLE[name] for name in FEATURES]])
        .tolist()
    )
    answer = json.loads(response.payload)
    assert not response.is_error, answer
    assert answer == {
        "model": "random_forest",
        "version": version.environment["SHA256"][:12],
        "predictions": pytest.approx(expected, rel=1e-9),
    }
    assert json.loads(batch.payload)["predictions"] == pytest.approx(1000 * expected, rel=1e-9)
    error = json.loads(refused.payload)
    assert refused.is_error
    assert error["errorType"] == "InvalidInput"
    assert error["errorMessage"] == "CRIM: must be a number, not string; ü: unknown feature"


def test_the_deployed_handler_ends_its_init_when_the_bucket_holds_another_model(
    trained: Path, client: list[str]
) -> None:
    storage = Storage(b"")
    functions, version, model = predicting(trained, "random_forest", client, storage.url)
    storage.answers = [model.signature, b"another model"]
    with serving(storage):
        response = functions.invoke(version, json.dumps(SAMPLE).encode())
        functions.close()
    error = json.loads(response.payload)
    assert response.is_error
    assert error["errorType"] == "ModelError"
    assert error["errorMessage"].endswith(f"but {version.environment['SHA256']} was deployed")
