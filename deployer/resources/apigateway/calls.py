"""The calls that write below an API: retried while another change is under way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deployer.aws.access import Aws
from deployer.aws.waiting import connection_lost, server_error
from deployer.errors import AwsError
from deployer.resources.base import Tags, retag

ABSENT = ("NotFoundException",)


def being_changed(error: AwsError) -> str | None:
    """Return why to wait while another change below the same API is under way (R-21).

    The same code also says that a name is taken.
    """
    texts = ("try again later", "concurrent modification")
    busy = error.code == "ConflictException" and any(text in error.aws_message for text in texts)
    return "for API Gateway: another change of this API is under way" if busy else None


def answer_lost(error: AwsError) -> str | None:
    """Return why it is unknown whether the call happened (Api-3)."""
    return connection_lost(error) or server_error(error)


def write(aws: Aws, operation: str, parameters: dict[str, Any]) -> Any:
    return aws.retry(lambda: aws.call("apigatewayv2", operation, **parameters), when=being_changed)


def remove(aws: Aws, operation: str, parameters: dict[str, Any]) -> None:
    """Delete a part; succeeds when it does not exist."""
    aws.retry(lambda: aws.find(ABSENT, "apigatewayv2", operation, **parameters), when=being_changed)


def gateway_arn(aws: Aws, path: str) -> str:
    """Return the ARN of a part of API Gateway, for its tags: there is no account in it (Api-4)."""
    return f"arn:{aws.identity.partition}:apigateway:{aws.region}::{path}"


def retag_part(aws: Aws, arn: str, desired: Tags, actual: Tags) -> None:
    """Change the tags of an HTTP API or its stage."""
    retag(
        desired,
        actual,
        tag=lambda tags: write(aws, "tag_resource", {"ResourceArn": arn, "Tags": tags}),
        untag=lambda keys: write(aws, "untag_resource", {"ResourceArn": arn, "TagKeys": keys}),
    )


def create(
    aws: Aws,
    operation: str,
    parameters: dict[str, Any],
    find: Callable[[], Mapping[str, Any] | None],
) -> dict[str, Any]:
    """Create a part that AWS would create a second time if asked again (Api-1, Api-2).

    When the answer is lost, `find` looks for it first (Api-3).
    """
    return created(aws, lambda: aws.call_once("apigatewayv2", operation, **parameters), find)


def created(
    aws: Aws, call: Callable[[], Any], find: Callable[[], Mapping[str, Any] | None]
) -> dict[str, Any]:
    """Make a creating call that must not happen twice; return its answer, or what `find` finds."""

    def attempt() -> Any:
        try:
            return aws.retry(call, when=being_changed)
        except AwsError as error:
            taken = error.code == "ConflictException"  # a route's key, a stage's name
            if not taken and not answer_lost(error):
                raise
            try:  # a listing may not see it yet (GEN-8)
                return aws.wait_until(
                    find, reason="for API Gateway: its answer was lost, looking", deadline_s=20
                )
            except AwsError as lost:
                raise error from lost

    return dict(aws.retry(attempt, when=answer_lost, deadline_s=120))
