"""Waiting for AWS: retries of failed calls, and polling until a result shows.

AWS is often not ready yet: a new role cannot be assumed, another change is under way, a call is
throttled. Its error is then *transient*: the same call succeeds later. A `Transient` function
decides that for one error. It returns the reason, as words that complete "waiting ..." (such as
"for IAM: the new role is not seen yet"), or None when the error is final.

The functions here hold for every service. A kind of resource has its own, `not_ready`, for the
errors of its service; it has more specific names only where it needs two.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from deployer.errors import THROTTLED, AwsError, Interrupted, NotReached

T = TypeVar("T")
Transient = Callable[[AwsError], str | None]
Reason = str | Callable[[], str]  # a call, where it counts something

THROTTLE_DEADLINE_S = 180.0
SERVER_ERROR_DEADLINE_S = 30.0
# Long enough for a connection that broke, short enough for a wrong --endpoint-url.
CONNECTION_LOST_DEADLINE_S = 4.0
_FIRST_DELAY_S = 0.25
_LONGEST_POLLING_DELAY_S = 2.0


class Tell(Protocol):
    """Shows progress; `lasting` marks text that is still worth reading when the step is done."""

    def __call__(self, text: str, *, lasting: bool = False) -> None: ...


def tell_nobody(text: str, *, lasting: bool = False) -> None:
    """Discard progress messages."""


def throttled(error: AwsError) -> str | None:
    """Recognise a throttle: the call did nothing (R-23, R-26). A used-up quota is none (GEN-3)."""
    throttle = error.code in THROTTLED or "Rate exceeded" in error.aws_message
    return "for AWS: too many calls in this account" if throttle else None


def server_error(error: AwsError) -> str | None:
    """Recognise a failure of AWS itself. The call may have taken effect all the same."""
    failed = error.status >= 500 or error.code in ("RequestTimeout", "RequestTimeoutException")
    return "for AWS: it failed to answer" if failed else None


def connection_lost(error: AwsError) -> str | None:
    """Recognise a call without an answer. The call may have taken effect all the same."""
    return "for AWS: the connection broke" if isinstance(error, NotReached) else None


@dataclass(frozen=True)
class Waiting:
    """Where waiting is shown, what ends it, and its clock.

    Args:
        tell: gets the reason before every delay.
        stopped: whether the user has asked for the end of the run; no delay begins after that.
        sleep, clock: in seconds.
    """

    tell: Tell
    stopped: Callable[[], bool]
    sleep: Callable[[float], object]
    clock: Callable[[], float]

    def retry(
        self,
        call: Callable[[], T],
        *,
        when: Transient,
        deadline_s: float,
        longest_delay_s: float = 5.0,
        min_attempts: int = 1,
    ) -> T:
        """Repeat a call while its error is transient.

        The first delay is 0.25 s; delays double up to `longest_delay_s`, with jitter (GEN-6). At
        least `min_attempts` are made, however long one takes.

        Raises:
            AwsError: the call's own error, when it is final or the deadline has passed.
            Interrupted: the user ended the run during a delay.
        """
        end = self.clock() + deadline_s
        delay = _FIRST_DELAY_S
        attempts = 0
        while True:
            attempts += 1
            try:
                return call()
            except AwsError as error:
                reason = when(error)
                too_late = attempts >= min_attempts and self.clock() + delay > end
                if reason is None or too_late:
                    raise
            self._delay(reason, delay)
            delay = min(delay * 2, longest_delay_s)

    def wait_until(self, check: Callable[[], T | None], *, reason: Reason, deadline_s: float) -> T:
        """Repeat `check` until it returns something other than None, and return that.

        Args:
            reason: asked before every delay if it is a call.

        Raises:
            AwsError: `TimedOut`, when the deadline has passed; or an error of `check` itself.
            Interrupted: the user ended the run during a delay.
        """
        end = self.clock() + deadline_s
        delay = _FIRST_DELAY_S
        while True:
            result = check()
            if result is not None:
                return result
            waited_for = reason if isinstance(reason, str) else reason()
            if self.clock() + delay > end:
                raise AwsError(
                    "TimedOut",
                    f"gave up after {deadline_s:g} s {waited_for}",
                    advice="run the command again",
                )
            self._delay(waited_for, delay)
            delay = min(delay * 2, _LONGEST_POLLING_DELAY_S)

    def _delay(self, reason: str, seconds: float) -> None:
        """Show the reason and sleep; raise Interrupted once the user has ended the run."""
        self.tell(f"waiting {reason}")
        if not self.stopped():
            self.sleep(seconds * random.uniform(0.75, 1.0))
        if self.stopped():
            raise Interrupted(
                f"interrupted while waiting {reason}",
                "run the command again: it resumes where it left off",
            )
