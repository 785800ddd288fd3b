"""The beginning and the end of a run as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.text import Text

from deployer.engine import events
from deployer.engine.plan import Action, Plan
from deployer.report.folding import folded
from deployer.report.phases import Timeline
from deployer.report.values import seconds_text

_BAR, _PLAIN_BAR = "█", "#"
_WIDEST_BAR = 40


def title(event: events.RunStarted) -> str:
    endpoint = f" at {event.endpoint}" if event.endpoint else ""
    return (
        f"{event.command} {event.service}, stage {event.stage}: account {event.account}, "
        f"{event.region}{endpoint}"
    )


def unchanged(plan: Plan) -> int:
    """Count the resources that are as they should be; those that a `down` keeps are absent."""
    is_teardown = plan.count(Action.DELETE) == len(plan.effective)
    return 0 if is_teardown else plan.count(Action.NOOP)


@dataclass(frozen=True)
class Summary:
    """What a run did, and how long its phases took.

    Args:
        unchanged: how many resources were as they should be.
    """

    event: events.RunFinished
    timeline: Timeline
    unchanged: int

    @property
    def title(self) -> str:
        counts = {**self.event.counts, "unchanged": self.unchanged}
        shown = ", ".join(f"{number} {fate}" for fate, number in counts.items() if number)
        took = f"{self.event.command} took {seconds_text(self.timeline.seconds)}"
        return f"{took}: {shown or 'nothing had to change'}"

    @property
    def slowest(self) -> str:
        """The slowest step; "" if that is no news."""
        if self.timeline.slowest is None or sum(self.event.counts.values()) < 2:
            return ""
        name, seconds = self.timeline.slowest
        return f"slowest step: {name}, {seconds_text(seconds)}"

    def text(self) -> Iterator[str]:
        """Yield the end of a run for a file: few lines, however long."""
        yield self.title
        phases = ", ".join(
            f"{phase.name} {seconds_text(phase.seconds)}" for phase in self.timeline.phases
        )
        if phases:
            yield f"phases: {phases}"
        if self.slowest:
            yield self.slowest

    def lines(self, width: int, *, bars: bool, plain: bool) -> Iterator[Text]:
        """Yield the end of a run for a terminal: a line for each phase.

        Args:
            bars: whether there is room to draw when each phase was.
            plain: only ASCII is known.
        """
        yield Text()
        yield from folded(self.title, 2, width, "bold")
        phases = self.timeline.phases
        name = max((len(phase.name) for phase in phases), default=0)
        time = max((len(seconds_text(phase.seconds)) for phase in phases), default=0)
        room = min(_WIDEST_BAR, width - name - time - 6)
        scale = room / max(self.timeline.seconds, 0.001)
        for phase in phases:
            text = f"  {phase.name:{name}}  {seconds_text(phase.seconds):>{time}}"
            if not bars:
                yield from folded(text, 4, width)
                continue
            before = min(round(phase.begin * scale), room - 1)
            size = min(max(1, round(phase.seconds * scale)), room - before)
            bar = (_PLAIN_BAR if plain else _BAR) * size
            yield Text.assemble(f"{text}  {' ' * before}", (bar, "blue"))
        if self.slowest:
            yield from folded(f"  {self.slowest}", 4, width)
        yield Text()
