"""What LOG_LEVEL = debug logs besides: the times of an init, and what a request took.

No value of a request is in it.
"""

from __future__ import annotations

import json
import platform
import resource
import sys
from contextlib import suppress
from pathlib import Path

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from typing import Any

_LIBRARIES = ("numpy", "scipy", "sklearn", "pandas", "joblib")
_requests = 0


def init(
    predictor: Any, model_bytes: int, signature_bytes: int, path: str, times: tuple[float, ...]
) -> dict[str, Any]:
    """Return the line about an init.

    Args:
        path: how the model is evaluated (loading.load).
        times: when it began, when both files were there, and when the model was loaded, in seconds.
    """
    began, fetched, ended = times
    return {
        "init": predictor.name,
        "version": predictor.version,
        "path": path,
        "model_bytes": model_bytes,
        "signature_bytes": signature_bytes,
        "fetch_ms": round(1000 * (fetched - began), 2),
        "load_ms": round(1000 * (ended - fetched), 2),
        "peak_mb": peak_mb(),
        "modules": len(sys.modules),
        "python": platform.python_version(),
        "libraries": {
            name: getattr(sys.modules[name], "__version__", "")
            for name in _LIBRARIES
            if name in sys.modules
        },
    }


def request(answer: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the members that the line about an answered request has besides."""
    global _requests
    _requests += 1
    left = getattr(context, "get_remaining_time_in_millis", lambda: None)()
    return {
        "nth": _requests,  # of this process
        "answer_bytes": len(json.dumps(answer)),
        "left_ms": left,
        "peak_mb": peak_mb(),
    }


def peak_mb() -> int:
    """Return the most memory that this process has used so far."""
    with suppress(OSError):  # such as on macOS
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):  # ru_maxrss would count the parent's, too
                return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024)
