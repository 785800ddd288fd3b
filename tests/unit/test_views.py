"""The views of one account: which parts they share, and which are their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.aws.waiting import tell_nobody
from deployer.errors import AwsError
from tests.support.clock import Clock

ARN = "arn:aws:iam::123456789012:user/me"


class Sts:
    """Stands in for AWS; its only operation is GetCallerIdentity. `before` runs in each call."""

    def __init__(self, before: Callable[[int], object]) -> None:
        self.calls: list[str] = []
        self.before = before

    def __call__(self, service: str, operation: str, **parameters: Any) -> Any:
        self.calls.append(f"{service} {operation}")
        self.before(len(self.calls))
        return {"Account": "123456789012", "Arn": ARN}


@pytest.fixture
def aws() -> Aws:
    return Aws(region="us-east-1", credentials=("key", "secret"))


def test_the_identity_is_asked_once_for_all_views_and_threads(aws: Aws) -> None:
    second = threading.Event()

    def hold(number: int) -> None:
        """Hold the first call until a second one comes, which must not happen."""
        if number == 1:
            second.wait(0.3)
        else:
            second.set()

    sts = Sts(before=hold)
    aws = aws.calling(sts)
    views = [
        aws,
        aws.telling(tell_nobody),
        aws.remembering(),
        aws.remembering().telling(tell_nobody),
    ] * 4
    starting = threading.Barrier(len(views))

    def ask(view: Aws) -> str:
        starting.wait(30)
        return view.identity.arn

    with ThreadPoolExecutor(len(views)) as pool:
        assert set(pool.map(ask, views)) == {ARN}
    assert aws.telling(tell_nobody).identity is aws.identity
    assert sts.calls == ["sts get_caller_identity"]


def test_an_identity_that_was_refused_is_asked_for_again(aws: Aws) -> None:
    def refuse_first(number: int) -> None:
        if number == 1:
            raise AwsError("AccessDenied", "no")

    sts = Sts(before=refuse_first)
    aws = aws.calling(sts)
    with pytest.raises(AwsError, match="AccessDenied"):
        _ = aws.telling(tell_nobody).identity
    assert aws.identity.arn == ARN
    assert len(sts.calls) == 2


def test_all_views_share_one_session_and_its_clients(aws: Aws) -> None:
    views = [aws.telling(tell_nobody), aws.remembering()]  # made before the session is opened
    assert len({id(view.client("iam")) for view in [*views, aws]}) == 1


def test_a_view_tells_its_own_listener_why_it_waits() -> None:
    clock = Clock()
    told: dict[str, list[str]] = {"first": [], "second": []}
    aws = Aws(region="us-east-1", clock=clock, sleep=clock.sleep)
    first = aws.telling(lambda text, *, lasting=False: told["first"].append(text))
    second = first.telling(lambda text, *, lasting=False: told["second"].append(text))
    answers = iter([None, "there"])
    assert second.wait_until(lambda: next(answers), reason="for it") == "there"
    first.tell("creating")
    assert told == {"first": ["creating"], "second": ["waiting for it"]}
    assert len(clock.slept) == 1


def test_a_pass_asks_once_however_many_want_to_know(aws: Aws) -> None:
    view, threads, begun = aws.remembering(), [], threading.Event()

    def call() -> list[str]:
        threads.append(threading.get_ident())
        begun.wait(5)
        return ["a"]

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(view.telling(tell_nobody).once, "groups", call) for _ in range(4)]
        begun.set()
        assert [future.result() for future in futures] == [["a"]] * 4
    assert len(threads) == 1
    assert view.once("others", lambda: "b") == "b"
    assert aws.remembering().once("groups", lambda: "read anew") == "read anew"
    assert aws.once("groups", call) is None


def test_an_error_is_remembered_for_every_thread_of_a_pass(aws: Aws) -> None:
    view = aws.remembering()
    calls = []

    def refuse() -> None:
        calls.append(1)
        raise AwsError("AccessDenied", "no")

    for _ in range(2):
        with pytest.raises(AwsError, match="AccessDenied"):
            view.once("groups", refuse)
    assert len(calls) == 1


def test_a_view_of_a_stand_in_never_calls_aws(aws: Aws) -> None:
    """A rehearsal creates every resource; none of its calls may reach AWS."""
    sts = Sts(before=lambda number: None)
    view = aws.calling(sts).telling(tell_nobody).remembering()
    assert view.call("iam", "create_role") == view.call_once("iam", "create_role")
    assert sts.calls == ["iam create_role"] * 2
