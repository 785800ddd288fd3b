"""A workflow as a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Iterator

from deployer.project.drawing import Machine, State
from deployer.report.marks import MARKS, mark_text
from deployer.report.values import printable

_SHAPES = {
    "Task": '[["{}"]]',
    "Choice": '{{"{}"}}',
    "Fail": '(["{}"])',
    "Succeed": '(["{}"])',
    "Wait": '(("{}"))',
}
_BOX = '["{}"]'
# Characters that mean something inside a quoted label, as Mermaid's entities.
_ENTITIES = {char: f"#{ord(char)};" for char in '#";<>`&'}


def mermaid(machine: Machine) -> str:
    """Return the text of a flowchart, without a line end at its end."""
    chart = _Chart()
    lines = ["flowchart TD", '    start(["request"])', *chart.lines(machine, "start", 1)]
    return "\n".join([*lines, *chart.classes()])


class _Chart:
    """The states get numbers as ids: their names may hold anything."""

    def __init__(self) -> None:
        self._count = 0
        self._marked: dict[str, list[str]] = {}

    def lines(self, machine: Machine, before: str, depth: int) -> Iterator[str]:
        """Yield the lines of one machine.

        Args:
            before: id of the start; "" for a machine inside a state, whose box is its start.
        """
        ids = {state.name: self._id() for state in machine.states}
        for state in machine.states:
            yield from self._state(state, ids[state.name], depth)
        indent = "    " * depth
        if before:
            yield f"{indent}{before} --> {ids[machine.start]}"
        for arrow in machine.arrows:
            line = "-.->" if arrow.is_error else "-->"
            label = f'|"{_label(arrow.label)}"| ' if arrow.label else ""
            yield f"{indent}{ids[arrow.source]} {line}{label or ' '}{ids[arrow.target]}"

    def _state(self, state: State, name: str, depth: int) -> Iterator[str]:
        indent = "    " * depth
        happened = ""
        if state.mark is not None:
            self._marked.setdefault(state.mark.kind, []).append(name)
            happened = f"<br/>{_label(mark_text(state.mark))}"
        if not state.machines:
            text = f"{_label(state.name)}{happened}"
            yield f"{indent}{name}{_SHAPES.get(state.kind, _BOX).format(text)}"
            return
        text = f"{_label(f'{state.name}: {state.summary}')}{happened}"
        yield f'{indent}subgraph {name}["{text}"]'
        for machine in state.machines:
            yield from self.lines(machine, "", depth + 1)
        yield f"{indent}end"

    def classes(self) -> Iterator[str]:
        """Yield the colours of the states with a mark."""
        for kind, names in self._marked.items():
            look = MARKS[kind]
            fill, line = look.light
            dashes = ",stroke-dasharray:5 3" if look.dashed else ""
            yield f"    classDef {kind} fill:{fill},stroke:{line},color:#1f2328{dashes}"
            yield f"    class {','.join(names)} {kind}"

    def _id(self) -> str:
        self._count += 1
        return f"s{self._count}"


def _label(text: str) -> str:
    return "".join(_ENTITIES.get(char, char) for char in printable(text))
