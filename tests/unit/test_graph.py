"""Walking the graph, serial and in threads.

A scenario is one line: `A -> B` means that B needs A, `C fails` that visiting C raises, a lone `D`
that D needs nothing. Its outcome is one line too: `A done, B failed, C skipped (B)`.
"""

from __future__ import annotations

import graphlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.engine.graph import Fate, in_order, reverse, walk
from tests.support.serial import SerialExecutor


class Broken(Exception):
    """The error of a failing node."""


@pytest.fixture(params=["serial", "threaded"])
def executor(request):
    with SerialExecutor() if request.param == "serial" else ThreadPoolExecutor(4) as made:
        yield made


def parse(scenario):
    """Return (needs, failing) of a line."""
    needs, failing = {}, set()
    for clause in scenario.split(", "):
        if clause.endswith(" fails"):
            failing.add(clause.removesuffix(" fails"))
            continue
        chain = clause.split(" -> ")
        for node in chain:
            needs.setdefault(node, [])
        for before, after in itertools.pairwise(chain):
            needs[after].append(before)
    return needs, failing


def line(outcomes):
    def words(node):
        outcome = outcomes[node]
        because = f" ({outcome.because})" if outcome.because else ""
        return f"{node} {outcome.fate.value}{because}"

    return ", ".join(words(node) for node in sorted(outcomes))


def visitor(failing, visited):
    def visit(node):
        visited.append(node)
        if node in failing:
            raise Broken(node)

    return visit


@pytest.mark.parametrize(
    "scenario, expected",
    [
        ("A", "A done"),
        ("A fails, A", "A failed"),
        ("A, B", "A done, B done"),
        ("A -> B -> C", "A done, B done, C done"),
        ("A -> B -> C, A fails", "A failed, B skipped (A), C skipped (A)"),
        ("A -> B -> C, B fails", "A done, B failed, C skipped (B)"),
        ("A -> B -> C, C fails", "A done, B done, C failed"),
        ("A -> B, C -> D, A fails", "A failed, B skipped (A), C done, D done"),
        ("A -> B -> D, A -> C -> D", "A done, B done, C done, D done"),
        ("A -> B -> D, A -> C -> D, B fails", "A done, B failed, C done, D skipped (B)"),
        (
            "A -> B -> D, A -> C -> D, A fails",
            "A failed, B skipped (A), C skipped (A), D skipped (A)",
        ),
        ("A -> C, B -> C, A fails, B fails", "A failed, B failed, C skipped (A)"),
        (
            "A -> B -> C -> D -> E, B fails",
            "A done, B failed, C skipped (B), D skipped (B), E skipped (B)",
        ),
    ],
)
def test_a_walk_ends_as_the_scenario_says(scenario, expected, executor):
    needs, failing = parse(scenario)
    visited = []
    outcomes = walk(needs, visitor(failing, visited), executor)
    assert line(outcomes) == expected
    assert sorted(visited) == [
        node for node in sorted(needs) if outcomes[node].fate is not Fate.SKIPPED
    ]


def test_a_walk_through_nothing_ends_at_once(executor):
    assert walk({}, visitor((), []), executor) == {}


def test_a_failure_keeps_its_error(executor):
    outcomes = walk({"A": (), "B": ("A",)}, visitor({"A"}, []), executor)
    assert isinstance(outcomes["A"].error, Broken)
    assert outcomes["B"].error is None


def test_what_needs_nothing_of_each_other_runs_at_the_same_time():
    meeting = threading.Barrier(3)
    needs = {"root": (), "A": ("root",), "B": ("root",), "C": ("root",)}

    def visit(node: str) -> None:
        if node != "root":
            meeting.wait(timeout=10)

    with ThreadPoolExecutor(3) as executor:
        outcomes = walk(needs, visit, executor)
    assert line(outcomes) == "A done, B done, C done, root done"


def test_a_fast_branch_does_not_wait_for_a_slow_one():
    """D may begin while B still runs: only its own needs count."""
    ended = threading.Event()
    needs = {"A": (), "B": (), "D": ("A",)}

    def visit(node):
        if node == "B":
            assert ended.wait(timeout=10)
        if node == "D":
            ended.set()

    with ThreadPoolExecutor(2) as executor:
        assert line(walk(needs, visit, executor)) == "A done, B done, D done"


def test_once_stopped_nothing_begins_and_what_has_not_begun_is_skipped():
    visited = []
    outcomes = walk(
        {"A": (), "B": ("A",), "C": ("B",)},
        visitor((), visited),
        SerialExecutor(),
        stopped=lambda: len(visited) == 1,
    )
    assert visited == ["A"]
    assert line(outcomes) == "A done, B skipped, C skipped"


def test_what_runs_when_stopped_may_end():
    stopped, running = threading.Event(), threading.Event()

    def visit(node):
        running.set()
        assert stopped.wait(timeout=10)

    def press():
        assert running.wait(timeout=10)
        stopped.set()

    with ThreadPoolExecutor(2) as executor:
        pressed = executor.submit(press)
        outcomes = walk({"A": (), "B": ("A",)}, visit, executor, stopped=stopped.is_set)
        pressed.result()
    assert line(outcomes) == "A done, B skipped"


