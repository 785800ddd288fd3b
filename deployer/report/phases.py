"""The phases of a run and their times, from its events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from deployer.engine import events

READ, CHECK, TRAIN, PROOF, VERIFY = "read the account", "check", "train", "proof", "verify"
_BASIC = ("bucket", "model", "repository", "logs", "role")
_PHASES = {
    **dict.fromkeys(_BASIC, "storage and roles"),
    "image": "image",
    "function": "functions",
    "provisioned": "functions",
    "workflow": "switch",
    "api": "API",
}
_SHORTEST_S = 0.05  # a phase that would show 0.0 s is left out


def kind_of(key: str) -> str:
    """Return the kind of a resource, which begins its key."""
    return key.partition("/")[0]


def _phase_of(key: str, action: str) -> str:
    return "delete" if action == "delete" else _PHASES.get(kind_of(key), "other resources")


@dataclass
class Phase:
    """A part of a run, in seconds since its beginning. Phases of steps may overlap."""

    name: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass
class _Running:
    """A step that runs, since `begun`; `proof` is how long it was proved."""

    action: str
    begun: float
    proof: float = 0.0


@dataclass
class Timeline:
    """Records when the phases of a run began and ended.

    Time in which the user is asked a question counts for nothing: see `hold`.

    Args:
        clock: in seconds.
    """

    clock: Callable[[], float]
    slowest: tuple[str, float] | None = None  # the step that took longest, and its seconds
    _phases: dict[str, Phase] = field(default_factory=dict)
    _current: tuple[str, float] | None = None  # a phase in which no steps run, and its beginning
    _begun: float = 0.0
    _held: float | None = None
    _steps: dict[str, _Running] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.clock() - self._begun

    @property
    def phases(self) -> list[Phase]:
        """The phases that took noticeable time, in the order in which they began."""
        noticeable = [phase for phase in self._phases.values() if phase.seconds >= _SHORTEST_S]
        return sorted(noticeable, key=lambda phase: phase.begin)

    def hold(self) -> None:
        """Let no time pass until `go_on`."""
        self._held = self.clock()

    def go_on(self) -> None:
        if self._held is not None:
            pause = self.clock() - self._held
            self._begun += pause
            self._held = None

    def note(self, event: events.Event) -> None:
        """Record an event; those that begin and end no phase change nothing."""
        if isinstance(event, events.RunStarted):
            self._begun = self.clock()
            self._phases.clear()
            self._turn_to(READ)
        elif isinstance(event, events.PlanReady):
            self._turn_to(CHECK)
        elif isinstance(event, events.StepStarted):
            self._step_started(event)
        elif isinstance(event, events.StepProved):
            self._proved(event)
        elif isinstance(event, (events.StepFinished, events.StepFailed)):
            self._step_ended(event)
        elif isinstance(event, events.RunFinished):
            self._turn_to(None)

    def _turn_to(self, name: str | None) -> None:
        """End the current phase and begin another one, in which no steps run."""
        if self._current is not None:
            self._extend(*self._current)
        self._current = None if name is None else (name, self.seconds)

    def _step_started(self, event: events.StepStarted) -> None:
        if event.action == "train":
            self._current = (TRAIN, self.seconds)  # what was read before is read again
            return
        if self._current is not None and self._current[0] != VERIFY:
            self._turn_to(None)
        self._current = None  # steps went on, so that what stood was no verification
        self._steps[event.key] = _Running(event.action, self.seconds)
        self._extend(_phase_of(event.key, event.action), self.seconds)

    def _proved(self, event: events.StepProved) -> None:
        step = self._steps[event.key]
        step.proof = self.seconds - step.begun
        self._extend(PROOF, step.begun)
        self._see_slowest(PROOF, step.proof)
        own = self._phases[_phase_of(event.key, step.action)]
        if own.name == _PHASES["workflow"]:  # it proves first, and then it switches
            own.begin = own.end = self.seconds

    def _step_ended(self, event: events.StepFinished | events.StepFailed) -> None:
        if event.action == "train":
            self._turn_to(READ)
            return
        step = self._steps.pop(event.key)
        self._extend(_phase_of(event.key, step.action), self.seconds)
        if isinstance(event, events.StepFinished):
            self._see_slowest(event.key, event.seconds - step.proof)
        if not self._steps:
            self._current = (VERIFY, self.seconds)

    def _extend(self, name: str, begin: float) -> None:
        """Let a phase last from `begin`, or from its own beginning, until now."""
        phase = self._phases.setdefault(name, Phase(name, begin, begin))
        phase.begin, phase.end = min(phase.begin, begin), self.seconds

    def _see_slowest(self, name: str, seconds: float) -> None:
        if self.slowest is None or seconds > self.slowest[1]:
            self.slowest = (name, seconds)
