"""API keys: values that a client sends, which the usage plan of an API meters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from deployer.aws.access import Aws
from deployer.engine.compare import tags_from
from deployer.errors import AwsError
from deployer.resources.apigateway.calls import ABSENT
from deployer.resources.apigateway.rest_calls import create, remove, write
from deployer.resources.base import Ownership, Tags

_PAGE = 500  # AWS's most; by default it gives 25


@dataclass(frozen=True)
class ApiKey:
    """An API key, without its value."""

    key_id: str
    name: str
    enabled: bool
    created: datetime
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True)
class PlanKeys:
    """The API keys of a usage plan.

    Args:
        ours: the keys that carry our tags, in the plan or not.
        loose: those of them that are not in the plan.
        foreign: the keys in the plan that do not carry our tags; they work as ours do (Key-8).
    """

    ours: list[ApiKey]
    loose: list[ApiKey]
    foreign: list[ApiKey]


def read_keys(aws: Aws, ours: Ownership, plan_id: str | None) -> PlanKeys:
    """Return our keys, and the foreign ones of a usage plan; None stands for no plan."""
    metered, marked = aws.together(
        lambda: keys_of_plan(aws, plan_id) if plan_id else set(), lambda: list(our_keys(aws, ours))
    )
    others = metered - {key.key_id for key in marked}
    return PlanKeys(
        marked,
        [key for key in marked if key.key_id not in metered],
        _foreign_among(aws, ours, others),
    )


def _foreign_among(aws: Aws, ours: Ownership, key_ids: Collection[str]) -> list[ApiKey]:
    """Return those of these keys that are not ours, oldest first.

    Each is asked for by itself: the listing of our keys may be older than that of the plan.
    """
    items = aws.together(
        *(
            partial(
                aws.find, ABSENT, "apigateway", "get_api_key", apiKey=key_id, includeValue=False
            )
            for key_id in sorted(key_ids)
        )
    )
    keys = [_api_key(item) for item in items if item and not ours.marks(_tags(item))]
    return sorted(keys, key=lambda key: (key.created, key.name))


def our_keys(aws: Aws, ours: Ownership) -> Iterator[ApiKey]:
    """Yield the API keys that carry our tags. AWS is not asked for their values."""
    items = aws.pages("apigateway", "get_api_keys", "items", includeValues=False, limit=_PAGE)
    for item in items:
        if ours.marks(_tags(item)):
            yield _api_key(item)


def _tags(item: Mapping[str, Any]) -> Tags:
    return tags_from(item.get("tags"))


def _api_key(item: Mapping[str, Any]) -> ApiKey:
    return ApiKey(
        str(item["id"]),
        str(item.get("name", "")),
        bool(item["enabled"]),
        item["createdDate"],
        _tags(item),
    )


def create_key(aws: Aws, ours: Ownership, name: str, tags: Tags) -> tuple[str, str]:
    """Create an API key; return its id and its value.

    Names are not unique (Key-1): when the answer is lost, the key that has ours is looked for.
    """

    def find() -> dict[str, Any] | None:
        key = next((key for key in our_keys(aws, ours) if key.name == name), None)
        if key is None:
            return None
        found: dict[str, Any] = aws.call(
            "apigateway", "get_api_key", apiKey=key.key_id, includeValue=True
        )
        return found

    parameters = {"name": name, "enabled": True, "tags": tags}
    key = create(aws, "create_api_key", parameters, find)
    return str(key["id"]), str(key["value"])


def remove_key(aws: Aws, key_id: str) -> None:
    """Delete an API key, which takes it out of its usage plan; succeeds when it does not exist."""
    remove(aws, "delete_api_key", {"apiKey": key_id})


def remove_from_plan(aws: Aws, plan_id: str, key_id: str) -> None:
    """Take an API key out of a usage plan; the key itself stays."""
    remove(aws, "delete_usage_plan_key", {"usagePlanId": plan_id, "keyId": key_id})


def keys_of_plan(aws: Aws, plan_id: str) -> set[str]:
    """Return the ids of the API keys of a usage plan; their values are in the answer, too."""
    items = aws.pages(
        "apigateway",
        "get_usage_plan_keys",
        "items",
        usagePlanId=plan_id,
        limit=_PAGE,
    )
    return {str(item["id"]) for item in items}


def add_to_plan(aws: Aws, plan_id: str, key_id: str) -> None:
    """Let a usage plan meter an API key; succeeds when it does already."""
    parameters = {"usagePlanId": plan_id, "keyId": key_id, "keyType": "API_KEY"}
    try:
        write(aws, "create_usage_plan_key", parameters)
    except AwsError as error:
        if error.code != "ConflictException" or key_id not in keys_of_plan(aws, plan_id):
            raise
