"""The calls that write below a REST API: retried while another change is under way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deployer.aws.access import Aws
from deployer.resources.apigateway.calls import ABSENT, being_changed, created
from deployer.resources.base import Tags, retag


def write(aws: Aws, operation: str, parameters: dict[str, Any]) -> Any:
    return aws.retry(lambda: aws.call("apigateway", operation, **parameters), when=being_changed)


def remove(aws: Aws, operation: str, parameters: dict[str, Any]) -> None:
    """Delete a part; succeeds when it does not exist."""
    aws.retry(lambda: aws.find(ABSENT, "apigateway", operation, **parameters), when=being_changed)


def retag_part(aws: Aws, arn: str, desired: Tags, actual: Tags) -> None:
    """Change the tags of a REST API, its stage, a usage plan or an API key."""
    retag(
        desired,
        actual,
        tag=lambda tags: write(aws, "tag_resource", {"resourceArn": arn, "tags": tags}),
        untag=lambda keys: write(aws, "untag_resource", {"resourceArn": arn, "tagKeys": keys}),
    )


def create(
    aws: Aws,
    operation: str,
    parameters: dict[str, Any],
    find: Callable[[], Mapping[str, Any] | None],
) -> dict[str, Any]:
    """Create a part that AWS would create a second time if asked again (Rest-2).

    When the answer is lost, `find` looks for it first.
    """
    return created(aws, lambda: aws.call_once("apigateway", operation, **parameters), find)
