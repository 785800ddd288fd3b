"""The events of a run, as values. Nothing here prints, reads a clock or knows AWS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deployer.aws.waiting import Tell
    from deployer.engine.plan import Plan


@dataclass(frozen=True)
class RunStarted:
    """The account and region of a run; the first event of every run that has an account."""

    command: str
    service: str
    stage: str
    account: str
    region: str
    endpoint: str | None


@dataclass(frozen=True)
class Note:
    """A message that belongs to no step, such as "the local AWS started".

    `verbatim`: output of the user's own program, shown unchanged.
    """

    text: str
    verbatim: bool = False


@dataclass(frozen=True)
class Suggestion:
    """A command that the user may run next; `words`: it may be continued after each of them."""

    label: str
    words: Sequence[str]


@dataclass(frozen=True)
class PlanReady:
    """All resources were read and compared."""

    plan: Plan


@dataclass(frozen=True)
class StepStarted:
    """A resource's change has begun; `action` is create, update, replace or delete."""

    key: str
    action: str


@dataclass(frozen=True)
class StepProgress:
    """What a step is doing or waiting for.

    `text`: the part after a colon may change often, such as a number of bytes.
    `lasting`: still worth reading when the step is done.
    """

    key: str
    text: str
    lasting: bool = False


@dataclass(frozen=True)
class StepProved:
    """What a step is about to make live was asked for an answer first, and gave it."""

    key: str


@dataclass(frozen=True)
class StepFinished:
    """A resource's change is done."""

    key: str
    action: str
    seconds: float


@dataclass(frozen=True)
class StepFailed:
    """A resource's change failed. Resources that depend on it are skipped, the others go on."""

    key: str
    action: str
    message: str
    advice: str


@dataclass(frozen=True)
class StepSkipped:
    """A resource was left as it is. `because`: "KEY failed" or "interrupted"."""

    key: str
    action: str
    because: str


@dataclass(frozen=True)
class RunFinished:
    """The end of a run that applied a plan."""

    command: str
    counts: Mapping[str, int]
    outputs: Mapping[str, Any] = field(default_factory=dict)


StepEvent = StepStarted | StepProgress | StepProved | StepFinished | StepFailed | StepSkipped
Event = RunStarted | Note | Suggestion | PlanReady | StepEvent | RunFinished
Emit = Callable[[Event], None]


def as_notes(emit: Emit) -> Tell:
    """Return a `Tell` that emits every text as a Note, for progress that belongs to no step."""

    def tell(text: str, *, lasting: bool = False) -> None:
        emit(Note(text))

    return tell
