"""Amazon States Language: checks that need no AWS, placeholders, tasks. Pure.

AWS checks a definition when the state machine is created, after everything else; `problems` finds
the same faults before the first write. "${name}" as a whole string stands for the version ARN of
the function `name`: as the Resource of a task, as the FunctionName of one whose Resource is
`arn:aws:states:::lambda:invoke` (Sfn-27), and wherever else such an ARN may stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from deployer.project.expressions import expression_problems
from deployer.project.state_rules import MACHINE, state_problems, strings, unknown

WORKFLOW = "state_machine.json"  # in the project's folder
# API Gateway waits this long for the workflow; its own maximum is 30 s (Api-13).
INTEGRATION_TIMEOUT_S = 29
TYPES = ("Task", "Pass", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map")
_LISTS = ("Choices", "Catch", "Branches")
_TERMINAL = ("Succeed", "Fail")
_NAME_LIMIT = 80  # characters of a state's name
# Sfn-7: an execution that answers at once cannot wait for a job or a person.
_NOT_EXPRESS = (".sync", ".sync:2", ".waitForTaskToken")
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
# In an expression, ${ may also group by a key.
_IN_EXPRESSION = re.compile(r"\$\{(\w+)\}")
_LAMBDA = re.compile(r"arn:[^:]+:lambda:")
_QUALIFIED = re.compile(r"arn:[^:]+:lambda:[^:]*:\d*:function:[\w-]+(:(\$LATEST|[\w-]+))?")
_INVOKE = re.compile(r"arn:[^:]+:states:::lambda:invoke")
_FUNCTION = re.compile(r"[a-z](?:_?[a-z0-9])*")
_RESERVED = ("workflow", "api")  # log groups of these names belong to the state machine and the API


def placeholders(value: Any) -> Iterator[tuple[str, str]]:
    """Yield (path, name) of each ${name} in a definition, but not of those in comments."""
    for path, text in strings(value, "$"):
        if not path.endswith(".Comment"):
            for name in _names_in(text):
                yield path, name


def _names_in(text: str) -> list[str]:
    pattern = _IN_EXPRESSION if text.startswith("{%") else _PLACEHOLDER
    return pattern.findall(text)


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """Return a definition with the value of that name in place of each string "${name}".

    Comments stay as they are: they may name anything.
    """
    if isinstance(value, Mapping):
        return {
            key: member if key == "Comment" else fill(member, values)
            for key, member in value.items()
        }
    if isinstance(value, list):
        return [fill(item, values) for item in value]
    name = _placeholder(value)
    return value if name is None else values.get(name, value)


def _placeholder(value: Any) -> str | None:
    """Return the name if a value is "${name}" and nothing else."""
    match = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else None


def function_of(state: Mapping[str, Any]) -> str | None:
    """Return the name of the function that a Task state calls; None for another task."""
    resource = state.get("Resource")
    if isinstance(resource, str) and _INVOKE.fullmatch(resource):
        request = state.get("Parameters", state.get("Arguments"))
        return _placeholder(request.get("FunctionName")) if isinstance(request, Mapping) else None
    return _placeholder(resource)


def tasks(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield each Task state of a definition, at any depth."""
    if isinstance(value, Mapping):
        if value.get("Type") == "Task":
            yield value
        for member in value.values():
            yield from tasks(member)
    elif isinstance(value, list):
        for item in value:
            yield from tasks(item)


def functions(definition: Any, faults: list[str]) -> Iterator[str]:
    """Yield the name of each function of a workflow, once, in its order; add faults to the list."""
    seen = set()
    partial = set(_partial(definition))
    faults += (
        f"{WORKFLOW} {path}: ${{name}} must be the whole string, or it is not replaced; it stands "
        f"for the ARN of a function's version"
        for path in sorted(partial)
    )
    for path, name in placeholders(definition):
        if path in partial:
            continue
        if problem := name_problem(name):
            faults.append(f"{WORKFLOW} {path}: {problem}")
        elif name not in seen:
            seen.add(name)
            yield name
    if not seen and not faults:
        faults.append(
            f"{WORKFLOW} names no function; a task's Resource, or its FunctionName, must be "
            f"${{name}} of a trained model"
        )


def _partial(definition: Any) -> Iterator[str]:
    """Yield the paths of strings of which a placeholder is only a part, or is not closed."""
    for path, text in strings(definition, "$"):
        if path.endswith(".Comment") or _placeholder(text) is not None:
            continue
        if _names_in(text) or (path.endswith((".Resource", ".FunctionName")) and "${" in text):
            yield path


