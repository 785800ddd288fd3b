"""Plan files: `plan --out` writes one, `up --plan` applies exactly it or refuses."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deployer import __version__
from deployer.engine.saved import (
    FORMAT,
    PLACE,
    Basis,
    is_saved,
    is_sound,
    moved,
    saved,
    was_applied,
)
from deployer.errors import ConfigError, PlanMoved
from deployer.files import Unreadable, read_json, write_own
from deployer.project.settings import Settings
from deployer.service.up import Deployment

_SHOWN = 10  # reasons of a refusal
TOOL = f"deployer {__version__}"


def place_of(settings: Settings, endpoint: str | None) -> dict[str, Any]:
    """Return what a plan is made for. An endpoint's user and password are left out."""
    return {
        "service": settings.service,
        "stage": settings.stage,
        "account": settings.account,
        "region": settings.region,
        "endpoint": endpoint and _without_user(endpoint),
    }


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def saved_plan(deployment: Deployment, place: Mapping[str, Any]) -> Any:
    """Return the document of a plan's file."""
    declared = {resource.key: resource.fields for resource in deployment.planned.resources}
    basis = Basis(declared, deployment.account.actual)
    return saved(deployment.plan, basis, place, TOOL, deployment.settings.adopt)


def write_plan(path: Path, document: Any) -> None:
    """Write a plan's file; raise ConfigError where another file would be overwritten."""
    write_own(path, json.dumps(document, indent=2) + "\n", _is_own_text, "a plan")


def _is_own_text(text: str) -> bool:
    try:
        return is_sound(json.loads(text))
    except (ValueError, RecursionError):
        return False


def _again(path: Path) -> str:
    return f"plan again, and review it: python -m deployer plan --out {shlex.quote(str(path))}"


def read_plan(path: Path) -> Any:
    """Return a plan's file that this version wrote and nobody has changed.

    Raises:
        ConfigError: it is another file.
        PlanMoved: it is another version's, or was changed.
    """
    again = _again(path)
    other = "name a file that plan --out wrote, such as by: python -m deployer plan --out new.json"
    try:
        document = read_json(path)
    except FileNotFoundError:
        raise ConfigError([f"{path} does not exist"], again) from None
    except Unreadable as error:
        raise ConfigError([f"{path} {error}"], other) from error
    if not isinstance(document, dict) or "deployer_plan" not in document:
        raise ConfigError([f"{path} is no plan that plan --out wrote"], other)
    if document["deployer_plan"] != FORMAT or document.get("tool") != TOOL:
        tool = str(document.get("tool"))[:80]
        raise PlanMoved(f"{path} was written by {tool}, and this is {TOOL}", again)
    if not is_saved(document) or not is_sound(document):
        raise PlanMoved(f"{path} was changed after it was written", f"remove it, then {again}")
    return document


def check_place(path: Path, document: Mapping[str, Any], place: Mapping[str, Any]) -> None:
    """Raise PlanMoved unless a plan was made for this service, stage, account and region."""
    differing = [name for name in PLACE if document[name] != place[name]]
    if differing:
        made, here = (
            ", ".join(f"{name} {_named(values[name])}" for name in differing)
            for values in (document, place)
        )
        raise PlanMoved(
            f"{path} was made for {made}, but this is {here}",
            "apply it with the options with which it was made, or plan for this one: "
            f"python -m deployer plan --out {shlex.quote(str(path))}",
        )


def _named(value: Any) -> str:
    return "of AWS itself" if value is None else str(value)


def check_same(path: Path, document: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise PlanMoved unless the plan that was made now is the one in the file, or is empty.

    It is empty if the same declaration has been applied already.
    """
    if document["digest"] == now["digest"] or was_applied(document, now):
        return
    sentences = list(moved(document, now)) or ["the plan is another one"]
    more = len(sentences) - _SHOWN
    sentences[_SHOWN:] = [f"and {more} more"] if more > 0 else []
    lines = "\n".join(f"  {sentence}" for sentence in sentences)
    message = (
        f"{path} is not the plan any more; nothing was changed. Since it was written:\n{lines}"
    )
    raise PlanMoved(message, _again(path))
