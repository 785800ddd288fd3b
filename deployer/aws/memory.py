"""The memory of one pass over the account: listings that several resources read are read once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Memory:
    """Results of calls by key, for any number of threads."""

    def __init__(self) -> None:
        self._results: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def once(self, key: Hashable, call: Callable[[], T]) -> T:
        """Return the result of `call`, which only the first thread that asks for `key` makes.

        The other threads wait for it. An error is remembered too: every thread gets it.
        """
        with self._lock:
            result = self._results.get(key)
            first = result is None
            if result is None:
                result = self._results[key] = Future()
        if first:
            try:
                result.set_result(call())
            except BaseException as error:
                result.set_exception(error)
        shared: T = result.result()
        return shared