def name_problem(name: str) -> str | None:
    """Say why a function cannot have this name; None if it can."""
    if not _FUNCTION.fullmatch(name):
        return f"{name!r} must be lower-case letters, digits and single underscores"
    if name in _RESERVED:
        return f"a function cannot be called {name}, which the service uses itself"
    return None


def timeout_problems(definition: Any, function_timeout_s: Callable[[str], int]) -> Iterator[str]:
    """Yield the timeouts that would end before the one that they contain (Sfn-29).

    HTTP integration > workflow > task > function: whoever waits must outlast the part it waits for.

    Args:
        function_timeout_s: the timeout of a function, by its name.
    """
    whole = definition.get("TimeoutSeconds")
    if not isinstance(whole, int) or not whole < INTEGRATION_TIMEOUT_S:
        yield (
            f"{WORKFLOW}: TimeoutSeconds is {whole}, but must be below the API's "
            f"{INTEGRATION_TIMEOUT_S}"
        )
        return
    for task in tasks(definition):
        timeout_s, name = task.get("TimeoutSeconds"), function_of(task)
        if name is None:
            continue
        if not isinstance(timeout_s, int) or not timeout_s < whole:
            yield (
                f"{WORKFLOW}: the task of {name} has TimeoutSeconds {timeout_s}, but must be below "
                f"the workflow's {whole}"
            )
        elif not function_timeout_s(name) < timeout_s:
            yield (
                f"timeout_s of {name} is {function_timeout_s(name)}, but must be below its task's "
                f"{timeout_s}"
            )


def problems(definition: Any) -> Iterator[str]:
    """Yield the faults of a workflow, each with its place."""
    language = (
        definition.get("QueryLanguage", "JSONPath") if isinstance(definition, Mapping) else ""
    )
    yield from _machine(definition, "$", language)
    places: dict[str, str] = {}
    for name, place in state_names(definition):  # AWS: DUPLICATE_STATE_NAME
        if name in places:
            yield f"{place}: {places[name]} has the same name, which must be unique in a workflow"
        places.setdefault(name, place)


def state_names(machine: Any, path: str = "$") -> Iterator[tuple[str, str]]:
    """Yield (name, place) of every state, at any depth."""
    states = machine.get("States") if isinstance(machine, Mapping) else None
    for name, state in states.items() if isinstance(states, Mapping) else ():
        place = f"{path}.States.{name}"
        yield name, place
        for where, inner in _machines(state) if isinstance(state, Mapping) else ():
            yield from state_names(inner, f"{place}.{where}")


def _machine(machine: Any, path: str, language: str) -> Iterator[str]:
    """Yield the faults of a state machine and of the machines in it, with their paths."""
    states = machine.get("States") if isinstance(machine, Mapping) else None
    if not isinstance(states, Mapping) or not states:
        yield f"{path}: has no States"
        return
    yield from unknown(machine, MACHINE, path, "a state machine")
    start = machine.get("StartAt")
    if not _names(start, states):
        yield f"{path}.StartAt: {start!r} is none of its States"
    for name, state in states.items():
        place = f"{path}.States.{name}"
        if not isinstance(state, Mapping):
            yield f"{place}: must be an object"
            continue
        if len(name) > _NAME_LIMIT:
            yield f"{place}: the name has {len(name)} characters; at most {_NAME_LIMIT} are allowed"
        yield from _state(state, states, place, language)
    reached = _reached(start, states)
    for name in states:
        if reached and name not in reached:
            yield f"{path}.States.{name}: no state leads here"
    if reached and not any(_may_end(states[name], states) for name in reached):
        yield f"{path}: no way leads to an end"


def _may_end(state: Any, states: Mapping[str, Any]) -> bool:
    """Tell whether a machine ends with a state, or with a fault of it that is reported."""
    if not isinstance(state, Mapping) or state.get("Type") in _TERMINAL or "End" in state:
        return True
    targets = [target for _, target in _targets(state)]
    return not targets or not all(_names(target, states) for target in targets)


