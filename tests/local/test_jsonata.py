"""JSONata in the local AWS: whole state machines, and single expressions."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.local.moto_backend.jsonata_evaluator import EvaluationError, evaluate

QUOTED = 'say "no" to C:\\temp'
BEYOND_FLOATS = 12345678901234567890


def run(aws: Aws, states: dict[str, Any], value: Any = None, **machine: Any) -> dict[str, Any]:
    """Run states in the order of their names, in JSONata, and return the execution record."""
    definition = {"QueryLanguage": "JSONata", "StartAt": min(states), "States": states, **machine}
    arn = aws.call(
        "stepfunctions",
        "create_state_machine",
        name=f"probe-{len(json.dumps(definition))}",
        definition=json.dumps(definition),
        type="EXPRESS",
        roleArn="arn:aws:iam::123456789012:role/probe",
    )["stateMachineArn"]
    record: dict[str, Any] = aws.call(
        "stepfunctions", "start_sync_execution", stateMachineArn=arn, input=json.dumps(value or {})
    )
    return record


def output(record: dict[str, Any]) -> Any:
    assert record["status"] == "SUCCEEDED", record
    return json.loads(record["output"])


def passing(expression: Any) -> dict[str, Any]:
    return {"a": {"Type": "Pass", "Output": expression, "End": True}}


def failing(cause: str, **catcher: Any) -> dict[str, Any]:
    """A Parallel whose branch fails with a cause, and a Catch."""
    fail = {"StartAt": "f", "States": {"f": {"Type": "Fail", "Error": "Refused", "Cause": cause}}}
    catch = {"ErrorEquals": ["States.ALL"], "Next": "b", **catcher}
    return {
        "a": {"Type": "Parallel", "Branches": [fail], "Catch": [catch], "End": True},
        "b": {"Type": "Succeed"},
    }


def test_an_expression_reads_input_and_context(aws: Aws) -> None:
    template = {
        "sum": "{% $sum($states.input.items) %}",
        "machine": "{% $states.context.StateMachine.Name %}",
        "began": "{% $states.context.Execution.StartTime %}",
        "text": "no expression",
    }
    answer = output(run(aws, passing(template), {"items": [1, 2.5]}))
    assert (answer["sum"], answer["text"]) == (3.5, "no expression")
    assert answer["machine"].startswith("probe-")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer["began"])


def test_a_state_in_jsonpath_reads_the_time_of_the_start(aws: Aws) -> None:
    state = {"Type": "Pass", "Parameters": {"began.$": "$$.Execution.StartTime"}, "End": True}
    answer = output(run(aws, {"a": state}, QueryLanguage="JSONPath"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer["began"])


def test_variables_keep_quotes_digits_and_nulls(aws: Aws) -> None:
    states = {
        "a": {
            "Type": "Pass",
            "Assign": {"all": "{% $states.input %}", "text": "{% $states.input.text %}"},
            "Next": "b",
        },
        "b": {"Type": "Pass", "Output": ["{% $all %}", "{% $text & '!' %}"], "End": True},
    }
    value = {"text": QUOTED, "number": BEYOND_FLOATS, "nothing": None, "list": [None, 1]}
    assert output(run(aws, states, value)) == [value, f"{QUOTED}!"]


def test_a_catch_reads_the_error_with_its_quotes(aws: Aws) -> None:
    states = failing(QUOTED, Output={"cause": "{% $states.errorOutput.Cause %}"})
    assert output(run(aws, states)) == {"cause": QUOTED}


def test_a_result_is_read_and_a_map_goes_over_items(aws: Aws) -> None:
    branch = {"StartAt": "f", "States": {"f": {"Type": "Pass", "Output": 2, "End": True}}}
    item = {"StartAt": "g", "States": {"g": passing("{% $states.input.n * 10 %}")["a"]}}
    states = {
        "a": {
            "Type": "Parallel",
            "Branches": [branch],
            "Output": "{% [$states.result[0], 3] %}",
            "Next": "b",
        },
        "b": {
            "Type": "Map",
            "Items": "{% $states.input %}",
            "ItemSelector": {"n": "{% $states.context.Map.Item.Value %}"},
            "ItemProcessor": item,
            "End": True,
        },
    }
    assert output(run(aws, states)) == [20, 30]


@pytest.mark.parametrize(
    ("condition", "status"),
    [("$states.input.n > 2", "SUCCEEDED"), ("$states.input.n > 3", "FAILED")],
)
def test_a_condition_chooses(aws: Aws, condition: str, status: str) -> None:
    states = {
        "a": {
            "Type": "Choice",
            "Choices": [{"Condition": f"{{% {condition} %}}", "Next": "b"}],
            "Default": "c",
        },
        "b": {"Type": "Succeed"},
        "c": {"Type": "Fail"},
    }
    assert run(aws, states, {"n": 3})["status"] == status


@pytest.mark.parametrize("condition", ["'yes'", "1", "null", "$states.input.nowhere"])
def test_a_condition_that_is_not_boolean_is_an_error_of_the_query(aws: Aws, condition: str) -> None:
    choice = {"Condition": f"{{% {condition} %}}", "Next": "b"}
    states = {
        "a": {"Type": "Choice", "Choices": [choice], "Default": "b"},
        "b": {"Type": "Succeed"},
    }
    record = run(aws, states)
    assert record["error"] == "States.QueryEvaluationError"
    assert f"expression '{condition}' specified for the field 'Condition' " in record["cause"]


@pytest.mark.parametrize("field", ["TimeoutSeconds", "MaxConcurrency"])
@pytest.mark.parametrize("value", ["'x'", "true", "-1"])
def test_a_number_of_another_kind_is_an_error_of_the_query(
    aws: Aws, field: str, value: str
) -> None:
    branch = {"StartAt": "f", "States": {"f": {"Type": "Pass", "End": True}}}
    state = {"Type": "Map", "Items": [1], "ItemProcessor": branch, "End": True}
    if field == "TimeoutSeconds":
        function = "arn:aws:lambda:us-east-1:123456789012:function:nowhere:1"
        state = {"Type": "Task", "Resource": function, "End": True}
    record = run(aws, {"a": {**state, field: f"{{% {value} %}}"}})
    assert record["error"] == "States.QueryEvaluationError"
    assert f"'{value}' specified for the field '{field}' returned an unex" in record["cause"]


@pytest.mark.parametrize("value", ["'x'", "null"])
def test_a_wait_that_is_no_number_is_an_error_of_the_query(aws: Aws, value: str) -> None:
    record = run(aws, {"a": {"Type": "Wait", "Seconds": f"{{% {value} %}}", "End": True}})
    assert "specified for the field 'Seconds' returned an unexpected result" in record["cause"]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("$states.input.nowhere", "returned nothing (undefined)."),
        ("'a' + 1", "threw an error during evaluation. T2001: The left side of the + operator"),
        ("$sum", "returned an unsupported result type."),
        ("1 / 0", "threw an error during evaluation. "),
    ],
)
def test_an_error_of_evaluation_has_aws_name_and_its_place(
    aws: Aws, expression: str, reason: str
) -> None:
    record = run(aws, passing({"x": f"{{% {expression} %}}"}))
    assert (record["status"], record["error"]) == ("FAILED", "States.QueryEvaluationError")
    cause = f"The JSONata expression '{expression}' specified for the field 'x' {reason}"
    assert cause in record["cause"]


@pytest.mark.parametrize("field", ["Arguments", "Output", "Assign"])
def test_an_error_of_evaluation_can_be_caught(aws: Aws, field: str) -> None:
    branch = {"StartAt": "f", "States": {"f": {"Type": "Pass", "End": True}}}
    faulty = {"v": "{% $states.input.nowhere %}"}
    catch = {"ErrorEquals": ["States.QueryEvaluationError"], "Next": "b"}
    caught = {"error": "{% $states.errorOutput.Error %}"}
    states: dict[str, Any] = {
        "a": {
            "Type": "Parallel",
            "Branches": [branch],
            field: faulty,
            "Catch": [{**catch, "Output": caught}],
            "End": True,
        },
        "b": {"Type": "Succeed"},
    }
    assert output(run(aws, states)) == {"error": "States.QueryEvaluationError"}
    states["a"]["Catch"] = [{**catch, "ErrorEquals": ["States.Timeout"]}]
    assert run(aws, states)["error"] == "States.QueryEvaluationError"


@pytest.mark.parametrize("field", ["Output", "Items"])
def test_the_cause_names_the_field(aws: Aws, field: str) -> None:
    branch = {"StartAt": "f", "States": {"f": {"Type": "Pass", "End": True}}}
    items = {"Type": "Map", "Items": [1], "ItemProcessor": branch, "End": True}
    cause = run(aws, {"a": {**items, field: "{% $nowhere %}"}})["cause"]
    assert f"'$nowhere' specified for the field '{field}' returned nothing" in cause


def test_a_state_in_jsonpath_reads_variables(aws: Aws) -> None:
    """By JSONPath: JSONata would give 7 for a list of one, and knows no [*]."""
    states = {
        "a": {"Type": "Pass", "Assign": {"v.$": "$", "one.$": "$.text"}, "Next": "b"},
        "b": {
            "Type": "Pass",
            "Parameters": {
                "list.$": "$v.list",
                "names.$": "$v.items[*].name",
                "text.$": "$one",
                "format.$": "States.Format('{}!', $one)",
            },
            "End": True,
        },
    }
    value = {"list": [7], "items": [{"name": "a"}, {"name": "b"}], "text": QUOTED}
    assert output(run(aws, states, value, QueryLanguage="JSONPath")) == {
        "list": [7],
        "names": ["a", "b"],
        "text": QUOTED,
        "format": f"{QUOTED}!",
    }


# Single expressions. Source: "JSONata functions provided by Step Functions", and JSONata's own
# documentation for the rest.


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$partition([1, 2, 3, 4, 5], 2)", [[1, 2], [3, 4], [5]]),
        ("$partition([1, 2, 3], 2.6)", [[1, 2], [3]]),
        ("$partition([1, 2, 3])", [[1, 2, 3]]),
        ("$partition([], 2)", []),
        ("$range(0, 10, 2)", [0, 2, 4, 6, 8, 10]),
        ("$range(10, 1, -4)", [10, 6, 2]),
        ("$range(1.4, 5.6, 2.2)", [1, 3, 5]),
        ("$range(3, 3, 1)", 3),
        ("$hash('hello', 'MD5')", "5d41402abc4b2a76b9719d911017c592"),
        ("$hash('hello', 'SHA-1')", "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"),
        (
            "$hash('✓', 'SHA-256')",
            "1dabba21cdad44541f6b15796f8d22978fc7ea10c46aeceeeeb66c23b3ac7604",
        ),
        ("$length($hash('', 'SHA-384'))", 96),
        ("$length($hash('', 'SHA-512'))", 128),
        ("$map(['a', 'b'], function($x){ $length($hash($x, 'MD5')) })", [32, 32]),
        ("$random(7) = $random(7)", True),
        ("$random(7) = $random(8)", False),
        ("$random() < 1", True),
        ("""$parse(' {"a": [null, 1]} ')""", {"a": [None, 1]}),
        ("$parse('null')", None),
        ("$uuid() = $uuid()", False),
        ("[1, 2, 3][$ > 1]", [2, 3]),
        ("$v[$ != null]", [1, 3]),
        ("$map($v, function($x){ $x })", [1, None, 3]),
        ("$big", BEYOND_FLOATS),
        ("5.5 % 2", 1.5),
        ("$lowercase('GROSS ß')", "gross ß"),
        ("['A', 'B'].$lowercase()", ["a", "b"]),
        ("-5 % 3", -2),
        ("($f := function($n){ $n = 0 ? 0 : 1 + $f($n - 1) }; $f(150))", 150),
    ],
)
def test_an_expression_has_the_value_that_step_functions_gives(expression: str, value: Any) -> None:
    answer = evaluate(expression, {"v": [1, None, 3], "big": BEYOND_FLOATS})
    assert (answer, type(answer)) == (value, type(value))


def test_an_uuid_is_of_version_4() -> None:
    assert re.fullmatch(
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        evaluate("$uuid()", {}),
    )


@pytest.mark.parametrize(
    "expression",
    [
        "$partition([1], 0)",
        "$partition([1], '2')",
        "$partition([1], null)",
        "$partition('text', 2)",
        "$partition([1], 2, 3)",
        "$range(1, 10, 0)",
        "$range(1, 10, 0.5)",
        "$range('a', 5, 1)",
        "$range(1, 5, null)",
        "$range(1, 5)",
        "$range(3, 1, 1)",
        "$hash('hello', 'sha-256')",
        "$hash(1, 'MD5')",
        "$hash(null, 'MD5')",
        "$hash($nowhere, 'MD5')",
        "$hash('hello')",
        "$random('seed')",
        "$random(null)",
        "$random(1, 2)",
        "$uuid(1)",
        "$parse('{bad}')",
        "$parse('NaN')",
        "$parse(1)",
        "$parse(null)",
        "$number('1e400')",
        "$lowercase(null)",
        "{'f': $sum}",
        "($f := function(){ $f() }; $f())",
    ],
)
def test_an_expression_without_a_value_is_an_error(
    expression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployer.local.moto_backend.jsonata_evaluator._TIMEOUT_MS", 50)
    with pytest.raises(EvaluationError):
        evaluate(expression, {})


def test_an_expression_leaves_its_variables_alone() -> None:
    """The copies of a transform, and the nulls of jsonata-python, stay inside."""
    value = {"list": [3, None, 1], "object": {"a": None}}
    evaluate("$v ~> |object|{'b': 1}|", {"v": value})
    evaluate("$append($v.list, 2)^($string($))", {"v": value})
    assert value == {"list": [3, None, 1], "object": {"a": None}}
