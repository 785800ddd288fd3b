"""The vocabulary of a run: what the engine has to say, as values. Nothing here prints, reads a
clock or knows AWS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    from deployer.engine.plan import Plan


@dataclass(frozen=True)
class RunStarted:
    """Where a command is about to work; the first event of each run that touches an account."""

    command: str
    service: str
    stage: str
    account: str
    region: str
    endpoint: str | None


@dataclass(frozen=True)
class Note:
    """Something worth knowing that is no step: training first, the local AWS started.

    `verbatim`: the words of the user's own program, which are shown as they are.
    """

    text: str
    verbatim: bool = False


@dataclass(frozen=True)
class PlanReady:
    """Everything was read and compared."""

    plan: Plan


@dataclass(frozen=True)
class StepStarted:
    """A resource's change has begun; `action` is create, update, replace or delete."""

    key: str
    action: str


@dataclass(frozen=True)
class StepProgress:
    """What a step is doing, or waiting for. `lasting`: still worth reading when the step is done.

    What comes after a colon may change often, such as a number of bytes.
    """

    key: str
    text: str
    lasting: bool = False


@dataclass(frozen=True)
class StepFinished:
    """A resource's change is done."""

    key: str
    action: str
    seconds: float


@dataclass(frozen=True)
class StepFailed:
    """A resource's change failed; what depends on it will be skipped, the rest goes on."""

    key: str
    action: str
    message: str
    advice: str


@dataclass(frozen=True)
class StepSkipped:
    """A resource was not touched, because `because` failed or the run was interrupted."""

    key: str
    action: str
    because: str


@dataclass(frozen=True)
class RunFinished:
    """The end of a run that applied something."""

    command: str
    counts: Mapping[str, int]
    seconds: float
    outputs: Mapping[str, Any] = field(default_factory=dict)


Event = Union[
    RunStarted,
    Note,
    PlanReady,
    StepStarted,
    StepProgress,
    StepFinished,
    StepFailed,
    StepSkipped,
    RunFinished,
]
Emit = Callable[[Event], None]
