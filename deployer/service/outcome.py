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


def check_result(result: RunResult, stopped: Stopped) -> None:
    """Raise ApplyFailed, or Interrupted if the user ended the run, unless every step was done."""
    if result.succeeded:
        return
    counts = ", ".join(f"{number} {fate}" for fate, number in result.counts.items() if number)
    errors = [outcome.error for outcome in result.outcomes.values() if outcome.error is not None]
    first = errors[0] if errors else None
    reason = (
        f"; {first.message}" if isinstance(first, DeployerError) else f"; {first}" if first else ""
    )
    advice = first.advice if isinstance(first, DeployerError) and first.advice else ""
    again = "run the command again: it resumes where it left off"
    if isinstance(first, DeployerError) and first.details:
        reason += f"\n{first.details}"
    if stopped():
        raise Interrupted(f"interrupted: {counts}{reason}", again)
    if not all(may_pass(error) for error in errors):
        again = "once that is fixed, the next run resumes from there"
    if "run the command again" in advice:
        again = ""
    raise ApplyFailed(f"{counts}{reason}", "\n".join(filter(None, [advice, again])))


def prove(aws: Aws, check: Callable[[], str]) -> None:
    """Read the account again until it shows what was applied; NotSettled after the deadline.

    Reads may lag behind writes (GEN-8), those of a state machine by a minute (Sfn-12).

    Args:
        check: reads the account and returns what still differs; "" once nothing does.
    """
    proof = _Proof(check)
    try:
        aws.wait_until(proof, reason="for the account to show what was applied", deadline_s=90)
    except AwsError as error:
        if error.code != "TimedOut":
            raise
        raise NotSettled(
            f"everything was applied, but {proof.remaining}", "run the command again"
        ) from error


@dataclass
class _Proof:
    """A check that remembers its last answer."""

    check: Callable[[], str]
    remaining: str = ""

    def __call__(self) -> bool | None:
        """Return True once nothing remains."""
        self.remaining = self.check()
        return None if self.remaining else True
