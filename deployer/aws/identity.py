"""The identity of the caller, from sts:GetCallerIdentity."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.aws.foreign_answers import not_aws


@dataclass(frozen=True)
class Identity:
    """The caller's account and ARN. `partition` is such as aws or aws-cn (PRE-1)."""

    account: str
    partition: str
    arn: str


class Caller:
    """The caller of one account, whose identity is asked once, however many threads need it."""

    def __init__(self) -> None:
        self._identity: Identity | None = None
        self._lock = threading.Lock()

    def identity(self, ask: Callable[[], Mapping[str, Any]]) -> Identity:
        """Return the identity. `ask` calls GetCallerIdentity; after an error the next call asks."""
        with self._lock:
            if self._identity is None:
                self._identity = _identity_from(ask())
            return self._identity


def _identity_from(answer: Mapping[str, Any]) -> Identity:
    account, arn = str(answer.get("Account")), str(answer.get("Arn"))
    if not re.fullmatch("[0-9]{12}", account) or not arn.startswith("arn:"):
        raise not_aws("it names no account", "GetCallerIdentity")
    return Identity(account, arn.split(":")[1], arn)
