"""The rows of a run's live area: one for the resources of one kind that change in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.text import Text

from deployer.report.folding import folded
from deployer.report.phases import kind_of
from deployer.report.values import printable, seconds_text

GERUNDS = {
    "create": "creating",
    "update": "updating",
    "replace": "replacing",
    "delete": "deleting",
    "train": "training",
}
PARTICIPLES = {
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "delete": "deleted",
    "train": "trained",
}
LONG_S = 10.0  # a resource that waits longer is named
NARROW = 60  # columns below which nothing is aligned
_INDENT = 4
_STATE, _TIME = 15, 11  # columns of a row that is aligned
# By fate: what stands before a row, where UTF-8 is known and where it is not, and its colour.
_SIGNS = {
    "running": ("•", ".", "blue"),
    "done": ("✓", "*", "green"),
    "failed": ("✗", "x", "red"),
    "skipped": ("-", "-", "yellow"),
    "left": ("-", "-", "yellow"),  # nobody waited for its end
    "unchanged": ("-", "-", ""),
}


@dataclass
class Step:
    """One resource's change: how far it is.

    Args:
        fate: a key of _SIGNS.
        text: what it does or waits for, since `since`.
        message: why it failed or was skipped.
    """

    begun: float
    fate: str = "running"
    text: str = ""
    since: float = 0.0
    message: str = ""


@dataclass(frozen=True)
class Look:
    """How rows are drawn.

    Args:
        width: columns of the terminal.
        names: columns that the names of rows take.
        plain: only ASCII is known.
    """

    width: int
    names: int = 0
    plain: bool = False


@dataclass
class Row:
    """Resources of one kind that are all created, or all updated, ...

    Args:
        keys: all that the plan names; steps may be fewer while the run lasts.
        remarks: what is worth reading when all is done, and whose remark it is.
    """

    action: str
    keys: Sequence[str]
    steps: dict[str, Step] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)
    ended: float = 0.0

    @property
    def name(self) -> str:
        if len(self.keys) == 1:
            return self.keys[0]
        return f"{kind_of(self.keys[0])}/* ({len(self.keys)})"

    @property
    def is_complete(self) -> bool:
        return len(self.steps) >= len(self.keys) and not self._having("running")

    def lines(self, look: Look, now: float) -> Iterator[Text]:
        """Draw the row, and below it those of its resources that are named."""
        waiting = self._long_waits(now)
        reason = "" if waiting else self._reason()
        yield from self._first_lines(look, now, reason)
        for text, since, keys in waiting:
            yield from self._note(f"{text}, {now - since:.0f} s", keys, look)
        for text, keys in self.remarks.items():
            yield from self._note(text, keys, look, "dim")
        for key in self._having("failed"):
            message = self.steps[key].message
            yield from self._note(message, [] if key in message else [key], look, "red")

    def _first_lines(self, look: Look, now: float, reason: str) -> Iterator[Text]:
        state = self._state()
        seconds = (self.ended if self.is_complete else now) - self._begun()
        idle = {"skipped", "unchanged"}.issuperset(step.fate for step in self.steps.values())
        time = seconds_text(seconds) if self.is_complete else f"{seconds:.0f} s"
        sign, plain_sign, style = _SIGNS[self._fate()]
        sign = plain_sign if look.plain else sign
        name = printable(self.name)
        if look.width >= NARROW:
            name = name + " " * (look.names - cell_len(name))
            text = f"{sign} {name}  {state:{_STATE}}{'' if idle else f'{time:>{_TIME}}'}".rstrip()
        else:
            text = f"{sign} {name}  {state}{'' if idle else f', {time}'}"
        beside = reason and cell_len(text) + 2 + cell_len(reason) <= look.width
        lines = list(folded(f"{text}  {reason}" if beside else text, _INDENT, look.width))
        lines[0].stylize(style, 0, 1)
        yield from lines
        if reason and not beside:
            yield from self._note(reason, [], look)

    def _note(self, text: str, keys: Sequence[str], look: Look, style: str = "") -> Iterator[Text]:
        """Yield a text below the row, with the names that it is about if the row has several."""
        named = f"{', '.join(keys)}: " if keys and len(self.keys) > 1 else ""
        for line in f"{named}{text}".splitlines():
            indented = f"{' ' * _INDENT}{printable(line)}"
            yield from folded(indented, _INDENT, look.width, style)

    def _begun(self) -> float:
        return min((step.begun for step in self.steps.values()), default=self.ended)

    def _having(self, fate: str) -> list[str]:
        return [key for key, step in self.steps.items() if step.fate == fate]

    def _fate(self) -> str:
        """Return how the row is doing: the worst that happened, or else whether it goes on."""
        for fate in ("failed", "skipped", "left"):
            if self._having(fate):
                return fate
        if len(self._having("unchanged")) == len(self.keys):
            return "unchanged"
        return "done" if self.is_complete else "running"

    def _state(self) -> str:
        """Say how many are done, in words."""
        done, several = len(self._having("done")), len(self.keys) > 1
        participle = PARTICIPLES[self.action]
        parts = []
        if not self.is_complete:
            parts.append(f"{GERUNDS[self.action]}{f' {done} of {len(self.keys)}' * several}")
        elif done == len(self.keys):
            return participle
        elif done:
            parts.append(f"{done} {participle}")
        for fate in ("failed", "skipped", "left", "unchanged"):
            number = len(self._having(fate))
            if number:
                parts.append(f"{f'{number} ' * several}{self._ending(fate)}")
        return ", ".join(parts)

    def _ending(self, fate: str) -> str:
        if fate == "skipped":
            because = next(self.steps[key].message for key in self._having(fate))
            return f"not {PARTICIPLES[self.action]}, because {because}"
        return "not finished" if fate == "left" else fate

    def _reason(self) -> str:
        """Return what a resource does or waits for that has said so last."""
        running = [self.steps[key] for key in self._having("running") if self.steps[key].text]
        return max(running, key=lambda step: step.since).text if running else ""

    def _long_waits(self, now: float) -> list[tuple[str, float, list[str]]]:
        """Return what is waited for long, since when, and by which resources."""
        waits: dict[str, list[str]] = {}
        for key in self._having("running"):
            step = self.steps[key]
            if step.text.startswith("waiting") and now - step.since >= LONG_S:
                waits.setdefault(step.text, []).append(key)
        return [
            (text, min(self.steps[key].since for key in keys), keys) for text, keys in waits.items()
        ]
