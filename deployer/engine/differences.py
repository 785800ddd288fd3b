"""How two JSON values differ: member by member, and element by element in lists.

Elements of a list that AWS names, such as the statements of a policy or the branches of a workflow,
are compared by their names; all others by their longest common sequence. Pure: no AWS, no I/O.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

# The member that names an element of a list: of a policy, a workflow, a lifecycle, tags. Its
# canonical form sorts the elements of those in _SORTED, so that their order says nothing.
_NAMES = ("Sid", "StartAt", "ErrorEquals", "rulePriority", "Name", "name", "Id", "id", "Key", "key")
_SORTED = ("Sid", "rulePriority")
_STATEMENT = "Effect"  # a policy's statement has it; statements are sorted, too
_ALIKE = 0.5  # share of equal members above which two elements are one that was changed


class _Absent:
    """The type of ABSENT, the element that one of two lists does not have."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = _Absent()


@dataclass(frozen=True)
class FieldChange:
    """One place that differs.

    Args:
        path: dotted, such as `environment.KEY` or `definition.States.Predict.Branches[churn].Next`.
            An element of a list has its name or its number in the new list; `[+2]` is added there,
            `[-2]` is removed from the old list. `[*]` is the order of the named elements.
        before: None if the place is added.
        after: None if the place is removed.
        origin: where the difference comes from, if that is known, such as "changed outside".
    """

    path: str
    before: Any
    after: Any
    forces_replace: bool = False
    origin: str = ""

    @property
    def name(self) -> str:
        """The top-level field that the path begins with."""
        return self.path.partition(".")[0].partition("[")[0]


@dataclass(frozen=True)
class Pair:
    """One element of two lists; `label` is its name, or its number as a path shows it."""

    label: str
    before: Any
    after: Any


