"""What to know about the live release before and after a run: canary, way back, other people."""

from __future__ import annotations

from collections.abc import Iterator

from deployer.aws.access import Aws
from deployer.engine.events import Emit, Note
from deployer.errors import DeployerError, ReleaseUnavailable
from deployer.project.last_seen import last_seen, remember
from deployer.project.settings import Settings
from deployer.service.account import Live, Planned
from deployer.service.declare import Trial
from deployer.service.pruning import prune


def notes(live: Live | None, planned: Planned) -> Iterator[str]:
    """Yield what a plan does not show by itself: kept functions, a way back, a canary."""
    for name, needing in planned.kept.items():
        resources = ", ".join(f"{kind}/{name}" for kind in ("function", "logs", "model"))
        yield f"kept for release {needing}: {resources}"
    if live is None:
        return
    if live.canary:
        yield (
            f"{_canary(live)}; this plan compares the folder with the candidate; to make it live: "
            f"python -m deployer promote; to take it back: python -m deployer rollback"
        )
    elif live.provenance.back_to is not None and planned.makes_release:
        number = live.number
        would = f"would make release {number + 1}" if number else "would make another release"
        yield f"live is release {number}, back to {live.provenance.back_to}; this folder {would}"


def refuse_beside_canary(live: Live) -> None:
    """Raise ReleaseUnavailable while a canary runs."""
    if live.canary:
        raise ReleaseUnavailable(
            f"{_canary(live)}, and nothing else goes live meanwhile",
            "to make the candidate live: python -m deployer promote\n"
            "to take it back: python -m deployer rollback",
        )


def _canary(live: Live) -> str:
    assert live.canary is not None
    release = f"release {live.number}" if live.number else "the live workflow"
    beside = live.provenance.beside
    others = f"release {beside}" if beside else "the former one"
    return f"{release} is a canary: {live.canary.percent} % of the requests, the others to {others}"


def tried(live: Live | None, planned: Planned, percent: int) -> Trial:
    """Return how a planned release is tried beside the live one.

    Raises:
        ReleaseUnavailable: there is nothing to try it beside, or it is what is live.
    """
    if live is None:
        raise ReleaseUnavailable(
            "there is no live release to try another one beside",
            "to make the first: python -m deployer up",
        )
    refuse_beside_canary(live)
    if live.number is None:
        raise ReleaseUnavailable(
            "the live workflow is no release: it was changed outside, or deployed by an earlier "
            "version of this tool",
            "to make it one: python -m deployer up",
        )
    if not planned.makes_release:
        raise ReleaseUnavailable(
            f"there is nothing to try: this folder makes what release {live.number} serves",
            "to see what else would change: python -m deployer plan",
        )
    return Trial(percent, live.definition, live.number)


def warn_of_another(settings: Settings, live: Live, emit: Emit) -> None:
    """Tell when the live release is not the one that this folder saw last."""
    seen = last_seen(settings.project, settings.workflow_arn)
    if seen is None or live.number in (None, seen):
        return
    provenance = live.provenance
    by = f" by {provenance.by}" if provenance.by else ""
    commit = f" from commit {provenance.commit}" if provenance.commit else ""
    emit(
        Note(
            f"warning: live is release {live.number}, deployed{by}{commit}; this folder saw "
            f"release {seen} last; what differs: python -m deployer releases"
        )
    )


def note_as_seen(settings: Settings, number: int, emit: Emit) -> None:
    """Remember the live release in the project's folder."""
    try:
        remember(settings.project, settings.workflow_arn, number)
    except OSError as error:
        emit(Note(f"the release was not noted in .deployer/: {error.strerror}"))


def tidy_up(aws: Aws, settings: Settings, newest: int, emit: Emit) -> None:
    """Delete what no kept release needs; a failure is told, and the next release tries again."""
    try:
        done = prune(aws, settings, newest)
    except DeployerError as error:
        done = f"what no kept release needs was not all deleted: {error.message}"
    if done:
        emit(Note(done))
