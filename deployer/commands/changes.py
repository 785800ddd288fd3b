"""The part that verbs which plan and apply have in common."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from deployer.errors import DeployerError

if TYPE_CHECKING:
    from deployer.commands.session import Session
    from deployer.engine.plan import Plan

T = TypeVar("T")


def document(now: Session, plan: Plan, outputs: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return the document that --json prints."""
    from deployer.engine.saved import change_document

    settings = now.settings
    return {
        "service": settings.service,
        "stage": settings.stage,
        "account": settings.account,
        "region": settings.region,
        "endpoint": None if now.empty else now.aws.endpoint,
        "changes": [change_document(change) for change in plan.effective],
        "outputs": outputs,
        "seconds": round(seconds, 3),
    }


def where(now: Session) -> str | None:
    """Return the endpoint for which a plan holds; the local AWS has another port at each start."""
    return "local" if now.options.local else now.aws.endpoint


def applied(now: Session, plan: Plan, run: Callable[[Callable[[], bool]], T], begun: float) -> T:
    """Apply a plan; on Ctrl-C, finish the running steps.

    Raises:
        DeployerError: with the document of the planned changes.
    """
    try:
        with now.interrupts.finishing():
            return run(now.interrupts.stopped.is_set)
    except DeployerError as error:
        error.document = document(now, plan, {}, time.monotonic() - begun)
        raise
