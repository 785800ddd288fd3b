"""Releases: what has been live. The account remembers them, as versions of the state machine."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from deployer.aws.access import Aws
from deployer.engine.compare import canonical_json
from deployer.errors import ReleaseUnavailable
from deployer.project.canary import Canary, decompose
from deployer.project.provenance import Provenance, parsed
from deployer.project.settings import Settings
from deployer.resources.stepfunctions import (
    Definition,
    OwnedStateMachine,
    Version,
    function_versions,
)
from deployer.service.ownership import ownership


@dataclass(frozen=True)
class PublishedRelease:
    """A release in the account: a published version of the state machine."""

    version: Version
    definition: Definition

    @property
    def number(self) -> int:
        return self.version.number

    @property
    def created(self) -> datetime:
        return self.version.created

    @property
    def provenance(self) -> Provenance:
        return parsed(self.definition.description)

    @cached_property
    def canary(self) -> Canary | None:
        """The two workflows of a canary; None for another release."""
        return decompose(self.definition.workflow)

    @property
    def workflow(self) -> Mapping[str, Any]:
        """The workflow that this release is about: a canary's candidate."""
        return self.canary.candidate if self.canary else self.definition.workflow


@dataclass(frozen=True)
class History:
    """The releases of a service, newest first, and what is live.

    Args:
        live: what the state machine executes; None if it does not exist.
    """

    releases: Sequence[PublishedRelease]
    live: Definition | None

    @property
    def live_release(self) -> PublishedRelease | None:
        """The newest release with the live definition; None if that was changed by hand."""
        live = self.live
        return next(
            (
                release
                for release in self.releases
                if live and release.definition.same_as(live.workflow)
            ),
            None,
        )

    def release(self, number: int) -> PublishedRelease:
        """Return a release; raise ReleaseUnavailable if there is none of this number."""
        for release in self.releases:
            if release.number == number:
                return release
        if not self.releases:
            raise ReleaseUnavailable(
                "there are no releases yet", "to make the first: python -m deployer up"
            )
        known = ", ".join(str(release.number) for release in self.releases)
        raise ReleaseUnavailable(
            f"there is no release {number}; there are {known}",
            "to see what each one serves: python -m deployer releases",
        )

    def origin(self, release: PublishedRelease) -> int:
        """Return the number of the release whose graph one serves: of another, if it went back."""
        seen = {release.number}
        while release.provenance.back_to is not None:
            earlier = release.provenance.back_to
            found = next((other for other in self.releases if other.number == earlier), None)
            if found is None or earlier in seen:
                return earlier
            seen.add(earlier)
            release = found
        return release.number


def workflow_of(settings: Settings) -> OwnedStateMachine:
    """Return the state machine of a service, by its name."""
    return OwnedStateMachine("workflow", arn=settings.workflow_arn, ours=ownership(settings))


def read_history(aws: Aws, settings: Settings, most: int | None = None) -> History:
    """Read the newest releases and what is live; raise ForeignResource if it is not ours.

    Args:
        most: how many releases are wanted; None for all.
    """
    machine = workflow_of(settings)
    state, versions, live = aws.together(
        lambda: machine.find(aws),
        lambda: machine.versions(aws, most),
        lambda: machine.definition(aws),
    )
    if state is None:
        return History((), None)
    return History(read_releases(aws, settings, versions), live)


def read_releases(
    aws: Aws, settings: Settings, versions: Sequence[Version]
) -> tuple[PublishedRelease, ...]:
    """Read the definitions of versions, without those that are deleted meanwhile."""
    machine = workflow_of(settings)
    definitions = aws.together(*(partial(machine.definition, aws, version) for version in versions))
    return tuple(
        PublishedRelease(version, definition)
        for version, definition in zip(versions, definitions, strict=True)
        if definition is not None
    )


def window(releases: Sequence[PublishedRelease], graphs: int) -> Sequence[PublishedRelease]:
    """Return the newest releases that have so many different graphs.

    Canaries do not count, and a release that went back counts once with the one it went back to.
    """
    seen: set[str] = set()
    for number, release in enumerate(releases):
        if release.canary is None:
            seen.add(canonical_json(release.workflow))
            if len(seen) > graphs:
                return releases[:number]
    return releases


def functions_of(settings: Settings, workflow: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the function versions of this service that a workflow names, by function.

    The oldest version comes first; a canary may name two.
    """
    prefix = settings.function_arn("")
    named = (arn.rpartition(":") for arn in function_versions(workflow) if arn.startswith(prefix))
    versions: dict[str, list[str]] = {}
    for function, _, number in sorted(named, key=lambda parts: (parts[0], int(parts[2]))):
        name = function.removeprefix(prefix).replace("-", "_")
        versions.setdefault(name, []).append(f"{function}:{number}")
    return versions


def needing(
    settings: Settings, releases: Collection[PublishedRelease]
) -> dict[str, PublishedRelease]:
    """Return the functions that releases name, each with the newest release that does."""
    needed: dict[str, PublishedRelease] = {}
    for release in sorted(releases, key=lambda release: release.number, reverse=True):
        for name in functions_of(settings, release.definition.workflow):
            needed.setdefault(name, release)
    return needed
