"""The door to AWS: one session, clients made when first needed, one place where errors are
translated, one retry loop.

The only module that imports boto3, and it does so late: `deployer --help` must not wait for it. A
call is `aws.call("lambda", "get_function", FunctionName=...)`; it returns boto3's answer or raises
errors.AwsError.

botocore's own retries are off. They repeat a creation whose answer was lost, which makes a second
HTTP API (Api-3); they take a used-up quota for a throttle (GEN-3), and for a mistake a throttle
that says so only in its message (R-26); and nobody is told.
"""

from __future__ import annotations

import copy
import errno
import os
import random
import re
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol, TypeVar

from deployer import __version__
from deployer.aws.pace import Pace
from deployer.aws.signin import (
    SERVICES,
    ForeignAnswer,
    explained,
    is_about_signing,
    open_session,
    sign_in,
)
from deployer.errors import LOCAL_ADVICE, THROTTLED, AwsError, ConfigError, Interrupted, NotReached

T = TypeVar("T")
Recorder = Callable[[str, str], None]

WORKERS = 32
_REACH = "check the network, proxies and --endpoint-url"
_READ_TIMEOUT_S = 30
THROTTLE_DEADLINE_S = 180.0
UNWELL_DEADLINE_S = 30.0
UNREACHED_DEADLINE_S = (
    4.0  # long enough for a connection that broke, short enough for a wrong --endpoint-url
)
# Calls a second that AWS documents, and a burst; for the account and region, so others may use up a
# part (Api-30, Lambda-29, Logs-12). The bursts of Lambda and Logs are not documented; these let a
# service of ten functions through without waiting.
RATES = {
    "apigatewayv2": (10, 40),
    "lambda": (15, 45),
    "lambda:get_function": (100, 100),
    "logs:create_log_group": (5, 12),
    "logs:delete_log_group": (5, 12),
    "logs:describe_log_groups": (5, 15),
}


class Tell(Protocol):
    """Says what a step is doing; `lasting` for what is still worth reading when the step is done."""

    def __call__(self, text: str, *, lasting: bool = False) -> None: ...


def tell_nobody(text: str, *, lasting: bool = False) -> None:
    """For who does not listen."""


def throttled(error: AwsError) -> str | None:
    """AWS refuses for now, having done nothing (R-23, R-26). A used-up quota is none of these
    (GEN-3).
    """
    busy = error.code in THROTTLED or "Rate exceeded" in error.aws_message
    return "for AWS: too many calls in this account" if busy else None


def unwell(error: AwsError) -> str | None:
    """AWS failed, not the caller; what was called may have happened all the same."""
    failed = error.status >= 500 or error.code in ("RequestTimeout", "RequestTimeoutException")
    return "for AWS: it failed to answer" if failed else None


def unreached(error: AwsError) -> str | None:
    """The answer was lost, and perhaps the request: what was called may have happened."""
    return "for AWS: the connection broke" if isinstance(error, NotReached) else None


@dataclass(frozen=True)
class Identity:
    """Who calls: from sts:GetCallerIdentity. `partition` is aws, aws-cn or aws-us-gov (PRE-1)."""

    account: str
    partition: str
    arn: str


