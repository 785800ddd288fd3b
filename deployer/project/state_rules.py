"""The rules for one state of Amazon States Language: its fields, and their values. Pure.

Source: the language's specification (states-language.net) and Step Functions' documentation.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

_EVERY = {"Type", "Comment", "QueryLanguage", "InputPath", "OutputPath", "Output", "Assign"}
_MOVES = {"Next", "End"}
_RESULT = {"ResultPath", "ResultSelector", "Retry", "Catch"}
FIELDS = {
    "Task": {"Resource", "Parameters", "Arguments", "Credentials", *_RESULT}
    | {"TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath"},
    "Pass": {"Result", "ResultPath", "Parameters"},
    "Choice": {"Choices", "Default"},
    "Wait": {"Seconds", "SecondsPath", "Timestamp", "TimestampPath"},
    "Succeed": set(),
    "Fail": {"Error", "ErrorPath", "Cause", "CausePath"},
    "Parallel": {"Branches", "Parameters", "Arguments", *_RESULT},
    "Map": {"ItemProcessor", "Iterator", "Items", "ItemsPath", "ItemSelector", "Parameters"}
    | {"ItemReader", "ItemBatcher", "ResultWriter", "Label", "MaxConcurrency"}
    | {"MaxConcurrencyPath", "ToleratedFailureCount", "ToleratedFailureCountPath"}
    | {"ToleratedFailurePercentage", "ToleratedFailurePercentagePath", *_RESULT},
}
# Of a whole machine, of a branch and of a processor.
MACHINE = {"Comment", "StartAt", "States", "Version", "TimeoutSeconds", "QueryLanguage"} | {
    "ProcessorConfig"
}
_RULE = {"Comment", "Next", "Assign", "Output"}
_RULES = {
    "Catch": {"ErrorEquals", "ResultPath", *_RULE},
    "Retry": {"ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate", "MaxDelaySeconds"}
    | {"JitterStrategy", "Comment"},
}
_ORDERS = ("Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals")
_COMPARISONS = {
    f"{kind}{order}{path}"
    for kind in ("String", "Numeric", "Timestamp")
    for order in _ORDERS
    for path in ("", "Path")
}
_COMPARISONS |= {"BooleanEquals", "BooleanEqualsPath", "StringMatches"}
_COMPARISONS |= {f"Is{kind}" for kind in ("Null", "Present", "Numeric", "String", "Boolean")}
_COMPARISONS |= {"IsTimestamp", "Variable", "And", "Or", "Not"}
_OF_JSONPATH = {
    "InputPath",
    "OutputPath",
    "ResultPath",
    "ResultSelector",
    "Parameters",
    "ItemsPath",
}
_OF_JSONATA = {"Arguments", "Output", "Items"}
_TEMPLATES = ("Parameters", "ResultSelector", "ItemSelector", "Credentials", "Assign")
_DURATIONS = ("Seconds", "SecondsPath", "Timestamp", "TimestampPath")


def state_problems(state: Mapping[str, Any], place: str, language: str) -> Iterator[str]:
    """Yield the faults of one state, each with its place.

    Args:
        language: the query language of the state machine, JSONPath or JSONata.
    """
    language = state.get("QueryLanguage", language)
    yield from _fields(state, place, language)
    yield from _excluded(state, place)
    yield from _numbers(state, place)
    for name in ("Catch", "Retry"):
        yield from _error_names(state, name, place)
    rules = state.get("Choices")
    for number, rule in enumerate(rules if isinstance(rules, list) else ()):
        yield from _comparison(rule, f"{place}.Choices[{number}]", language)
    if language == "JSONPath":
        yield from _paths(state, place)
        for name in _TEMPLATES:
            yield from _template(state.get(name), f"{place}.{name}")
    if not isinstance(state.get("Credentials", {}), Mapping):
        yield f"{place}.Credentials: must be an object"
    kind = state["Type"]
    if kind == "Parallel" and not state.get("Branches"):
        yield f"{place}.Branches: must hold at least one branch"
    if kind == "Map" and "ItemProcessor" not in state and "Iterator" not in state:
        yield f"{place}: needs an ItemProcessor"
    if kind == "Wait" and sum(name in state for name in _DURATIONS) != 1:
        yield f"{place}: needs exactly one of {', '.join(_DURATIONS)}"


def _fields(state: Mapping[str, Any], place: str, language: str) -> Iterator[str]:
    # Next and End where they do not belong are a fault of their own (workflow._way_out).
    known = _EVERY | _MOVES | FIELDS[state["Type"]]
    foreign = _OF_JSONPATH if language == "JSONata" else _OF_JSONATA
    yield from unknown(state, known, place, f"a {state['Type']} state")
    for name in state:
        if name in known and name in foreign:
            yield f"{place}.{name}: a state in {language} has no such field"


def unknown(
    value: Mapping[str, Any], known: Collection[str], place: str, owner: str
) -> Iterator[str]:
    """Yield the fields that AWS does not know, with the one that may be meant."""
    for name in value:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            yield f"{place}.{name}: {owner} has no such field{hint}"


def _excluded(value: Any, place: str) -> Iterator[str]:
    """Yield the fields that exclude each other: X and XPath, in a state or its configuration."""
    if not isinstance(value, Mapping):
        return
    for name in value:
        if f"{name}Path" in value:
            yield f"{place}: {name} and {name}Path exclude each other"
    for name in ("ItemBatcher", "ItemReader", "ReaderConfig"):
        yield from _excluded(value.get(name), f"{place}.{name}")


def _numbers(state: Mapping[str, Any], place: str) -> Iterator[str]:
    heartbeat, timeout = state.get("HeartbeatSeconds"), state.get("TimeoutSeconds")
    if isinstance(heartbeat, int) and isinstance(timeout, int) and heartbeat >= timeout:
        yield f"{place}.HeartbeatSeconds: {heartbeat} must be below TimeoutSeconds, {timeout}"
    percentage = state.get("ToleratedFailurePercentage", 0)
    if isinstance(percentage, (int, float)) and not 0 <= percentage <= 100:
        yield f"{place}.ToleratedFailurePercentage: {percentage} must be from 0 to 100"


def _error_names(state: Mapping[str, Any], name: str, place: str) -> Iterator[str]:
    """Yield the catchers or retriers that name no errors, and their unknown fields."""
    rules = state.get(name)
    for number, rule in enumerate(rules if isinstance(rules, list) else ()):
        errors = rule.get("ErrorEquals") if isinstance(rule, Mapping) else None
        named = isinstance(errors, list) and errors
        if not named or not all(isinstance(error, str) for error in errors or ()):
            yield f"{place}.{name}[{number}].ErrorEquals: must be a list of error names"
        if isinstance(rule, Mapping):
            yield from unknown(rule, _RULES[name], f"{place}.{name}[{number}]", f"a {name} rule")


def _paths(state: Mapping[str, Any], place: str) -> Iterator[str]:
    """Yield the JSONPath fields that hold no path. null discards input, output or result."""
    for name in ("InputPath", "OutputPath", "ResultPath"):
        path = state.get(name)
        if path is not None and not (isinstance(path, str) and path.startswith("$")):
            yield f"{place}.{name}: {path!r} must be a path that begins with $, or null"
        elif name == "ResultPath" and path is not None and path[1:2] not in ("", ".", "["):
            yield f"{place}.ResultPath: {path!r} must be a path into the input, not a variable"


def _comparison(rule: Any, place: str, language: str) -> Iterator[str]:
    """Yield the faults of a choice rule: its unknown fields, and a Variable that is no path."""
    if not isinstance(rule, Mapping):
        return
    if language == "JSONata":
        yield from unknown(rule, {"Condition", *_RULE}, place, "a choice rule in JSONata")
        return
    yield from unknown(rule, _COMPARISONS | _RULE, place, "a choice rule")
    variable = rule.get("Variable", "$")
    if not (isinstance(variable, str) and variable.startswith("$")):
        yield f"{place}.Variable: {variable!r} must be a path that begins with $"
    for name in ("And", "Or"):
        inner = rule.get(name)
        for number, comparison in enumerate(inner if isinstance(inner, list) else ()):
            yield from _comparison(comparison, f"{place}.{name}[{number}]", language)
    yield from _comparison(rule.get("Not"), f"{place}.Not", language)


def strings(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield (path, text) of each string in a JSON value, at any depth."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from strings(member, f"{path}.{name}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from strings(item, f"{path}[{number}]")
    elif isinstance(value, str):
        yield path, value


def _template(template: Any, place: str) -> Iterator[str]:
    """Yield the members of a payload template that stand twice, or whose path is none."""
    if isinstance(template, Mapping):
        for name, value in template.items():
            if f"{name}.$" in template:
                yield f"{place}: {name} and {name}.$ are the same member"
            is_path = isinstance(value, str) and value.startswith(("$", "States."))
            if name.endswith(".$") and not is_path:
                yield (
                    f"{place}.{name}: {value!r} must be a path that begins with $, or a call such "
                    f"as States.Format(...)"
                )
            yield from _template(value, f"{place}.{name}")
    elif isinstance(template, list):
        for number, item in enumerate(template):
            yield from _template(item, f"{place}[{number}]")
