"""A rehearsal finds what AWS would refuse, in the words of its own models, and calls nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.project.settings import Settings, load_settings
from deployer.resources.base import Resource
from deployer.service import declare
from deployer.service.permissions import functions_policies, workflow_policies
from deployer.service.rehearsal import rehearse
from deployer.service.release import load_release


@pytest.fixture
def settings(project: Path) -> Settings:
    found = load_settings(project, {}, {}).located(
        account="123456789012", partition="aws", region="eu-central-1"
    )
    return replace(found, bare=True)


@pytest.fixture
def resources(settings: Settings) -> dict[str, Resource]:
    return {each.key: each for each in declare.declare(settings, load_release(settings))}


@pytest.fixture
def aws() -> Aws:
    recorded: list[Any] = []
    made = Aws(
        region="eu-central-1", credentials=("a", "b"), record=lambda *call: recorded.append(call)
    )
    made.client("s3").meta.events.register(
        "before-send", lambda **_: pytest.fail("a call was made")
    )
    return made


def test_what_is_shipped_is_within_all_limits(
    aws: Aws, settings: Settings, resources: dict[str, Resource]
) -> None:
    assert rehearse(aws, settings, resources.values()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"api": "rest"},
        {"api": "rest", "auth": "key", "key_quota": "100 per week"},
        {"auth": "jwt", "jwt_issuer": "https://issuer.example", "jwt_audience": ("a",)},
        {"auth": "iam", "alarm_email": "ops@example.com"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_what_settings_add_is_within_all_limits_and_needs_no_account(
    aws: Aws, settings: Settings, changes: dict[str, Any]
) -> None:
    more = replace(settings, **changes)
    assert rehearse(aws, more, declare.declare(more, load_release(more))) == []


def test_a_region_that_is_newer_than_botocore_is_within_all_limits(settings: Settings) -> None:
    newer = replace(settings, region="ap-south-99")
    aws = Aws(region="ap-south-99", credentials=("a", "b"))
    assert rehearse(aws, newer, declare.declare(newer, load_release(newer))) == []


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("function/random_forest", {"description": "x" * 300},
     "CreateFunction.Description: 300 characters, but AWS takes no more than 256"),
    ("function/random_forest", {"memory_mb": 64}, "CreateFunction.MemorySize: 64, but AWS takes "
                                                  "no less than 128"),
    ("function/random_forest", {"tracing": "On"}, "CreateFunction.TracingConfig.Mode: 'On' is "
                                                  "none of Active, PassThrough"),
    ("function/random_forest", {"environment": {"1A": "x"}},
     "CreateFunction.Environment.Variables key 1A: '1A' does not match AWS's pattern "
     "[a-zA-Z]([a-zA-Z0-9_])+"),
    ("function/random_forest", {"timeout_s": "7"}, "CreateFunction.Timeout: '7' is no integer"),
    ("role/api", {"description": "a\u2028b"}, "CreateRole.Description: 'a\\u2028b' does not "
                                              "match AWS's pattern"),
    ("role/api", {"policies": {"start": {"Statement": ["x" * 11000]}}},
     "its inline policies have 11018 characters together; IAM's limit is 10240"),
    ("role/api", {"trust": {"Statement": ["x" * 2100]}},
     "its trust policy has 2118 characters; IAM's limit is 2048"),
    ("logs/api", {"retention_days": None}, ""),
    ("workflow", {"definition": {"Comment": "x" * 2**20}},
     "CreateStateMachine.definition: 1048590 characters, but AWS takes no more than 1048576"),
    ("workflow", {"type": "FAST"}, "CreateStateMachine.type: 'FAST' is none of STANDARD, EXPRESS"),
    ("repository", {"tag_mutability": "NEVER"}, "CreateRepository.imageTagMutability: 'NEVER' is "
                                                "none of"),
    ("bucket", {"object_ownership": "Mine"}, "CreateBucket.ObjectOwnership: 'Mine' is none of "
                                             "BucketOwnerPreferred"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "fields", "expected"),
    CASES,
    ids=[f"{key}-{list(fields)[0]}" for key, fields, _ in CASES],
)
def test_a_value_beyond_aws_limits_is_named(
    aws: Aws,
    settings: Settings,
    resources: dict[str, Resource],
    key: str,
    fields: dict[str, Any],
    expected: str,
) -> None:
    """GEN-7: botocore itself would send most of these."""
    resource = resources[key]
    resource.fields = {**resource.fields, **fields}
    found = rehearse(aws, settings, [resource])
    if not expected:
        assert found == []
        return
    assert any(line.startswith(f"{key}: ") and expected in line for line in found), found


def test_an_access_log_that_api_gateway_would_refuse_is_named(
    aws: Aws, settings: Settings, resources: dict[str, Resource]
) -> None:
    """Api-29."""
    api = resources["api"]
    for text in ("$context.path", "$context.requestId" + "x" * 3072):
        stage = {**api.fields["stage"], "access_log": {"destination": "arn", "format": text}}
        api.fields = {**api.fields, "stage": stage}
        assert "$context.requestId and at most 3072 bytes" in rehearse(aws, settings, [api])[-1]


def test_everything_is_found_at_once(
    aws: Aws, settings: Settings, resources: dict[str, Resource]
) -> None:
    resources["workflow"].fields = {**resources["workflow"].fields, "type": "FAST"}
    role = resources["role/api"]
    role.fields = {**role.fields, "policies": {"start": {"Statement": ["x" * 11000]}}}
    assert len(rehearse(aws, settings, resources.values())) == 2


def test_a_model_that_changed_since_is_named(
    aws: Aws, settings: Settings, resources: dict[str, Resource]
) -> None:
    (settings.project / "models" / "random_forest.joblib").write_bytes(b"other")
    (found,) = rehearse(aws, settings, resources.values())
    assert "random_forest.joblib changed while it was being deployed" in found


def test_the_policies_of_many_functions_fit(aws: Aws, settings: Settings) -> None:
    """Iam-11, Lambda-23: each function by name, until so many would not fit."""
    few = workflow_policies(settings, [f"model{number}" for number in range(20)])
    assert len(few["invoke"]["Statement"][0]["Resource"]) == 40
    many = workflow_policies(settings, [f"model{number}" for number in range(500)])
    assert many["invoke"]["Statement"][0]["Resource"] == [
        "arn:aws:lambda:eu-central-1:123456789012:function:inference-dev-*"
    ]
    logs = functions_policies(settings, [f"model{number}" for number in range(500)])["logs"]
    assert logs["Statement"][0]["Resource"] == [
        "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/inference-dev-*:*"
    ]
