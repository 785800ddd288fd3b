"""A workflow as states and arrows, and as steps in reading order: for every form of its picture.

The workflow must be sound (`workflow.problems`). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deployer.project.conditions import condition, plain
from deployer.project.workflow import function_of

_TIMES = ("SecondsPath", "Timestamp", "TimestampPath")
OTHERWISE = "otherwise"
_EVERY_ERROR = {"States.ALL": "any error"}
_ENDS = ("Succeed", "Fail")
UNKNOWN = "unknown"  # a kind of mark


@dataclass(frozen=True)
class Arrow:
    """The way from one state to another. `label`: on which condition, or on which error."""

    source: str
    target: str
    label: str = ""
    is_error: bool = False


@dataclass(frozen=True)
class Mark:
    """What happened in a state during one request.

    Args:
        kind: answered, cold (answered after a cold start), retried (answered after a failure),
            failed, skipped, passed (a state that calls no function), unreached, or unknown.
        words: the same in words, with the error.
        milliseconds: that it took; of several invocations, the slowest.
        init_ms: of the cold start.
    """

    kind: str
    words: str
    milliseconds: float | None = None
    init_ms: float | None = None


@dataclass(frozen=True)
class State:
    """A state.

    Args:
        kind: its Type.
        detail: what it does, in a few words.
        ends: the machine around it may end with it.
        machines: the branches of a Parallel state, or what a Map does for each item.
        function: that a Task calls.
        mark: what happened in it, if a request is drawn.
    """

    name: str
    kind: str
    detail: str
    ends: bool
    machines: tuple[Machine, ...] = ()
    function: str | None = None
    mark: Mark | None = None

    @property
    def summary(self) -> str:
        """Kind, detail and end in one line. That a function is called by a Task is known."""
        kind = "" if self.detail.startswith("function") else self.kind
        end = "end" if self.ends and self.kind not in _ENDS else ""
        return ", ".join(filter(None, [kind, self.detail, end]))


@dataclass(frozen=True)
class Machine:
    """States and arrows of a workflow, a branch, or of an item of a Map; the first state starts."""

    start: str
    states: tuple[State, ...]
    arrows: tuple[Arrow, ...]

    def every_state(self) -> Iterator[State]:
        """Yield the states at any depth."""
        for state in self.states:
            yield state
            for machine in state.machines:
                yield from machine.every_state()


@dataclass(frozen=True)
class Step:
    """A state in reading order. `again`: it is described elsewhere, this only leads to it."""

    state: State
    parts: tuple[Part, ...] = ()
    again: bool = False


@dataclass(frozen=True)
class Part:
    """The steps below a state: of a branch, of an item, after an error or on a condition."""

    label: str
    steps: tuple[Step, ...]
    is_error: bool = False


def drawing(definition: Mapping[str, Any]) -> Machine:
    """Return a workflow as states and arrows."""
    states = definition["States"]
    names = list(dict.fromkeys([definition["StartAt"], *states]))
    return Machine(
        definition["StartAt"],
        tuple(_state(name, states[name]) for name in names),
        tuple(arrow for name in names for arrow in _arrows(name, states[name])),
    )


def marked(machine: Machine, marks: Mapping[str, Mark]) -> Machine:
    """Return a workflow with marks, by the names of states, which are unique at any depth."""
    states = (
        replace(
            state,
            mark=marks.get(state.name),
            machines=tuple(marked(inner, marks) for inner in state.machines),
        )
        for state in machine.states
    )
    return replace(machine, states=tuple(states))


def _state(name: str, state: Mapping[str, Any]) -> State:
    kind = state["Type"]
    inner = list(state.get("Branches", ()))
    inner += [state[member] for member in ("ItemProcessor", "Iterator") if member in state]
    ends = state.get("End") is True or kind in _ENDS
    function = function_of(state) if kind == "Task" else None
    return State(name, kind, _detail(name, state), ends, tuple(map(drawing, inner)), function)


def _detail(name: str, state: Mapping[str, Any]) -> str:
    facts = ""
    match state["Type"]:
        case "Task":
            facts = _task(name, state)
        case "Parallel":
            facts = _counted(len(state["Branches"]), "branch", "branches")
        case "Map":
            facts = _map(state)
        case "Wait":
            facts = _wait(state)
        case "Fail":
            facts = plain(state.get("Error", state.get("ErrorPath", "")))
    retries = sum(rule.get("MaxAttempts", 3) for rule in state.get("Retry", ()))
    repeated = f"up to {_counted(retries, 'retry', 'retries')}" if retries else ""
    return ", ".join(filter(None, [facts, repeated]))


def _task(name: str, state: Mapping[str, Any]) -> str:
    function = function_of(state)
    timeout = f"{plain(state['TimeoutSeconds'])} s" if "TimeoutSeconds" in state else ""
    if function is None:
        called = str(state["Resource"]).partition(":states:::")[2] or str(state["Resource"])
    else:
        called = "function" if function == name else f"function {function}"
    return ", ".join(filter(None, [called, timeout]))


def _map(state: Mapping[str, Any]) -> str:
    most = state.get("MaxConcurrency")
    items = state.get("Items", state.get("ItemsPath", ""))
    of = f"each of {plain(items)}" if items else ""
    at_once = f"{plain(most)} at once" if most else ""
    return ", ".join(filter(None, [of or "each item", at_once]))


def _wait(state: Mapping[str, Any]) -> str:
    if "Seconds" in state:
        return f"{plain(state['Seconds'])} s"
    return plain(next((state[name] for name in _TIMES if name in state), ""))


def _counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _arrows(name: str, state: Mapping[str, Any]) -> Iterator[Arrow]:
    if "Next" in state:
        yield Arrow(name, state["Next"])
    for rule in state.get("Choices", ()):
        yield Arrow(name, rule["Next"], condition(rule))
    if "Default" in state:
        yield Arrow(name, state["Default"], OTHERWISE)
    for rule in state.get("Catch", ()):
        errors = ", ".join(_EVERY_ERROR.get(error, error) for error in rule["ErrorEquals"])
        yield Arrow(name, rule["Next"], errors, is_error=True)


@dataclass
class _Reading:
    """The states of one machine that have been described, or are promised to be."""

    machine: Machine
    described: set[str] = field(default_factory=set)

    def steps(self, name: str) -> Iterator[Step]:
        """Yield the states of a chain; what branches off follows below its state."""
        states = {state.name: state for state in self.machine.states}
        chain: list[str] = []
        target: str | None = name
        while target is not None and target not in self.described:
            self.described.add(target)
            chain.append(target)
            target = self._next(target)
        for link in chain:
            yield Step(states[link], tuple(self._parts(states[link])))
        if target is not None:
            yield Step(states[target], again=True)

    def _next(self, name: str) -> str | None:
        return next((arrow.target for arrow in self._leaving(name) if not arrow.label), None)

    def _leaving(self, name: str) -> Iterator[Arrow]:
        return (arrow for arrow in self.machine.arrows if arrow.source == name)

    def _parts(self, state: State) -> Iterator[Part]:
        for number, machine in enumerate(state.machines, 1):
            label = f"branch {number}" if state.kind == "Parallel" else "each item"
            yield Part(label, reading(machine))
        for arrow in self._leaving(state.name):
            if arrow.label:
                way = "on " if arrow.is_error else "" if arrow.label == OTHERWISE else "if "
                yield Part(way + arrow.label, tuple(self.steps(arrow.target)), arrow.is_error)


def reading(machine: Machine) -> tuple[Step, ...]:
    """Return the steps of a machine in reading order: each state once, then only referred to."""
    return tuple(_Reading(machine).steps(machine.start))
