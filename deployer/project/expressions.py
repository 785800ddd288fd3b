"""JSONata in a workflow: the expressions that Step Functions would refuse, with their places.

Step Functions parses every expression when the state machine is created, and refuses those that
read what it does not offer (Sfn-32). Source: "Transforming data with JSONata" in its documentation.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from deployer.project.state_rules import strings

_OPEN, _CLOSE = "{%", "%}"
# Fields of a state that hold other machines, whose states have places of their own; and text.
_NOT_OF_THE_STATE = ("Branches", "ItemProcessor", "Iterator", "Comment")
_COMMENT = re.compile(r"\.(?:Choices|Catch|Retry)\[\d+\]\.Comment")
_WITH_RESULT = ("Task", "Parallel", "Map")
_UNSUPPORTED = {
    "$$": "Step Functions has no $$; the state's input is $states.input",
    "$eval": "Step Functions has no $eval; $parse reads a JSON text",
}


def load_jsonata() -> Any:
    """Import the package jsonata-python; raise ImportError where it is not installed.

    Its import raises Python's limit of recursion for the whole process; that is undone.
    """
    limit = sys.getrecursionlimit()
    try:
        import jsonata
    finally:
        sys.setrecursionlimit(limit)
    return jsonata


def unchecked(definition: Any) -> str | None:
    """Return why the expressions of a workflow cannot be checked here; None if they can."""
    if not any(text.startswith(_OPEN) for _, text in strings(definition, "$")):
        return None
    try:
        load_jsonata()
    except ImportError:
        return "not checked: JSONata expressions; install the package jsonata-python"
    return None


def expression_problems(state: Mapping[str, Any], place: str) -> Iterator[str]:
    """Yield the faulty expressions of one state in JSONata, each with its place.

    Without the package jsonata-python, only the braces are looked at.
    """
    for field, value in state.items():
        if field in _NOT_OF_THE_STATE:
            continue
        for path, text in strings(value, f"{place}.{field}"):
            if _COMMENT.fullmatch(path.removeprefix(place)):
                continue
            if text.startswith(_OPEN) != text.endswith(_CLOSE):
                yield f"{path}: {text!r} must begin with {_OPEN} and end with {_CLOSE}"
            elif text.startswith(_OPEN):
                reserved = _reserved(str(state["Type"]), field, path.removeprefix(place))
                for problem in _problems(expression_in(text), reserved):
                    yield f"{path}: {problem}"


def expression_in(text: str) -> str:
    """Return the expression between the braces of a string."""
    return text[len(_OPEN) : -len(_CLOSE)].strip()


def _reserved(kind: str, field: str, path: str) -> set[str]:
    """Return the members of $states that a field may read, of those that are not always there."""
    if path.startswith(".Catch["):
        return {"errorOutput"}
    return {"result"} if kind in _WITH_RESULT and field in ("Output", "Assign") else set()


def _problems(expression: str, reserved: set[str]) -> Iterator[str]:
    try:
        jsonata = load_jsonata()
    except ImportError:
        return
    try:
        tree = jsonata.Jsonata(expression).ast
    except Exception as error:  # a KeyError for an unknown operator, and others beside its own
        yield _syntax_problem(error, expression)
        return
    for problem in dict.fromkeys(_unsupported(_nodes(tree, jsonata.Parser.Symbol), reserved)):
        yield f"{problem} (in {expression!r})"
    for name in dict.fromkeys(_read_at_the_top(tree)):
        yield (
            f"{name} has nothing to be read from at the top of an expression; the state's input "
            f"is $states.input (in {expression!r})"
        )


def _syntax_problem(error: Exception, expression: str) -> str:
    location = getattr(error, "location", None)
    if location is None:
        return f"no valid JSONata: {expression!r}"
    return f"no valid JSONata: {error}, at character {location} of {expression!r}"


def _unsupported(nodes: Iterable[Any], reserved: set[str]) -> Iterator[str]:
    """Yield a sentence for each part of an expression that Step Functions does not have."""
    for node in nodes:
        if node.type == "variable" and node.value in ("$", "eval"):
            yield _UNSUPPORTED[f"${node.value}"]
        elif node.type == "path" and len(node.steps) > 1:
            first, second = node.steps[:2]
            missing = {"result", "errorOutput"} - reserved
            if (first.type, first.value) == ("variable", "states") and second.value in missing:
                yield f"$states.{second.value} does not exist here"


def _nodes(tree: Any, symbol: type) -> Iterator[Any]:
    """Yield every node of a syntax tree, once; `symbol` is the class of the nodes."""
    seen: set[int] = set()
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, (list, tuple)):
            waiting.extend(part)
        elif isinstance(part, symbol) and id(part) not in seen:
            seen.add(id(part))
            yield part
            waiting.extend(vars(part).values())


def _read_at_the_top(node: Any) -> Iterator[str]:
    """Yield the names that an expression reads from its context, which does not exist.

    A step of a path but the first, a predicate, an order and a group have the value before them as
    their context; a function's body has that of the expression around it.
    """
    if node is None:
        return
    kind = node.type
    if kind == "name":
        yield str(node.value)
    elif kind == "variable" and node.value == "":
        yield "$"
    elif kind == "path":
        yield from _read_at_the_top(node.steps[0])
    else:
        for part in _parts(node):
            yield from _read_at_the_top(part)


def _parts(node: Any) -> Iterator[Any]:
    """Yield the parts of a node that are evaluated in its own context."""
    if node.type == "transform":  # it is applied to a value, which is its context
        return
    yield from (node.condition, node.then, node._else, node.lhs, node.rhs, node.procedure)
    yield from (node.expression, node.body)
    yield from node.arguments or ()
    yield from node.expressions or ()
    for pair in node.lhs_object or ():
        yield from pair
