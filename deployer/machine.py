"""Errors of this machine in plain words: disk, rights, memory, threads, missing packages."""

from __future__ import annotations

import errno
import sys

from deployer.errors import MachineFailed
from deployer.hints import environment_advice

_ERRNO_ADVICE = {
    errno.ENOSPC: "free some room on that disk, then run the command again",
    errno.EDQUOT: "free some room on that disk, then run the command again",
    errno.EROFS: "the disk is read-only; copy the project to where you may write",
    errno.EACCES: "look at the owner and the permissions of that file or folder",
    errno.EPERM: "look at the owner and the permissions of that file or folder",
    errno.EMFILE: "too few files may be open at once: raise the limit (ulimit -n 1024), then run "
    "the command again",
    errno.ENFILE: "close other programs, then run the command again",
    errno.EAGAIN: "too few processes or threads are allowed: close other programs or raise the "
    "limit (ulimit -u)",
}


def of_this_machine(error: Exception) -> MachineFailed | None:
    """Return the error as a MachineFailed with advice, or None if it has another cause."""
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("deployer"):
        return MachineFailed(f"{sys.executable} has no package {error.name}", environment_advice())
    if isinstance(error, MemoryError):
        return MachineFailed(
            "this machine has too little memory", "close other programs, then run the command again"
        )
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return MachineFailed(
            "this machine lets no further thread start", _ERRNO_ADVICE[errno.EAGAIN]
        )
    if isinstance(error, FileNotFoundError) and "No usable temporary directory" in str(error):
        return MachineFailed(
            "no folder for temporary files can be written to", "set TMPDIR to one that can"
        )
    if isinstance(error, OSError):
        what = f": {error.filename}" if error.filename else ""
        return MachineFailed(
            f"{error.strerror or error}{what}", _ERRNO_ADVICE.get(error.errno or 0, "")
        )
    return None
