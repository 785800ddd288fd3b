"""SNS: the topic that carries alarms to an address."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import ClassVar, TypedDict

from deployer.aws.access import Aws
from deployer.engine.compare import tag_list, tags_from
from deployer.engine.plan import Change, Fields, State
from deployer.errors import DENIED, AwsError
from deployer.resources.base import Owned, Ownership, Resource, Tags, changed, retag

_ABSENT = ("NotFound", "NotFoundException", "ResourceNotFound", "ResourceNotFoundException")
# In the place of a subscription's ARN (Alarm-5, Alarm-10).
PENDING, _DELETED = "PendingConfirmation", "Deleted"


def topic_attributes(aws: Aws, arn: str) -> dict[str, str] | None:
    """Return the attributes of a topic; None if it does not exist."""
    answer = aws.find(_ABSENT, "sns", "get_topic_attributes", TopicArn=arn)
    return None if answer is None else dict(answer["Attributes"])


def email_subscriptions(aws: Aws, arn: str) -> dict[str, str] | None:
    """Return the subscribed addresses, each with its ARN or PENDING; None without the topic."""
    try:
        found = list(aws.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn))
    except AwsError as error:
        if error.code in _ABSENT:
            return None
        raise
    return {
        one["Endpoint"]: one["SubscriptionArn"]
        for one in found
        if one["Protocol"] == "email" and one["SubscriptionArn"] != _DELETED
    }


class TopicFields(TypedDict):
    """The fields of a topic.

    `email` is the address if it is subscribed, confirmed or not. Otherwise it names the addresses
    that are: a former one, and those of other people.
    """

    tags: Tags
    email: str


class OwnedTopic(Owned):
    """A topic, known by its ARN."""

    reads: ClassVar[Collection[str]] = ("sns:ListTagsForResource", "sns:ListSubscriptionsByTopic")
    finds = ("sns:ListTagsForResource",)
    deletes = ("sns:DeleteTopic",)

    def __init__(self, key: str, *, arn: str, ours: Ownership, needs: Collection[str] = ()) -> None:
        super().__init__(key, needs)
        self.arn = arn
        self.ours = ours

    def find(self, aws: Aws) -> State | None:
        """Establish ownership; None where an account has never allowed to ask."""
        try:
            tags = self.tags(aws)
        except AwsError as error:
            if error.code in DENIED:
                return None
            raise
        return None if tags is None else State({})

    def tags(self, aws: Aws) -> Tags | None:
        """Return the topic's tags; None if it does not exist."""
        answer = aws.find(_ABSENT, "sns", "list_tags_for_resource", ResourceArn=self.arn)
        if answer is None:
            return None
        tags = tags_from(answer["Tags"])
        self.ours.check(f"SNS topic {self.arn.rpartition(':')[2]}", tags)
        return tags

    def delete(self, aws: Aws) -> None:
        aws.find(_ABSENT, "sns", "delete_topic", TopicArn=self.arn)


class Topic(OwnedTopic, Resource):
    """A topic with a subscribed address, which AWS asks by mail to confirm."""

    exists = ("InvalidParameter", "InvalidParameterException")  # with other tags
    writes = ("sns:CreateTopic", "sns:TagResource", "sns:UntagResource", "sns:Subscribe")

    def __init__(
        self,
        key: str,
        *,
        arn: str,
        ours: Ownership,
        fields: TopicFields,
        needs: Collection[str] = (),
    ) -> None:
        Resource.__init__(self, key, fields, needs)
        self.arn = arn
        self.ours = ours
        self.remark = (
            f"AWS asks {fields['email']} by mail to confirm; until then no alarm arrives there"
        )

    def find(self, aws: Aws) -> State | None:
        return self.read(aws)

    def read(self, aws: Aws) -> State | None:
        tags = self.tags(aws)
        if tags is None:
            return None
        subscribed = email_subscriptions(aws, self.arn) or {}
        wanted = self.fields["email"]
        email = wanted if wanted in subscribed else ", ".join(sorted(subscribed)) or None
        confirmed = subscribed.get(wanted, PENDING) != PENDING
        return State({"tags": self.ours.among(tags), "email": email}, {"confirmed": confirmed})

    def create(self, aws: Aws, desired: Fields) -> Fields:
        tags = tag_list(desired["tags"])
        aws.call("sns", "create_topic", Name=self.arn.rpartition(":")[2], Tags=tags)
        self._subscribe(aws, desired["email"])
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        if changed(change, "tags"):
            write = partial(aws.call, "sns", ResourceArn=self.arn)
            retag(
                desired["tags"],
                actual.fields["tags"],
                tag=lambda tags: write(operation="tag_resource", Tags=tag_list(tags)),
                untag=lambda keys: write(operation="untag_resource", TagKeys=keys),
            )
        if changed(change, "email"):
            self._subscribe(aws, desired["email"])
        return {}

    def _subscribe(self, aws: Aws, email: str) -> None:
        """Ask for a subscription; asking again makes no second one (Alarm-5)."""
        aws.retry(
            lambda: aws.call(
                "sns", "subscribe", TopicArn=self.arn, Protocol="email", Endpoint=email
            ),
            when=_not_seen,
        )


def _not_seen(error: AwsError) -> str | None:
    return "for SNS: the new topic is not seen yet" if error.code in _ABSENT else None
