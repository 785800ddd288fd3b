"""The contract of every kind of resource.

A kind is a class that covers the whole life of one AWS resource: its declared fields, and how it is
read, created, updated in place and deleted. No other module knows its API. Kinds never import one
another; they meet in `service`, through values and Refs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from deployer.aws.access import Aws
from deployer.engine.exposure import policy_widenings
from deployer.engine.plan import Change, Desired, Fields, Outputs, State, references
from deployer.errors import ForeignResource

Tags = Mapping[str, str]
# The IAM actions by which a service delivers logs to a log group.
LOG_DELIVERY = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
)
Policy = Mapping[str, Any]  # an IAM-style policy in its canonical form


# The tag of a resource that names the user's own tags on it, separated by spaces.
TAG_LIST = "deployer:tags"


@dataclass(frozen=True)
class Ownership:
    """The tags that mark a resource as this service's.

    Args:
        adopt: resources that carry none of these tags may be taken over.
        own: tags of the user's own, as the settings have them.
    """

    tags: Tags
    adopt: bool = False
    own: Tags = field(default_factory=dict)

    def marks(self, found: Tags) -> bool:
        """Return whether a resource with these tags belongs to this service and stage."""
        return all(found.get(key) == value for key, value in self.tags.items())

    def among(self, found: Tags) -> dict[str, str]:
        """Return the tags of ours among a resource's tags: the field `tags` of every kind.

        These are the marks, the user's own as declared, and those that an earlier run put there,
        which TAG_LIST names. All other tags belong to other people and stay (GEN-17).
        """
        listed = found.get(TAG_LIST, "").split(" ")
        ours = {*self.tags, *self.own, *listed, TAG_LIST}
        return {key: value for key, value in found.items() if key in ours}

    def check(self, name: str, found: Tags) -> None:
        """Raise ForeignResource unless the tags mark a resource as this service's.

        Args:
            name: names the resource in the error, such as "IAM role inference-dev-functions".
        """
        others = {key: value for key, value in found.items() if key in self.tags}
        if self.marks(found) or (self.adopt and not others):
            return
        if others:
            raise ForeignResource(
                f"{name} already exists and belongs to {others}",
                "it is left alone: choose another service or stage name (DEPLOYER_SERVICE, "
                "--stage), or delete it",
            )
        raise ForeignResource(
            f"{name} already exists and does not carry this service's tags",
            "it is left alone: delete or rename it, choose another service or stage name "
            "(DEPLOYER_SERVICE, --stage), "
            "or, if a deploy left it so, take it over with up --adopt",
        )


class Owned(ABC):
    """A resource that is known by its name alone: enough to find it and to delete it.

    Args:
        key: its name within the service, such as `function/random_forest`; reports use it too.
        needs: keys of the resources that must exist before it, and be deleted after it.
    """

    holds_data: ClassVar[bool] = False  # `down --keep-data` keeps it
    harmless: ClassVar[bool] = False  # deleting it loses nothing: `up` does not ask
    part_of: str = ""  # key of the resource that contains it; if that is foreign, so is it
    remark: str = ""  # stands beside its change in a plan, such as what it costs
    comes_back: ClassVar[bool] = False  # AWS may create it again, untagged, after it was deleted
    # IAM actions that the caller must be allowed: to read it, to find it where that takes fewer,
    # and to delete it besides.
    reads: ClassVar[Collection[str]] = ()
    finds: ClassVar[Collection[str] | None] = None  # None: those of `reads`
    deletes: ClassVar[Collection[str]] = ()

    def __init__(self, key: str, needs: Collection[str] = ()) -> None:
        self.key = key
        self.needs: tuple[str, ...] = tuple(dict.fromkeys(needs))

    @abstractmethod
    def find(self, aws: Aws) -> State | None:
        """Like `Resource.read`, but only establish existence and ownership.

        The state may be empty. Must raise ForeignResource where `read` does.
        """

    @abstractmethod
    def delete(self, aws: Aws) -> None:
        """Delete it and return once it is gone. Must succeed when it does not exist."""

    def is_wanted(self, outputs: Outputs) -> bool:
        """Return whether it stays although it is not declared. MAY be overridden.

        Args:
            outputs: those that are known of the declared resources, by key.
        """
        return False


class Resource(Owned):
    """A declared resource: its fields say how it must be.

    Args:
        fields: the declared fields in canonical form; each kind has a TypedDict of its own for
            them.
        needs: as in Owned; the keys that a Ref in `fields` names are added.
    """

    replace_on: ClassVar[Collection[str]] = ()  # fields that AWS cannot change in place
    exists: ClassVar[Collection[str]] = ()  # errors of the creating call: it exists already
    writes: ClassVar[Collection[str]] = ()  # IAM actions that creating and updating it adds
    passed_to: ClassVar[str] = ""  # the service that it hands a role to, if `writes` has PassRole
    follows: str = ""  # key of the resource whose place it takes: its access is no news
    anew: ClassVar[str] = ""  # consequence for users if it is created again in a deployed service

    def __init__(self, key: str, fields: Fields, needs: Collection[str] = ()) -> None:
        super().__init__(key, [*needs, *(ref.key for ref in references(fields))])
        self.fields = fields

    def desired(self) -> Desired:
        """Return this resource's part of the plan's input."""
        return Desired(
            self.key,
            self.fields,
            self.needs,
            self.replace_on,
            self.moves,
            self.widens,
            self.follows,
        )

    def moves(self, changed: Collection[str]) -> Collection[str]:
        """Return the outputs that an update of these fields changes. MAY be overridden."""
        return ()

    def widens(self, before: Fields | None, after: Fields) -> Iterable[str]:
        """Say how the change of fields gives others more access, a sentence each.

        MAY be extended by a kind that gives access by more than policies.
        """
        return policy_widenings(before, after)

    @abstractmethod
    def read(self, aws: Aws) -> State | None:
        """Return the actual state, with the same field names as `fields`, or None if absent.

        Must not write. Must raise ForeignResource for a resource of this name that is not ours. May
        return more fields than are declared.
        """

    def find(self, aws: Aws) -> State | None:
        """Read it. MAY be overridden by a kind that needs fewer calls for this."""
        return self.read(aws)

    def prove(self, aws: Aws, desired: Fields, actual: State | None, change: Change) -> bool:
        """Raise DeployerError if the change must not be made. MAY be overridden.

        Returns whether anything was asked, and so took its time.

        Called before the first write of the change, and before the deletion of a replacement.
        Every Ref in `desired` is resolved; `actual` is None if the resource is absent.
        """
        return False

    @abstractmethod
    def create(self, aws: Aws, desired: Fields) -> Fields:
        """Create it and return its outputs. Every Ref in `desired` is resolved.

        The first call must tag it as ours. A lost answer must not lead to a second resource: a kind
        with unique names raises the error "exists already", whose code is in `exists`, and the
        engine then reads and updates the resource.
        """

    @abstractmethod
    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        """Change it in place and return the outputs that changed.

        Must send only the fields that `change` names, and removals explicitly (GEN-9). Must finish
        a resource whose creation was interrupted.
        """


def changed(change: Change, *names: str) -> bool:
    """Return whether any of these fields changes."""
    return not change.names.isdisjoint(names)


def retag(
    desired: Tags,
    actual: Tags,
    *,
    tag: Callable[[Tags], object],
    untag: Callable[[list[str]], object],
) -> None:
    """Make the calls that turn the tags of a resource into the desired ones.

    Removals come first: a tag that was taken away stays in TAG_LIST until the second call, so a run
    that ends between the two loses none. They also make room for others (GEN-16).
    """
    removed = sorted(actual.keys() - desired.keys())
    if removed:
        untag(removed)
    if any(actual.get(key) != value for key, value in desired.items()):
        tag(desired)
