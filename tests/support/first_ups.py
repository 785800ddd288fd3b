"""The first `up` into a new account: made once, and then repeated from what it left.

Most tests of the difficult AWS begin with it, and it takes two hundred calls.
tests/difficult/test_first_ups.py compares a repeated one with one that was made.
"""

from __future__ import annotations

import copy
import hashlib
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployer.engine.events import Event
from deployer.project.last_seen import remember
from tests.support.snapshots import Snapshot

if TYPE_CHECKING:
    from tests.support.deployments import Service
    from tests.support.wire import Call

Files = dict[str, bytes]
Key = tuple[str, str]


@dataclass(frozen=True)
class FirstUp:
    """What a first `up` returned, told, asked, and left in the account."""

    result: Any
    events: list[Event]
    calls: list[Call]
    account: Snapshot


def first_up(service: Service, overrides: Mapping[str, Any]) -> Any:
    """Make the first `up` into a new account, or repeat it; either leaves `random` as it was."""
    files = _files(service.project)
    key = _key(service, overrides, files)
    made = service.account.first_ups.get(key)
    if made is not None:
        return _repeat(service, made)
    chance, told, asked = random.getstate(), len(service.events), len(service.account.calls)
    result = service.whole_up(**overrides)
    random.setstate(chance)
    events = service.events[told:]
    # What speaks of this folder, or wrote to it, is not to be repeated for another one.
    if str(service.project) not in repr((result, events)) and _files(service.project) == files:
        service.account.first_ups[key] = FirstUp(
            copy.deepcopy(result),
            events,
            service.account.calls[asked:],
            service.account.snapshot(),
        )
    return result


def _repeat(service: Service, made: FirstUp) -> Any:
    asked = service.account.calls
    service.account.restore(made.account)
    service.account.calls = [*asked, *made.calls]
    service.events.extend(made.events)
    _, outputs = result = copy.deepcopy(made.result)
    remember(service.project, service.settings.workflow_arn, outputs["release"])
    return result


def _key(service: Service, overrides: Mapping[str, Any], files: Files) -> Key:
    """Return all that a first `up` depends on."""
    settings = replace(service.settings, **overrides, project=Path())
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"
    }
    content = hashlib.sha256()
    for name in sorted(files):
        content.update(f"{name} {len(files[name])}\n".encode() + files[name])
    return f"{settings!r} {sorted(environment.items())}", content.hexdigest()


def _files(folder: Path) -> Files:
    """Return the files but those in .deployer/, where the last run's release is remembered."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder): path for path in paths}
    return {
        str(name): path.read_bytes() for name, path in names.items() if name.parts[0] != ".deployer"
    }
