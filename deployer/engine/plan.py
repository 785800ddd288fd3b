"""The plan: desired against actual, field by field. Pure: no AWS, no clock, no I/O.

Both sides are mappings of a field's name to a JSON value. Only declared fields are compared, so
what AWS adds or others set elsewhere stays theirs; None means absent. A desired value may hold a
Ref to something that AWS chooses, such as a function's version; where the plan cannot know it yet,
it is UNKNOWN, shown as "(known after apply)".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Fields = Mapping[str, Any]


class Action(str, Enum):
    """What has to happen to a resource."""

    NOOP = "unchanged"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True)
class Ref:
    """An output of another resource: a value that AWS chooses. It implies a dependency."""

    key: str
    output: str


class _Unknown:
    """A value that only applying the plan will tell. There is one, UNKNOWN; it equals nothing but
    itself.
    """

    def __repr__(self) -> str:
        return "(known after apply)"


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class State:
    """What is really there: `fields` are compared, `outputs` are what AWS chose and others refer
    to.
    """

    fields: Fields
    outputs: Fields = field(default_factory=dict)


@dataclass(frozen=True)
class Desired:
    """What a resource declares of itself, as far as planning goes.

    `replace_on`: fields that AWS cannot change in place. `moves`: given the changed fields, the
        outputs that will change.
    """

    key: str
    fields: Fields
    needs: Collection[str] = ()
    replace_on: Collection[str] = ()
    moves: Callable[[Collection[str]], Collection[str]] = lambda changed: ()


@dataclass(frozen=True)
class FieldChange:
    """One field that differs; `path` is dotted, with list positions in brackets."""

    path: str
    before: Any
    after: Any
    forces_replace: bool = False

    @property
    def name(self) -> str:
        """The top-level field that the path begins with."""
        return self.path.partition(".")[0].partition("[")[0]


@dataclass(frozen=True)
class Change:
    """What happens to one resource, and why. `note`: what follows from it for those who use the
    service.
    """

    key: str
    action: Action
    fields: tuple[FieldChange, ...] = ()
    note: str = ""

    @property
    def names(self) -> frozenset[str]:
        """The top-level fields that change."""
        return frozenset(change.name for change in self.fields)


@dataclass(frozen=True)
class Plan:
    """Every resource's change, dependencies first, deletions last."""

    changes: tuple[Change, ...]

    @property
    def is_empty(self) -> bool:
        return all(change.action is Action.NOOP for change in self.changes)

    @property
    def effective(self) -> tuple[Change, ...]:
        """The changes that do something."""
        return tuple(change for change in self.changes if change.action is not Action.NOOP)

    @property
    def destructive(self) -> tuple[Change, ...]:
        """The changes that delete something, be it to make it anew."""
        return tuple(
            change for change in self.changes if change.action in (Action.DELETE, Action.REPLACE)
        )

    @property
    def adopting(self) -> tuple[Change, ...]:
        """The changes of what is there without our tags, and gets them."""
        return tuple(
            each for each in self.changes if each.action is Action.UPDATE and "tags" in each.names
        )

    def count(self, action: Action) -> int:
        return sum(change.action is action for change in self.changes)


def references(value: Any) -> Iterator[Ref]:
    """Yield every Ref inside a value."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from references(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from references(each)


def resolve(value: Any, lookup: Callable[[Ref], Any]) -> Any:
    """Return a value with each Ref replaced by what `lookup` gives for it."""
    if isinstance(value, Ref):
        return lookup(value)
    if isinstance(value, Mapping):
        return {name: resolve(each, lookup) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolve(each, lookup) for each in value]
    return value


def differences(path: str, before: Any, after: Any) -> Iterator[FieldChange]:
    """Yield the smallest changes that turn one value into the other, each with its path."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted(before.keys() | after.keys()):
            yield from differences(f"{path}.{name}", before.get(name), after.get(name))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after)):
            yield from differences(f"{path}[{number}]", one, other)
    elif not same(before, after):
        yield FieldChange(path, before, after)


def same(before: Any, after: Any) -> bool:
    """Compare as JSON does: true is not 1."""
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    return bool(before == after)


def compare(
    desired: Fields, actual: Fields | None, replace_on: Collection[str] = ()
) -> tuple[FieldChange, ...]:
    """Return what differs between the declared fields and the actual ones; None of the latter means
    nothing is there.
    """
    changes: list[FieldChange] = []
    for name, after in desired.items():
        before = None if actual is None else actual.get(name)
        for change in differences(name, before, after):
            forces = actual is not None and name in replace_on
            changes.append(FieldChange(change.path, change.before, change.after, forces))
    return tuple(changes)


def make_plan(
    desired: Iterable[Desired], actual: Mapping[str, State | None], undeclared: Iterable[str] = ()
) -> Plan:
    """Plan from actual to desired.

    Args:
        desired: dependencies first (graph.in_order); a Ref to something later or unknown is a
            KeyError.
        actual: each resource's state by key, None where it does not exist.
        undeclared: keys of resources of ours that are no longer declared; they will be deleted, in
            this order.
    """
    changes: dict[str, Change] = {}
    outputs: dict[str, Fields | None] = {}
    for each in desired:
        state = actual[each.key]
        fields = resolve(each.fields, lambda ref: _known(ref, outputs))
        found = compare(fields, state.fields if state else None, each.replace_on)
        action = _action(state, found)
        change = changes[each.key] = Change(each.key, action, found)
        outputs[each.key] = _outputs_after(each, state, change)
    changes.update((key, Change(key, Action.DELETE)) for key in undeclared)
    return Plan(tuple(changes.values()))


def _known(ref: Ref, outputs: Mapping[str, Fields | None]) -> Any:
    known = outputs[ref.key]
    return UNKNOWN if known is None else known.get(ref.output, UNKNOWN)


def _outputs_after(desired: Desired, state: State | None, change: Change) -> Fields | None:
    """The outputs that are known before the plan is applied; None when none is."""
    if state is None or change.action is Action.REPLACE:
        return None
    moving = set(desired.moves(change.names)) if change.action is Action.UPDATE else set()
    return {name: value for name, value in state.outputs.items() if name not in moving}


def _action(state: State | None, found: tuple[FieldChange, ...]) -> Action:
    if state is None:
        return Action.CREATE
    if not found:
        return Action.NOOP
    return Action.REPLACE if any(change.forces_replace for change in found) else Action.UPDATE


def plan_deletion(keys: Iterable[str], actual: Mapping[str, State | None]) -> Plan:
    """Plan the deletion of whatever of these resources exists, in this order."""
    return Plan(
        tuple(
            Change(key, Action.DELETE if actual[key] is not None else Action.NOOP) for key in keys
        )
    )
