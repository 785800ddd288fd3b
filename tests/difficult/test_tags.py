"""Tags of one's own: on everything that has tags, changed and removed; those of others stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.engine.compare import tags_from
from deployer.project.settings import TAG_LIST
from deployer.resources.base import TAG_LIST as OF_KINDS
from deployer.service import keys
from tests.support.deployments import Service

FIRST: dict[str, Any] = {"own_tags": {"team": "ml", "cost-center": "42"}}
THEN: dict[str, Any] = {"own_tags": {"team": "ml platform", "owner": ""}}
ALARMS: dict[str, Any] = {"alarm_email": "ops@example.com"}
HTTP: dict[str, Any] = {**ALARMS, "api": "http"}
REST: dict[str, Any] = {**ALARMS, "api": "rest", "auth": "key"}


# Service, its listing, the listing's member, the ARN in it, and how AWS is asked for the tags of an
# ARN: operation, parameter, member.
ARNS = (
    (
        *("ecr", "describe_repositories", "repositories", "repositoryArn"),
        *("list_tags_for_resource", "resourceArn", "tags"),
    ),
    (
        *("logs", "describe_log_groups", "logGroups", "logGroupArn"),
        *("list_tags_for_resource", "resourceArn", "tags"),
    ),
    (
        *("lambda", "list_functions", "Functions", "FunctionArn"),
        *("list_tags", "Resource", "Tags"),
    ),
    (
        *("stepfunctions", "list_state_machines", "stateMachines", "stateMachineArn"),
        *("list_tags_for_resource", "resourceArn", "tags"),
    ),
    (
        *("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmArn"),
        *("list_tags_for_resource", "ResourceARN", "Tags"),
    ),
    (
        *("sns", "list_topics", "Topics", "TopicArn"),
        *("list_tags_for_resource", "ResourceArn", "Tags"),
    ),
)


def tagged(aws: Aws) -> dict[str, dict[str, str]]:
    """Return the tags of everything in the account that can have some, by a name of its own."""
    found: dict[str, Any] = of_apis(aws)
    for service, listing, member, arn, operation, parameter, tags in ARNS:
        for item in aws.pages(service, listing, member):
            found[item[arn]] = aws.call(service, operation, **{parameter: item[arn]})[tags]
    for bucket in aws.call("s3", "list_buckets")["Buckets"]:
        answer = aws.call("s3", "get_bucket_tagging", Bucket=bucket["Name"])
        found[bucket["Name"]] = answer["TagSet"]
    for role in aws.pages("iam", "list_roles", "Roles"):
        name = role["RoleName"]
        found[f"role {name}"] = aws.call("iam", "list_role_tags", RoleName=name)["Tags"]
    return {name: tags_from(tags) for name, tags in found.items()}


def of_apis(aws: Aws) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for api in aws.pages("apigatewayv2", "get_apis", "Items"):
        found["api"] = api["Tags"]
        stages = aws.call("apigatewayv2", "get_stages", ApiId=api["ApiId"])["Items"]
        found |= {f"stage {stage['StageName']}": stage.get("Tags") for stage in stages}
    for api in aws.pages("apigateway", "get_rest_apis", "items"):
        found["rest api"] = api["tags"]
        stages = aws.call("apigateway", "get_stages", restApiId=api["id"])["item"]
        found |= {f"stage {stage['stageName']}": stage.get("tags") for stage in stages}
    for plan in aws.pages("apigateway", "get_usage_plans", "items"):
        found["usage plan"] = plan["tags"]
    for key in aws.pages("apigateway", "get_api_keys", "items"):
        found[f"key {key['name']}"] = key["tags"]
    return found


def put_tag(aws: Aws, arn: str, key: str, value: str) -> None:
    """Tag a function, as somebody else."""
    aws.call("lambda", "tag_resource", Resource=arn, Tags={key: value})


def everything(service: Service) -> list[Mapping[str, str]]:
    found = tagged(service.account.aws())
    kinds = {name.split()[0].split(":")[2] if name.startswith("arn:") else name for name in found}
    assert kinds >= {"ecr", "logs", "lambda", "states", "cloudwatch", "sns"}, kinds
    assert len(found) >= 29
    return list(found.values())


def writes(service: Service) -> list[str]:
    return [call.operation for call in service.account.calls if call.writes]


@pytest.mark.parametrize("kind", [HTTP, REST], ids=["http", "rest"])
def test_own_tags_are_on_everything_from_its_creation_on(
    service: Service, kind: dict[str, Any]
) -> None:
    service.overrides = {**kind, **FIRST}
    service.up()
    if "auth" in kind:
        keys.create(service.account.aws(), service.settings, "alice")
    wanted = service.settings.all_tags
    assert wanted[TAG_LIST] == "cost-center team" and OF_KINDS == TAG_LIST
    assert all(tags == wanted for tags in everything(service))
    service.account.calls.clear()
    service.up()
    assert writes(service) == [] and service.plan().is_empty


@pytest.mark.parametrize("kind", [HTTP, REST], ids=["http", "rest"])
def test_a_change_is_shown_tag_by_tag_and_made_with_a_removal(
    service: Service, kind: dict[str, Any]
) -> None:
    aws = service.account.aws()
    service.overrides = {**kind, **FIRST}
    service.up()
    if "auth" in kind:
        keys.create(aws, service.settings, "alice")
    plan = service.plan(**THEN)
    (bucket,) = (change for change in plan.effective if change.key == "bucket")
    assert {place.path: (place.before, place.after) for place in bucket.fields} == {
        "tags.cost-center": ("42", None),
        "tags.deployer:tags": ("cost-center team", "owner team"),
        "tags.owner": (None, ""),
        "tags.team": ("ml", "ml platform"),
    }
    assert {change.action.value for change in plan.effective} == {"update"}
    assert plan.adopting == () and not plan.destructive
    service.overrides = {**kind, **THEN}
    service.up()
    assert all(tags == service.settings.all_tags for tags in everything(service))
    assert service.plan().is_empty
    service.overrides = kind
    service.account.calls.clear()
    service.up()
    assert all(tags == service.settings.tags for tags in everything(service))
    assert TAG_LIST not in service.settings.all_tags and service.plan().is_empty
    # To remove is all that is to be done: what marks a resource is not written again.
    assert {name for name in writes(service) if name.startswith("Tag")} == set()
    assert "PublishVersion" not in writes(service)


def test_a_tag_of_others_stays_and_one_that_was_taken_over_goes(service: Service) -> None:
    aws = service.account.aws()
    service.up()
    arn = service.settings.function_arn("random_forest")
    bucket = service.settings.bucket
    others = {"backup": "daily", "owner": "anna"}
    for key, value in others.items():
        put_tag(aws, arn, key, value)
    found = aws.call("s3", "get_bucket_tagging", Bucket=bucket)["TagSet"]
    pairs = [{"Key": key, "Value": value} for key, value in others.items()]
    aws.call("s3", "put_bucket_tagging", Bucket=bucket, Tagging={"TagSet": [*found, *pairs]})
    assert service.plan().is_empty
    service.up(own_tags={"owner": "ml"})
    for name in (arn, bucket):
        tags = tagged(aws)[name]
        assert (tags["backup"], tags["owner"]) == ("daily", "ml")
    service.up(own_tags={})
    for name in (arn, bucket):
        assert tagged(aws)[name] == {**service.settings.tags, "backup": "daily"}


def test_a_tag_that_was_changed_or_lost_outside_is_put_back(service: Service) -> None:
    aws = service.account.aws()
    service.overrides = FIRST
    service.up()
    arn = service.settings.function_arn("random_forest")
    put_tag(aws, arn, "team", "sales")
    aws.call("lambda", "untag_resource", Resource=arn, TagKeys=["cost-center", TAG_LIST])
    (change,) = service.plan().effective
    assert {place.path for place in change.fields} == {
        "tags.team",
        "tags.cost-center",
        "tags.deployer:tags",
    }
    service.account.calls.clear()
    service.up()
    assert writes(service) == ["TagResource"]
    assert tagged(aws)[arn] == service.settings.all_tags


def test_a_run_that_ends_between_removal_and_tagging_loses_no_tag(service: Service) -> None:
    """GEN-17: the list still names what was taken away, so the next run knows whose it was."""
    aws = service.account.aws()
    service.overrides = FIRST
    service.up()
    arn = service.settings.function_arn("random_forest")
    aws.call("lambda", "untag_resource", Resource=arn, TagKeys=["cost-center"])
    service.overrides = {"own_tags": {}}
    service.up()
    assert tagged(aws)[arn] == service.settings.tags


def test_tags_of_ones_own_are_no_mark(service: Service) -> None:
    """What is ours stays ours, whichever tags it was created with; `down` finds it."""
    service.overrides = FIRST
    service.up()
    service.overrides = THEN
    assert all(change.action.value == "delete" for change in service.down().effective)
    assert tagged(service.account.aws()) == {}
