"""Whether somebody hears the alarms of a service: the address and the topic of its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deployer.aws.access import Aws
from deployer.errors import AwsError
from deployer.project.settings import Settings
from deployer.resources.sns import PENDING, email_subscriptions
from deployer.service import alarm_topic
from deployer.service.alarms import topic_arn

_UP = "python -m deployer up"


@dataclass(frozen=True)
class Hearing:
    """Who hears the alarms.

    Args:
        email, topic: of the settings; None without.
        confirmed: whether the address has confirmed; None where that is not known.
        problems: why alarms are not heard, each with the command that goes on from there.
        unknown: what could not be asked, and why.
    """

    email: str | None
    topic: str | None
    confirmed: bool | None = None
    problems: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Where the alarms go, in words."""
        states = {True: "confirmed", False: "not confirmed", None: "not known whether confirmed"}
        email = f"{self.email} ({states[self.confirmed]})" if self.email else ""
        return f"alarms go to {' and '.join(filter(None, [email, self.topic]))}"

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {"email": self.email, "confirmed": self.confirmed, "topic": self.topic}


def read_hearing(aws: Aws, settings: Settings) -> Hearing | None:
    """Read who hears the alarms; None where the settings want none."""
    if not settings.alarms:
        return None
    problems: list[tuple[str, str]] = []
    unknown: list[str] = []
    confirmed: bool | None = None
    if settings.alarm_email:
        try:
            confirmed = _confirmed(aws, settings, settings.alarm_email, problems)
        except AwsError as error:
            unknown.append(error.message)
    try:
        problem = alarm_topic.finding(aws, settings)
    except (alarm_topic.Unknown, AwsError) as error:
        unknown.append(error.message)
    else:
        problems += [(problem, _UP)] if problem and not alarm_topic.is_elsewhere(settings) else []
    return Hearing(
        settings.alarm_email, settings.alarm_topic, confirmed, tuple(problems), tuple(unknown)
    )


def _confirmed(aws: Aws, settings: Settings, email: str, problems: list[tuple[str, str]]) -> bool:
    """Tell whether an address has confirmed; if not, add the problem."""
    arn = topic_arn(settings)
    subscribed = email_subscriptions(aws, arn)
    if subscribed is None or email not in subscribed:
        gone = "its topic is gone" if subscribed is None else "it has unsubscribed, or never was"
        problems.append((f"alarms do not reach {email}: {gone}", _UP))
        return False
    if subscribed[email] != PENDING:
        return True
    again = (
        f"aws sns subscribe --region {settings.region} --topic-arn {arn} --protocol email "
        f"--notification-endpoint {email}"
    )
    problems.append(
        (
            f"alarms do not reach {email} before it has opened the link in AWS's mail, "
            "'Subscription Confirmation'; to have it sent again:",
            again,
        )
    )
    return False
