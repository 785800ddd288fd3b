"""An executor of one thread."""

from __future__ import annotations

from concurrent.futures import Executor, Future


class SerialExecutor(Executor):
    """Runs each call at once, in the calling thread."""

    def submit(self, fn, /, *args, **kwargs):
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future
