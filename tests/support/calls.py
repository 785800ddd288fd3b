"""Calls of AWS as they stand in the source, compared with botocore's service models.

`problems` walks a module's syntax tree. It knows calls of `Aws` (call, call_once, find, pages),
also by `partial`, and functions of the module that take the operation's name and pass it on.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import botocore.session
from botocore import xform_name

# By method: how many arguments stand before the service's name.
METHODS = {"call": 0, "call_once": 0, "pages": 0, "find": 1}


@cache
def operations(service: str) -> dict[str, Any]:
    """Return the operation models of a service by their name in boto3."""
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): model.operation_model(name) for name in model.operation_names}


@cache
def services() -> frozenset[str]:
    return frozenset(botocore.session.get_session().get_available_services())


@dataclass(frozen=True)
class Wrapper:
    """A function that calls operations of one service by name, with parameters that it adds."""

    service: str
    adds: frozenset[str]
    takes: frozenset[str]  # its own named parameters
    position: int  # of `operation` among its arguments, without self


@dataclass
class Parameters:
    """Names of parameters that stand literally in a call; `whole`: there are no others."""

    names: set[str] = field(default_factory=set)
    whole: bool = True


@dataclass(frozen=True)
class Found:
    """A literal call: of which operation, with which parameters."""

    line: int
    service: str
    operation: str
    parameters: Parameters


def problems(source: str, wrappers: dict[str, Wrapper] | None = None) -> list[str]:
    """Return what botocore's models refuse of a module's literal calls, a line each."""
    return [
        f"{call.line}: {call.service}.{call.operation}: {problem}"
        for call in literal_calls(source, wrappers)
        for problem in _refused(call)
    ]


def literal_calls(source: str, wrappers: dict[str, Wrapper] | None = None) -> list[Found]:
    tree = ast.parse(source)
    known = {**(wrappers or {}), **wrappers_of(tree)}
    return [
        found
        for node, function in _calls(tree)
        if (found := _literal(node, function, known)) is not None
    ]


def wrappers_of(tree: ast.AST) -> dict[str, Wrapper]:
    """Return the functions with a parameter `operation` that they pass to a call, by name."""
    found = {}
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        names = [argument.arg for argument in function.args.args if argument.arg != "self"]
        if "operation" not in names:
            continue
        for node, _ in _calls(function):
            service, operation, keywords = _parts(node)
            if isinstance(operation, ast.Name) and operation.id == "operation" and service:
                adds = frozenset(keyword.arg for keyword in keywords if keyword.arg)
                found[function.name] = Wrapper(
                    service, adds, frozenset(names), names.index("operation")
                )
    return found


def _calls(
    node: ast.AST, function: ast.AST | None = None
) -> Iterator[tuple[ast.Call, ast.AST | None]]:
    """Yield each call with the outermost function that it stands in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield child, function
        is_function = isinstance(child, ast.FunctionDef)
        yield from _calls(child, function or (child if is_function else None))


def _parts(node: ast.Call) -> tuple[str, ast.expr | None, list[ast.keyword]]:
    """Return service, operation and keywords of a call of Aws; ("", None, []) for any other."""
    function, arguments = node.func, list(node.args)
    if isinstance(function, ast.Name) and function.id == "partial" and arguments:
        function = arguments.pop(0)
    if not isinstance(function, ast.Attribute) or function.attr not in METHODS:
        return "", None, []
    arguments = arguments[METHODS[function.attr] :]
    service = _text(arguments[0]) if len(arguments) > 1 else None
    return (service, arguments[1], node.keywords) if service else ("", None, [])


def _literal(
    node: ast.Call, function: ast.AST | None, wrappers: dict[str, Wrapper]
) -> Found | None:
    service, expression, keywords = _parts(node)
    parameters = Parameters()
    if not service:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        wrapper = wrappers.get(name)
        if wrapper is None or len(node.args) <= wrapper.position:
            return None
        service, expression = wrapper.service, node.args[wrapper.position]
        keywords = [keyword for keyword in node.keywords if keyword.arg not in wrapper.takes]
        parameters.names |= wrapper.adds
        for argument in node.args[wrapper.position + 1 : wrapper.position + 2]:
            _add(parameters, argument, function, node.lineno)
    operation = _text(expression)
    if operation is None:
        return None
    for keyword in keywords:
        if keyword.arg:
            parameters.names.add(keyword.arg)
        else:
            _add(parameters, keyword.value, function, node.lineno)
    is_partial = isinstance(node.func, ast.Name) and node.func.id == "partial"
    parameters.whole = parameters.whole and not is_partial
    return Found(node.lineno, service, operation, parameters)


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _add(parameters: Parameters, node: ast.expr, function: ast.AST | None, before: int) -> None:
    """Add the names in a mapping: a literal one, or a local variable that was set to one."""
    if isinstance(node, ast.Name) and function is not None:
        value, names = _variable(function, node.id, before)
        parameters.names |= names
        if value is not None:
            _add(parameters, value, function, value.lineno)
            return
    if not isinstance(node, ast.Dict):
        parameters.whole = False
        return
    for key, value in zip(node.keys, node.values, strict=True):
        name = _text(key)
        if name is not None:
            parameters.names.add(name)
        elif key is None:
            _add(parameters, value, function, node.lineno)
        else:
            parameters.whole = False


def _variable(function: ast.AST, name: str, before: int) -> tuple[ast.expr | None, set[str]]:
    """Return the value last assigned to a variable, and the names set in it since then."""
    value: ast.expr | None = None
    names: set[str] = set()
    for node in ast.walk(function):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.lineno >= before:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name) and target.id == name:
                if value is None or node.lineno > value.lineno:
                    value, names = node.value, set()
            elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                key = _text(target.slice)
                if target.value.id == name and key is not None:
                    names.add(key)
    return value, names


def _refused(call: Found) -> Iterator[str]:
    if call.service not in services():
        yield "there is no such service"
        return
    operation = operations(call.service).get(call.operation)
    if operation is None:
        yield "there is no such operation"
        return
    shape = operation.input_shape
    members = set(shape.members) if shape is not None else set()
    for name in sorted(call.parameters.names - members):
        yield f"there is no such parameter: {name}"
    if call.parameters.whole and shape is not None:
        for name in sorted(set(shape.required_members) - call.parameters.names):
            yield f"a required parameter is missing: {name}"
