"""Whose process is at the other end of a connection on this machine."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

_TABLE = Path("/proc/net/tcp")
_UID, _INODE = 7, 9  # columns
KNOWN_HERE = _TABLE.exists()  # Linux


def is_process(connection: socket.socket, pid: int) -> bool:
    """Tell whether a process of this user is at the other end of an IPv4 loopback connection; False
    where nobody can say.
    """
    with suppress(OSError):  # it was closed meanwhile, by either side
        ends = (connection.getpeername(), connection.getsockname())
        theirs, ours = (f"0100007F:{address[1]:04X}" for address in ends)
        for row in _TABLE.read_text().splitlines()[1:]:
            columns = row.split()
            if columns[1:3] == [theirs, ours]:
                return int(columns[_UID]) == os.getuid() and _holds(
                    pid, f"socket:[{columns[_INODE]}]"
                )
    return False


def _holds(pid: int, what: str) -> bool:
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with suppress(OSError):  # it was closed meanwhile
            if os.readlink(f"/proc/{pid}/fd/{descriptor}") == what:
                return True
    return False
