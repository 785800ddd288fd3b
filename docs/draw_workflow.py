"""Draw state_machine.json as a Mermaid diagram into README.md, between its two markers.

python docs/draw_workflow.py            writes README.md
python docs/draw_workflow.py --check    exits with 1 if README.md shows another workflow
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from deployer.project.drawing import drawing
from deployer.report.mermaid import mermaid

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- workflow: drawn by docs/draw_workflow.py -->", "<!-- end of workflow -->"


def main(arguments: list[str]) -> int:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    definition = json.loads((ROOT / "state_machine.json").read_text(encoding="utf-8"))
    before, _, rest = text.partition(BEGIN)
    chart = mermaid(drawing(definition))
    drawn = f"{before}{BEGIN}\n```mermaid\n{chart}\n```\n{END}{rest.partition(END)[2]}"
    if arguments == ["--check"]:
        return 0 if drawn == text else 1
    readme.write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
