"""Who hears the alarms: the address that confirms, and the topic that somebody else has made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.errors import AwsError
from deployer.project.parsers import topic
from deployer.project.settings import Settings
from deployer.resources.base import Ownership
from deployer.resources.sns import PENDING, Topic, TopicFields
from deployer.service import alarm_topic
from deployer.service.hearing import read_hearing

HERE = Settings(Path("/project"), service="shop", stage="prod").located(
    account="1" * 12, partition="aws", region="eu-central-1"
)
OWN = "arn:aws:sns:eu-central-1:111111111111:shop-prod-alarms"
PAGER = "arn:aws:sns:eu-central-1:111111111111:pager"
THEIRS = "arn:aws:sns:eu-central-1:222222222222:pager"
MAIL = "ops@example.com"


def account(
    topics: Mapping[str, Mapping[str, Any]] = {}, *, code: str = "NotFound", **emails: str
) -> Aws:
    """Return an account whose calls for other topics end in an error.

    Args:
        topics: the attributes by ARN.
        emails: subscription ARNs of the own topic by the name in the address.
    """

    def answer(service: str, operation: str, **parameters: Any) -> Any:
        arn = parameters.get("TopicArn", OWN)
        if arn not in topics:
            raise AwsError(code, "no", operation=operation)
        if operation == "get_topic_attributes":
            return {"Attributes": topics[arn]}
        if operation == "list_tags_for_resource":
            return {"Tags": [{"Key": key, "Value": value} for key, value in HERE.tags.items()]}
        assert operation == "list_subscriptions_by_topic"
        subscribed = {f"{name}@example.com": state for name, state in emails.items()}
        return {
            "Subscriptions": [
                {"Protocol": "email", "Endpoint": address, "SubscriptionArn": state}
                for address, state in subscribed.items()
            ]
        }

    return Aws(region="eu-central-1", credentials=("a", "b")).calling(answer)


@pytest.mark.parametrize(
    ("arn", "aws", "words"),
    [
        (PAGER, account(), "does not exist"),
        (PAGER.replace("eu-central-1", "eu-west-1"), account(), "name one in eu-central-1"),
        (PAGER.replace("arn:aws:", "arn:aws-cn:"), account(), "name one in aws"),
        (PAGER, account({PAGER: {"KmsMasterKeyId": "alias/aws/sns"}}), "no alarm would arrive"),
        (PAGER, account({PAGER: {"KmsMasterKeyId": "alias/mine"}}), None),
        (THEIRS, account({THEIRS: {}}), None),
        (None, account(), None),
    ],
)
def test_a_topic_that_no_alarm_can_reach_is_found(arn: Any, aws: Aws, words: str | None) -> None:
    found = alarm_topic.finding(aws, replace(HERE, alarm_topic=arn))
    assert (found is None) == (words is None) and (words or "") in (found or "")


@pytest.mark.parametrize(
    ("arn", "words"),
    [(PAGER, "sns:GetTopicAttributes"), (THEIRS, "must allow cloudwatch.amazonaws.com")],
)
def test_a_topic_that_may_not_be_asked_may_be_right(arn: str, words: str) -> None:
    with pytest.raises(alarm_topic.Unknown, match=words):
        alarm_topic.finding(account(code="AuthorizationError"), replace(HERE, alarm_topic=arn))
    with pytest.raises(AwsError, match="InternalError"):
        alarm_topic.finding(account(code="InternalError"), replace(HERE, alarm_topic=arn))


def test_with_a_local_aws_only_a_topic_of_its_own_must_exist() -> None:
    local = replace(HERE, bare=True)
    assert alarm_topic.is_elsewhere(replace(local, alarm_topic=THEIRS))
    assert not alarm_topic.is_elsewhere(replace(local, alarm_topic=PAGER))
    assert not alarm_topic.is_elsewhere(replace(HERE, alarm_topic=THEIRS))


def test_a_fifo_topic_is_refused_as_what_it_is() -> None:
    with pytest.raises(ValueError, match="standard topic.*FIFO"):
        topic(f"{PAGER}.fifo")
    assert topic(PAGER) == PAGER


@pytest.mark.parametrize(
    ("emails", "confirmed", "problem", "command"),
    [
        ({"ops": f"{OWN}:1"}, True, None, None),
        ({"ops": PENDING}, False, "opened the link in AWS's mail", f"--topic-arn {OWN}"),
        ({"ops": "Deleted"}, False, "has unsubscribed", "deployer up"),
        ({"other": f"{OWN}:1"}, False, "has unsubscribed", "deployer up"),
    ],
)
def test_an_address_that_hears_nothing_is_a_problem_with_the_next_step(
    emails: dict[str, str], confirmed: bool, problem: str | None, command: str | None
) -> None:
    hearing = read_hearing(account({OWN: {}}, **emails), replace(HERE, alarm_email=MAIL))
    assert hearing is not None and hearing.confirmed is confirmed
    assert hearing.text == f"alarms go to {MAIL} ({'' if confirmed else 'not '}confirmed)"
    assert len(hearing.problems) == (problem is not None)
    for text, next_step in hearing.problems:
        assert str(problem) in text and str(command) in next_step


def test_a_topic_that_is_gone_is_a_problem_and_one_that_may_not_be_asked_is_unknown() -> None:
    both = replace(HERE, alarm_email=MAIL, alarm_topic=PAGER)
    hearing = read_hearing(account(), both)
    assert hearing is not None
    assert ["topic is gone" in hearing.problems[0][0], "not exist" in hearing.problems[1][0]] == [
        True,
        True,
    ]
    denied = read_hearing(account(code="AuthorizationError"), both)
    assert denied is not None and denied.confirmed is None and denied.problems == ()
    assert len(denied.unknown) == 2
    assert f"{MAIL} (not known whether confirmed) and {PAGER}" in denied.text
    assert read_hearing(account(), HERE) is None


@pytest.mark.parametrize(
    ("emails", "shown"),
    [
        ({"former": f"{OWN}:1"}, "former@example.com"),
        ({"b": PENDING, "a": f"{OWN}:1"}, "a@example.com, b@example.com"),
        ({"a": f"{OWN}:1", "ops": PENDING}, MAIL),
        ({"ops": "Deleted"}, None),
        ({}, None),
    ],
)
def test_a_plan_shows_the_addresses_before(emails: dict[str, str], shown: str | None) -> None:
    wanted = TopicFields(tags=HERE.tags, email=MAIL)
    one = Topic("topic", arn=OWN, ours=Ownership(HERE.tags), fields=wanted)
    state = one.read(account({OWN: {}}, **emails))
    assert state is not None and state.fields["email"] == shown
