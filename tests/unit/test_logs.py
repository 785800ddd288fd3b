"""`logs`: reading groups at AWS's rates, merging, following, and finding a request's lines."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deployer.aws.access import Aws, tell_nobody
from deployer.aws.pace import Paces
from deployer.errors import AwsError, LogsUnavailable
from deployer.project.settings import FunctionSettings, Settings
from deployer.report.logs import LogView, said
from deployer.service.log_lines import Event, execution_name, invocations, named_in_causes
from deployer.service.logs import Reader, Source, Sources, beyond_retention, find_sources, since
from deployer.service.request_logs import (
    NOT_INVOKED,
    SILENT,
    UNNAMED,
    RequestLines,
    check_id,
    of_request,
)
from deployer.service.traces import await_trace
from tests.support.clock import Clock

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
FOREST = Source("forest", "/aws/lambda/a-dev-forest", 14)
WORKFLOW = Source("workflow", "/aws/vendedlogs/states/a-dev", 14)
API = Source("api", "/aws/vendedlogs/apigateway/a-dev", None)
ONE, TWO = (f"{digit * 8}-0000-0000-0000-{digit * 12}" for digit in "12")


class Logs:
    """CloudWatch Logs with some lines, two in a page.

    Args:
        lines: (seconds after START, stream, text) by log group.
        refused: error codes by log group.
    """

    def __init__(
        self,
        lines: Mapping[str, list[tuple[float, str, str]]],
        refused: Mapping[str, str] = {},
        clock: Clock | None = None,
    ) -> None:
        self.lines = {group: list(own) for group, own in lines.items()}
        self.refused = refused
        self.calls: list[dict[str, Any]] = []
        clock = clock or Clock()
        self.aws = Aws(
            region="us-east-1", credentials=("a", "b"), clock=clock, sleep=clock.sleep
        ).calling(self._answer)

    def _answer(self, service: str, operation: str, **parameters: Any) -> Any:
        assert (service, operation) == ("logs", "filter_log_events")
        self.calls.append(parameters)
        group = parameters["logGroupName"]
        if group in self.refused:
            raise AwsError(self.refused[group], "no", operation=operation)
        text = parameters.get("filterPattern", '""').strip('"')
        begin = int(1000 * START.timestamp())
        events = [
            {
                "timestamp": begin + round(1000 * seconds),
                "logStreamName": stream,
                "message": message,
                "eventId": f"{group}/{number}",
            }
            for number, (seconds, stream, message) in enumerate(self.lines.get(group, ()))
            if text in message
        ]
        wanted = [
            event
            for event in events
            if parameters["startTime"] <= event["timestamp"] <= parameters.get("endTime", 1e15)
        ]
        first = int(parameters.get("nextToken", -1))
        if first < 0:  # Logs-16
            return {"events": [], "nextToken": "0"}
        more = {"nextToken": str(first + 2)} if first + 2 < len(wanted) else {}
        return {"events": wanted[first : first + 2], **more}


def lines_of(
    logs: Logs, request: str, *sources: Source, days: float = 1, gone: Mapping[str, str] = {}
) -> RequestLines:
    """Read the lines of a request some days after START."""
    reader = Reader(logs.aws, tell_nobody)
    found = Sources(sources, START + timedelta(days=days), gone=gone)
    return of_request(logs.aws, reader, found, request, START)


def told_to(told: list[str]) -> Any:
    def tell(text: str, *, lasting: bool = False) -> None:
        told.append(text)

    return tell


def texts(events: Any) -> list[str]:
    return [event.message for event in events]


def test_groups_are_read_to_their_last_page_and_merged_by_time() -> None:
    logs = Logs(
        {
            FOREST.group: [(number, "s", f"f{number}") for number in range(0, 10, 2)],
            API.group: [(number, "s", f"a{number}") for number in range(1, 10, 2)],
        }
    )
    merged = Reader(logs.aws, tell_nobody).merged([FOREST, API], START)
    assert texts(merged) == [f"{'fa'[number % 2]}{number}" for number in range(10)]
    assert [call.get("nextToken") for call in logs.calls].count("4") == 2


def test_lines_before_the_start_are_not_asked_for() -> None:
    logs = Logs({FOREST.group: [(0, "s", "old"), (5, "s", "new")]})
    later = START + timedelta(seconds=5)
    assert texts(Reader(logs.aws, tell_nobody).lines(FOREST, later)) == ["new"]
    assert texts(Reader(logs.aws, tell_nobody).lines(FOREST, START, later)) == ["old", "new"]


def test_filter_log_events_is_held_to_five_a_second() -> None:
    clock = Clock()
    paces = Paces(clock, clock.sleep)
    before = clock()
    for _ in range(20):
        paces.take("logs", "filter_log_events")
    assert clock() - before == pytest.approx(10 / 5)


def test_a_group_that_is_gone_or_forbidden_is_told_once_and_left_out() -> None:
    logs = Logs(
        {API.group: [(1, "s", "a")]},
        {FOREST.group: "AccessDeniedException", WORKFLOW.group: "ResourceNotFoundException"},
    )
    told: list[str] = []
    reader = Reader(logs.aws, told_to(told))
    for _ in range(2):
        assert texts(reader.merged([FOREST, WORKFLOW, API], START)) == ["a"]
    assert told == [
        f"no permission logs:FilterLogEvents on {FOREST.group}: forest is left out",
        f"the log group {WORKFLOW.group} of workflow is gone",
    ]
    assert len(logs.calls) == 6  # of the API's group two pages, each time


def test_if_no_group_can_be_read_that_is_an_error() -> None:
    logs = Logs({}, {FOREST.group: "AccessDeniedException"})
    reader = Reader(logs.aws, tell_nobody)
    with pytest.raises(AwsError) as error:
        list(reader.merged([FOREST], START))
    assert error.value.code == "AccessDeniedException"
    with pytest.raises(AwsError):
        of_request(logs.aws, reader, Sources([FOREST], START), "x", START)


def test_another_error_is_not_swallowed() -> None:
    logs = Logs({}, {FOREST.group: "InvalidParameterException"})
    with pytest.raises(AwsError, match="InvalidParameterException"):
        list(Reader(logs.aws, tell_nobody).merged([FOREST, API], START))


def test_following_shows_each_line_once_and_those_that_arrive_late() -> None:
    logs = Logs({FOREST.group: [(1, "s", "one")], API.group: []})
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            logs.lines[FOREST.group].append((40, "s", "two"))
        elif len(waits) == 2:
            logs.lines[API.group].append((30, "s", "late"))
        else:
            raise KeyboardInterrupt

    seen: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        for event in Reader(logs.aws, tell_nobody).followed([FOREST, API], START, wait):
            seen.append(event.message)
    assert seen == ["one", "two", "late"]
    assert min(waits) >= 2  # of five calls a second, some are left to others
    assert logs.calls[-1]["startTime"] == 1000 * START.timestamp() + 25_000


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400), ("1w", 604800)]
)
def test_a_span_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert since(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "10", "m", "-1m", "0s", "1y", "1h30m", "9999999d"])
def test_another_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="30s, 10m, 2h"):
        since(text)


def test_a_retention_shorter_than_the_span_is_told() -> None:
    kept = [FOREST, WORKFLOW, API]
    (remark,) = beyond_retention(kept, timedelta(days=15))
    assert remark == "older lines than 14 days are deleted (log_retention_days): forest, workflow"
    assert not list(beyond_retention(kept, timedelta(days=14)))


def handlers(execution: str | None, invocation: str, **more: Any) -> str:
    line = {"execution": execution, "request": invocation, "model": "forest", "version": "1"}
    return json.dumps({**line, "records": 1, "ms": 2.5, "outcome": "answered", **more})


def access(request: str, status: str = "200") -> str:
    line = {"requestId": request, "method": "POST", "path": "/", "status": status}
    return json.dumps({**line, "ip": "192.0.2.1", "latencyMs": "33", "error": "-"})


def happened(execution: str, kind: str, **details: str) -> str:
    arn = f"arn:aws:states:us-east-1:123456789012:express:a-dev:{execution}:1-2"
    return json.dumps({"id": "1", "type": kind, "details": details, "execution_arn": arn})


def frames(invocation: str, *lines: str, at: float, stream: str = "s") -> list[Any]:
    marks = [f"START RequestId: {invocation} Version: 1", *lines]
    marks += [f"END RequestId: {invocation}", f"REPORT RequestId: {invocation}\tDuration: 1 ms"]
    return [(at + number / 100, stream, text) for number, text in enumerate(marks)]


def test_a_requests_lines_are_those_of_its_invocations_and_of_nothing_else() -> None:
    logs = Logs(
        {
            FOREST.group: sorted(
                [
                    (99.9, "s", "loaded"),
                    *frames(ONE, "printed", handlers("mine=", ONE), at=100),
                    *frames(TWO, "others", handlers("other", TWO), at=100.005, stream="t"),
                ]
            ),
            WORKFLOW.group: [],
            API.group: [(101, "x", access("mine=")), (101, "x", access("other"))],
        }
    )
    found = lines_of(logs, "mine=", FOREST, WORKFLOW, API)
    lines = texts(found.events)
    assert found.absent == {}
    assert lines[:3] == ["loaded", f"START RequestId: {ONE} Version: 1", "printed"]
    assert len(lines) == 7 and lines[-1] == access("mine=")
    assert texts(lines_of(logs, ONE, FOREST, API).events) == lines
    for other in ("nobody", "mine", "REPORT", "e="):  # a part of an id, or of a line, is no id
        assert lines_of(logs, other, FOREST, API).events == ()


def test_an_invocation_that_died_is_found_by_the_cause_of_its_executions_event() -> None:
    died = f"RequestId: {ONE} Error: Runtime exited with error: signal: killed"
    cause = json.dumps({"errorType": "Runtime.OutOfMemory", "errorMessage": died})
    logs = Logs(
        {
            FOREST.group: [*frames(ONE, at=10), (10.5, "s", died), *frames(TWO, at=11)],
            WORKFLOW.group: [(10.6, "w", happened("mine", "LambdaFunctionFailed", cause=cause))],
        }
    )
    found = lines_of(logs, "mine", FOREST, WORKFLOW).events
    assert [event.invocation for event in found if event.source == "forest"] == [ONE] * 4
    assert found[-2].is_error and found[-1].is_error


def test_a_function_without_a_line_of_the_request_is_named_with_the_reason() -> None:
    tree, oak, elm, fir, yew = (
        Source(name, f"/aws/lambda/a-dev-{name}", days, quiet=name == "yew")
        for name, days in (("tree", 14), ("oak", None), ("elm", None), ("fir", 1), ("yew", 14))
    )
    logs = Logs(
        {
            FOREST.group: frames(ONE, handlers("mine=", ONE), at=100),
            tree.group: frames(TWO, handlers(None, TWO), at=100),
            API.group: [(101, "x", access("mine="))],
        },
        {elm.group: "AccessDeniedException"},
    )
    gone = {"ash": "/aws/lambda/a-dev-ash", "workflow": WORKFLOW.group}
    found = lines_of(logs, "mine=", FOREST, tree, oak, elm, fir, yew, API, days=2, gone=gone)
    assert {name: absence.reason for name, absence in found.absent.items()} == {
        "ash": "its log group /aws/lambda/a-dev-ash is gone; to make it again: python -m deployer "
        "up",
        "tree": UNNAMED,
        "oak": NOT_INVOKED,
        "elm": "its log group /aws/lambda/a-dev-elm cannot be read",
        "fir": "its lines are deleted after 1 days (log_retention_days)",
        "yew": SILENT,
    }
    assert [name for name, absence in found.absent.items() if absence.may_arrive] == ["oak"]


def test_functions_that_up_asked_before_the_request_are_not_said_to_be_unnamed() -> None:
    tree = Source("tree", "/aws/lambda/a-dev-tree", 14)
    oak = Source("oak", "/aws/lambda/a-dev-oak", 14)
    logs = Logs(
        {
            tree.group: frames(TWO, handlers(None, TWO), at=95),
            oak.group: [
                *frames(ONE, handlers("theirs", ONE), at=99),
                *frames(TWO, handlers(None, TWO), at=100.9),
            ],
            API.group: [(101, "x", access("mine="))],
        }
    )
    found = lines_of(logs, "mine=", tree, oak, API)
    assert {absence.reason for absence in found.absent.values()} == {NOT_INVOKED}


def test_one_invocation_of_no_execution_tells_nothing_about_other_functions() -> None:
    logs = Logs({FOREST.group: frames(ONE, handlers(None, ONE), at=100)})
    tree = Source("tree", "/aws/lambda/a-dev-tree", 14)
    found = lines_of(logs, ONE, FOREST, tree, API)
    assert len(found.events) == 4 and found.absent == {}


@pytest.mark.parametrize("api_is_gone", [False, True])
def test_lines_that_cannot_arrive_are_not_waited_for(tmp_path: Path, api_is_gone: bool) -> None:
    clock = Clock()
    report = f"REPORT RequestId: {ONE}\tDuration: 1.00 ms\tBilled Duration: 1 ms"
    lines = [*frames(ONE, handlers("mine=", ONE), at=100)[:3], (101, "s", report)]
    logs = Logs({FOREST.group: lines, API.group: [(101, "x", access("mine="))]}, clock=clock)
    gone = {"ash": "/aws/lambda/a-dev-ash", **({"api": API.group} if api_is_gone else {})}
    groups = [FOREST] if api_is_gone else [FOREST, API]
    sources = Sources(groups, START + timedelta(days=1), gone=gone)
    place = (logs.aws, Settings(tmp_path, service="a"), Reader(logs.aws, tell_nobody), sources)
    before = clock()
    trace = await_trace(*place, "mine=", START, True, ["forest", "ash"])
    assert trace is not None and list(trace.models) == ["forest"] and list(trace.absent) == ["ash"]
    assert clock() - before < 5  # the pace of FilterLogEvents
    await_trace(*place, "mine=", START, True, ["forest", "ash", "oak"])
    assert clock() - before > 20  # oak's lines may arrive


def event(message: str, source: str = "forest") -> Event:
    return Event(source, 1_767_225_600_123, "s", message)


def test_invocations_begin_with_their_init_and_end_with_their_reason() -> None:
    lines = [
        "init",
        f"START RequestId: {ONE} V",
        f"REPORT RequestId: {ONE}\tx",
        f"RequestId: {ONE} E",
    ]
    lines += ["init again", f"START RequestId: {TWO} V", f"REPORT RequestId: {TWO}\tx"]
    groups = [texts(group) for group in invocations(map(event, lines))]
    assert groups == [lines[:4], lines[4:]]


def test_both_forms_of_a_cause_name_the_invocation() -> None:
    plain = happened("a", "LambdaFunctionFailed", cause=f"RequestId: {ONE} Error: Task timed out")
    inner = json.dumps({"errorMessage": "x", "requestId": TWO})
    wrapped = happened("a", "LambdaFunctionFailed", cause=inner)
    assert named_in_causes([event(plain, "workflow"), event(wrapped, "workflow")]) == {ONE, TWO}


@pytest.mark.parametrize(
    ("message", "source", "is_error"),
    [
        (handlers("a", ONE), "forest", False),
        (handlers("a", ONE, outcome="failed", error="E"), "forest", True),
        (handlers("a", ONE, outcome="skipped"), "forest", False),
        ("REPORT RequestId: 1\tDuration: 1 ms\tStatus: timeout", "forest", True),
        ("REPORT RequestId: 1\tDuration: 1 ms", "forest", False),
        ("[ERROR] ValueError: x", "forest", True),
        (access("a"), "api", False),
        (access("a", "503"), "api", True),
        (happened("a", "ExecutionFailed"), "workflow", True),
        (happened("a", "TaskStateEntered"), "workflow", False),
        ("{no json", "forest", False),
        ("[1]", "forest", False),
    ],
)
def test_errors_are_known(message: str, source: str, is_error: bool) -> None:
    assert event(message, source).is_error is is_error
    assert event(message, source).document()["error"] is is_error


@pytest.mark.parametrize(
    ("message", "source", "text"),
    [
        (handlers("a=", ONE), "forest", "answered  1 record  2.5 ms  model 1  request a="),
        (
            handlers(None, ONE, records=3, outcome="failed", error="E", traceback="  File\n    x"),
            "forest",
            "failed  3 records  2.5 ms  E  model 1\n  File\n    x",
        ),
        (
            handlers("a=", ONE, nth=3, answer_bytes=70, left_ms=8990, peak_mb=91),
            "forest",
            "answered  1 record  2.5 ms  model 1  request a=  the process's request 3  "
            "answer 70 bytes  8990 ms left  peak 91 MB",
        ),
        (
            json.dumps(
                {
                    "init": "forest", "version": "1", "path": "numpy", "model_bytes": 900,
                    "fetch_ms": 1.5, "load_ms": 2.5, "peak_mb": 60, "modules": 300,
                    "python": "3.13.1", "libraries": {"numpy": "2.2"},
                }
            ),
            "forest",
            "init of model 1, evaluated by numpy  1.5 ms to fetch 900 bytes  2.5 ms to load  "
            "peak 60 MB  300 modules  numpy 2.2  Python 3.13.1",
        ),
        (access("a="), "api", "POST /  200  33 ms  from 192.0.2.1  request a="),
        (
            happened("n", "TaskFailed", error="E", cause='{"errorMessage": "m", "requestId": "r"}'),
            "workflow",
            "TaskFailed  E: m (RequestId: r)  request n",
        ),
        (happened("n", "TaskStateEntered", name="forest"), "workflow",
         "TaskStateEntered  forest  request n"),
        ("a\tb \x1b[31mred", "forest", "a  b \\u001b[31mred"),
        ("[ERROR] E\r\xa0 File", "forest", "[ERROR] E\n  File"),
    ],
)  # fmt: skip
def test_a_line_is_said_in_words_and_without_control_codes(
    message: str, source: str, text: str
) -> None:
    assert said(event(message, source)) == text


def printed(width: int, *events: Event, terminal: bool = True) -> list[str]:
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, force_terminal=terminal, color_system=None, highlight=False
    )
    view = LogView(console, ["random_forest", "api"])
    for one in events:
        view.print(one)
    return stream.getvalue().splitlines()


def test_lines_fold_below_themselves_on_a_terminal() -> None:
    long = event("word " * 30, "random_forest")
    wide, narrow = printed(80, long), printed(40, long)
    assert all(len(line) <= 80 for line in wide) and all(len(line) <= 40 for line in narrow)
    assert wide[0].endswith("word") and wide[1].startswith(" " * 27 + "word")
    assert narrow[0].endswith("random_forest") and narrow[1].startswith("  word")
    assert " ".join(" ".join(narrow[1:]).split()) == ("word " * 30).strip()


def test_a_pipe_gets_each_line_whole_with_the_date() -> None:
    (line,) = printed(80, event("word " * 30, "api"), terminal=False)
    assert line.startswith("20") and line.count("word") == 30


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("gS3PvE5xIAMEJQw=", "gS3PvE5xIAMEJQw="),
        (" -a_b= ", "-a_b="),
        ("arn:aws:states:us-east-1:123456789012:express:a-dev:name:1-2", "name"),
        (ONE, ONE),
    ],
)
def test_an_id_may_be_an_executions_arn(text: str, name: str) -> None:
    assert check_id(text) == name
    assert execution_name(name) == name


@pytest.mark.parametrize("text", ["", "a b", 'x" OR "y', "?x", "a" * 300])
def test_what_is_no_id_is_refused_before_it_becomes_a_pattern(text: str) -> None:
    with pytest.raises(ValueError, match="no id of a request"):
        check_id(text)


def service_of(
    tmp_path: Path, groups: list[str], *, date: datetime = START, deployed: bool = True
) -> tuple[Aws, Settings]:
    """Return an account with a workflow of two functions, and AWS's time.

    Args:
        groups: the log groups that exist.
        date: what AWS's answers say; the machine's clock says START.
    """
    clock = Clock()
    settings = Settings(tmp_path, service="a", account="1" * 12, region="us-east-1")

    def answer(service: str, operation: str, **parameters: Any) -> Any:
        if operation == "describe_state_machine":
            if not deployed:
                raise AwsError("StateMachineDoesNotExist", "no")
            arns = [f"{settings.function_arn(name)}:1" for name in ("big_forest", "tree")]
            return {"definition": json.dumps({"States": {arn: {"Resource": arn} for arn in arns}})}
        assert operation == "describe_log_groups"
        prefix = parameters["logGroupNamePrefix"]
        named = [name for name in groups if name.startswith(prefix)]
        first = int(parameters.get("nextToken", 0))
        more = {"nextToken": str(first + 1)} if first + 1 < len(named) else {}
        page = [{"logGroupName": name, "retentionInDays": 14} for name in named[first : first + 1]]
        headers = {"date": format_datetime(date, usegmt=True)}
        return {"logGroups": page, "ResponseMetadata": {"HTTPHeaders": headers}, **more}

    aws = Aws(
        region="us-east-1",
        credentials=("a", "b"),
        clock=clock,
        sleep=clock.sleep,
        now=lambda: START,
    )
    return aws.calling(answer), settings


GROUPS = ["/aws/lambda/a-dev-big-forest", "/aws/lambda/a-dev-tree", "/aws/lambda/a-dev-gone-one"]
VENDED_GROUPS = ["/aws/vendedlogs/states/a-dev", "/aws/vendedlogs/apigateway/a-dev"]


def test_sources_are_called_as_the_workflow_calls_them(tmp_path: Path) -> None:
    aws, settings = service_of(tmp_path, GROUPS + VENDED_GROUPS)
    sources = find_sources(aws, settings)
    assert [(one.name, one.group) for one in sources.groups] == [
        ("big_forest", GROUPS[0]),
        ("tree", GROUPS[1]),
        ("workflow", VENDED_GROUPS[0]),
        ("api", VENDED_GROUPS[1]),
    ]
    assert (sources.now, list(sources.remarks)) == (START, [])
    quiet = replace(settings, per_function={"tree": FunctionSettings(log_level="warning")})
    assert [one.name for one in find_sources(aws, quiet).groups if one.quiet] == ["tree"]
    former = find_sources(aws, settings, ["gone_one", "api", "api"])  # no longer in the workflow
    assert [one.name for one in former.groups] == ["gone_one", "api"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (90, "this machine's clock is 90 s behind AWS's; the times here are AWS's"),
        (-45, "this machine's clock is 45 s ahead of AWS's; the times here are AWS's"),
    ],
)
def test_clocks_that_differ_are_told_and_awss_counts(
    tmp_path: Path, seconds: int, text: str
) -> None:
    moment = START + timedelta(seconds=seconds)
    sources = find_sources(*service_of(tmp_path, GROUPS + VENDED_GROUPS, date=moment))
    assert (sources.now, list(sources.remarks)) == (moment, [text])


def test_a_group_that_is_gone_is_a_remark_and_all_of_them_an_error(tmp_path: Path) -> None:
    (remark,) = find_sources(*service_of(tmp_path, GROUPS[1:] + VENDED_GROUPS)).remarks
    assert f"the log group {GROUPS[0]} of big_forest is gone; to make it again" in remark
    with pytest.raises(LogsUnavailable, match="of tree is gone"):
        find_sources(*service_of(tmp_path, []), ["tree"])


def test_nothing_deployed_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LogsUnavailable, match="nothing of service a, stage dev, is deployed in"):
        find_sources(*service_of(tmp_path, [], deployed=False))
    # After `down --keep-data` the logs stand still, and can be read.
    kept = find_sources(*service_of(tmp_path, VENDED_GROUPS, deployed=False))
    assert [one.name for one in kept.groups] == ["workflow", "api"]
