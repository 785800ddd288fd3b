"""What differs between two releases, in the words of the service."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from deployer.engine.compare import canonical_json
from deployer.project.settings import Settings
from deployer.service.contents import Contents, FunctionVersion
from deployer.service.releases import functions_of

Workflow = Mapping[str, Any]

# Parts of a function's configuration, and how each is shown.
_PARTS: tuple[tuple[str, Callable[[FunctionVersion], Any]], ...] = (
    ("image", lambda version: version.image.removeprefix("sha256:")[:12]),
    ("memory", lambda version: f"{version.configuration.get('MemorySize')} MB"),
    ("timeout", lambda version: f"{version.configuration.get('Timeout')} s"),
    ("/tmp", lambda version: f"{_tmp(version)} MB"),
    ("architecture", lambda version: ", ".join(version.configuration.get("Architectures") or [])),
    ("role", lambda version: str(version.configuration.get("Role", "")).rpartition("/")[2]),
)
# Variables that say which model is served.
_MODEL = ("MODEL", "BUCKET", "KEY", "SHA256", "SIGNATURE_KEY", "SIGNATURE_SHA256")


def _tmp(version: FunctionVersion) -> Any:
    return (version.configuration.get("EphemeralStorage") or {}).get("Size", 512)


def model_text(version: FunctionVersion | None) -> str:
    """Return a model's version and main metric: "3f2a9c01d4e5 (r2 0.87)"."""
    if version is None:
        return "gone"
    metric = version.metric
    shown = f" ({metric[0]} {metric[1]:g})" if metric else ""
    return f"{version.model or 'of an unknown version'}{shown}"


def compared(
    settings: Settings, contents: Contents, before: Workflow, after: Workflow
) -> Iterator[str]:
    """Yield a line for each difference between the functions and the graphs of two workflows."""
    old, new = functions_of(settings, before), functions_of(settings, after)
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in new:
            yield f"{name}: removed"
        elif name not in old:
            yield f"{name}: added, model {model_text(contents.versions.get(new[name][0]))}"
        elif old[name] != new[name]:
            yield from _function_lines(name, contents, old[name][-1], new[name][-1])
    if canonical_json(named(settings, before)) != canonical_json(named(settings, after)):
        yield "workflow: changed"


def _function_lines(name: str, contents: Contents, before: str, after: str) -> Iterator[str]:
    old, new = contents.versions.get(before), contents.versions.get(after)
    if old is None or new is None:
        numbers = [arn.rpartition(":")[2] for arn in (before, after)]
        gone = numbers[0] if old is None else numbers[1]
        yield f"{name}: version {numbers[0]} -> {numbers[1]}; {gone} is gone"
        return
    parts = [
        f"{part} {show(old)} -> {show(new)}" for part, show in _PARTS if show(old) != show(new)
    ]
    if old.model != new.model:
        parts.insert(0, f"model {model_text(old)} -> {model_text(new)}")
    elif old.environment.get("SIGNATURE_SHA256") != new.environment.get("SIGNATURE_SHA256"):
        parts.insert(0, "signature")
    elif old.metric != new.metric:
        parts.insert(0, f"metric {_metric(old)} -> {_metric(new)}")
    if _others(old) != _others(new):
        parts.append("environment")
    yield f"{name}: {', '.join(parts) or 'published again'}"


def _metric(version: FunctionVersion) -> str:
    return f"{version.metric[0]} {version.metric[1]:g}" if version.metric else "none"


def _others(version: FunctionVersion) -> dict[str, str]:
    return {name: text for name, text in version.environment.items() if name not in _MODEL}


def named(settings: Settings, value: Any) -> Any:
    """Return a workflow with the function's placeholder in place of each version's ARN."""
    if isinstance(value, Mapping):
        return {key: named(settings, member) for key, member in value.items()}
    if isinstance(value, list):
        return [named(settings, item) for item in value]
    prefix = settings.function_arn("")
    if not isinstance(value, str) or not value.startswith(prefix):
        return value
    name, _, number = value.removeprefix(prefix).rpartition(":")
    return f"${{{name.replace('-', '_')}}}" if number.isdecimal() else value


def workflow_difference(
    settings: Settings, before: Workflow, after: Workflow, titles: tuple[str, str]
) -> list[str]:
    """Return the unified difference of two workflows, line by line; empty if they are equal."""
    texts = [
        json.dumps(named(settings, workflow), indent=2, sort_keys=True, ensure_ascii=False)
        for workflow in (before, after)
    ]
    old, new = (text.splitlines() for text in texts)
    return list(difflib.unified_diff(old, new, *titles, lineterm=""))
