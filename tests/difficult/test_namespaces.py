"""The bucket in the account's own namespace (S3-18), and a change of it in a service that runs."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.errors import ConfigError
from tests.support.deployments import Service
from tests.support.wire import Call

OWN: dict[str, Any] = {"bucket_namespace": "account-regional"}
GLOBAL = "inference-dev-123456789012-us-east-1"
REGIONAL = f"{GLOBAL}-an"


def buckets(aws: Aws) -> list[str]:
    return sorted(bucket["Name"] for bucket in aws.call("s3", "list_buckets")["Buckets"])


def files(aws: Aws, bucket: str) -> set[str]:
    listed = aws.pages("s3", "list_objects_v2", "Contents", Bucket=bucket)
    return {item["Key"] for item in listed}


def creations(service: Service) -> list[Call]:
    return [call for call in service.account.calls if call.operation == "CreateBucket"]


def read_from(aws: Aws) -> set[str]:
    """Return the buckets whose models the functions may read."""
    answer = aws.call(
        "iam",
        "get_role_policy",
        RoleName="inference-dev-us-east-1-functions",
        PolicyName="models",
    )
    statement = answer["PolicyDocument"]["Statement"][0]
    return {arn.split(":::")[1].removesuffix("/models/*") for arn in statement["Resource"]}


def test_a_new_service_gets_a_bucket_that_nobody_else_can_ever_have(service: Service) -> None:
    aws = service.account.aws()
    service.overrides = OWN
    service.up()
    assert buckets(aws) == [REGIONAL] and read_from(aws) == {REGIONAL}
    (creation,) = creations(service)
    assert creation.headers["x-amz-bucket-namespace"] == b"account-regional"
    assert service.plan().is_empty
    service.down()
    assert buckets(aws) == []


def test_the_shared_namespace_is_not_named_and_its_plan_asks_for_one_bucket_alone(
    service: Service,
) -> None:
    service.up()
    service.plan()
    assert "x-amz-bucket-namespace" not in creations(service)[0].headers
    assert not any(REGIONAL in call.url for call in service.account.calls)


@pytest.mark.parametrize(
    ("first", "then"), [({}, OWN), (OWN, {})], ids=["to the own", "back from it"]
)
def test_a_change_makes_another_bucket_and_leaves_the_former_releases_theirs(
    service: Service, first: dict[str, Any], then: dict[str, Any]
) -> None:
    aws = service.account.aws()
    former, new = (REGIONAL, GLOBAL) if first else (GLOBAL, REGIONAL)
    service.overrides = first
    service.up()
    models = files(aws, former)
    service.overrides = then
    plan = service.plan()
    (bucket,) = (change for change in plan.effective if change.key == "bucket")
    assert bucket.action.value == "create" and not plan.destructive
    assert bucket.note == (
        f"the models of former releases stay in the bucket {former}, which they read"
    )
    service.account.calls.clear()
    service.up()
    assert buckets(aws) == [GLOBAL, REGIONAL] and files(aws, new) == files(aws, former) == models
    assert read_from(aws) == {GLOBAL, REGIONAL}
    # What is live until the switch may start a function at any moment.
    written = [call.operation for call in service.account.calls if call.writes]
    assert written.index("PutRolePolicy") < written.index("UpdateFunctionConfiguration")
    assert service.plan().is_empty
    service.rollback()
    assert read_from(aws) == {GLOBAL, REGIONAL} and files(aws, former) == models
    service.down()
    assert buckets(aws) == []


def test_a_rollback_is_refused_once_the_former_bucket_was_deleted(service: Service) -> None:
    from deployer.errors import ReleaseUnavailable

    aws = service.account.aws()
    service.up()
    service.up(**OWN)
    for key in files(aws, GLOBAL):
        aws.call("s3", "delete_object", Bucket=GLOBAL, Key=key)
    service.overrides = OWN
    with pytest.raises(ReleaseUnavailable, match=rf"the file models/.* is gone from {GLOBAL}\b"):
        service.rollback()


def test_down_passes_over_a_bucket_of_the_other_name_that_is_somebody_elses(
    service: Service,
) -> None:
    """In the shared namespace, anybody may have it."""
    aws = service.account.aws()
    service.overrides = OWN
    service.up()
    aws.call("s3", "create_bucket", Bucket=GLOBAL)
    aws.call("s3", "put_object", Bucket=GLOBAL, Key="theirs", Body=b"")
    plan = service.down()
    assert "bucket/former" not in {change.key for change in plan.effective}
    assert buckets(aws) == [GLOBAL] and files(aws, GLOBAL) == {"theirs"}


def test_a_name_that_is_too_long_only_there_is_refused_with_the_way_out(service: Service) -> None:
    service.overrides = {"service": "a" * 24, "stage": "b" * 9}
    long = service.settings
    here = {"account": "1" * 12, "partition": "aws", "region": "eu-central-1"}
    assert len(long.located(**{**here, "account": long.account}).bucket) == 60
    service.overrides |= {"stage": "b" * 10, **OWN}
    with pytest.raises(ConfigError, match="or set bucket_namespace = global"):
        service.settings.located(**{**here, "account": long.account})
