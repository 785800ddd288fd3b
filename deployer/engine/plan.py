"""The plan: compare desired and actual state, field by field. Pure: no AWS, no clock, no I/O.

Both states map names of fields to JSON values; None means absent. Only declared fields are
compared: fields that AWS or others add are left alone. A desired value may hold a Ref to an output
that AWS chooses, such as a function's version. As long as the plan cannot know it, it is UNKNOWN,
shown as "(known after apply)".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from deployer.engine.differences import FieldChange, differences

Fields = Mapping[str, Any]
Outputs = Mapping[str, "Fields | None"]  # by key; None where none is known
_MARK = "tags.deployer:service"  # the place that changes when a resource becomes ours


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
    """The type of UNKNOWN, which equals only itself: a value known after the plan is applied."""

    def __repr__(self) -> str:
        return "(known after apply)"


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class State:
    """The actual state of a resource.

    Args:
        fields: are compared with the desired ones.
        outputs: values that AWS chose; other resources refer to them.
        released: fields as this tool released them last; None where the account does not record it.
    """

    fields: Fields
    outputs: Fields = field(default_factory=dict)
    released: Fields | None = None


@dataclass(frozen=True)
class Desired:
    """The part of a resource's declaration that planning needs.

    Args:
        replace_on: fields that AWS cannot change in place.
        moves: returns the outputs that change together with the given fields.
        widens: says how the change of fields gives others more access; the fields are None if
            the resource is absent.
        follows: the undeclared resource whose place it takes; while it is absent itself, `widens`
            gets that one's fields.
    """

    key: str
    fields: Fields
    needs: Collection[str] = ()
    replace_on: Collection[str] = ()
    moves: Callable[[Collection[str]], Collection[str]] = lambda changed: ()
    widens: Callable[[Fields | None, Fields], Iterable[str]] = lambda before, after: ()
    follows: str = ""


@dataclass(frozen=True)
class Change:
    """The planned change of one resource.

    Args:
        note: its consequences, such as for users of the service.
        widens: how it gives others more access, a sentence each.
        before: all fields as they are; None if the resource is absent, or its fields do not matter.
        after: all fields as they are declared.
        harmless: nothing of the user's is lost by it, even if it is a deletion.
    """

    key: str
    action: Action
    fields: tuple[FieldChange, ...] = ()
    note: str = ""
    widens: tuple[str, ...] = ()
    before: Fields | None = None
    after: Fields | None = None
    harmless: bool = False

    @property
    def names(self) -> frozenset[str]:
        """The top-level fields that change."""
        return frozenset(field_change.name for field_change in self.fields)


@dataclass(frozen=True)
class Plan:
    """The changes of all resources, dependencies first, deletions last."""

    changes: tuple[Change, ...]

    @property
    def is_empty(self) -> bool:
        return all(change.action is Action.NOOP for change in self.changes)

    @property
    def effective(self) -> tuple[Change, ...]:
        """The changes that are not NOOP."""
        return tuple(change for change in self.changes if change.action is not Action.NOOP)

    @property
    def destructive(self) -> tuple[Change, ...]:
        """The changes that delete a resource, including replacements, and are not harmless."""
        return tuple(
            change
            for change in self.changes
            if change.action in (Action.DELETE, Action.REPLACE) and not change.harmless
        )

    @property
    def adopting(self) -> tuple[Change, ...]:
        """The changes that add our tags to an existing resource."""
        return tuple(
            change
            for change in self.changes
            if change.action is Action.UPDATE and _MARK in {field.path for field in change.fields}
        )

    def count(self, action: Action) -> int:
        return sum(change.action is action for change in self.changes)


def references(value: Any) -> Iterator[Ref]:
    """Yield every Ref inside a value."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from references(member)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from references(item)


def resolve(value: Any, lookup: Callable[[Ref], Any]) -> Any:
    """Return a value with every Ref replaced by the result of `lookup`."""
    if isinstance(value, Ref):
        return lookup(value)
    if isinstance(value, Mapping):
        return {name: resolve(member, lookup) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolve(item, lookup) for item in value]
    return value


def resolutions(value: Any, resolved: Any) -> Iterator[tuple[Ref, Any]]:
    """Yield every Ref inside a value, with the value that stands in its place once resolved."""
    if isinstance(value, Ref):
        yield value, resolved
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield from resolutions(member, resolved[name])
    elif isinstance(value, (list, tuple)):
        for item, resolved_item in zip(value, resolved, strict=True):
            yield from resolutions(item, resolved_item)


def compare(
    desired: Fields, actual: Fields | None, replace_on: Collection[str] = ()
) -> tuple[FieldChange, ...]:
    """Return how the actual fields differ from the declared ones. `actual` is None if absent."""
    changes: list[FieldChange] = []
    for name, after in desired.items():
        before = None if actual is None else actual.get(name)
        for change in differences(name, before, after):
            forces = actual is not None and name in replace_on
            changes.append(replace(change, forces_replace=forces))
    return tuple(changes)


def make_plan(
    desired: Iterable[Desired],
    actual: Mapping[str, State | None],
    undeclared: Iterable[str] = (),
    wanted: Callable[[str, Outputs], bool] = lambda key, outputs: False,
) -> Plan:
    """Plan from actual to desired.

    Args:
        desired: dependencies first (graph.in_order).
        actual: the state of every resource by key, None where it does not exist.
        undeclared: keys of our resources that are no longer declared, in the order of deletion.
        wanted: tells of one of these, by the outputs that are known, whether it stays all the same.

    Raises:
        KeyError: a Ref to a resource that comes later or is not declared, or a resource without an
            entry in `actual`.
    """
    changes: dict[str, Change] = {}
    outputs: dict[str, Fields | None] = {}
    for declared in desired:
        key = declared.key
        state = actual[key]
        fields = resolve(declared.fields, lambda ref: _known(ref, outputs))
        before = state.fields if state else None
        former = state or actual.get(declared.follows)
        differing = compare(fields, before, declared.replace_on)
        changes[key] = Change(
            key,
            _action(state, differing),
            differing,
            widens=tuple(declared.widens(former.fields if former else None, fields))
            if differing
            else (),
            before=before,
            after=fields,
        )
        outputs[key] = _outputs_after(declared, state, changes[key])
    changes.update(
        (key, Change(key, Action.DELETE)) for key in undeclared if not wanted(key, outputs)
    )
    return Plan(tuple(changes.values()))


def _known(ref: Ref, outputs: Outputs) -> Any:
    """Return an output, or UNKNOWN if only applying the plan tells it."""
    known = outputs[ref.key]
    return UNKNOWN if known is None else known.get(ref.output, UNKNOWN)


def _outputs_after(desired: Desired, state: State | None, change: Change) -> Fields | None:
    """Return the outputs that are known before the plan is applied; None when none is."""
    if state is None or change.action is Action.REPLACE:
        return None
    moving = set(desired.moves(change.names)) if change.action is Action.UPDATE else set()
    return {name: value for name, value in state.outputs.items() if name not in moving}


def _action(state: State | None, differing: tuple[FieldChange, ...]) -> Action:
    if state is None:
        return Action.CREATE
    if not differing:
        return Action.NOOP
    forced = any(field_change.forces_replace for field_change in differing)
    return Action.REPLACE if forced else Action.UPDATE


def plan_deletion(keys: Iterable[str], actual: Mapping[str, State | None]) -> Plan:
    """Plan the deletion of those of these resources that exist, in this order."""
    return Plan(
        tuple(
            Change(key, Action.DELETE if actual[key] is not None else Action.NOOP) for key in keys
        )
    )
