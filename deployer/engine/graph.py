"""The dependency graph and its parallel walk, with the standard library's graphlib; no AWS here."""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from enum import Enum

Needs = Mapping[str, Collection[str]]  # the nodes that each node depends on


class Fate(str, Enum):
    """How the visit of a node ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """The end of one node.

    Args:
        error: why it FAILED.
        because: the failed node for which it was SKIPPED; None when the walk was stopped.
    """

    fate: Fate
    error: Exception | None = None
    because: str | None = None


def in_order(needs: Needs) -> list[str]:
    """Return the nodes, dependencies first; ties keep the given order.

    Raises:
        KeyError: a node needs one that is not in the graph.
        graphlib.CycleError: there is a cycle; the error's second argument lists it.
    """
    _check(needs)
    rank = {node: number for number, node in enumerate(needs)}
    sorter = graphlib.TopologicalSorter(needs)
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=rank.__getitem__)
        order.extend(ready)
        sorter.done(*ready)
    return order


def reverse(needs: Needs) -> dict[str, set[str]]:
    """Return the graph with every edge reversed: each node needs those that needed it."""
    reversed_needs: dict[str, set[str]] = {node: set() for node in needs}
    for node, needed in needs.items():
        for dependency in needed:
            reversed_needs[dependency].add(node)
    return reversed_needs


def walk(
    needs: Needs,
    visit: Callable[[str], None],
    executor: Executor,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Outcome]:
    """Visit every node after the nodes that it needs, in parallel on the executor.

    A visit that raises an Exception fails its node; nodes that need it, directly or not, are
    skipped, and the others go on. Once `stopped` returns true no visit begins: running visits are
    waited for, and all other nodes are skipped. Errors that are no Exception end the walk.
    """
    _check(needs)
    sorter = graphlib.TopologicalSorter(needs)
    sorter.prepare()
    outcomes: dict[str, Outcome] = {}
    running: dict[Future[None], str] = {}
    while sorter.is_active():
        for node in sorter.get_ready():
            skipped = _skipped(node, needs, outcomes, stopped)
            if skipped:
                outcomes[node] = skipped
                sorter.done(node)
            else:
                running[executor.submit(visit, node)] = node
        if running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                node = running.pop(future)
                outcomes[node] = _outcome(future)
                sorter.done(node)
    return outcomes


def _skipped(
    node: str, needs: Needs, outcomes: Mapping[str, Outcome], stopped: Callable[[], bool]
) -> Outcome | None:
    """Return the outcome of a node that must not be visited, or None."""
    for dependency in needs[node]:
        outcome = outcomes[dependency]
        if outcome.fate is not Fate.DONE:
            failed = dependency if outcome.fate is Fate.FAILED else outcome.because
            return Outcome(Fate.SKIPPED, because=failed)
    return Outcome(Fate.SKIPPED) if stopped() else None


def _outcome(future: Future[None]) -> Outcome:
    error = future.exception()
    if error is None:
        return Outcome(Fate.DONE)
    if not isinstance(error, Exception):
        raise error
    return Outcome(Fate.FAILED, error=error)


def _check(needs: Needs) -> None:
    """Raise KeyError for a dependency that is not in the graph."""
    for node, needed in needs.items():
        for dependency in needed:
            if dependency not in needs:
                raise KeyError(f"{node} needs {dependency}, which is not declared")