def test_a_failure_is_blamed_even_when_the_walk_was_stopped_as_well():
    visited = []
    outcomes = walk(
        {"A": (), "B": ("A",)},
        visitor({"A"}, visited),
        SerialExecutor(),
        stopped=lambda: bool(visited),
    )
    assert line(outcomes) == "A failed, B skipped (A)"


def test_an_interrupt_is_no_failure_of_a_node(executor):
    def visit(node):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        walk({"A": ()}, visit, executor)


@pytest.mark.parametrize("function", [in_order, lambda needs: walk(needs, print, SerialExecutor())])
def test_a_circle_is_refused_and_shown(function):
    with pytest.raises(graphlib.CycleError) as caught:
        function({"A": ["C"], "B": ["A"], "C": ["B"], "D": []})
    assert set(caught.value.args[1]) == {"A", "B", "C"}


@pytest.mark.parametrize("function", [in_order, lambda needs: walk(needs, print, SerialExecutor())])
def test_a_need_that_is_not_declared_is_named_with_who_needs_it(function):
    with pytest.raises(KeyError, match="B needs X, which is not declared"):
        function({"A": [], "B": ["A", "X"]})


def test_the_order_keeps_to_the_declaration_where_needs_leave_it_open():
    assert in_order({"c": [], "a": [], "b": []}) == ["c", "a", "b"]
    assert in_order({"c": ["b"], "a": [], "b": []}) == ["a", "b", "c"]


def test_reversing_turns_every_edge():
    assert reverse({"A": [], "B": ["A"], "C": ["A", "B"]}) == {
        "A": {"B", "C"},
        "B": {"C"},
        "C": set(),
    }


@st.composite
def graphs(draw):
    """An acyclic graph of up to nine nodes, declared in any order, and the nodes that fail."""
    size = draw(st.integers(1, 9))
    edges = draw(
        st.sets(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=16)
    )
    needs = {node: [] for node in draw(st.permutations(range(size)))}
    for one, other in sorted(edges):
        if one != other:
            needs[max(one, other)].append(min(one, other))
    named = {f"n{node}": sorted({f"n{need}" for need in needed}) for node, needed in needs.items()}
    return named, draw(st.sets(st.sampled_from(sorted(named))))


def ancestors(needs, node):
    nodes = set(needs[node])
    for need in needs[node]:
        nodes |= ancestors(needs, need)
    return nodes


def check_outcomes(needs, failing, outcomes):
    assert outcomes.keys() == needs.keys()
    for node, outcome in outcomes.items():
        failed = {need for need in ancestors(needs, node) if outcomes[need].fate is Fate.FAILED}
        if failed:
            assert outcome.fate is Fate.SKIPPED
            assert outcome.because in failed
        else:
            assert outcome.fate is (Fate.FAILED if node in failing else Fate.DONE)
            assert (outcome.error is not None) == (node in failing)


@pytest.mark.parametrize("kind", ["serial", "threaded"])
@given(graph=graphs())
def test_every_node_has_one_outcome_and_none_begins_before_its_needs_are_done(kind, graph):
    needs, failing = graph
    done, visited, lock = set(), [], threading.Lock()

    def visit(node):
        with lock:
            visited.append(node)
            assert set(needs[node]) <= done
        if node in failing:
            raise Broken(node)
        with lock:
            done.add(node)

    with SerialExecutor() if kind == "serial" else ThreadPoolExecutor(4) as executor:
        outcomes = walk(needs, visit, executor)
    check_outcomes(needs, failing, outcomes)
    assert all(
        isinstance(outcome.error, Broken)
        for outcome in outcomes.values()
        if outcome.fate is Fate.FAILED
    )
    assert sorted(visited) == sorted(
        node for node, outcome in outcomes.items() if outcome.fate is not Fate.SKIPPED
    )


@given(graphs(), st.integers(0, 9))
def test_after_a_stop_every_node_has_an_outcome_and_no_more_begin(graph, limit):
    needs, _ = graph
    visited = []
    outcomes = walk(needs, visited.append, SerialExecutor(), stopped=lambda: len(visited) >= limit)
    assert outcomes.keys() == needs.keys()
    assert sorted(visited) == sorted(
        node for node, outcome in outcomes.items() if outcome.fate is Fate.DONE
    )
    assert len(visited) == min(limit, len(needs))
    assert all(outcome.because is None for outcome in outcomes.values())


@given(graphs())
def test_the_order_has_every_node_once_and_needs_first(graph):
    needs, _ = graph
    order = in_order(needs)
    assert sorted(order) == sorted(needs)
    assert all(
        order.index(need) < order.index(node) for node, needed in needs.items() for need in needed
    )


@given(graphs())
def test_reversing_twice_is_the_graph_itself(graph):
    needs, _ = graph
    assert reverse(reverse(needs)) == {node: set(needed) for node, needed in needs.items()}
