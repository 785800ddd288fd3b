"""The branch of a model in state_machine.json: putting one in, taking one out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deployer.project import json_text
from deployer.project.workflow import function_of, placeholders, state_names

# The example's workflow with one branch, of the model MODEL.
TEMPLATE = Path(__file__).with_name("workflow.json")


class NoPlace(Exception):
    """A workflow has no Parallel state of models; the message says so, `branch` is to be pasted."""

    def __init__(self, message: str, branch: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.branch = branch


def names_function(definition: Mapping[str, Any], name: str) -> bool:
    return any(found == name for _, found in placeholders(definition))


def new_workflow() -> str:
    """Return the text of a workflow like the example's, without a branch."""
    template = _template()
    for _, state in _states(template):
        state.get("Branches", []).clear()
    return json.dumps(template, indent=2, ensure_ascii=False) + "\n"


def _template() -> dict[str, Any]:
    template: dict[str, Any] = json.loads(TEMPLATE.read_text(encoding="utf-8"))
    return template


def is_shipped(definition: Mapping[str, Any]) -> bool:
    """Tell whether a workflow answers as the shipped one: a list with one entry per model.

    Comments, retries and timeouts may differ from the shipped workflow's.
    """
    names = [name for _, name in _model_branches(definition)]
    template = _template()
    for state in template["States"].values():
        if "Branches" in state:
            (branch,) = state["Branches"]
            state["Branches"] = [renamed(branch, "MODEL", name) for name in names]
    return bool(names) and _essence(template) == _essence(definition)


def _essence(value: Any) -> Any:
    """Return a definition without the members that do not change what it answers."""
    if isinstance(value, Mapping):
        return {
            name: _essence(member)
            for name, member in value.items()
            if name not in ("Comment", "Retry", "TimeoutSeconds")
            and (name, member) != ("QueryLanguage", "JSONPath")
        }
    return [_essence(item) for item in value] if isinstance(value, list) else value


def with_branch(text: str, name: str) -> str:
    """Return a workflow's text with one more branch, a copy of another with the name replaced.

    Where the text has none, it is like those of the example's workflow.

    Args:
        text: a workflow that does not name the function yet.

    Raises:
        NoPlace: there is not exactly one Parallel state whose branches are models.
    """
    definition = json.loads(text.lstrip("\ufeff"))
    taken = {state for state, _ in state_names(definition)}
    candidates = [*_model_branches(definition), *_model_branches(_template())]
    copies = [renamed(branch, old, name) for branch, old in candidates]
    free = [copy for copy in copies if not taken & {state for state, _ in state_names(copy)}]
    if not free:
        raise NoPlace(f"the workflow has a state called {name} already", copies[-1])
    places = list(_parallels(definition))
    if len(places) != 1:
        count = "no" if not places else "more than one"
        raise NoPlace(f"the workflow has {count} Parallel state of models", free[0])
    state, number = places[0]
    return json_text.put(text, ["States", state, "Branches", number], free[0])


def without_branches(text: str, name: str) -> str:
    """Return a workflow's text without the branches that call this function and no other."""
    definition = json.loads(text.lstrip("\ufeff"))
    for state, value in _states(definition):
        branches = value.get("Branches")
        numbered = list(enumerate(branches)) if isinstance(branches, list) else []
        for number, branch in reversed(numbered):
            if {found for _, found in placeholders(branch)} == {name}:
                text = json_text.cut(text, ["States", state, "Branches", number])
    return text


def renamed(branch: Any, old: str, new: str) -> Any:
    """Return a branch in which a name is replaced wherever it stands as a word."""
    text = json.dumps(branch, ensure_ascii=False)
    replaced = re.sub(rf"(?<![\w.]){re.escape(old)}(?!\w)", new, text)
    return json.loads(replaced)


def _states(definition: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    states = definition.get("States")
    for name, state in states.items() if isinstance(states, Mapping) else ():
        if isinstance(state, Mapping):
            yield name, state


def _parallels(definition: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield (name, number of branches) of the Parallel states whose branches are models, or none
    is left.
    """
    for name, state in _states(definition):
        branches = state.get("Branches")
        if state.get("Type") == "Parallel" and isinstance(branches, list):
            models = [branch for branch in branches if _function_of(branch)]
            if models or not branches:
                yield name, len(branches)


def _model_branches(definition: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """Yield the branches that ask one model, and its name."""
    for _, state in _states(definition):
        branches = state.get("Branches")
        for branch in branches if isinstance(branches, list) else ():
            name = _function_of(branch)
            if name:
                yield branch, name


def _function_of(branch: Any) -> str | None:
    """Return the only function that a branch calls, in its first state."""
    if not isinstance(branch, Mapping) or not isinstance(branch.get("States"), Mapping):
        return None
    first = branch["States"].get(branch.get("StartAt"))
    name = function_of(first) if isinstance(first, Mapping) else None
    alone = {found for _, found in placeholders(branch)} == {name}
    return name if alone else None
