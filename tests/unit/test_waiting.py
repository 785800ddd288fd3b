"""Retries and polling, on a clock that only sleeping moves."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from deployer.aws.waiting import Waiting, connection_lost, server_error, tell_nobody, throttled
from deployer.errors import AwsError, Interrupted, NotReached
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reasons() -> list[str]:
    return []


@pytest.fixture
def waiting(clock: Clock, reasons: list[str]) -> Waiting:
    def tell(text: str, *, lasting: bool = False) -> None:
        assert not lasting
        reasons.append(text)

    return Waiting(tell, lambda: False, clock.sleep, clock)


def failing(error: Exception, times: int = 10**9) -> tuple[Callable[[], str], list[int]]:
    """Return a call that raises an error a number of times, and the list of its attempts."""
    attempts: list[int] = []

    def call() -> str:
        attempts.append(1)
        if len(attempts) <= times:
            raise error
        return "done"

    return call, attempts


NEW_ROLE = AwsError(
    "InvalidParameterValueException",
    "The role defined for the function cannot be assumed by Lambda.",
)


def not_ready(error: AwsError) -> str | None:
    return "the role is new" if error.code == "InvalidParameterValueException" else None


def retry(waiting: Waiting, call: Callable[[], Any], deadline_s: float = 180) -> Any:
    return waiting.retry(call, when=not_ready, deadline_s=deadline_s)


def test_a_call_that_works_is_made_once(waiting: Waiting, clock: Clock) -> None:
    call, attempts = failing(NEW_ROLE, times=0)
    assert retry(waiting, call) == "done"
    assert (len(attempts), clock.slept) == (1, [])


def test_a_call_is_repeated_while_its_error_is_transient(
    waiting: Waiting, clock: Clock, reasons: list[str]
) -> None:
    call, attempts = failing(NEW_ROLE, times=3)
    assert retry(waiting, call) == "done"
    assert len(attempts) == 4
    assert reasons == ["waiting the role is new"] * 3
    assert len(clock.slept) == 3


def test_a_permanent_error_is_raised_at_once_and_unchanged(waiting: Waiting, clock: Clock) -> None:
    error = AwsError("AccessDenied", "no")
    call, attempts = failing(error)
    with pytest.raises(AwsError) as caught:
        retry(waiting, call)
    assert caught.value is error
    assert (len(attempts), clock.slept) == (1, [])


def test_an_error_that_becomes_permanent_ends_the_retries(waiting: Waiting) -> None:
    errors = [NEW_ROLE, NEW_ROLE, AwsError("AccessDenied", "no")]
    with pytest.raises(AwsError, match="AccessDenied"):
        retry(waiting, lambda: failing(errors.pop(0))[0]())
    assert errors == []


def test_an_error_that_is_not_of_aws_is_never_retried(waiting: Waiting, clock: Clock) -> None:
    call, attempts = failing(ValueError("a defect"))
    with pytest.raises(ValueError, match="a defect"):
        waiting.retry(call, when=lambda error: "anything", deadline_s=180)
    assert (len(attempts), clock.slept) == (1, [])


def test_at_the_deadline_the_original_error_is_raised(waiting: Waiting, clock: Clock) -> None:
    call, attempts = failing(NEW_ROLE)
    with pytest.raises(AwsError) as caught:
        retry(waiting, call, deadline_s=60)
    assert caught.value is NEW_ROLE
    assert 50 <= clock.now - 1000 <= 60
    assert len(attempts) == len(clock.slept) + 1 > 10


def test_a_slow_attempt_does_not_use_up_the_least_number_of_attempts(
    waiting: Waiting, clock: Clock
) -> None:
    attempts = []

    def call() -> None:
        attempts.append(1)
        clock.now += 100
        raise NEW_ROLE

    with pytest.raises(AwsError):
        waiting.retry(call, when=not_ready, deadline_s=4, min_attempts=2)
    assert len(attempts) == 2


def test_delays_double_up_to_five_seconds_with_jitter(waiting: Waiting, clock: Clock) -> None:
    random.seed(7)
    call, _ = failing(NEW_ROLE, times=8)
    retry(waiting, call)
    for slept, full in zip(clock.slept, [0.25, 0.5, 1, 2, 4, 5, 5, 5], strict=True):
        assert 0.75 * full <= slept <= full
    assert clock.slept[5] != clock.slept[6]


def test_a_wait_ends_when_the_user_wants_the_run_to_end(clock: Clock) -> None:
    """AWS may take minutes; a user who presses Ctrl-C must not wait for them."""
    stopped: list[int] = []
    delays = itertools.count()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if next(delays) == 2:
            stopped.append(1)

    waiting = Waiting(tell_nobody, lambda: bool(stopped), sleep, clock)
    call, attempts = failing(NEW_ROLE)
    with pytest.raises(Interrupted, match="interrupted while waiting the role is new") as caught:
        retry(waiting, call)
    assert len(attempts) == 3
    assert "resumes where it left off" in caught.value.advice
    with pytest.raises(Interrupted, match="interrupted while waiting for it"):
        waiting.wait_until(lambda: None, reason="for it", deadline_s=300)
    assert len(clock.slept) == 3


def test_a_call_that_works_is_made_even_when_the_run_is_to_end(clock: Clock) -> None:
    waiting = Waiting(tell_nobody, lambda: True, clock.sleep, clock)
    assert retry(waiting, lambda: "done") == "done"


def test_waiting_ends_with_the_first_result(
    waiting: Waiting, clock: Clock, reasons: list[str]
) -> None:
    answers = [None, None, {"State": "Active"}]
    result = waiting.wait_until(lambda: answers.pop(0), reason="for it", deadline_s=300)
    assert result == {"State": "Active"}
    assert reasons == ["waiting for it"] * 2
    assert len(clock.slept) == 2


@pytest.mark.parametrize("result", [False, 0, "", []])
def test_a_result_may_be_false(waiting: Waiting, result: object) -> None:
    assert waiting.wait_until(lambda: result, reason="for it", deadline_s=300) == result


def test_waiting_gives_up_at_the_deadline_and_says_for_what(waiting: Waiting, clock: Clock) -> None:
    reason = "for the function to become active"
    with pytest.raises(AwsError, match=f"TimedOut: gave up after 30 s {reason}") as caught:
        waiting.wait_until(lambda: None, reason=reason, deadline_s=30)
    assert caught.value.code == "TimedOut"
    assert caught.value.advice == "run the command again"
    assert 25 <= clock.now - 1000 <= 30
    assert max(clock.slept) <= 2


def test_a_reason_that_counts_is_asked_before_each_delay(clock: Clock) -> None:
    told: list[str] = []
    waiting = Waiting(
        lambda text, *, lasting=False: told.append(text), lambda: False, clock.sleep, clock
    )
    counted = iter(range(9))
    with pytest.raises(AwsError, match="gave up after 1 s for it: 2 of 9"):
        waiting.wait_until(
            lambda: None, reason=lambda: f"for it: {next(counted)} of 9", deadline_s=1
        )
    assert told == ["waiting for it: 0 of 9", "waiting for it: 1 of 9"]


def test_an_error_while_waiting_is_not_swallowed(waiting: Waiting, clock: Clock) -> None:
    call, attempts = failing(NEW_ROLE)
    with pytest.raises(AwsError, match="cannot be assumed"):
        waiting.wait_until(call, reason="for it", deadline_s=300)
    assert (len(attempts), clock.slept) == (1, [])


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (AwsError("Throttling", "slow down", status=400), [throttled]),
        (AwsError("ClientException", "Rate exceeded", status=400), [throttled]),
        (AwsError("SlowDown", "reduce your rate", status=503), [throttled, server_error]),
        (AwsError("InternalFailure", "oops", status=500), [server_error]),
        (AwsError("RequestTimeout", "too slow", status=400), [server_error]),
        (NotReached("ReadTimeoutError", "no answer"), [connection_lost]),
        (NotReached("ForeignAnswer", "a page", status=502), [server_error, connection_lost]),
        (AwsError("LimitExceededException", "a quota", status=400), []),
        (AwsError("AccessDenied", "no", status=403), []),
    ],
)
def test_the_errors_that_are_transient_for_every_service(
    error: AwsError, transient: list[object]
) -> None:
    predicates = (throttled, server_error, connection_lost)
    assert [predicate for predicate in predicates if predicate(error)] == transient
