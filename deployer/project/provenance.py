"""Where a release comes from: the commit of the project's folder, and who deployed it.

AWS keeps a description of at most 256 characters with each version of a state machine. It reads

    commit 3f2a9c01d4e5, changed; by anna@example.com; back to 12

and holds no time, for AWS keeps that itself. A description that somebody else wrote is read as far
as it has these parts.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_LIMIT = 256  # characters
_HASH = 12  # digits of a commit that are shown
_TIMEOUT_S = 10
_COMMIT = re.compile(r"commit ([0-9a-f]{7,40})(, changed)?")
_NUMBER = r" ([0-9]{1,9})"
_BACK_TO = re.compile("back to" + _NUMBER)
_PROMOTED = re.compile("promoted from" + _NUMBER)
_CANARY = re.compile("canary ([0-9]{1,2}) % beside" + _NUMBER)


@dataclass(frozen=True)
class Provenance:
    """Where a release comes from.

    Args:
        commit: its first digits; "" if the folder is no git repository.
        changed: whether files of the project differed from that commit, or were not part of it.
        by: the caller's name in IAM.
        back_to: the release whose graph this one serves again.
        promoted_from: the canary whose candidate this one serves alone.
        canary: the candidate's share in percent, if this is a canary.
        beside: the release that a canary gives all other requests to.
    """

    commit: str = ""
    changed: bool = False
    by: str = ""
    back_to: int | None = None
    promoted_from: int | None = None
    canary: int | None = None
    beside: int | None = None

    def to_text(self) -> str:
        """Return the description of a version."""
        parts = []
        if self.canary is not None:
            parts.append(f"canary {self.canary} % beside {self.beside}")
        if self.back_to is not None:
            parts.append(f"back to {self.back_to}")
        if self.promoted_from is not None:
            parts.append(f"promoted from {self.promoted_from}")
        if self.commit:
            parts.append(f"commit {self.commit}{', changed' if self.changed else ''}")
        if self.by:
            parts.append(f"by {self.by}")
        return "; ".join(parts)[:_LIMIT]


def parsed(text: str) -> Provenance:
    """Read the description of a version."""
    parts = text.split("; ")
    commit = _first(_COMMIT, parts)
    canary = _first(_CANARY, parts)
    back_to, promoted = _first(_BACK_TO, parts), _first(_PROMOTED, parts)
    return Provenance(
        commit=commit[1] if commit else "",
        changed=bool(commit and commit[2]),
        by=next((part[3:] for part in parts if part.startswith("by ")), ""),
        back_to=int(back_to[1]) if back_to else None,
        promoted_from=int(promoted[1]) if promoted else None,
        canary=int(canary[1]) if canary else None,
        beside=int(canary[2]) if canary else None,
    )


def _first(pattern: re.Pattern[str], parts: list[str]) -> re.Match[str] | None:
    return next((match for part in parts if (match := pattern.fullmatch(part))), None)


def caller(arn: str) -> str:
    """Return the name of a caller: of a user, or of the session of a role."""
    # A name holds no control character and no ";", but a description is read by these.
    return re.sub(r"[^\w+=,.@-]", "?", re.split("[/:]", arn)[-1])


def of_folder(folder: Path) -> Provenance:
    """Return the commit and state of a project's folder; nothing without git or a repository.

    Files that git ignores do not count, such as the trained models.
    """
    commit = _git(folder, "rev-parse", f"--short={_HASH}", "HEAD")
    if not commit:
        return Provenance()
    # An answer that is not known counts as a change.
    status = _git(folder, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    return Provenance(commit=commit, changed=status != "")


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what a command of git prints; None if it fails."""
    # Locks are for commands that write: one that only looks must not stand in their way.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
