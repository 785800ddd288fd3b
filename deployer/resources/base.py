"""The contract of every kind of resource.

A resource is one managed thing. Its kind is a class that owns the thing's whole life: what is
desired, how to read it, create it, update it in place, and delete it. Nothing outside knows its
API. Kinds never import one another; they meet in `service`, through values and Refs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

from deployer.aws.access import Aws
from deployer.engine.plan import Change, Desired, Fields, State, references
from deployer.errors import ForeignResource

Tags = Mapping[str, str]


@dataclass(frozen=True)
class Ownership:
    """The tags that mark what is ours. `adopt`: what carries none of them may be taken over."""

    tags: Tags
    adopt: bool = False

    def marks(self, found: Tags) -> bool:
        return all(found.get(key) == value for key, value in self.tags.items())

    def among(self, found: Tags) -> dict[str, str]:
        """Return those of the found tags that are about ownership: the field `tags` of every kind.
        Others' tags stay.
        """
        return {key: value for key, value in found.items() if key in self.tags}

    def check(self, what: str, found: Tags) -> None:
        """Raise ForeignResource unless a thing's tags say that it belongs to this service and
        stage.

        Args:
            what: names the thing in the error, such as "IAM role inference-dev-functions".
        """
        others = self.among(found)
        if self.marks(found) or (self.adopt and not others):
            return
        if others:
            raise ForeignResource(
                f"{what} already exists and belongs to {others}",
                "it is left alone: choose another service or stage name (DEPLOYER_SERVICE, "
                "--stage), or delete it",
            )
        raise ForeignResource(
            f"{what} already exists and does not carry this service's tags",
            "it is left alone: delete or rename it, choose another service or stage name "
            "(DEPLOYER_SERVICE, --stage), "
            "or, if a deploy left it so, take it over with up --adopt",
        )


class Resource(ABC):
    """One managed thing in the account.

    Args:
        key: its name within the service, such as `function/random_forest`; also what reports call
            it.
        fields: what is desired, in canonical form; the keys are the kind's own. Empty when only
            deletion matters.
        needs: keys of resources that must exist first, besides those that a Ref in `fields` names.
    """

    replace_on: ClassVar[Collection[str]] = ()
    exists: ClassVar[
        Collection[str]
    ] = ()  # error codes of the creating call that mean: it is there already
    holds_data: ClassVar[bool] = False  # what `down --keep-data` keeps
    part_of: ClassVar[str] = ""  # key of what it lies in; in somebody else's, nothing is ours
    anew: ClassVar[str] = (
        ""  # what follows for users when it is made anew in a service that stands already
    )
    comes_back: ClassVar[bool] = (
        False  # AWS itself may make it again, without tags, after it was deleted
    )

    def __init__(self, key: str, fields: Fields | None = None, needs: Collection[str] = ()) -> None:
        self.key = key
        self.fields: Fields = fields or {}
        self.needs: tuple[str, ...] = tuple(
            dict.fromkeys([*needs, *(ref.key for ref in references(self.fields))])
        )

    def desired(self) -> Desired:
        """Return this resource's part of the plan's input."""
        return Desired(self.key, self.fields, self.needs, self.replace_on, self.moves)

    def moves(self, changed: Collection[str]) -> Collection[str]:
        """Return the outputs that an update of these fields changes. MAY be overridden."""
        return ()

    @abstractmethod
    def read(self, aws: Aws) -> State | None:
        """Return what is there, in the vocabulary of `fields`, or None.

        Must not write. Must raise ForeignResource for something of this name that is not ours. May
        return more fields than are declared.
        """

    def find(self, aws: Aws) -> State | None:
        """Return a state, of which little is known, if it is there and ours: all that deleting
        needs to know.

        Must raise ForeignResource where `read` does. MAY be overridden by what takes fewer calls.
        """
        return self.read(aws)

    @abstractmethod
    def create(self, aws: Aws, desired: Fields) -> Fields:
        """Make it and return its outputs. Every Ref in `desired` is resolved. Must mark it as ours
        in its first call.

        The calls must survive that an answer is lost: what was made without our knowing must not be
        made twice. For what has a name of its own it is enough to raise the error that says so, if
        its code is in `exists`: it is then read and updated.
        """

    @abstractmethod
    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        """Change it in place and return the outputs that changed.

        Must send only what `change` names, and removals explicitly (GEN-9). Must finish what an
        interrupted create left.
        """

    @abstractmethod
    def delete(self, aws: Aws) -> None:
        """Delete it and return once it is gone. Must succeed when it is not there."""


def changed(change: Change, *names: str) -> bool:
    """Tell whether any of these fields changes."""
    return not change.names.isdisjoint(names)
