"""Whether alarms can reach the topic that the settings name, which somebody else has made."""

from __future__ import annotations

from deployer.aws.access import Aws
from deployer.errors import DENIED, AwsError, DeployerError
from deployer.project.settings import Settings
from deployer.resources.sns import topic_attributes

_AWS_KEY = "alias/aws/sns"


class Unknown(DeployerError):
    """The topic may not be asked, so it may be right."""


def is_elsewhere(settings: Settings) -> bool:
    """Tell whether a local AWS stands for the account and region that the topic is in."""
    own = settings.arn("sns", "")
    return settings.bare and not str(settings.alarm_topic).startswith(own)


def finding(aws: Aws, settings: Settings) -> str | None:
    """Return why no alarm can reach `alarm_topic`; None if nothing is known against it.

    Raises:
        Unknown: these credentials may not ask.
    """
    arn = settings.alarm_topic
    if arn is None:
        return None
    _, partition, _, region, account, _ = arn.split(":")
    if (partition, region) != (settings.partition, settings.region):  # Alarm-9
        place = settings.region if partition == settings.partition else settings.partition
        return (
            f"alarm_topic: {arn} is in {region}, but CloudWatch's alarms go to topics of their own "
            f"region alone: name one in {place}"
        )
    try:
        attributes = topic_attributes(aws, arn)
    except AwsError as error:
        if error.code not in DENIED:
            raise
        raise Unknown(_unknown(settings, arn, account)) from error
    if attributes is None:
        return f"alarm_topic: {arn} does not exist: make the topic, or correct its ARN"
    if attributes.get("KmsMasterKeyId") == _AWS_KEY:
        return (
            f"alarm_topic: {arn} is encrypted with AWS's own key {_AWS_KEY}, which CloudWatch may "
            "not use: no alarm would arrive; use a key of your own, or none"  # Alarm-8
        )
    return None


def _unknown(settings: Settings, arn: str, account: str) -> str:
    """Say what is not known of a topic that may not be asked."""
    if account == settings.account:
        return (
            f"alarm_topic: these credentials may not ask {arn} (sns:GetTopicAttributes), so it may "
            "not exist"
        )
    return (
        f"alarm_topic: {arn} of account {account} does not let this account ask it; for alarms to "
        "arrive, its policy must allow cloudwatch.amazonaws.com to sns:Publish"
    )
