"""Resources of others are named and left alone by every command; untagged ones of ours are adopted
on request.

`down` proves that nothing of ours is left.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest

from deployer.aws.access import Aws
from deployer.engine.plan import Action
from deployer.errors import ApplyFailed, ForeignResource, NotSettled
from tests.support.deployments import Service
from tests.support.picture import differences, picture
from tests.support.thinning import thinned
from tests.support.troubles import Always, Script
from tests.support.wire import Answer, Call, Forward, refusal

NAME = "inference-dev"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}],
    }
)
TAGS = ["deployer:service", "deployer:stage", "deployer:managed-by"]


def untag_bucket(aws: Aws) -> None:
    aws.call("s3", "delete_bucket_tagging", Bucket=f"{NAME}-123456789012-us-east-1")


def untag_repository(aws: Aws) -> None:
    aws.call(
        "ecr",
        "untag_resource",
        resourceArn=f"arn:aws:ecr:us-east-1:123456789012:repository/{NAME}",
        tagKeys=TAGS,
    )


def untag_logs(aws: Aws) -> None:
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/{NAME}-random-forest"
    aws.call("logs", "untag_resource", resourceArn=arn, tagKeys=TAGS)


def untag_role(aws: Aws) -> None:
    aws.call("iam", "untag_role", RoleName=f"{NAME}-us-east-1-workflow", TagKeys=TAGS)


def untag_function(aws: Aws) -> None:
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{NAME}-random-forest"
    aws.call("lambda", "untag_resource", Resource=arn, TagKeys=TAGS)


def untag_workflow(aws: Aws) -> None:
    arn = f"arn:aws:states:us-east-1:123456789012:stateMachine:{NAME}"
    aws.call("stepfunctions", "untag_resource", resourceArn=arn, tagKeys=TAGS)


def untag_api(aws: Aws) -> None:
    (api,) = aws.call("apigatewayv2", "get_apis")["Items"]
    arn = f"arn:aws:apigateway:us-east-1::/apis/{api['ApiId']}"
    aws.call("apigatewayv2", "untag_resource", ResourceArn=arn, TagKeys=TAGS)


UNTAG: dict[str, Callable[[Aws], None]] = {
    "bucket": untag_bucket,
    "repository": untag_repository,
    "logs/random_forest": untag_logs,
    "role/workflow": untag_role,
    "function/random_forest": untag_function,
    "workflow": untag_workflow,
    "api": untag_api,
}


@pytest.mark.slow(every=4)
@pytest.mark.parametrize("key", UNTAG)
def test_what_lost_its_tags_is_refused_and_taken_over_only_when_asked(
    service: Service, key: str
) -> None:
    service.up()
    account = service.account
    expected = picture(account.aws())
    UNTAG[key](account.aws())
    untagged = picture(account.aws())
    for refusing in (service.up, service.plan):
        with pytest.raises(ForeignResource, match="does not carry this service's tags") as caught:
            refusing()
        assert "--adopt" in caught.value.advice
    assert differences(picture(account.aws()), untagged) == []
    plan = service.plan(adopt=True)
    assert (
        [change.key for change in plan.adopting]
        == [change.key for change in plan.effective]
        == [key]
    )
    assert {field.path for field in plan.adopting[0].fields} == {f"tags.{tag}" for tag in TAGS}
    assert all(field.before is None for field in plan.adopting[0].fields)
    service.up(adopt=True)
    assert differences(picture(account.aws()), expected) == []
    tagged = [
        unquote(call.url)
        for call in account.calls
        if (call.service, call.operation) == ("apigatewayv2", "TagResource")
    ]
    assert bool(tagged) == (key == "api")
    assert all("apigateway:us-east-1::/apis/" in url for url in tagged)  # Api-4: no account id


@pytest.mark.slow(every=4)
@pytest.mark.parametrize("key", UNTAG)
def test_down_leaves_what_lost_its_tags_deletes_the_rest_and_says_so(
    service: Service, key: str
) -> None:
    service.up()
    aws = service.account.aws()
    UNTAG[key](aws)
    with pytest.raises(NotSettled, match="does not carry this service's tags, and was left alone"):
        service.down()
    left = picture(aws)
    remaining = [
        f"{kind}/{name}"
        for kind in left
        for name in (left[kind] if isinstance(left[kind], dict) else ["api"] * len(left[kind]))
    ]
    assert len(remaining) == 1, remaining
    with pytest.raises(NotSettled):
        service.down()


def test_what_belongs_to_another_service_is_not_taken_over_even_when_asked(
    service: Service,
) -> None:
    aws = service.account.aws()
    tags = [{"Key": "deployer:service", "Value": "other"}]
    aws.call(
        "iam",
        "create_role",
        RoleName=f"{NAME}-us-east-1-api",
        AssumeRolePolicyDocument=TRUST,
        Tags=tags,
    )
    before = picture(aws)
    with pytest.raises(ForeignResource, match="belongs to"):
        service.up(adopt=True)
    assert differences(picture(aws), before) == []


def test_a_bucket_of_another_account_stops_up_and_is_passed_over_by_down(service: Service) -> None:
    """S3-3, S3-4, S3-5, TEST-17."""
    service.up()
    denied = [
        Always("GetBucketTagging", "AccessDenied", "Access Denied", 403),
        Always("ListObjectsV2", "AccessDenied", "Access Denied", 403),
        Always("HeadObject", "403", "Forbidden", 403),
    ]
    service.account.troubles = denied
    service.account.calls.clear()
    with pytest.raises(ForeignResource, match="belongs to another account"):
        service.up()
    assert not any(call.writes for call in service.account.calls)
    with pytest.raises(NotSettled, match="S3 bucket .* belongs to another account"):
        service.down()
    left = picture_without_troubles(service)
    assert (
        list(left["buckets"]) and not left["functions"] and not left["roles"] and not left["apis"]
    )


def picture_without_troubles(service: Service) -> dict[str, Any]:
    service.account.troubles = []
    return picture(service.account.aws())


def test_a_role_with_foreign_policies_is_kept_and_the_rest_goes(service: Service) -> None:
    """Iam-9, Iam-10, TEST-20."""
    service.up()
    aws = service.account.aws()
    policy = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    role = f"{NAME}-us-east-1-functions"
    try:
        aws.call("iam", "create_policy", PolicyName="foreign", PolicyDocument=POLICY)
        policy = "arn:aws:iam::123456789012:policy/foreign"
        aws.call("iam", "attach_role_policy", RoleName=role, PolicyArn=policy)
        assert service.plan().is_empty
        with pytest.raises(
            ApplyFailed, match=f"{role} has policies attached that are not ours: {policy}"
        ):
            service.down()
        assert list(picture(aws)["roles"]) == [role] and picture(aws)["functions"] == {}
        aws.call("iam", "detach_role_policy", RoleName=role, PolicyArn=policy)
        service.down()
        assert picture(aws)["roles"] == {}
    finally:
        aws.find(("NoSuchEntity",), "iam", "delete_policy", PolicyArn=policy)


def test_a_repository_with_somebody_elses_images_is_kept_and_the_rest_goes(
    service: Service,
) -> None:
    service.up()
    aws = service.account.aws()
    manifest = aws.call(
        "ecr", "batch_get_image", repositoryName=NAME, imageIds=[{"imageTag": tag_of(aws)}]
    )
    text = manifest["images"][0]["imageManifest"] + "\n"
    aws.call("ecr", "put_image", repositoryName=NAME, imageManifest=text, imageTag="theirs")
    assert service.plan().is_empty
    with pytest.raises(
        ApplyFailed, match=f"ECR repository {NAME} holds images that are not ours: theirs"
    ):
        service.down()
    left = picture(aws)
    assert list(left["repositories"]) == [NAME] and not left["functions"] and not left["buckets"]


def tag_of(aws: Aws) -> str:
    return str(next(aws.pages("ecr", "list_images", "imageIds", repositoryName=NAME))["imageTag"])


def test_a_bucket_with_somebody_elses_objects_is_kept_and_the_rest_goes(service: Service) -> None:
    service.up()
    aws = service.account.aws()
    bucket = service.settings.bucket
    aws.call("s3", "put_object", Bucket=bucket, Key="reports/2026.csv", Body=b"theirs")
    assert service.plan().is_empty
    with pytest.raises(ApplyFailed, match="holds objects of others: reports/"):
        service.down()
    left = picture(aws)
    assert [key for key, _ in left["buckets"][bucket]["objects"]] == [
        "reports/2026.csv"
    ] and not left["functions"]


def test_what_only_begins_like_our_names_is_neither_pruned_nor_deleted(service: Service) -> None:
    """A function and a log group under our prefix, without our tags: no undeclared ones of ours."""
    service.up()
    aws = service.account.aws()
    image = {"imageTag": tag_of(aws)}
    (found,) = aws.call("ecr", "describe_images", repositoryName=NAME, imageIds=[image])[
        "imageDetails"
    ]
    uri = f"{service.settings.repository_uri}@{found['imageDigest']}"
    theirs, group = f"{NAME}-theirs", f"/aws/lambda/{NAME}-theirs"
    role = service.settings.role_arn("functions")
    aws.call(
        "lambda",
        "create_function",
        FunctionName=theirs,
        PackageType="Image",
        Code={"ImageUri": uri},
        Role=role,
    )
    aws.call("logs", "create_log_group", logGroupName=group)
    assert service.plan().effective == ()
    service.up(tracing=True)
    service.down()
    left = picture(aws)
    assert list(left["functions"]) == [theirs] and list(left["groups"]) == [group]


def test_what_somebody_else_deleted_in_a_versioned_bucket_is_still_theirs(service: Service) -> None:
    service.up()
    aws, bucket = service.account.aws(), service.settings.bucket
    aws.call(
        "s3", "put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    aws.call("s3", "put_object", Bucket=bucket, Key="report.csv", Body=b"theirs")
    aws.call("s3", "delete_object", Bucket=bucket, Key="report.csv")
    with pytest.raises(ApplyFailed, match="holds objects of others: report.csv"):
        service.down()


def test_other_tags_and_undeclared_fields_are_left_alone(service: Service) -> None:
    """GEN-12; adoption keeps the tags of others as well, though S3 replaces the whole set."""
    service.up()
    aws = service.account.aws()
    bucket = service.settings.bucket
    theirs = {"Key": "team", "Value": "data"}
    aws.call("s3", "put_bucket_tagging", Bucket=bucket, Tagging={"TagSet": [theirs]})
    aws.call(
        "s3", "put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    aws.call("iam", "tag_role", RoleName=f"{NAME}-us-east-1-api", Tags=[theirs])
    service.up(adopt=True)
    tags = aws.call("s3", "get_bucket_tagging", Bucket=bucket)["TagSet"]
    assert theirs in tags and len(tags) == 4
    assert aws.call("s3", "get_bucket_versioning", Bucket=bucket)["Status"] == "Enabled"
    assert theirs in aws.call("iam", "get_role", RoleName=f"{NAME}-us-east-1-api")["Role"]["Tags"]
    assert service.plan().is_empty


def test_down_takes_versions_and_delete_markers_along(service: Service) -> None:
    """S3-7, S3-8."""
    service.up()
    aws = service.account.aws()
    bucket = service.settings.bucket
    aws.call(
        "s3", "put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    for _ in range(3):
        for key in ("models/old/x.joblib", "models/of-no-model"):
            aws.call("s3", "put_object", Bucket=bucket, Key=key, Body=b"1")
            aws.call("s3", "delete_object", Bucket=bucket, Key=key)
    assert len(list(aws.pages("s3", "list_object_versions", "DeleteMarkers", Bucket=bucket))) == 6
    service.down()
    assert picture(aws)["buckets"] == {}


def test_a_deletion_that_fails_inside_a_successful_answer_is_reported(service: Service) -> None:
    """S3-8, TEST-18."""
    service.up()

    def partly(call: Call, forward: Forward) -> Answer | None:
        if call.operation != "DeleteObjects":
            return None
        error = (
            "<Error><Key>models/x</Key><Code>InternalError</Code><Message>We "
            "failed</Message></Error>"
        )
        xml = (
            f'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{error}</DeleteResult>'
        )
        return Answer(200, {"Content-Type": "application/xml"}, xml.encode())

    service.account.troubles = [partly]
    with pytest.raises(ApplyFailed, match="models/x: We failed"):
        service.down()


def test_data_is_kept_when_asked_and_the_next_up_takes_it_up_again(service: Service) -> None:
    service.up()
    aws = service.account.aws()
    before = picture(aws)
    plan = service.down(keep_data=True)
    left = picture(aws)
    assert (
        differences(
            {name: left[name] for name in ("buckets", "groups")},
            {name: before[name] for name in ("buckets", "groups")},
        )
        == []
    )
    assert not any(left[name] for name in left if name not in ("buckets", "groups"))
    assert all(
        change.action is Action.NOOP
        for change in plan.changes
        if change.key.startswith(("logs/", "model/", "bucket"))
    )
    assert f"kept, with all that is in it: S3 bucket {service.settings.bucket}" in " ".join(
        service.told
    )
    assert "/aws/vendedlogs/states/inference-dev" in " ".join(service.told)
    service.up()
    after = picture(aws)
    assert (
        differences(after["buckets"], before["buckets"]) == []
        and after["groups"] == before["groups"]
    )
    service.down()
    assert not any(picture(aws).values())


def test_the_census_finds_what_carries_our_tags_under_another_name(service: Service) -> None:
    service.up()
    aws = service.account.aws()
    aws.call("logs", "create_log_group", logGroupName="/copied", tags=service.settings.tags)
    with pytest.raises(
        NotSettled, match="log-group:/copied.* carries this service's tags, but not its name"
    ):
        service.down()
    with pytest.raises(NotSettled, match="/copied"):
        service.down()
    aws.call("logs", "delete_log_group", logGroupName="/copied")


def test_a_census_by_tags_that_is_not_allowed_is_said_and_no_failure(service: Service) -> None:
    service.up()
    denied = (
        "AccessDeniedException",
        "User: u is not authorized to perform: tag:GetResources",
        400,
    )
    service.account.troubles = [Script({"GetResources": [denied]})]
    service.down()
    assert any("by names only" in text and "tag:GetResources" in text for text in service.told)


def test_two_runs_at_once_end_in_one_service(service: Service) -> None:
    """The other run does all of its work between two calls of ours; ours goes on with the result.

    By default after every thirtieth writing call, with TESTS=every after every fifth.
    """
    account = service.account
    service.up()
    expected = picture(account.aws())
    writes = sum(call.writes for call in account.calls)
    for after in thinned(range(0, writes, 5), every=6):
        account.reset()
        written = 0

        def overtake(call: Call, forward: Forward, last: int = after) -> Answer | None:
            nonlocal written
            written += call.writes
            if written == last + 1 and call.writes:
                account.troubles = []
                Service(account, service.project).up()
                account.troubles = [overtake]
            return None

        account.troubles = [overtake]
        service.events.clear()
        try:
            service.up()
        except ApplyFailed as error:  # the loser says what happened
            assert "another run" in error.message, error.message
        account.troubles = []
        if after < writes - 5:
            assert any("another run" in text for text in service.told) or after == 0
        service.up()
        assert differences(picture(account.aws()), expected) == [], (
            f"overtaken before call {after + 1}"
        )


def test_an_error_of_a_stranger_is_not_taken_for_ours(service: Service) -> None:
    """A foreign role that appears between plan and creation is refused by name, not updated."""

    def appearing(call: Call, forward: Forward) -> Answer | None:
        if call.operation == "CreateRole" and call.says(f"{NAME}-us-east-1-api"):
            service.account.troubles = []
            aws = service.account.aws()
            aws.call(
                "iam",
                "create_role",
                RoleName=f"{NAME}-us-east-1-api",
                AssumeRolePolicyDocument=TRUST,
            )
            return refusal("iam", "EntityAlreadyExists", "Role with name x already exists.", 409)
        return None

    service.account.troubles = [appearing]
    with pytest.raises(
        ApplyFailed, match=f"{NAME}-us-east-1-api already exists and does not carry"
    ):
        service.up()
    assert picture(service.account.aws())["roles"][f"{NAME}-us-east-1-api"]["policies"] == {}


def test_a_plan_that_makes_the_api_anew_tells_of_its_new_url(service: Service) -> None:
    """Not the first one, which makes everything."""
    assert not any(change.note for change in service.plan().changes)
    service.up()
    aws = service.account.aws()
    (api,) = aws.call("apigatewayv2", "get_apis")["Items"]
    aws.call("apigatewayv2", "delete_api", ApiId=api["ApiId"])
    notes = {change.key: change.note for change in service.plan().effective}
    assert notes == {"api": "the service gets a new URL, which its clients must be told"}
