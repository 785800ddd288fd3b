"""`graph --request`: what happened in each state, by the execution log and by the invocations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployer.project.drawing import Mark, drawing, marked
from deployer.service.live_picture import LivePicture, remarks, with_names
from deployer.service.log_lines import Absence
from deployer.service.passages import Passage, passages
from deployer.service.state_marks import marks
from deployer.service.tracing import Trace
from tests.unit.test_trace import ONE, TWO, access, happened, invoked, traced

STARTED, ENDED = happened(0, "ExecutionStarted"), happened(90, "ExecutionSucceeded")


def task(function: str, **more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": f"${{{function}}}", "End": True, **more}


def branch(name: str, **more: Any) -> dict[str, Any]:
    return {"StartAt": name, "States": {name: task(name, **more)}}


MACHINE = drawing(
    {
        "StartAt": "all",
        "States": {
            "all": {"Type": "Parallel", "Branches": [branch("forest"), branch("tree")],
                    "Next": "end"},
            "end": {"Type": "Fail", "Error": "E"},
        },
    }
)  # fmt: skip


def logged(*kinds: tuple[str, str, int, dict[str, str]]) -> list[Any]:
    """Return the events of an execution: kind, id, id of the previous event, details."""
    events = [STARTED]
    for after, (kind, number, before, details) in enumerate(kinds, 1):
        events.append(happened(after * 10, kind, number, before, **details))
    return [*events, happened(200, "ExecutionSucceeded", "99")]


LOG = logged(
    ("ParallelStateEntered", "2", 0, {"name": "all"}),
    ("ParallelStateStarted", "3", 2, {}),
    ("TaskStateEntered", "4", 3, {"name": "forest"}),
    ("LambdaFunctionScheduled", "5", 4, {}),
    ("LambdaFunctionFailed", "6", 5, {"error": "Throttled"}),
    ("LambdaFunctionScheduled", "7", 6, {}),
    ("LambdaFunctionFailed", "8", 7, {"error": "Throttled"}),
    ("TaskStateExited", "9", 8, {"name": "forest"}),
    ("ParallelStateExited", "10", 9, {"name": "all"}),
)


def marks_of(trace: Trace) -> dict[str, Mark]:
    return marks(MACHINE, trace)


def test_a_state_is_left_after_the_states_in_it_and_an_error_belongs_to_the_task() -> None:
    assert passages(LOG) == {
        "all": Passage(1, 80),
        "forest": Passage(1, 50, ("Throttled", "Throttled")),
    }


def test_a_loop_adds_up_and_a_fail_state_has_its_error() -> None:
    events = logged(
        ("PassStateEntered", "2", 1, {"name": "wait"}),
        ("PassStateExited", "3", 2, {"name": "wait"}),
        ("PassStateEntered", "4", 3, {"name": "wait"}),
        ("PassStateExited", "5", 4, {"name": "wait"}),
        ("FailStateEntered", "6", 5, {"name": "end", "error": "E"}),
    )
    assert passages(events) == {"wait": Passage(2, 20), "end": Passage(1, None, ("E",))}


def test_events_that_name_no_state_and_circles_are_left_out() -> None:
    circle = [happened(1, "LambdaFunctionFailed", "1", 2), happened(2, "TaskStarted", "2", 1)]
    assert passages([*circle, happened(3, "ExecutionFailed", "3", 9, error="E")]) == {}


def test_every_state_of_a_whole_log_is_passed_failed_or_not_reached() -> None:
    assert marks_of(traced(*LOG)) == {
        "all": Mark("passed", "passed", 80),
        "forest": Mark("failed", "not invoked: Throttled, 2 attempts"),
        "tree": Mark("unreached", "not reached"),
        "end": Mark("unreached", "not reached"),
    }


def test_without_the_whole_log_only_models_are_known_and_none_is_said_to_be_unreached() -> None:
    trace = traced(*invoked("forest", 10, ONE, 12.5, init_ms=250), access(80, 80))
    assert marks_of(trace) == {
        "forest": Mark("cold", "answered", 12.5, 250),
        "tree": Mark("unknown", "no line of it"),
    }


@pytest.mark.parametrize(
    ("outcome", "status", "mark"),
    [
        ("answered", "", Mark("answered", "answered", 5)),
        ("skipped", "", Mark("skipped", "skipped", 5)),
        ("refused", "", Mark("failed", "refused", 5)),
        (None, "\tStatus: timeout", Mark("failed", "timeout", 5)),
        (None, "", Mark("unknown", "its end is not logged yet", 5)),
    ],
)
def test_the_mark_of_a_model_is_its_outcome(outcome: Any, status: str, mark: Mark) -> None:
    trace = traced(*invoked("forest", 10, ONE, 5, outcome=outcome, status=status))
    assert marks_of(trace)["forest"] == mark


def test_a_failure_before_the_answer_is_told() -> None:
    first = invoked("forest", 10, ONE, 9, outcome=None, status="\tStatus: timeout")
    trace = traced(*first, *invoked("forest", 40, TWO, 5))
    expected = Mark("retried", "answered, 2 invocations, failed before: timeout", 9)
    assert marks_of(trace)["forest"] == expected


def test_marks_stand_at_the_states_at_any_depth() -> None:
    machine = marked(MACHINE, {"tree": Mark("answered", "answered"), "all": Mark("passed", "p")})
    assert {state.name: state.mark and state.mark.kind for state in machine.every_state()} == {
        "all": "passed",
        "forest": None,
        "tree": "answered",
        "end": None,
    }


def test_versions_are_drawn_by_the_names_of_the_folder() -> None:
    arn = "arn:aws:lambda:us-east-1:111111111111:function:a-dev-big"
    workflow = {"a": {"Resource": f"{arn}:12"}, "b": [f"{arn}-er:1", arn, f"see {arn}:1"]}
    named = {"a": {"Resource": "${big}"}, "b": [f"{arn}-er:1", "${big}", f"see {arn}:1"]}
    assert with_names(workflow, {arn: "big"}) == named


def test_what_a_picture_does_not_show_is_said() -> None:
    later = STARTED.time.replace(year=2027)
    absent = {"tree": Absence("gone"), "forest": Absence("never shown")}
    trace = replace(traced(*invoked("forest", 10, ONE, 5), access(80, 80)), absent=absent)
    said = list(remarks(LivePicture(MACHINE, later), trace, marks_of(trace)))
    assert said[0].startswith("the workflow was released again after this request")
    assert "workflow_log = all" in said[1] and said[2:] == ["tree: gone"]
    whole = traced(*LOG)
    assert list(remarks(LivePicture(MACHINE, None), whole, marks_of(whole))) == []
