"""The line that a field of a kind takes: its name, its type, and its place in AWS's API.

A kind's fields are a TypedDict. mypy checks every declaration against it, and the line of a field
says how AWS has it:

    memory_mb: Annotated[int, Member("MemorySize", default=128)]

From this line the field is read, created and updated. A field without a Member is one that the kind
treats in code of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cache
from typing import Any, get_type_hints


def unchanged(value: Any) -> Any:
    """Return the value: AWS's form is ours."""
    return value


@dataclass(frozen=True)
class Member:
    """The place and the form of a field's value in AWS's parameters and answers.

    Args:
        path: of the value in parameters, such as "EphemeralStorage.Size"; [] after a name stands
            for a list with one item.
        default: the value if an answer lacks it.
        answer: path of the value in answers, where this is not `path`.
        parse: converts a value from AWS's form.
        write_as: converts a value to AWS's form.
    """

    path: str
    _: KW_ONLY
    default: Any = None
    answer: str = ""
    parse: Callable[[Any], Any] = unchanged
    write_as: Callable[[Any], Any] = unchanged

    def read(self, answer: Mapping[str, Any]) -> Any:
        """Return the field's value in an answer."""
        value: Any = answer
        for part in (self.answer or self.path).split("."):
            value = value.get(part.removesuffix("[]"))
            if part.endswith("[]") and value is not None:
                value = value[0] if value else None
            if value is None:
                return self.default
        return self.parse(value)

    def write(self, value: Any) -> dict[str, Any]:
        """Return the parameter that sets the field."""
        parameter = self.write_as(value)
        for part in reversed(self.path.split(".")):
            is_list = part.endswith("[]")
            parameter = {part.removesuffix("[]"): [parameter] if is_list else parameter}
        return dict(parameter)


@dataclass(frozen=True)
class Setting(Member):
    """A field that has calls of its own.

    Args:
        get: the operation that reads it; "" if it comes with the resource's own answer.
        missing: error codes of `get` that mean: it is not set.
        put: the operation that sets it.
        remove: the operation that removes it, for None.
    """

    get: str = ""
    missing: tuple[str, ...] = ()
    put: str = ""
    remove: str = ""

    def call(self, value: Any) -> tuple[str, dict[str, Any]]:
        """Return operation and parameters that set the field, or that remove it for None."""
        if value is None and self.remove:
            return self.remove, {}
        return self.put, self.write(value)


@cache  # evaluating the annotations costs a tenth of a millisecond
def members(fields: type) -> dict[str, Member]:
    """Return the Member of each field of a kind's TypedDict that has one, by the field's name."""
    hints = get_type_hints(fields, include_extras=True)
    return {
        name: member
        for name, hint in hints.items()
        for member in getattr(hint, "__metadata__", ())
        if isinstance(member, Member)
    }


def settings(fields: type) -> dict[str, Setting]:
    """Return the Setting of each field of a kind's TypedDict that has one, by the field's name."""
    found = members(fields).items()
    return {name: member for name, member in found if isinstance(member, Setting)}


def read_members(table: Mapping[str, Member], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return these fields' values in an answer."""
    return {name: member.read(answer) for name, member in table.items()}


def write_members(table: Mapping[str, Member], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that set all of these fields that are among the values."""
    parameters: dict[str, Any] = {}
    for name, member in table.items():
        if name in values:
            _merge(parameters, member.write(values[name]))
    return parameters


def _merge(into: dict[str, Any], parameters: Mapping[str, Any]) -> None:
    for name, value in parameters.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are not None: the ones to send when a resource is created."""
    return {name: value for name, value in values.items() if value is not None}
