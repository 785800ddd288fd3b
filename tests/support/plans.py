"""A plan with every action, for tests of how plans look."""

from __future__ import annotations

from deployer.engine.plan import UNKNOWN, Action, Change, FieldChange, Plan

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
