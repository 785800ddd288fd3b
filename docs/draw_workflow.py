"""Draw state_machine.json as a Mermaid diagram into README.md, between its two markers.

python docs/draw_workflow.py            writes README.md
python docs/draw_workflow.py --check    exits with 1 if README.md shows another workflow
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- workflow: drawn by docs/draw_workflow.py -->", "<!-- end of workflow -->"
SHAPES = {
    "Task": '[["{}"]]',
    "Choice": '{{"{}"}}',
    "Fail": '(["{}"])',
    "Parallel": '["{}"]',
    "Pass": '["{}"]',
}


def draw(definition: dict[str, Any]) -> str:
    return "\n".join(
        ["```mermaid", "flowchart TD", '    start(("input"))', *states(definition, "start"), "```"]
    )


def node(name: str) -> str:
    """A state's name as Mermaid's identifier."""
    return re.sub(r"\W", "_", name)


def states(machine: dict[str, Any], before: str) -> Iterator[str]:
    """Yield the lines of one machine: the way in, each state, each way on."""
    yield f"    {before} --> {node(machine['StartAt'])}"
    for name, state in machine["States"].items():
        yield f"    {node(name)}{SHAPES[state['Type']].format(name)}"
        for branch in state.get("Branches", ()):
            yield from states(branch, node(name))
        yield from ways(name, state)


def ways(name: str, state: dict[str, Any]) -> Iterator[str]:
    if "Next" in state:
        yield f"    {node(name)} --> {node(state['Next'])}"
    for choice in state.get("Choices", ()):
        yield f'    {node(name)} -->|"some model answered"| {node(choice["Next"])}'
    if "Default" in state:
        yield f'    {node(name)} -->|"none did"| {node(state["Default"])}'
    for catch in state.get("Catch", ()):
        errors = ", ".join(catch["ErrorEquals"])
        yield f'    {node(name)} -.->|"{errors}"| {node(catch["Next"])}'


def main(arguments: list[str]) -> int:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    picture = draw(json.loads((ROOT / "state_machine.json").read_text(encoding="utf-8")))
    before, _, rest = text.partition(BEGIN)
    drawn = f"{before}{BEGIN}\n{picture}\n{END}{rest.partition(END)[2]}"
    if arguments == ["--check"]:
        return 0 if drawn == text else 1
    readme.write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
