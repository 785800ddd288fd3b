"""The dependency graph and its parallel walk, on the standard library's graphlib. Knows nothing of
AWS.
"""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from enum import Enum

Needs = Mapping[str, Collection[str]]


class Fate(str, Enum):
    """How a node's turn ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """One node's end: FAILED has its error, SKIPPED the node that is to blame (None: the walk was
    stopped).
    """

    fate: Fate
    error: Exception | None = None
    because: str | None = None


def in_order(needs: Needs) -> list[str]:
    """Return the nodes, dependencies first; ties keep the order in which they were given.

    Raises:
        KeyError: a node needs one that is not in the graph.
        graphlib.CycleError: the needs go in a circle; its second argument is the circle.
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
    """Return the graph with every edge turned round: what was needed now comes last."""
    turned: dict[str, set[str]] = {node: set() for node in needs}
    for node, wanted in needs.items():
        for each in wanted:
            turned[each].add(node)
    return turned


def walk(
    needs: Needs,
    visit: Callable[[str], None],
    executor: Executor,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Outcome]:
    """Visit each node once its needs are done, as many at once as the executor allows.

    A visit that raises fails its node; nodes that need it, directly or not, are skipped; the others
    go on. Once `stopped` is true no visit begins any more, and what has not begun is skipped;
    running visits are waited for. Only `Exception` is caught; the error is in the outcome.
    """
    _check(needs)
    sorter = graphlib.TopologicalSorter(needs)
    sorter.prepare()
    outcomes: dict[str, Outcome] = {}
    running: dict[Future[None], str] = {}
    while sorter.is_active():
        for node in sorter.get_ready():
            culprit = next(
                (each for each in needs[node] if outcomes[each].fate is not Fate.DONE), None
            )
            if culprit is not None:
                because = (
                    culprit if outcomes[culprit].fate is Fate.FAILED else outcomes[culprit].because
                )
                outcomes[node] = Outcome(Fate.SKIPPED, because=because)
                sorter.done(node)
            elif stopped():
                outcomes[node] = Outcome(Fate.SKIPPED)
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


def _outcome(future: Future[None]) -> Outcome:
    error = future.exception()
    if error is None:
        return Outcome(Fate.DONE)
    if not isinstance(error, Exception):
        raise error
    return Outcome(Fate.FAILED, error=error)


def _check(needs: Needs) -> None:
    for node, wanted in needs.items():
        for each in wanted:
            if each not in needs:
                raise KeyError(f"{node} needs {each}, which is not declared")
