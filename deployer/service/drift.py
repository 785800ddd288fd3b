"""Drift: what was changed outside this tool since the live release, told from one's own changes.

The account records what a release consists of: the workflow, and the versions of functions that it
names. What differs from these was changed outside. Nothing tells who changed the other resources;
but one that every release has, and that is gone, was deleted outside, and so was changed outside
what no run of this tool makes, such as a foreign API key in the usage plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from deployer.engine.differences import FieldChange, differences
from deployer.engine.plan import Action, Change, Fields, Plan, State
from deployer.project.settings import Settings
from deployer.resources.stepfunctions import function_versions
from deployer.service.releases import functions_of

CHANGED = "changed outside"
DELETED = "deleted outside"
_WORKFLOW = "workflow"
_ALWAYS = ("bucket", "repository", "logs/workflow", "logs/api")


def with_origins(plan: Plan, settings: Settings, actual: Mapping[str, State | None]) -> Plan:
    """Return a plan whose changes say what comes from outside."""
    workflow = actual.get(_WORKFLOW)
    if workflow is None or workflow.released is None:
        return plan
    released = workflow.released["definition"]
    versions = function_versions(released)
    parts = {*_ALWAYS, *_parts(settings, released)}
    if settings.former_bucket:
        parts.discard("bucket")  # the former releases have another one
    return Plan(
        tuple(_marked(change, actual.get(change.key), versions, parts) for change in plan.changes)
    )


def _parts(settings: Settings, released: Fields) -> Iterator[str]:
    for name in functions_of(settings, released):
        yield from (f"function/{name}", f"logs/{name}")


def _marked(
    change: Change, state: State | None, versions: Collection[str], parts: Collection[str]
) -> Change:
    if change.action is Action.CREATE and (change.key in parts or change.key.startswith("role/")):
        return replace(change, note="; ".join(filter(None, (DELETED, change.note))))
    if change.action is not Action.UPDATE or state is None or state.released is None:
        return change
    version = state.outputs.get("version_arn")
    if change.key != _WORKFLOW and version is not None and version not in versions:
        return change  # the live release names another version: after a rollback
    outside = _changed(state)
    fields = tuple(
        replace(place, origin=CHANGED) if _is_within(place, outside) else place
        for place in change.fields
    )
    return replace(change, fields=fields)


def _changed(state: State) -> list[str]:
    """Return the paths in which the actual fields differ from those released."""
    assert state.released is not None
    return [
        place.path
        for name, value in state.released.items()
        for place in differences(name, value, state.fields.get(name))
    ]


def _is_within(place: FieldChange, outside: Collection[str]) -> bool:
    return any(_begins(place.path, path) or _begins(path, place.path) for path in outside)


def _begins(path: str, start: str) -> bool:
    return path == start or path.startswith((f"{start}.", f"{start}["))
