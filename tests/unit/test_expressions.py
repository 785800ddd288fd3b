"""JSONata that Step Functions would refuse is found without AWS, with its place.

What AWS takes and refuses at the top of an expression was asked of ValidateStateMachineDefinition
by the makers of other emulators; JSONata's own faults are those of its parser.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from deployer.project.expressions import expression_problems, unchecked
from deployer.project.workflow import problems


def found(expression: str, kind: str = "Pass", field: str = "Output") -> list[str]:
    return list(expression_problems({"Type": kind, field: f"{{% {expression} %}}"}, "$.States.a"))


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("1 +", "Unexpected end of expression, at character 3 of '1 +'"),
        ("", "Unexpected end of expression, at character 0 of ''"),
        ("a[1,2)", "Expected ], got ,, at character 4 of 'a[1,2)'"),
        ("'x", 'String literal must be terminated by a matching quote, at character 2 of "\'x"'),
        ("{'a':}", "The symbol } cannot be used as a unary operator, at character 6 of \"{'a':}\""),
        ("$x :=", "Unexpected end of expression, at character 5 of '$x :='"),
        ("~", "'~'"),
    ],
)  # fmt: skip
def test_an_expression_that_does_not_parse_says_where_and_why(expression: str, reason: str) -> None:
    assert found(expression) == [f"$.States.a.Output: no valid JSONata: {reason}"]


@pytest.mark.parametrize(
    "expression",
    [
        "phone",
        "phone[0].number",
        "-phone",
        "phone ? 1 : 2",
        "$x ? phone : 2",
        "phone & 'x'",
        "phone in $x",
        "$sum(phone)",
        "phone(1)",
        "phone ~> $string()",
        "[1..phone]",
        "(phone).other",
        "[phone].other",
        "{phone: 1}",
        "($x := phone; $x)",
        "$map($x, function($y){ phone })",
        "$count(phone[inner])",
        "phone.**.deeper",
        "$f(?, phone)",
    ],
)
def test_a_name_without_a_context_is_refused(expression: str) -> None:
    (problem,) = found(expression)
    assert problem.startswith("$.States.a.Output: phone has nothing to be read from")


@pytest.mark.parametrize(
    "expression", ["$", "$.phone", "$[0]", "$string($)", "$map($x, function($y){ $ })"]
)
def test_a_lone_dollar_without_a_context_is_refused(expression: str) -> None:
    (problem,) = found(expression)
    assert problem.startswith("$.States.a.Output: $ has nothing to be read from at the top")


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("$$", "Step Functions has no $$"),
        ("$x[$$.a = 1]", "Step Functions has no $$"),
        ("$eval('1')", "Step Functions has no $eval; $parse reads a JSON text"),
        ("$x.($eval(a))", "Step Functions has no $eval"),
        ("$states.errorOutput.Cause", "$states.errorOutput does not exist here"),
        ("[1, $states.result]", "$states.result does not exist here"),
    ],
)
def test_what_step_functions_does_not_have_is_refused(expression: str, reason: str) -> None:
    (problem,) = found(expression)
    assert problem.startswith(f"$.States.a.Output: {reason}")


@pytest.mark.parametrize(
    "expression",
    [
        "$states.input.phone",
        "$states.input.a[0].phone",
        "$states.input.items[phone > 3]",
        "$states.input.a^(phone)",
        "$states.input.a{'k': phone}",
        "$states.input.a.(phone * 2)",
        "$states.input.a.$phone",
        "$phone",
        "$states.input.a ~> $string()",
        "**.phone",
        "{'k': 1}.phone",
        "$states.input.a[0][phone]",
        "$states.input.a[$ > 1]",
        "function($x){ $x.phone }",
        "'phone'",
        "1 + 1",
        "$now()",
        "$states.input.errorOutput",
        "$states",
        "$average([1, 2])",
        "$f(?, 2)",
    ],
)
def test_an_expression_that_aws_takes_is_no_problem(expression: str) -> None:
    assert found(expression) == []


def test_a_transform_reads_what_it_is_applied_to() -> None:
    assert found("$states.input ~> |phone|{'b': c}|") == []


def test_results_and_errors_are_read_where_they_exist() -> None:
    assert found("$states.result", "Task") == [] == found("$states.result", "Map", "Assign")
    assert found("$states.result", "Task", "Arguments") != []
    catch = {"Type": "Task", "Catch": [{"Output": "{% $states.errorOutput %}"}]}
    assert list(expression_problems(catch, "$")) == []


@pytest.mark.parametrize("text", ["{% 1 %", " {% 1 %}", "1 %}"])
def test_the_braces_stand_at_both_ends(text: str) -> None:
    (problem,) = expression_problems({"Type": "Pass", "Output": text}, "$")
    assert "must begin with {% and end with %}" in problem


def test_every_field_of_a_state_is_looked_at_in_its_own_language() -> None:
    """Comments are text, the states of a branch have places of their own."""
    faulty = "{% 1 + %}"
    inner = {"Type": "Pass", "Comment": faulty, "Output": {"Comment": [faulty]}, "End": True}
    other = {"Type": "Pass", "QueryLanguage": "JSONPath", "Result": faulty, "End": True}
    states: dict[str, Any] = {
        "a": {
            "Type": "Parallel",
            "Branches": [{"StartAt": "b", "States": {"b": inner}}],
            "Catch": [{"ErrorEquals": ["x"], "Comment": faulty, "Output": faulty, "Next": "c"}],
            "Next": "c",
        },
        "c": other,
    }
    definition = {"QueryLanguage": "JSONata", "StartAt": "a", "States": states}
    assert [problem.partition(":")[0] for problem in problems(definition)] == [
        "$.States.a.Catch[0].Output",
        "$.States.a.Branches[0].States.b.Output.Comment[0]",
        "$.States.c.QueryLanguage",
    ]


def test_without_the_parser_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    definition = {"States": {"a": {"Type": "Pass", "Output": "{% 1 + %}"}}}
    assert unchecked(definition) is None
    monkeypatch.setitem(sys.modules, "jsonata", None)
    assert found("1 +") == []
    assert unchecked(definition) == (
        "not checked: JSONata expressions; install the package jsonata-python"
    )
    assert unchecked({"States": {"a": {"Type": "Pass", "Result": "x"}}}) is None


def test_parsing_leaves_pythons_limit_of_recursion_alone() -> None:
    """The package would raise it for the whole process."""
    program = (
        "import sys\n"
        "from deployer.project.expressions import load_jsonata\n"
        "limit = sys.getrecursionlimit()\n"
        "load_jsonata()\n"
        "print(sys.getrecursionlimit() - limit)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "0\n", done.stderr
