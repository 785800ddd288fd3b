"""`keys` without a terminal: API keys of the service's usage plan.

A key is called `{prefix}-{name}` in AWS. Its value leaves this module once, when it is created.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deployer.aws.access import Aws
from deployer.errors import AwsError, ConfigError
from deployer.project.settings import Settings
from deployer.resources.apigateway.rest_keys import (
    ApiKey,
    add_to_plan,
    create_key,
    our_keys,
    read_keys,
    remove_key,
)
from deployer.resources.apigateway.rest_usage_plan import find_plan
from deployer.service.ownership import ownership


@dataclass(frozen=True)
class ListedKey:
    """A key of the service, or a foreign one in its usage plan.

    Args:
        name: in full for a foreign key.
        state: "works", "disabled" or "not in the usage plan".
    """

    name: str
    key_id: str
    created: datetime
    state: str
    ours: bool

    @property
    def document(self) -> dict[str, Any]:
        created = self.created.isoformat(timespec="seconds")
        return {
            "name": self.name,
            "id": self.key_id,
            "created": created,
            "state": self.state,
            "ours": self.ours,
        }


@dataclass(frozen=True)
class NewKey:
    """A key that was created just now, with its value."""

    name: str
    key_id: str
    value: str

    def __repr__(self) -> str:
        return f"NewKey({self.name!r}, {self.key_id!r})"  # no traceback shows the value


def create(aws: Aws, settings: Settings, name: str) -> NewKey:
    """Create a key that the usage plan meters.

    Raises:
        ConfigError: the name is taken or cannot be one, or there is no usage plan.
    """
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ConfigError(
            [f"{name!r} must be 1 to 64 letters, digits, dots, dashes and underscores"]
        )
    plan_id = _plan(aws, settings)
    ours = ownership(settings)
    full = f"{settings.prefix}-{name}"
    if any(key.name == full for key in our_keys(aws, ours)):
        raise ConfigError(
            [f"there is a key {name} already"],
            f"choose another name, or revoke it: python -m deployer keys revoke {name}",
        )
    key_id, value = create_key(aws, ours, full, settings.all_tags)
    try:
        add_to_plan(aws, plan_id, key_id)
    except AwsError:
        remove_key(aws, key_id)  # its value would be lost
        raise
    return NewKey(name, key_id, value)


def list_keys(aws: Aws, settings: Settings) -> list[ListedKey]:
    """Return the keys of the service, and then the foreign ones in its usage plan; oldest first."""
    ours = ownership(settings)
    keys = read_keys(aws, ours, find_plan(aws, ours))
    loose = {key.key_id for key in keys.loose}
    marked = [
        ListedKey(_short(settings, key), key.key_id, key.created, _state(key, loose), ours=True)
        for key in sorted(keys.ours, key=lambda key: (key.created, key.name))
    ]
    foreign = [
        ListedKey(key.name, key.key_id, key.created, _state(key, loose), ours=False)
        for key in keys.foreign
    ]
    return [*marked, *foreign]


def named(aws: Aws, settings: Settings, name: str) -> list[ApiKey]:
    """Return our keys of a name; ConfigError if there is none."""
    ours = ownership(settings)
    keys = list(our_keys(aws, ours))
    found = [key for key in keys if name in (_short(settings, key), key.key_id)]
    if found:
        return found
    foreign = read_keys(aws, ours, find_plan(aws, ours)).foreign
    if any(name in (key.name, key.key_id) for key in foreign):
        raise ConfigError(
            [f"the key {name} is not this service's: somebody else put it into the usage plan"],
            "to take it out again: python -m deployer up",
        )
    known = ", ".join(sorted(_short(settings, key) for key in keys)) or "none"
    raise ConfigError([f"there is no key {name}; the keys are: {known}"])


def revoke(aws: Aws, keys: list[ApiKey]) -> None:
    """Delete keys: requests with them are refused from then on."""
    for key in keys:
        remove_key(aws, key.key_id)


def how_to_make_one(settings: Settings) -> str:
    """Return what to do for a key, which a service with `auth = key` alone asks for."""
    if settings.auth == "key":
        return "to make one: python -m deployer keys create NAME"
    return (
        f"auth = {settings.auth}, so the API asks for none: "
        "set api = rest and auth = key (docs/callers.md), then: python -m deployer up"
    )


def _plan(aws: Aws, settings: Settings) -> str:
    plan_id = find_plan(aws, ownership(settings))
    if plan_id is None:
        raise ConfigError(
            [f"{settings.prefix} has no usage plan, so no API asks for keys"],
            "set api = rest and auth = key (docs/callers.md), then: python -m deployer up",
        )
    return plan_id


def _short(settings: Settings, key: ApiKey) -> str:
    return key.name.removeprefix(f"{settings.prefix}-")


def _state(key: ApiKey, loose: set[str]) -> str:
    if not key.enabled:
        return "disabled"
    return "not in the usage plan" if key.key_id in loose else "works"
