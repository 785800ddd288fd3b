"""A plan with every action, for tests of how plans look; where a plan shows changes."""

from __future__ import annotations

import re

from deployer.engine.differences import FieldChange
from deployer.engine.plan import UNKNOWN, Action, Change, Plan

PLAN = Plan(
    (
        Change("bucket", Action.NOOP),
        Change(
            "model/random_forest", Action.CREATE, (FieldChange("key", None, "models/[x].joblib"),)
        ),
        Change(
            "function/random_forest",
            Action.UPDATE,
            (
                FieldChange("memory_mb", 512, 1024),
                FieldChange(
                    "environment.KEY", "models/a.joblib", "models/" + "b" * 100 + ".joblib"
                ),
                FieldChange("description", "[/red]", None),
            ),
        ),
        Change(
            "workflow",
            Action.REPLACE,
            (
                FieldChange("type", "STANDARD", "EXPRESS", True),
                FieldChange("definition.States.a.Resource", "arn:1", UNKNOWN),
            ),
        ),
        Change("function/nearest", Action.DELETE),
    )
)


def places(change: Change) -> set[str]:
    """Return the paths of a change; elements that a list gains or loses count as the list."""
    return {re.sub(r"\[[+-]\d+\]$", "", field.path) for field in change.fields}
