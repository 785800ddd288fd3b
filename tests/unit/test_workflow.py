"""What is wrong with a workflow is found without AWS, with its place."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from deployer.project.workflow import (
    fill,
    function_of,
    functions,
    placeholders,
    problems,
    tasks,
    timeout_problems,
    uncaught,
)
from tests.support.projects import ROOT

SOUND = {
    "StartAt": "Ask",
    "States": {
        "Ask": {
            "Type": "Parallel",
            "Branches": [
                {
                    "StartAt": "one",
                    "States": {
                        "one": {
                            "Type": "Task",
                            "Resource": "${one}",
                            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "failed"}],
                            "End": True,
                        },
                        "failed": {"Type": "Pass", "End": True},
                    },
                }
            ],
            "Next": "Judge",
        },
        "Judge": {
            "Type": "Choice",
            "Choices": [{"Variable": "$", "IsPresent": True, "Next": "Done"}],
            "Default": "Bad",
        },
        "Done": {"Type": "Succeed"},
        "Bad": {"Type": "Fail"},
    },
}
BRANCH = ("States", "Ask", "Branches", 0)
ONE = (*BRANCH, "States", "one")


def broken(*path, value=None, remove=False):
    definition = copy.deepcopy(SOUND)
    place: Any = definition
    for name in path[:-1]:
        place = place[name]
    if remove:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return definition


def test_a_sound_workflow_has_no_problem():
    assert list(problems(SOUND)) == []


def test_the_shipped_workflow_has_no_problem():
    assert list(problems(json.loads((ROOT / "state_machine.json").read_text()))) == []


@pytest.mark.parametrize(
    "definition, expected",
    [
        ({}, ["$: has no States"]),
        ([], ["$: has no States"]),
        ({"StartAt": "a", "States": {}}, ["$: has no States"]),
        (broken("StartAt", value="Nowhere"), ["$.StartAt: 'Nowhere' is none of its States"]),
        (broken("States", "Done", value="x"), ["$.States.Done: must be an object"]),
        (broken("States", "Done", "Type", value="Stop"),
         ["$.States.Done.Type: 'Stop' is none of Task, Pass, Choice, Wait, Succeed, Fail, "
          "Parallel, Map"]),
        (broken("States", "Ask", "Next", value="Judges"),
         ["$.States.Ask.Next: 'Judges' is no state beside it", "$.States.Judge: no state leads "
                                                               "here",
          "$.States.Done: no state leads here", "$.States.Bad: no state leads here"]),
        (broken("States", "Judge", "Default", remove=True), ["$.States.Bad: no state leads here"]),
        (broken("States", "Judge", "Choices", 0, "Next", value="Gone"),
         ["$.States.Judge.Choices[0].Next: 'Gone' is no state beside it", "$.States.Done: no "
                                                                          "state leads here"]),
        (broken("States", "Judge", "Choices", value=[]),
         ["$.States.Judge.Choices: must not be empty", "$.States.Done: no state leads here"]),
        (broken("States", "Judge", "End", value=True), ["$.States.Judge: a Choice state has "
                                                        "neither Next nor End"]),
        (broken("States", "Done", "Next", value="Bad"), ["$.States.Done: a Succeed state has "
                                                         "neither Next nor End"]),
        (broken("States", "Ask", "Next", remove=True),
         ["$.States.Ask: needs either Next or End", "$.States.Judge: no state leads here",
          "$.States.Done: no state leads here", "$.States.Bad: no state leads here"]),
        (broken(*ONE, "Next", value="failed"), ["$.States.Ask.Branches[0].States.one: needs "
                                                "either Next or End"]),
        (broken(*ONE, "Catch", 0, "Next", value="Done"),
         ["$.States.Ask.Branches[0].States.one.Catch[0].Next: 'Done' is no state beside it",
          "$.States.Ask.Branches[0].States.failed: no state leads here"]),
        (broken(*ONE, "Resource", value=""),
         ["$.States.Ask.Branches[0].States.one.Resource: must be ${name} of a trained model, or "
          "an ARN"]),
        (broken(*ONE, "Resource", value="arn:aws:states:::lambda:invoke.waitForTaskToken"),
         ["$.States.Ask.Branches[0].States.one.Resource: an EXPRESS workflow cannot wait for "
          "invoke.waitForTaskToken"]),
        (broken(*ONE, "Resource", value="arn:aws:states:eu-west-1:1:activity:people"),
         ["$.States.Ask.Branches[0].States.one.Resource: an EXPRESS workflow cannot wait for "
          "people"]),
        (broken(*BRANCH, "StartAt", remove=True), ["$.States.Ask.Branches[0].StartAt: None is "
                                                   "none of its States"]),
        (broken(*BRANCH, "States", "x" * 81, value={"Type": "Pass", "End": True}),
         [f"$.States.Ask.Branches[0].States.{'x' * 81}: the name has 81 characters; at most 80 "
          f"are allowed",
          f"$.States.Ask.Branches[0].States.{'x' * 81}: no state leads here"]),
    ],
)  # fmt: skip
def test_a_broken_workflow_says_where(definition, expected):
    assert list(problems(definition)) == expected


def test_the_processor_of_a_map_is_looked_at_as_well():
    inner = {"StartAt": "a", "States": {"a": {"Type": "Pass"}}}
    for name in ("ItemProcessor", "Iterator"):
        definition = {
            "StartAt": "each",
            "States": {"each": {"Type": "Map", name: inner, "End": True}},
        }
        assert list(problems(definition)) == [
            f"$.States.each.{name}.States.a: needs either Next or End"
        ]


@pytest.mark.parametrize("name", ["Choices", "Catch", "Branches"])
@pytest.mark.parametrize("value", [5, "x", {"a": 1}, None])
def test_what_must_be_a_list_is_said_to_be_one(name, value):
    definition = {"StartAt": "a", "States": {"a": {"Type": "Parallel", name: value, "End": True}}}
    assert f"$.States.a.{name}: must be a list" in list(problems(definition))


@pytest.mark.parametrize("target", [5, ["a"], {"a": 1}, None])
def test_a_target_that_is_no_name_is_none_of_the_states(target):
    definition = {"StartAt": target, "States": {"a": {"Type": "Pass", "Next": target}}}
    assert list(problems(definition)) == [
        f"$.StartAt: {target!r} is none of its States",
        f"$.States.a.Next: {target!r} is no state beside it",
    ]


def test_placeholders_are_found_with_their_paths():
    value = {"a": ["x", "${one}"], "b": {"c": "${two} and ${three}"}, "d": 1}
    assert list(placeholders(value)) == [("$.a[1]", "one"), ("$.b.c", "two"), ("$.b.c", "three")]


def test_filling_replaces_whole_strings_and_keeps_everything_else():
    value = {"a": ["${one}", "not ${one}"], "b": 1, "c": None, "d": True}
    assert fill(value, {"one": {"Ref": 1}}) == {
        "a": [{"Ref": 1}, "not ${one}"],
        "b": 1,
        "c": None,
        "d": True,
    }


def test_tasks_are_found_at_any_depth():
    inner = {"Type": "Task", "Resource": "inner"}
    outer = {"Type": "Map", "ItemProcessor": {"States": {"x": inner}}}
    assert list(tasks({"States": {"a": outer, "b": [{"Type": "Pass"}]}})) == [inner]


@pytest.mark.parametrize(
    ("path", "resource", "expected"),
    [
        ("Result", "${One}", "$.Result: 'One' must be lower-case letters, digits and single"),
        ("FunctionName", "${one}:$LATEST", "$.FunctionName: ${name} must be the whole string"),
        ("Output", "{% '${one}' %}", "$.Output: ${name} must be the whole string, or it is not"),
        ("Output", "{% $a.${'x': 1} %}", "names no function"),
        ("Resource", "${One}", "$.Resource: 'One' must be lower-case letters, digits and single"),
        ("Resource", "${api}", "$.Resource: a function cannot be called api"),
        ("Resource", "arn:aws:lambda:x", "names no function"),
        ("Comment", "${one}", "names no function"),
    ],
)
def test_a_placeholder_that_names_no_function_is_a_fault(path, resource, expected):
    faults: list[str] = []
    assert list(functions({path: resource}, faults)) == []
    (fault,) = faults
    assert expected in fault


INVOKE = "arn:aws:states:::lambda:invoke"
REQUEST = {"FunctionName": "${one}", "Payload.$": "$"}
INVOKING = {"Type": "Task", "Resource": INVOKE, "Parameters": REQUEST, "TimeoutSeconds": 22}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (INVOKING, "one"),
        ({**INVOKING, "Resource": "arn:aws-cn:states:::lambda:invoke"}, "one"),
        ({"Resource": INVOKE, "Arguments": {"FunctionName": "${one}"}}, "one"),
        ({"Resource": "${one}"}, "one"),
        ({**INVOKING, "Parameters": {"FunctionName.$": "$.name"}}, None),
        ({**INVOKING, "Parameters": "x"}, None),
        ({"Resource": INVOKE}, None),
        ({"Resource": "arn:aws:states:::http:invoke", "Parameters": REQUEST}, None),
        ({}, None),
    ],
)
def test_a_function_is_called_in_either_form(state, expected):
    assert function_of(state) == expected


def test_a_task_that_invokes_is_held_to_the_same_rules():
    """Workflow Studio writes this form."""
    definition = one_state({**INVOKING, "End": True}, TimeoutSeconds=25)
    assert list(problems(definition)) == []
    faults: list[str] = []
    assert list(functions(definition, faults)) == ["one"] and faults == []
    assert list(timeout_problems(definition, lambda name: 20)) == []
    assert "must be below its task's 22" in "".join(timeout_problems(definition, lambda name: 22))
    (warning,) = uncaught(definition)
    assert "if one fails" in warning
    filled = fill(definition, {"one": "arn:3"})["States"]["a"]["Parameters"]
    assert filled == {"FunctionName": "arn:3", "Payload.$": "$"}


def test_a_version_is_not_qualified_again():
    request = {**REQUEST, "Qualifier": "live"}
    definition = one_state({**INVOKING, "Parameters": request, "End": True})
    (problem,) = problems(definition)
    assert problem == (
        "$.States.a.Parameters.Qualifier: ${one} is the ARN of a version already; take Qualifier "
        "out"
    )


def test_a_functions_arn_may_be_a_value_of_a_state():
    value = {"StartAt": "a", "States": {"a": {"Type": "Pass", "Result": ["${one}"], "End": True}}}
    faults: list[str] = []
    assert list(functions(value, faults)) == ["one"] and faults == []


def test_functions_are_named_once_in_the_order_of_the_workflow():
    value = {"b": {"Resource": "${two}"}, "a": {"Resource": "${one}"}, "c": {"Resource": "${two}"}}
    faults: list[str] = []
    assert list(functions(value, faults)) == ["two", "one"] and faults == []


@pytest.mark.parametrize(
    ("whole", "task", "function", "expected"),
    [
        (25, 22, 20, ""),
        (None, 22, 20, "TimeoutSeconds is None, but must be below the API's 29"),
        (29, 22, 20, "TimeoutSeconds is 29, but must be below the API's 29"),
        (25, None, 20, "the task of one has TimeoutSeconds None, but must be below the workflow's"),
        (25, 25, 20, "the task of one has TimeoutSeconds 25, but must be below the workflow's 25"),
        (25, 22, 22, "timeout_s of one is 22, but must be below its task's 22"),
    ],
)
def test_a_timeout_is_below_the_timeout_around_it(whole, task, function, expected):
    states = [
        {"Type": "Task", "Resource": "${one}", "TimeoutSeconds": task},
        {"Type": "Task", "Resource": "arn:aws:states:::http:invoke"},
    ]
    definition = {"TimeoutSeconds": whole, "States": states}
    found = "".join(timeout_problems(definition, lambda name: function))
    assert expected in found and bool(found) == bool(expected)


def test_an_unknown_field_of_a_machine_is_named():
    processor = {**PASS, "ProcessorConfig": {"Mode": "INLINE"}, "TimeoutSecond": 5}
    definition = one_state({"Type": "Map", "ItemProcessor": processor, "End": True}, Zzz=5)
    assert list(problems(definition)) == [
        "$.Zzz: a state machine has no such field",
        "$.States.a.ItemProcessor.TimeoutSecond: a state machine has no such field; did you mean "
        "TimeoutSeconds?",
    ]


def one_state(state, **machine):
    return {"StartAt": "a", "States": {"a": state}, **machine}


PASS = {"StartAt": "inner", "States": {"inner": {"Type": "Pass", "End": True}}}
TASK = {"Type": "Task", "Resource": "${one}", "End": True}
CATCH = {"ErrorEquals": ["States.ALL"], "Next": "a"}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"Type": "Parallel", "End": True}, ".Branches: must hold at least one branch"),
        ({"Type": "Parallel", "Branches": [], "End": True}, ".Branches: must hold at least one"),
        ({"Type": "Map", "End": True}, ": needs an ItemProcessor"),
        ({"Type": "Wait", "End": True}, ": needs exactly one of Seconds, SecondsPath, Timestamp"),
        ({"Type": "Wait", "Seconds": 1, "Timestamp": "x", "End": True}, ": needs exactly one of"),
        ({**TASK, "Catch": [{"Next": "a"}]}, ".Catch[0].ErrorEquals: must be a list of error"),
        ({**TASK, "Catch": [{**CATCH, "ErrorEquals": []}]}, ".Catch[0].ErrorEquals: must be"),
        ({**TASK, "Catch": [{**CATCH, "ErrorEquals": [1]}]}, ".Catch[0].ErrorEquals: must be"),
        ({**TASK, "Retry": [{"MaxAttempts": 1}]}, ".Retry[0].ErrorEquals: must be a list of error"),
        ({**TASK, "Retry": ["x"]}, ".Retry[0].ErrorEquals: must be a list of error names"),
        ({**TASK, "TimeoutSecond": 5}, ".TimeoutSecond: a Task state has no such field; did you"),
        ({**TASK, "Zzz": 5}, ".Zzz: a Task state has no such field"),
        ({**TASK, "Arguments": {}}, ".Arguments: a state in JSONPath has no such field"),
        (
            {**TASK, "TimeoutSeconds": 5, "TimeoutSecondsPath": "$.x"},
            ": TimeoutSeconds and Timeout",
        ),
        (
            {**TASK, "TimeoutSeconds": 5, "HeartbeatSeconds": 5},
            ".HeartbeatSeconds: 5 must be below",
        ),
        ({**TASK, "Credentials": None}, ".Credentials: must be an object"),
        ({**TASK, "Parameters": {"a": 1, "a.$": "$.b"}}, ".Parameters: a and a.$ are the same"),
        ({**TASK, "InputPath": "x"}, ".InputPath: 'x' must be a path that begins with $, or null"),
        ({**TASK, "ResultPath": 5}, ".ResultPath: 5 must be a path that begins with $, or null"),
        ({**TASK, "ResultPath": "$x"}, ".ResultPath: '$x' must be a path into the input, not a"),
        (
            {**TASK, "Parameters": {"a": [{"b": 1, "b.$": "$.c"}]}},
            ".Parameters.a[0]: b and b.$ are",
        ),
        ({"Type": "Fail", "Cause": "x", "CausePath": "$.x"}, ": Cause and CausePath exclude each"),
        (
            {**TASK, "Retry": [{"ErrorEquals": ["x"], "IntervalSecond": 1}]},
            ".Retry[0].IntervalSecond: a Retry rule has no such field; did you mean Interval",
        ),
        ({**TASK, "Catch": [{**CATCH, "End": True}]}, ".Catch[0].End: a Catch rule has no such"),
        (
            {"Type": "Choice", "Choices": [{"Variable": "$.x", "StringEqual": "y", "Next": "a"}]},
            ".Choices[0].StringEqual: a choice rule has no such field; did you mean StringEquals?",
        ),
        (
            {"Type": "Choice", "Choices": [{"Not": {"Variables": "$.x"}, "Next": "a"}]},
            ".Choices[0].Not.Variables: a choice rule has no such field; did you mean Variable?",
        ),
        (
            {
                "Type": "Choice",
                "QueryLanguage": "JSONata",
                "Choices": [{"Variable": "$.x", "Next": "a"}],
            },
            ".Choices[0].Variable: a choice rule in JSONata has no such field",
        ),
        (
            {**TASK, "Parameters": {"x": {"y.$": "not a path"}}},
            ".Parameters.x.y.$: 'not a path' must be a path that begins with $, or a call such as",
        ),
        ({**TASK, "Assign": {"y.$": 5}}, ".Assign.y.$: 5 must be a path that begins with $"),
        ({**TASK, "Credentials": {"RoleArn.$": "x"}}, ".Credentials.RoleArn.$: 'x' must be a path"),
        (
            {**TASK, "Resource": "arn:aws:lambda:eu-west-1:1:function:one:"},
            ".Resource: 'arn:aws:lambda:eu-west-1:1:function:one:' is no ARN of a function, a",
        ),
        (
            {"Type": "Map", "ItemProcessor": PASS, "ToleratedFailurePercentage": 105, "End": True},
            ".ToleratedFailurePercentage: 105 must be from 0 to 100",
        ),
        (
            {
                "Type": "Map",
                "ItemProcessor": PASS,
                "ItemReader": {"ReaderConfig": {"MaxItems": 1, "MaxItemsPath": "$.x"}},
                "End": True,
            },
            ".ItemReader.ReaderConfig: MaxItems and MaxItemsPath exclude each other",
        ),
        (
            {"Type": "Choice", "Choices": [{"Variable": "x", "IsNull": True, "Next": "a"}]},
            ".Choices[0].Variable: 'x' must be a path that begins with $",
        ),
        (
            {"Type": "Choice", "Choices": [{"And": [{"Not": {"Variable": 1}}], "Next": "a"}]},
            ".Choices[0].And[0].Not.Variable: 1 must be a path that begins with $",
        ),
        (
            {"Type": "Pass", "QueryLanguage": "JSONata", "Output": ["{% 1 %"], "End": True},
            ".Output[0]: '{% 1 %' must begin with {% and end with %}",
        ),
        (
            {"Type": "Pass", "QueryLanguage": "JSONata", "ResultPath": "$", "End": True},
            ".ResultPath: a state in JSONata has no such field",
        ),
    ],
)
def test_a_state_that_aws_would_refuse_is_named(state, expected):
    found = list(problems(one_state(state)))
    assert any(f"$.States.a{expected}" in problem for problem in found)


@pytest.mark.parametrize(
    "state",
    [
        {**TASK, "InputPath": None, "ResultPath": "$.x", "OutputPath": "$$.Execution.Id"},
        {**TASK, "Retry": [{"ErrorEquals": ["States.ALL"]}], "HeartbeatSeconds": 5},
        {**TASK, "Resource": "arn:aws:lambda:eu-west-1:1:function:one:$LATEST"},
        {**TASK, "Parameters": {"a.$": "States.UUID()", "b.$": "$$.Execution.Id", "c.$": "$v"}},
        {
            "Type": "Choice",
            "QueryLanguage": "JSONata",
            "Choices": [{"Condition": "{% true %}", "Assign": {"x": 1}, "Next": "b"}],
        },
        {"Type": "Wait", "Seconds": 5, "Comment": "x", "End": True},
        {"Type": "Map", "Iterator": PASS, "ItemSelector": {"b.$": "$.c", "d": [1]}, "End": True},
        {"Type": "Choice", "Choices": [{"Or": [{"Variable": "$.x"}], "Next": "b"}]},
        {
            "Type": "Pass",
            "QueryLanguage": "JSONata",
            "Output": {"x": ["{% 1 %}", 2]},
            "Assign": {"y": 1},
            "End": True,
        },
    ],
)
def test_a_state_that_aws_takes_is_no_problem(state):
    definition = one_state(state)
    definition["States"]["b"] = {"Type": "Succeed"}
    assert [
        problem for problem in problems(definition) if "no state leads here" not in problem
    ] == []


def test_a_cycle_without_an_end_is_a_problem():
    states = {"a": {"Type": "Pass", "Next": "b"}, "b": {"Type": "Pass", "Next": "a"}}
    assert list(problems({"StartAt": "a", "States": states})) == ["$: no way leads to an end"]


def test_the_same_name_in_two_branches_is_a_problem():
    """AWS says DUPLICATE_STATE_NAME at the creation."""
    definition = one_state({"Type": "Parallel", "Branches": [PASS, PASS], "End": True})
    assert list(problems(definition)) == [
        "$.States.a.Branches[1].States.inner: $.States.a.Branches[0].States.inner has the same "
        "name, which must be unique in a workflow"
    ]


def test_the_language_of_the_workflow_is_that_of_its_states():
    state = {"Type": "Pass", "Output": "{% 1 %}", "End": True}
    assert list(problems(one_state(state, QueryLanguage="JSONata"))) == []
    assert list(problems(one_state(state))) != []


@pytest.mark.parametrize("resource", ["arn:${one}", "${one}:1", "${one}${two}", "${one"])
def test_a_placeholder_is_the_whole_string(resource):
    """In the middle of a text it would not be replaced, and AWS would refuse it late."""
    faults: list[str] = []
    list(functions({"Resource": resource}, faults))
    assert faults == [
        "state_machine.json $.Resource: ${name} must be the whole string, or it is not replaced; "
        "it stands for the ARN of a function's version"
    ]


def test_a_list_of_resources_is_looked_through():
    faults: list[str] = []
    list(functions({"a": [{"Resource": "x${one}"}], "b": {"Resource": "${two}"}}, faults))
    assert len(faults) == 1 and "$.a[0].Resource" in faults[0]


def test_the_shipped_workflow_catches_every_error_of_its_functions():
    assert list(uncaught(json.loads((ROOT / "state_machine.json").read_text()))) == []


def test_a_task_without_a_catch_for_all_errors_is_warned_of():
    other = {"ErrorEquals": ["InvalidInput"], "Next": "b"}
    states = {
        "a": {**TASK, "Catch": [other]},
        "b": {"Type": "Map", "ItemProcessor": one_state(TASK), "End": True},
        "elsewhere": {**TASK, "Resource": "arn:aws:states:::http:invoke"},
    }
    warnings = list(uncaught({"StartAt": "a", "States": states}))
    assert [warning.partition(":")[0] for warning in warnings] == [
        "state_machine.json $.States.a",
        "state_machine.json $.States.b.ItemProcessor.States.a",
    ]
    assert "has no Catch for States.ALL: if one fails, its error's cause, a stack" in warnings[0]


@pytest.mark.parametrize("name", ["States.ALL", "States.TaskFailed"])
def test_a_catch_of_the_task_or_around_it_suffices(name):
    catch = [{"ErrorEquals": ["InvalidInput"], "Next": "b"}, {"ErrorEquals": [name], "Next": "b"}]
    branches = [one_state({"Type": "Map", "ItemProcessor": one_state(TASK), "End": True})]
    around = {"Type": "Parallel", "Branches": branches, "Catch": catch, "End": True}
    for state in ({**TASK, "Catch": catch}, around):
        assert list(uncaught(one_state(state))) == []


def test_a_workflow_in_jsonata_holds_no_state_in_another_language() -> None:
    state = {"Type": "Pass", "QueryLanguage": "JSONPath", "End": True}
    assert list(problems(one_state(state))) == []
    (problem,) = problems(one_state(state, QueryLanguage="JSONata"))
    assert ".QueryLanguage: a workflow in JSONata holds no state in another language" in problem


def test_a_comment_is_never_filled() -> None:
    definition = {"Comment": "${a}", "States": {"x": {"Comment": "${a}", "Resource": "${a}"}}}
    assert fill(definition, {"a": 1}) == {
        "Comment": "${a}",
        "States": {"x": {"Comment": "${a}", "Resource": 1}},
    }
