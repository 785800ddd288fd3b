"""Draw state_machine.json as docs/pictures/workflow.svg, as `graph --format svg` does.

python docs/draw_workflow.py            writes the picture
python docs/draw_workflow.py --check    exits with 1 if the picture shows another workflow
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from deployer.project.drawing import drawing
from deployer.report.svg import svg

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "pictures" / "workflow.svg"


def main(arguments: list[str]) -> int:
    definition = json.loads((ROOT / "state_machine.json").read_text(encoding="utf-8"))
    drawn = f"{svg(drawing(definition), 'state_machine.json')}\n"
    if arguments == ["--check"]:
        return 0 if PICTURE.is_file() and drawn == PICTURE.read_text(encoding="utf-8") else 1
    PICTURE.write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
