"""How much memory a process and its children hold, as Linux counts it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
MEMORY_IS_KNOWN = (_PROC / "self" / "status").exists()  # on Linux
_FIELD = re.compile(rb"^(VmHWM|VmRSS):\s+(\d+) kB$", re.MULTILINE)


class Gauge:
    """The memory of one process with its children, against a limit.

    Memory that is resident counts, as for Lambda: reserved address space does not. Elsewhere than
    on Linux it is not known: nothing is counted, and no limit exceeded.
    """

    def __init__(self, pid: int, limit_mb: int) -> None:
        self._pid = pid
        self._limit_mb = limit_mb
        self.peak_mb = 0.0

    @property
    def is_exceeded(self) -> bool:
        return self.peak_mb > self._limit_mb

    def look(self) -> bool:
        """Measure, and tell whether the limit was ever exceeded.

        The kernel keeps the process's own peak, so a short one is not missed between two looks.
        """
        own = _fields(self._pid)
        children = sum(_fields(pid).get(b"VmRSS", 0) for pid in _children(self._pid))
        highest = max(own.get(b"VmHWM", 0), own.get(b"VmRSS", 0) + children)
        self.peak_mb = max(self.peak_mb, highest / 1024)
        return self.is_exceeded


def _fields(pid: int) -> dict[bytes, int]:
    """Return VmHWM, the peak, and VmRSS in KB; neither once the process has ended."""
    try:
        status = (_PROC / str(pid) / "status").read_bytes()
    except OSError:
        return {}
    return {name: int(size) for name, size in _FIELD.findall(status)}


def _children(pid: int) -> Iterator[int]:
    """Yield the descendants of a process."""
    with suppress(OSError):  # it ended meanwhile
        for task in (_PROC / str(pid) / "task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from _children(int(child))