def differences(path: str, before: Any, after: Any) -> Iterator[FieldChange]:
    """Yield the smallest changes that turn `before` into `after`; their paths begin with `path`."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted(before.keys() | after.keys()):
            yield from differences(f"{path}.{name}", before.get(name), after.get(name))
    elif isinstance(before, list) and isinstance(after, list):
        yield from _list_differences(path, before, after)
    elif not same(before, after):
        yield FieldChange(path, before, after)


def same(before: Any, after: Any) -> bool:
    """Compare as JSON does: true is not 1."""
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    return bool(before == after)


def equal(before: Any, after: Any) -> bool:
    """Tell whether `differences` finds none."""
    return _identity(before) == _identity(after)


def _list_differences(path: str, before: list[Any], after: list[Any]) -> Iterator[FieldChange]:
    if equal(before, after):
        return
    if None in before or None in after:  # a null could not be told from an element that is absent
        yield FieldChange(path, before, after)
        return
    found = False
    for pair in pairs(before, after):
        place = f"{path}[{pair.label}]"
        if pair.before is ABSENT or pair.after is ABSENT:
            old, new = (None if end is ABSENT else end for end in (pair.before, pair.after))
            changes = iter([FieldChange(place, old, new)])
        else:
            changes = differences(place, pair.before, pair.after)
        for change in changes:
            found = True
            yield change
    order = moved(before, after)
    if not found and order is None:
        yield FieldChange(path, before, after)
    elif order and (order.significant or not found):
        yield FieldChange(f"{path}[*]", order.before, order.after)


def pairs(before: Sequence[Any], after: Sequence[Any]) -> Iterator[Pair]:
    """Yield the elements of two lists side by side; ABSENT stands for one that is only in the
    other.

    They come in the order of `after`; a removed element comes where it was.
    """
    names = _names(before, after)
    if names is None:
        yield from _unnamed(before, after)
        return
    old_names, new_names = names[1:]
    old, new = dict(zip(old_names, before, strict=True)), dict(zip(new_names, after, strict=True))
    for kind, start, end, new_start, new_end in _opcodes(old_names, new_names):
        if kind != "equal":
            for name in old_names[start:end]:
                if name not in new:
                    yield Pair(name, old[name], ABSENT)
        for name in new_names[new_start:new_end]:
            yield Pair(name, old.get(name, ABSENT), new[name])


@dataclass(frozen=True)
class Order:
    """The order of the elements that both lists name, before and after.

    `significant`: it says something, for nothing else sorts these elements.
    """

    before: list[str]
    after: list[str]
    significant: bool


def moved(before: Sequence[Any], after: Sequence[Any]) -> Order | None:
    """Return the orders of the common names if they differ."""
    names = _names(before, after)
    if names is None:
        return None
    member, old, new = names
    old_common = [name for name in old if name in new]
    new_common = [name for name in new if name in old]
    if old_common == new_common:
        return None
    return Order(old_common, new_common, member not in _SORTED)


def _names(before: Sequence[Any], after: Sequence[Any]) -> tuple[str, list[str], list[str]] | None:
    """Return the member that names the elements, and the names in both lists; None if none does."""
    for member in _NAMES:
        lists = [[_name(element, member) for element in elements] for elements in (before, after)]
        if all(None not in names and len(set(names)) == len(names) for names in lists):
            return member, [str(name) for name in lists[0]], [str(name) for name in lists[1]]
    return None


def _name(element: Any, member: str) -> str | None:
    name = element.get(member) if isinstance(element, Mapping) else None
    if isinstance(name, list) and name and all(isinstance(part, str) for part in name):
        return f"{name[0]}, +{len(name) - 1}" if len(name) > 1 else str(name[0])
    return str(name) if isinstance(name, (str, int)) and not isinstance(name, bool) else None


def _unnamed(before: Sequence[Any], after: Sequence[Any]) -> Iterator[Pair]:
    partners = _partners(before, after)
    old = 0
    for number, element in enumerate(after):
        partner = partners.get(number)
        if partner is None:
            yield Pair(f"+{number}", ABSENT, element)
            continue
        for gone in range(old, partner):
            if gone not in partners.values():
                yield Pair(f"-{gone}", before[gone], ABSENT)
        old = max(old, partner + 1)
        yield Pair(str(number), before[partner], element)
    for gone in range(old, len(before)):
        if gone not in partners.values():
            yield Pair(f"-{gone}", before[gone], ABSENT)


def _partners(before: Sequence[Any], after: Sequence[Any]) -> dict[int, int]:
    """Return for the number of an element of `after` that of the one in `before` that it was."""
    old, new = [[_identity(element) for element in elements] for elements in (before, after)]
    partners: dict[int, int] = {}
    rest: tuple[list[int], list[int]] = ([], [])
    for kind, start, end, new_start, new_end in _opcodes(old, new):
        if kind == "equal":
            partners.update(zip(range(new_start, new_end), range(start, end), strict=True))
        elif _are_statements([*before, *after]):
            rest[0].extend(range(start, end))
            rest[1].extend(range(new_start, new_end))
        else:
            partners |= _alike(before, after, range(start, end), range(new_start, new_end))
    return partners | _alike(before, after, *rest)


def _alike(
    before: Sequence[Any], after: Sequence[Any], old: Sequence[int], new: Sequence[int]
) -> dict[int, int]:
    """Pair changed elements: as many as before by their places, others if they are alike."""
    if len(old) == len(new):
        return dict(zip(new, old, strict=True))
    partners: dict[int, int] = {}
    first = 0
    for number in new:
        for place in range(first, len(old)):
            if _likeness(before[old[place]], after[number]) >= _ALIKE:
                partners[number] = old[place]
                first = place + 1
                break
    return partners


def _likeness(before: Any, after: Any) -> float:
    """Return the share of members that are the same; 0 for values without members."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping) or not before:
        return 0
    equal = sum(_identity(before[name]) == _identity(after.get(name)) for name in before)
    return equal / max(len(before), len(after))


def _are_statements(elements: Sequence[Any]) -> bool:
    return all(isinstance(element, Mapping) and _STATEMENT in element for element in elements)


def _opcodes(
    before: Sequence[Hashable], after: Sequence[Hashable]
) -> list[tuple[str, int, int, int, int]]:
    return list(SequenceMatcher(None, before, after, autojunk=False).get_opcodes())


def _identity(value: Any) -> Hashable:
    """Return a value that is equal for two JSON values exactly if `differences` finds none."""
    if isinstance(value, Mapping):
        members = ((name, _identity(member)) for name, member in value.items())
        return "object", frozenset(pair for pair in members if pair[1] is not None)
    if isinstance(value, list):
        return "list", tuple(map(_identity, value))
    if isinstance(value, bool):
        return "boolean", value
    hashable: Hashable = value
    return hashable
