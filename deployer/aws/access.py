"""Access to one AWS account and region: the interface that everything else calls AWS through.

A call is `aws.call("lambda", "get_function", FunctionName=...)`. It returns boto3's answer or
raises AwsError. boto3 is imported when the session is opened, not before: `deployer --help` must
not wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any, TypeVar

from deployer.aws.botocore_patches import fetch_pages_with
from deployer.aws.clients import READ_TIMEOUT_S, Clients
from deployer.aws.identity import Caller, Identity
from deployer.aws.memory import Memory
from deployer.aws.pace import Paces
from deployer.aws.partitions import Partitions
from deployer.aws.translation import translated
from deployer.aws.waiting import (
    CONNECTION_LOST_DEADLINE_S,
    SERVER_ERROR_DEADLINE_S,
    THROTTLE_DEADLINE_S,
    Reason,
    Tell,
    Transient,
    Waiting,
    connection_lost,
    server_error,
    tell_nobody,
    throttled,
)
from deployer.errors import AwsError

__all__ = ["WORKERS", "Aws", "Recorder", "Tell", "tell_nobody"]

T = TypeVar("T")
Recorder = Callable[[str, str], None]
CallOnce = Callable[..., Any]  # service, operation, **parameters -> answer

WORKERS = 32  # threads that may call one service at once


def time_of_day() -> datetime:
    return datetime.now(timezone.utc)


class Aws:
    """Access to one account and region.

    It is put together of parts. Clients, rate limits and the caller's identity belong to the
    account, and all views of it share them. `telling`, `remembering`, `calling` and `patient`
    return a view with another part: another listener, a memory, a stand-in for AWS, or more time.

    Args:
        region, profile: as boto3 takes them; None leaves the choice to AWS's environment variables
            and files.
        endpoint_url: one endpoint for every service; None leaves it to AWS_ENDPOINT_URL and AWS.
        credentials: an access key and its secret, in place of those of the environment.
        record: gets service and operation of each call, for tests and for -v.
        tell: gets the reason for each wait; `telling` gives a step of a run its own.
        stopped: whether the user has asked for the end of the run; then nothing is waited for.
        sleep, clock: in seconds; tests inject their own.
        now: the time of day, to compare with times that AWS gives.
        clients: a session and clients that are shared with another access to the same account, in
            place of `region` to `credentials`.
    """

    def __init__(
        self,
        *,
        region: str | None = None,
        profile: str | None = None,
        endpoint_url: str | None = None,
        credentials: tuple[str, str] | None = None,
        record: Recorder = lambda service, operation: None,
        tell: Tell = tell_nobody,
        stopped: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = time_of_day,
        clients: Clients | None = None,
    ) -> None:
        self._clients = clients or Clients(region, profile, endpoint_url, credentials, WORKERS)
        self._caller = Caller()
        self._paces = Paces(clock, sleep)
        self._record = record
        self._now = now
        self._waiting = Waiting(tell, stopped, sleep, clock)
        self._memory: Memory | None = None
        self._stand_in: CallOnce | None = None
        self._read_timeout_s = READ_TIMEOUT_S

    def telling(self, tell: Tell) -> Aws:
        """Return a view of this account that tells `tell` what it waits for."""
        return self._view(waiting=replace(self._waiting, tell=tell))

    def remembering(self) -> Aws:
        """Return a view of this account for one pass over it, in which `once` remembers."""
        return self._view(memory=Memory())

    def calling(self, call_once: CallOnce) -> Aws:
        """Return a view of this account whose calls `call_once` answers in place of AWS."""
        return self._view(stand_in=call_once)

    def patient(self, seconds: float) -> Aws:
        """Return a view of this account whose calls wait so long for an answer."""
        return self._view(read_timeout_s=seconds)

    def _view(
        self,
        *,
        waiting: Waiting | None = None,
        memory: Memory | None = None,
        stand_in: CallOnce | None = None,
        read_timeout_s: float | None = None,
    ) -> Aws:
        view = Aws.__new__(type(self))
        view._clients = self._clients
        view._caller = self._caller
        view._paces = self._paces
        view._record = self._record
        view._now = self._now
        view._waiting = waiting or self._waiting
        view._memory = memory or self._memory
        view._stand_in = stand_in or self._stand_in
        view._read_timeout_s = read_timeout_s or self._read_timeout_s
        return view

    # The account

    @property
    def region(self) -> str:
        """The region in force; ConfigError without one."""
        return self._clients.region

    @property
    def endpoint(self) -> str | None:
        """The endpoint that replaces AWS's own; None for AWS's own."""
        return self._clients.endpoint

    @property
    def partitions(self) -> Partitions:
        """The partitions and regions that the installed botocore knows."""
        return self._clients.partitions

    @property
    def identity(self) -> Identity:
        """The caller's account and ARN, from STS, which needs no permission; asked only once."""
        return self._caller.identity(lambda: self.call("sts", "get_caller_identity"))

    @property
    def now(self) -> datetime:
        """The time of day, in UTC."""
        return self._now()

    def sign_in(self) -> None:
        """Find the credentials, or renew them if that is due; raise NoCredentials without any."""
        self._clients.sign_in()

    def signed(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the headers of a request to a deployed API, signed by the caller (Api-33)."""
        return self._clients.signed(method, url, body, headers)

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service, which all threads and views share."""
        return self._clients.client(service, self._read_timeout_s)

    def make_clients(self, *services: str) -> None:
        """Make the clients of services, or of all; an error is left for the first call."""
        self._clients.make_clients(*services)

    # Calls

    def call(self, service: str, operation: str, **parameters: Any) -> Any:
        """Call an operation by its boto3 name; raise AwsError with the code that AWS gave.

        Throttles, failures of AWS and lost connections are waited out, so the operation may happen
        twice.
        """

        def answered() -> Any:
            return self._waiting.retry(
                partial(self.call_once, service, operation, **parameters),
                when=connection_lost,
                deadline_s=CONNECTION_LOST_DEADLINE_S,
                min_attempts=2,
            )

        return self._waiting.retry(answered, when=server_error, deadline_s=SERVER_ERROR_DEADLINE_S)

    def call_once(self, service: str, operation: str, **parameters: Any) -> Any:
        """Call an operation that must not happen twice: only throttles are waited out.

        After NotReached or a failure of AWS, the caller must look whether it happened.
        """
        if self._stand_in is not None:
            return self._stand_in(service, operation, **parameters)
        client = self.client(service)

        def attempt() -> Any:
            self._paces.take(service, operation)
            self.sign_in()
            self._record(service, operation)
            return translated(operation, lambda: getattr(client, operation)(**parameters))

        return self._waiting.retry(
            attempt, when=throttled, deadline_s=THROTTLE_DEADLINE_S, longest_delay_s=20.0
        )

    def find(
        self, missing: tuple[str, ...], service: str, operation: str, **parameters: Any
    ) -> Any:
        """Call an operation, but return None for the error codes in `missing`: "not found"."""
        try:
            return self.call(service, operation, **parameters)
        except AwsError as error:
            if error.code in missing:
                return None
            raise

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[Any]:
        """Yield the items under `key` of every page of a listing."""
        paginator = self.client(service).get_paginator(operation)
        fetch_pages_with(paginator, partial(self.call, service, operation))
        for page in paginator.paginate(**parameters):
            yield from page.get(key, ())

    def together(self, *calls: Callable[[], Any]) -> list[Any]:
        """Make independent calls at once; return their answers, or raise the first error."""
        threads = min(len(calls), WORKERS) or 1
        with ThreadPoolExecutor(threads, thread_name_prefix="together") as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]

    # Waiting and the memory of a pass

    @property
    def tell(self) -> Tell:
        """What shows progress, such as the reason for a wait."""
        return self._waiting.tell

    def retry(self, call: Callable[[], T], *, when: Transient, deadline_s: float = 180.0) -> T:
        """Repeat a call while its error is transient; see Waiting.retry."""
        return self._waiting.retry(call, when=when, deadline_s=deadline_s)

    def wait_until(
        self, check: Callable[[], T | None], *, reason: Reason, deadline_s: float = 300.0
    ) -> T:
        """Repeat `check` until it returns something other than None; see Waiting.wait_until."""
        return self._waiting.wait_until(check, reason=reason, deadline_s=deadline_s)

    def once(self, key: Hashable, call: Callable[[], T]) -> T | None:
        """Return a result that a pass shares (see Memory.once); None outside of a pass."""
        return None if self._memory is None else self._memory.once(key, call)