class Aws:
    """Access to one account and region.

    Args: region, profile: as boto3 takes them; None leaves it to AWS's environment variables and
        files.
        endpoint_url: one endpoint for every service; None leaves it to AWS_ENDPOINT_URL and AWS's
            own.
        credentials: an access key and its secret, in place of what the environment has.
        record: told service and operation of each call, for tests and for -v.
        tell: told what is waited for; a step of a run has its own, by `telling`.
        stopped: whether the user wants the run to end; then nothing is waited for any more.
        sleep, clock: seconds; injected by tests.
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
    ) -> None:
        self._region = region
        self._profile = profile
        self._endpoint_url = endpoint_url
        self._credentials = credentials
        self._record = record
        self.tell = tell
        self._stopped = stopped
        self._sleep = sleep
        self._clock = clock
        self._clients: dict[str, Any] = {}
        self._answers: dict[Hashable, Future[Any]] | None = None
        self._lock = threading.Lock()
        self._paces = {what: Pace(*rate, clock, sleep) for what, rate in RATES.items()}

    def telling(self, tell: Tell) -> Aws:
        """Return the same access, sharing everything, with someone else to tell what is waited for."""
        other = copy.copy(self)
        other.tell = tell
        return other

    def remembering(self) -> Aws:
        """Return the same access for one pass over the account, in which `once` remembers."""
        other = copy.copy(self)
        other._answers = {}
        return other

    def once(self, what: Hashable, call: Callable[[], T]) -> T | None:
        """Call in the first thread that asks for this during a pass; return its answer to all. None
        outside of a pass.
        """
        if self._answers is None:
            return None
        with self._lock:
            answer = self._answers.get(what)
            if answer is None:
                mine = self._answers[what] = Future()
        if answer is not None:
            return answer.result()  # type: ignore[no-any-return]
        try:
            mine.set_result(call())
        except BaseException as error:
            mine.set_exception(error)
        return mine.result()  # type: ignore[no-any-return]

    @cached_property
    def _session(self) -> Any:
        # AWS_REGION counts, as in AWS's other SDKs; boto3 ignores it.
        return open_session(
            self._region or os.environ.get("AWS_REGION"), self._profile, self._credentials
        )

    def sign_in(self) -> None:
        """Find the credentials, and renew them if that is due; raise NoCredentials when there are
        none to be had.
        """
        if self._credentials is None:  # given ones need not be looked for
            sign_in(self._session)

    @property
    def region(self) -> str:
        """The region in force; ConfigError without one."""
        region = self._session.region_name
        if not region:
            raise ConfigError(
                [
                    "no region: neither --region, DEPLOYER_REGION, [deployer] region, AWS_REGION "
                    "nor a profile names one"
                ],
                f"name one, for example --region eu-central-1; {LOCAL_ADVICE}",
            )
        return str(region)

    @property
    def endpoint(self) -> str | None:
        """The endpoint that replaces AWS's own, if any."""
        if self._endpoint_url:
            return self._endpoint_url
        endpoint = self.client("sts").meta.endpoint_url
        return None if ".amazonaws.com" in endpoint or ".api.aws" in endpoint else endpoint

    @cached_property
    def identity(self) -> Identity:
        """Ask STS who we are; needs no permission."""
        answer = self.call("sts", "get_caller_identity")
        account, arn = str(answer.get("Account")), str(answer.get("Arn"))
        if not re.fullmatch("[0-9]{12}", account) or not arn.startswith("arn:"):
            message = "what answered is not AWS: it names no account"
            raise NotReached("ForeignAnswer", message, operation="GetCallerIdentity", advice=_REACH)
        return Identity(account, arn.split(":")[1], arn)

    def client(self, service: str) -> Any:
        """Return the one client of a service. Clients may be shared by threads; making one may not."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._new_client(service)
            return self._clients[service]

    def make_clients(self) -> None:
        """Make the clients that every command needs; what is wrong with them is told by the first
        call.
        """
        for service in SERVICES:
            with suppress(AwsError):
                self.client(service)

    def _new_client(self, service: str) -> Any:
        from botocore.config import Config

        overridden = self._endpoint_url or os.environ.get("AWS_ENDPOINT_URL")
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=WORKERS,
            connect_timeout=10,
            read_timeout=_READ_TIMEOUT_S,
            user_agent_extra=f"deployer/{__version__}",
            inject_host_prefix=not overridden,  # Sfn-22: an overridden host has no sync- twin
        )
        region = self.region
        self.sign_in()
        try:
            return self._session.client(
                service, region_name=region, endpoint_url=self._endpoint_url, config=config
            )
        except Exception as error:  # of the many settings that botocore reads from the profile
            raise explained(error, self._session.profile_name) from error

    def call(self, service: str, operation: str, **parameters: Any) -> Any:
        """Call an operation by its boto3 name; raise AwsError with the code that AWS gave.

        A throttle is waited out, and so is a failure of AWS or of the network: what is called may
        happen twice.
        """

        def answered() -> Any:
            once = partial(self.call_once, service, operation, **parameters)
            return self.retry(once, when=unreached, deadline_s=UNREACHED_DEADLINE_S, at_least=2)

        return self.retry(answered, when=unwell, deadline_s=UNWELL_DEADLINE_S)

    def call_once(self, service: str, operation: str, **parameters: Any) -> Any:
        """Call what would make a second thing if it happened twice: only a throttle, which did
        nothing, is waited out.

        After NotReached or a failure of AWS the caller has to look what became of it.
        """
        client = self.client(service)
        pace = self._paces.get(f"{service}:{operation}") or self._paces.get(service)

        def attempt() -> Any:
            if pace:
                pace.take()
            self.sign_in()
            self._record(service, operation)
            return self._translated(operation, lambda: getattr(client, operation)(**parameters))

        return self.retry(attempt, when=throttled, deadline_s=THROTTLE_DEADLINE_S, longest_s=20.0)

    def find(
        self, missing: tuple[str, ...], service: str, operation: str, **parameters: Any
    ) -> Any:
        """Call, but return None when the error code is one of `missing`, this operation's way to
        say "not there".
        """
        try:
            return self.call(service, operation, **parameters)
        except AwsError as error:
            if error.code in missing:
                return None
            raise

    def together(self, *calls: Callable[[], Any]) -> list[Any]:
        """Make calls that do not wait for one another at once, and return their answers; the first
        error is raised.
        """
        with ThreadPoolExecutor(len(calls) or 1, thread_name_prefix="together") as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[Any]:
        """Yield the items under `key` of every page of a listing."""
        paginator = self.client(service).get_paginator(operation)
        # A page that failed ends botocore's iteration without a word when it is asked again, so
        # each is a call of our own.
        paginator._method = partial(self.call, service, operation)
        for page in paginator.paginate(**parameters):
            yield from page.get(key, ())

    @staticmethod
    def _translated(operation: str, call: Callable[[], T]) -> T:
        from botocore import exceptions
        from botocore.parsers import ResponseParserError

        name = "".join(part.capitalize() for part in operation.split("_"))
        try:
            return call()
        except exceptions.ClientError as error:
            details, metadata = (
                error.response.get("Error", {}),
                error.response.get("ResponseMetadata", {}),
            )
            raise AwsError(
                str(details.get("Code", "Unknown")),
                str(details.get("Message") or "no message"),
                operation=name,
                status=int(metadata.get("HTTPStatusCode", 0)),
                request_id=str(metadata.get("RequestId", "")),
            ) from error
        except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
            if (refused := _refused_here(error)) is not None:
                raise refused from error
            raise NotReached(
                type(error).__name__, str(error), operation=name, advice=_REACH
            ) from error
        except ForeignAnswer as error:
            message = f"what answered is not AWS: {error}"
            raise NotReached(
                "ForeignAnswer", message, operation=name, status=error.status, advice=_REACH
            ) from error
        except ResponseParserError as error:
            message = "what answered is not AWS, or the answer is cut off"
            raise NotReached("ForeignAnswer", message, operation=name, advice=_REACH) from error
        except exceptions.BotoCoreError as error:
            if is_about_signing(error):
                raise explained(error) from error
            raise AwsError(type(error).__name__, str(error), operation=name) from error

    def retry(
        self,
        call: Callable[[], T],
        *,
        when: Callable[[AwsError], str | None],
        deadline_s: float = 180.0,
        longest_s: float = 5.0,
        at_least: int = 1,
    ) -> T:
        """Repeat a call while `when` gives a reason for its error; after the deadline the error
        itself is raised.

        Waits 0.25 s first, doubling to `longest_s`, with jitter (GEN-6). Makes `at_least` so many
        attempts, however long one takes.
        """
        end = self._clock() + deadline_s
        delay = 0.25
        attempts = 0
        while True:
            attempts += 1
            try:
                return call()
            except AwsError as error:
                reason = when(error)
                if reason is None or attempts >= at_least and self._clock() + delay > end:
                    raise
            self._wait(reason, delay)
            delay = min(delay * 2, longest_s)

    def wait_until(
        self,
        check: Callable[[], T | None],
        *,
        reason: str,
        deadline_s: float = 300.0,
    ) -> T:
        """Repeat `check` until it gives something other than None; TimedOut (an AwsError) after the
        deadline.
        """
        end = self._clock() + deadline_s
        delay = 0.25
        while True:
            found = check()
            if found is not None:
                return found
            if self._clock() + delay > end:
                raise AwsError(
                    "TimedOut",
                    f"gave up after {deadline_s:g} s {reason}",
                    advice="run the command again",
                )
            self._wait(reason, delay)
            delay = min(delay * 2, 2.0)

    def _wait(self, reason: str, delay: float) -> None:
        """Say what is waited for, and wait; Interrupted once the user wants the run to end, for AWS
        may take minutes.
        """
        self.tell(f"waiting {reason}")
        if not self._stopped():
            self._sleep(delay * random.uniform(0.75, 1.0))
        if self._stopped():
            raise Interrupted(
                f"interrupted while waiting {reason}",
                "run the command again: it goes on where it stopped",
            )


def _refused_here(error: BaseException) -> OSError | None:
    """Return what kept this machine from opening a connection at all: it has no file descriptor
    left.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None
