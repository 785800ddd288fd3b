"""The runs of `up` that a test begins with: made once, and then repeated from what they left.

Most tests of the difficult AWS begin with one, of two hundred calls, into a new account.
tests/difficult/test_beginnings.py compares repeated ones with those that were made.
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
from deployer.project.last_seen import last_seen, remember
from tests.support.snapshots import Snapshot

if TYPE_CHECKING:
    from tests.support.deployments import Service
    from tests.support.wire import Call

Files = dict[str, bytes]


@dataclass(frozen=True)
class Beginning:
    """What a run of `up` returned, told, asked, and left in the account."""

    result: Any
    events: list[Event]
    calls: list[Call]
    account: Snapshot


def begin(service: Service, overrides: Mapping[str, Any]) -> Any:
    """Make the first `up`, or the next after such ones alone; or repeat it, if it was made before.

    Either leaves `random` as it was.
    """
    account, files = service.account, _files(service.project)
    assert account.runs is not None
    runs = (*account.runs, _key(service, overrides, files))
    made = account.beginnings.get(runs)
    if made is not None:
        result = _repeat(service, made)
    else:
        chance, told, asked = random.getstate(), len(service.events), len(account.calls)
        result = service.whole_up(**overrides)
        random.setstate(chance)
        events = service.events[told:]
        # What speaks of this folder, or wrote to it, is not to be repeated for another one.
        if str(service.project) in repr((result, events)) or _files(service.project) != files:
            return result
        account.beginnings[runs] = Beginning(
            copy.deepcopy(result), events, account.calls[asked:], account.snapshot()
        )
    account.runs = runs
    return result


def _repeat(service: Service, made: Beginning) -> Any:
    asked = service.account.calls
    service.account.restore(made.account)
    service.account.calls = [*asked, *made.calls]
    service.events.extend(made.events)
    _, outputs = result = copy.deepcopy(made.result)
    remember(service.project, service.settings.workflow_arn, outputs["release"])
    return result


def _key(service: Service, overrides: Mapping[str, Any], files: Files) -> str:
    """Return the digest of all that a run depends on, besides the account."""
    settings = replace(service.settings, **overrides, project=Path())
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"
    }
    seen = last_seen(service.project, settings.workflow_arn) if service.account.runs else None
    content = hashlib.sha256(repr((settings, sorted(environment.items()), seen)).encode())
    for name in sorted(files):
        content.update(f"{name} {len(files[name])}\n".encode() + files[name])
    return content.hexdigest()


def _files(folder: Path) -> Files:
    """Return the files but those in .deployer/, where the last run's release is remembered."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder): path for path in paths}
    return {
        str(name): path.read_bytes() for name, path in names.items() if name.parts[0] != ".deployer"
    }
