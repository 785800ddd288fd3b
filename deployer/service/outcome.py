"""How a run ends: failures become one error, and a second read proves the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deployer.aws.access import Aws
from deployer.engine.apply import RunResult
from deployer.errors import (
    ApplyFailed,
    AwsError,
    DeployerError,
    Interrupted,
    NotSettled,
    may_pass,
)

Stopped = Callable[[], bool]  # whether the user wants the run to end


AGAIN = "run the command again"


def check_result(result: RunResult, stopped: Stopped, again: str = AGAIN) -> None:
    """Raise ApplyFailed, or Interrupted if the user ended the run, unless every step was done.

    Args:
        again: how to go on with the run.
    """
    if result.succeeded:
        return
    counts = ", ".join(f"{number} {fate}" for fate, number in result.counts.items() if number)
    errors = [outcome.error for outcome in result.outcomes.values() if outcome.error is not None]
    first = errors[0] if errors else None
    reason = (
        f"; {first.message}" if isinstance(first, DeployerError) else f"; {first}" if first else ""
    )
    advice = first.advice if isinstance(first, DeployerError) and first.advice else ""
    resuming = f"{again}: it resumes where it left off"
    if isinstance(first, DeployerError) and first.details:
        reason += f"\n{first.details}"
    if stopped():
        raise Interrupted(f"interrupted: {counts}{reason}", resuming)
    if not all(may_pass(error) for error in errors):
        resuming = "once that is fixed, the next run resumes from there"
    if AGAIN in advice:
        resuming = ""
    raise ApplyFailed(f"{counts}{reason}", "\n".join(filter(None, [advice, resuming])))


def prove(aws: Aws, check: Callable[[], str], again: str = AGAIN) -> None:
    """Read the account again until it shows what was applied; NotSettled after the deadline.

    Reads may lag behind writes (GEN-8), those of a state machine by a minute (Sfn-12).

    Args:
        check: reads the account and returns what still differs; "" once nothing does.
        again: what to do if something goes on to differ.
    """
    proof = _Proof(check)
    try:
        aws.wait_until(proof, reason="for the account to show what was applied", deadline_s=90)
    except AwsError as error:
        if error.code != "TimedOut":
            raise
        raise NotSettled(f"everything was applied, but {proof.remaining}", again) from error


@dataclass
class _Proof:
    """A check that remembers its last answer."""

    check: Callable[[], str]
    remaining: str = ""

    def __call__(self) -> bool | None:
        """Return True once nothing remains."""
        self.remaining = self.check()
        return None if self.remaining else True