def _state(
    state: Mapping[str, Any], states: Mapping[str, Any], place: str, language: str
) -> Iterator[str]:
    kind = state.get("Type")
    if kind not in TYPES:
        yield f"{place}.Type: {kind!r} is none of {', '.join(TYPES)}"
        return
    if language == "JSONata" and state.get("QueryLanguage", language) != language:
        yield (
            # Sfn-38
            f"{place}.QueryLanguage: a workflow in JSONata holds no state in another language"
        )
    yield from (
        f"{place}.{where}: must be a list"
        for where in _LISTS
        if not isinstance(state.get(where, []), list)
    )
    for where, target in _targets(state):
        if not _names(target, states):
            yield f"{place}.{where}: {target!r} is no state beside it"
    yield from _way_out(kind, state, place)
    if kind == "Choice" and not state.get("Choices"):
        yield f"{place}.Choices: must not be empty"
    if kind == "Task":
        yield from _resource(state.get("Resource"), place)
        yield from _qualifier(state, place)
    yield from state_problems(state, place, language)
    if state.get("QueryLanguage", language) == "JSONata":
        yield from expression_problems(state, place)
    for where, inner in _machines(state):
        yield from _machine(inner, f"{place}.{where}", language)


def uncaught(machine: Mapping[str, Any], path: str = "$") -> Iterator[str]:
    """Yield a warning for each function's task whose error would reach callers with its cause.

    The cause of a function's error is its message with a stack trace.
    """
    for name, state in machine["States"].items():
        if _catches_all(state):
            continue
        place = f"{path}.States.{name}"
        function = function_of(state)
        if state["Type"] == "Task" and function:
            yield (
                f"{WORKFLOW} {place}: has no Catch for States.ALL: if {function} fails, its "
                "error's cause, a stack trace, reaches callers; add a Catch to this state or to "
                "the Parallel or Map around it"
            )
        for where, inner in _machines(state):
            yield from uncaught(inner, f"{place}.{where}")


def _catches_all(state: Mapping[str, Any]) -> bool:
    """Tell whether a state's Catch takes every error of a function.

    States.TaskFailed leaves only timeouts out, whose cause has no stack trace.
    """
    return any(
        {"States.ALL", "States.TaskFailed"} & set(rule["ErrorEquals"])
        for rule in state.get("Catch", ())
    )


def _way_out(kind: str, state: Mapping[str, Any], place: str) -> Iterator[str]:
    leaves = state.get("End") is True
    if kind in (*_TERMINAL, "Choice"):
        if leaves or "Next" in state:
            yield f"{place}: a {kind} state has neither Next nor End"
    elif leaves == ("Next" in state):
        yield f"{place}: needs either Next or End"


def _resource(resource: Any, place: str) -> Iterator[str]:
    if not isinstance(resource, str) or not resource:
        yield f"{place}.Resource: must be ${{name}} of a trained model, or an ARN"
    elif resource.endswith(_NOT_EXPRESS) or ":activity:" in resource:
        yield (
            f"{place}.Resource: an EXPRESS workflow cannot wait for "
            f"{resource.rpartition(':')[2]}"  # Sfn-7
        )
    elif _LAMBDA.match(resource) and not _QUALIFIED.fullmatch(resource):
        yield f"{place}.Resource: {resource!r} is no ARN of a function, a version or an alias"


def _qualifier(state: Mapping[str, Any], place: str) -> Iterator[str]:
    """Yield the Qualifier of a function whose placeholder names a version already."""
    for field in ("Parameters", "Arguments"):
        request = state.get(field)
        if isinstance(request, Mapping) and "Qualifier" in request and function_of(state):
            yield (
                f"{place}.{field}.Qualifier: ${{{function_of(state)}}} is the ARN of a version "
                f"already; take Qualifier out"
            )


def _targets(state: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in ("Next", "Default"):
        if name in state:
            yield name, state[name]
    for name in ("Choices", "Catch"):
        for number, rule in enumerate(_list(state, name)):
            yield f"{name}[{number}].Next", rule.get("Next") if isinstance(rule, Mapping) else None


def _machines(state: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for number, branch in enumerate(_list(state, "Branches")):
        yield f"Branches[{number}]", branch
    for name in ("ItemProcessor", "Iterator"):
        if name in state:
            yield name, state[name]


def _reached(start: Any, states: Mapping[str, Any]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if _names(name, states) and name not in reached:
            reached.add(name)
            state = states[name]
            waiting.extend(
                target for _, target in _targets(state if isinstance(state, Mapping) else {})
            )
    return reached


def _names(target: Any, states: Mapping[str, Any]) -> bool:
    return isinstance(target, str) and target in states


def _list(state: Mapping[str, Any], name: str) -> list[Any]:
    value = state.get(name)
    return value if isinstance(value, list) else []
