"""Which process is at the other end of a connection on this machine."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

_TABLE = Path("/proc/net/tcp")
_UID, _INODE = 7, 9  # columns
PEERS_ARE_KNOWN = _TABLE.exists()  # on Linux


def is_process(connection: socket.socket, pid: int) -> bool:
    """Tell whether a process of this user is at the other end of an IPv4 loopback connection.

    False where the system does not tell.
    """
    with suppress(OSError):  # it was closed meanwhile, by either side
        ends = (connection.getpeername(), connection.getsockname())
        theirs, ours = (f"0100007F:{address[1]:04X}" for address in ends)
        for row in _TABLE.read_text().splitlines()[1:]:
            columns = row.split()
            if columns[1:3] == [theirs, ours]:
                inode = f"socket:[{columns[_INODE]}]"
                return int(columns[_UID]) == os.getuid() and _holds(pid, inode)
    return False


def _holds(pid: int, inode: str) -> bool:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # it was closed meanwhile
            if str(descriptor.readlink()) == inode:
                return True
    return False
