"""Call a handler once, outside of Lambda.

    python run_handler.py MODULE.FUNCTION RESULT < EVENT

Runs as a script in the folder that is the image's working directory; imports the standard library
only. Writes a JSON object to the file RESULT: {"answer"} or {"error", "message", "module"}, and
{"peak_mb"}, the memory that the process has needed. What the handler prints goes to stdout.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import traceback
from pathlib import Path
from typing import Any


def call(handler: str, event: Any) -> dict[str, Any]:
    """Import a handler and call it."""
    module, _, function = handler.rpartition(".")
    sys.path.insert(0, str(Path.cwd()))  # as a Lambda runtime does
    try:
        answer = getattr(importlib.import_module(module.replace("/", ".")), function)(event, None)
        return {"answer": json.loads(json.dumps(answer, allow_nan=False))}
    except Exception as error:
        traceback.print_exc(file=sys.stdout)
        return {
            "error": type(error).__name__,
            "message": str(error),
            "module": error.name if isinstance(error, ModuleNotFoundError) else None,
        }


def main(handler: str, result: str) -> None:
    sys.path.pop(0)  # this script's own folder
    report = call(handler, json.load(sys.stdin))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    divisor = 1024 * 1024 if sys.platform == "darwin" else 1024  # macOS counts bytes
    text = json.dumps({**report, "peak_mb": peak // divisor})
    Path(result).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
