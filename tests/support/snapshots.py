"""Copies of what moto holds in this process, so that many tests begin with what was made once."""

from __future__ import annotations

import copy
import copyreg
import threading
from collections.abc import Callable
from typing import Any

# Each with the service, the account and the region that it belongs to.
Backends = list[tuple[Any, str, str, Any]]


def _copy_by(make: Callable[[], Any]) -> None:
    """Let a copy of what a lock guards have a new lock."""
    copyreg.pickle(type(make()), lambda lock: (make, ()))


_copy_by(threading.Lock)
_copy_by(threading.RLock)


class Snapshot:
    """The backends of all services as they are now.

    Pushed layers are no part of it: the gateway keeps them, by digest, for as long as it lives.
    """

    def __init__(self) -> None:
        from moto.core.base_backend import BackendDict
        from moto.s3.models import FakeKey, s3_backends

        backends = [
            (service, *place_and_backend)
            for service in BackendDict._instances
            for place_and_backend in service.iter_backends()
        ]
        tracked, FakeKey.instances_tracked = FakeKey.instances_tracked, []
        self._backends = _copied(backends)
        # moto closes the objects that it tracks when it is reset: these are not among them.
        self._objects, FakeKey.instances_tracked = FakeKey.instances_tracked, tracked
        self._owners = dict(s3_backends.bucket_accounts)

    def restore(self) -> None:
        """Fill an empty account with copies, so that this can be restored again."""
        from moto.s3.models import s3_backends

        for service, account, region, backend in _copied(self._backends):
            service[account][region] = backend
        s3_backends.bucket_accounts.update(self._owners)

    def close(self) -> None:
        """Close the objects' files."""
        for item in self._objects:
            item.dispose()


def _copied(backends: Backends) -> Backends:
    """Copy backends together, for they refer to each other; services are the same for all."""
    same = {id(service): service for service, *_ in backends}
    return copy.deepcopy(backends, same)
