"""The list of releases, as `releases` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deployer.aws.access import Aws
from deployer.errors import ReleaseUnavailable
from deployer.project.settings import Settings
from deployer.service.comparison import compared, model_text, workflow_difference
from deployer.service.contents import Contents, read_contents
from deployer.service.releases import (
    History,
    PublishedRelease,
    functions_of,
    needing,
    read_history,
)


@dataclass(frozen=True)
class ListedRelease:
    """A release with what it serves, and how it differs from the one before.

    Args:
        live: whether the live workflow is this release; while a canary runs, that is the canary.
        share: of the requests that it answers, in percent.
        models: the text for each model, by name.
        changes: a line for each difference; None for the oldest release.
        missing: a line for each part that is gone, so that it cannot be gone back to.
        document: the release as --json prints it.
    """

    number: int
    created: datetime
    live: bool
    share: int
    title: str
    models: Mapping[str, str]
    changes: list[str] | None
    missing: list[str]
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """How one release differs from another."""

    before: int
    after: int
    changes: list[str]
    workflow: list[str]


def list_releases(aws: Aws, settings: Settings) -> list[ListedRelease]:
    """Return the releases of a service, newest first; raise ReleaseUnavailable without any."""
    history, contents = _read(aws, settings)
    older = [*history.releases[1:], None]
    return [
        _listed(settings, history, contents, release, before)
        for release, before in zip(history.releases, older, strict=True)
    ]


def difference(aws: Aws, settings: Settings, before: int, after: int) -> Difference:
    """Compare two releases by their numbers; raise ReleaseUnavailable if there is no such one."""
    history, contents = _read(aws, settings)
    old, new = history.release(before).workflow, history.release(after).workflow
    titles = (f"release {before}", f"release {after}")
    return Difference(
        before,
        after,
        list(compared(settings, contents, old, new)),
        workflow_difference(settings, old, new, titles),
    )


def _read(aws: Aws, settings: Settings) -> tuple[History, Contents]:
    history = read_history(aws, settings)
    if not history.releases:
        reason = (
            "the service was deployed by an earlier version of this tool, or by hand"
            if history.live
            else "nothing is deployed"
        )
        raise ReleaseUnavailable(
            f"there are no releases yet: {reason}", "to make the first: python -m deployer up"
        )
    return history, read_contents(aws, settings, list(needing(settings, history.releases)))


def _listed(
    settings: Settings,
    history: History,
    contents: Contents,
    release: PublishedRelease,
    before: PublishedRelease | None,
) -> ListedRelease:
    versions = {
        name: contents.versions.get(arns[-1])
        for name, arns in functions_of(settings, release.workflow).items()
    }
    changes = (
        list(compared(settings, contents, before.workflow, release.workflow)) if before else None
    )
    missing = list(contents.missing(settings, release.definition.workflow))
    provenance, live = release.provenance, release is history.live_release
    share = _share(history, release)
    models = {
        name: {
            "version": version.model if version else None,
            "metric": dict([version.metric]) if version and version.metric else None,
        }
        for name, version in versions.items()
    }
    document = {
        "number": release.number,
        "created": release.created.isoformat(),
        "by": provenance.by or None,
        "commit": provenance.commit or None,
        "changed": provenance.changed,
        "live": live,
        "back_to": provenance.back_to,
        "promoted_from": provenance.promoted_from,
        "canary": provenance.canary,
        "share": share,
        "models": models,
        "changes": changes,
        "missing": missing,
    }
    texts = {name: model_text(version) for name, version in versions.items()}
    return ListedRelease(
        release.number,
        release.created,
        live,
        share,
        release.definition.description,
        texts,
        changes,
        missing,
        document,
    )


def _share(history: History, release: PublishedRelease) -> int:
    """Return the share of the requests that a release answers, in percent."""
    live = history.live_release
    if live is None or live.canary is None:
        return 100 if release is live else 0
    if release is live:
        return live.canary.percent
    return 100 - live.canary.percent if release.number == live.provenance.beside else 0
