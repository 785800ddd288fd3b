"""The policies of callers: narrow, within IAM's size, and such that a linter finds nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from moto.iam.policy_validation import IAMTrustPolicyDocumentValidator

from deployer.cli import VERBS as COMMANDS
from deployer.project.settings import Settings, load_settings
from deployer.service.declare import roles
from deployer.service.github import Workflows, is_name, is_repository, trust
from deployer.service.permissions import KINDS
from deployer.service.scopes import UNSCOPED, is_known, scope
from deployer.service.verb_policies import LIMIT, VERBS, _split, policies, size, writes
from tests.support.linting import findings
from tests.support.projects import ROOT

OFFLINE = {
    "init",
    "add",
    "remove",
    "image",
    "env",
    "config",
    "openapi",
    "page",
    "policy",
}  # these call no AWS


@pytest.fixture
def settings() -> Settings:
    settings = load_settings(ROOT, {}, {})
    return replace(settings, account="*", region="eu-central-1")


def statements(documents: Any) -> dict[str, Any]:
    return {
        statement["Sid"]: statement for document in documents for statement in document["Statement"]
    }


def test_a_topic_of_the_settings_is_asked_and_nothing_else_of_other_peoples(
    settings: Settings,
) -> None:
    pager = "arn:aws:sns:eu-central-1:222222222222:pager"
    for verb in ("up", "check", "status"):
        named = statements(policies(replace(settings, alarm_topic=pager), verb))["NamedTopic"]
        assert named["Action"] == ["sns:GetTopicAttributes"] and named["Resource"] == [pager]
        assert "NamedTopic" not in statements(policies(settings, verb))


def test_every_command_has_a_policy_or_calls_no_aws() -> None:
    assert set(VERBS) == set(COMMANDS) - OFFLINE


def test_every_action_that_a_kind_states_has_a_scope() -> None:
    """If this fails for a new action: a line in service/scopes.py says on what it is granted."""
    stated = {
        action
        for kind in KINDS
        for group in (kind.reads, kind.finds or (), kind.writes, kind.deletes)
        for action in group
    }
    stated |= {action for verb in VERBS.values() for action in verb.actions}
    assert {action for action in stated if not is_known(action)} == set()


def test_a_kind_that_passes_a_role_says_to_whom() -> None:
    for kind in KINDS:
        assert ("iam:PassRole" in kind.writes) == bool(kind.passed_to), kind


@pytest.mark.parametrize("account", ["*", "123456789012"])
@pytest.mark.parametrize("verb", [None, *VERBS])
def test_a_linter_finds_nothing_in_a_policy(
    settings: Settings, verb: str | None, account: str
) -> None:
    for boundary in (None, "arn:aws:iam::123456789012:policy/limit"):
        bounded = replace(settings, account=account, permissions_boundary=boundary)
        for document in policies(bounded, verb):
            assert findings(document) == []


def test_a_linter_finds_nothing_in_the_roles(settings: Settings) -> None:
    located = replace(settings, account="123456789012", tracing=True)
    for role in roles(located, ["random_forest", "other"]):
        for document in role.fields["policies"].values():
            assert findings(document) == []


def test_the_linter_finds_what_is_wrong() -> None:
    wrong = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::bucket"]},
            {"Effect": "Allow", "Action": ["lambda:Invoke"], "Resource": ["*"]},
        ],
    }
    kinds = {finding.partition(":")[0] for finding in findings(wrong)}
    assert {"RESOURCE_MISMATCH", "UNKNOWN_ACTION"} <= kinds


def test_only_what_iam_cannot_narrow_is_granted_on_everything(settings: Settings) -> None:
    for sid, statement in statements(policies(settings)).items():
        if statement["Resource"] != ["*"]:
            assert "*" not in statement["Resource"]
        elif sid == "Account":
            assert statement["Action"] == ["iam:GetAccountSummary"]
        else:
            assert set(statement["Action"]) <= set(UNSCOPED)
            region = {"aws:RequestedRegion": "eu-central-1"}
            assert statement["Condition"] == {"StringEquals": region}


def test_roles_are_passed_to_their_own_services_alone(settings: Settings) -> None:
    """PERM-14."""
    passing = {
        sid: (statement["Resource"], statement["Condition"])
        for sid, statement in statements(policies(settings, "up")).items()
        if "iam:PassRole" in statement["Action"]
    }
    services = {"Functions": "lambda", "Workflow": "states", "Api": "apigateway"}
    assert passing == {
        f"Pass{user}Role": (
            [f"arn:aws:iam::*:role/inference-dev-eu-central-1-{user.lower()}"],
            {"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}},
        )
        for user, service in services.items()
    }
    assert "PassWorkflowRole" in statements(policies(settings, "rollback"))
    assert "PassApiRole" not in statements(policies(settings, "rollback"))
    for verb in ("plan", "check", "invoke", "releases", "down"):
        assert "iam:PassRole" not in json.dumps(policies(settings, verb))


def test_a_permissions_boundary_is_a_condition_and_is_not_taken_away(settings: Settings) -> None:
    """PERM-21."""
    limit = "arn:aws:iam::123456789012:policy/limit"
    bounded = statements(policies(replace(settings, permissions_boundary=limit), "up"))
    assert bounded["BoundedRoles"]["Action"] == [
        "iam:CreateRole",
        "iam:PutRolePermissionsBoundary",
    ]
    condition = {"ArnEquals": {"iam:PermissionsBoundary": limit}}
    assert bounded["BoundedRoles"]["Condition"] == condition
    assert "iam:DeleteRolePermissionsBoundary" not in bounded["Roles"]["Action"]
    free = statements(policies(settings, "up"))
    assert "BoundedRoles" not in free and "iam:CreateRole" in free["Roles"]["Action"]
    assert "iam:PutRolePermissionsBoundary" not in free["Roles"]["Action"]


def test_signing_in_to_the_registry_is_for_an_engine_alone(settings: Settings) -> None:
    login = "ecr:GetAuthorizationToken"
    assert login in json.dumps(policies(settings, "up"))
    assert login not in json.dumps(policies(replace(settings, builder="direct"), "up"))


def test_api_keys_are_for_services_that_have_some(settings: Settings) -> None:
    for verb in ("plan", "check", "status", "invoke", "releases"):
        assert "/apikeys" not in json.dumps(policies(settings, verb)), verb
    assert "/apikeys" not in json.dumps(statements(policies(settings, "up"))["MakeApis"])
    assert "restapis" not in json.dumps(policies(settings, "keys"))
    keyed = policies(replace(settings, api="rest", auth="key"))
    assert "/usageplans/*" in json.dumps(keyed)
    assert [finding for document in keyed for finding in findings(document)] == []


def test_objects_beside_the_models_are_for_those_who_may_set_the_buckets_policy_alone(
    settings: Settings,
) -> None:
    bucket = "arn:aws:s3:::inference-dev-*-eu-central-1"
    for verb in ("plan", "check", "rollback", "promote", "down"):
        models = statements(policies(settings, verb))["Models"]
        # `down` looks for the bucket of the other namespace, too.
        named = [bucket, f"{bucket}-an"] if verb == "down" else [bucket]
        assert models["Resource"] == [f"{name}/models/*" for name in named], verb
    assert statements(policies(settings, "up"))["Models"]["Resource"] == [f"{bucket}/*"]


def test_an_action_without_a_line_is_granted_in_the_region(settings: Settings) -> None:
    found = scope(settings, "unheard:Of", (), ("up",))
    assert (found.resources, is_known("unheard:Of")) == (("*",), False)
    assert found.condition == {"StringEquals": {"aws:RequestedRegion": "eu-central-1"}}


def test_a_policy_that_is_too_long_is_split_and_loses_nothing(settings: Settings) -> None:
    long = replace(settings, service="s" * 24, stage="t" * 12, account="1" * 12)
    whole = policies(long)
    assert len(whole) > 1 and all(size(document) <= LIMIT for document in whole)
    assert all(findings(document) == [] for document in whole)
    short = policies(settings, "plan")
    assert len(short) == 1
    named = [action for one in whole for part in one["Statement"] for action in part["Action"]]
    every = {action for verb in VERBS for one in policies(long, verb) for action in _actions(one)}
    assert set(named) == every
    assert _split([]) == [{"Version": "2012-10-17", "Statement": []}]


def _actions(document: Any) -> list[str]:
    return [action for statement in document["Statement"] for action in statement["Action"]]


# GitHub Actions


@pytest.mark.parametrize(
    ("workflows", "subject"),
    [
        (Workflows("octo/shop"), "repo:octo/shop:ref:refs/heads/main"),
        (Workflows("octo/shop", branch="release/2"), "repo:octo/shop:ref:refs/heads/release/2"),
        (Workflows("octo/shop", environment="prod"), "repo:octo/shop:environment:prod"),
        (Workflows("octo/shop", environment="eu:prod"), "repo:octo/shop:environment:eu%3Aprod"),
        (Workflows("octo/shop", pull_requests=True), "repo:octo/shop:pull_request"),
    ],
)
def test_the_trust_policy_names_exactly_the_runs(
    settings: Settings, workflows: Workflows, subject: str
) -> None:
    located = replace(settings, account="123456789012", partition="aws-us-gov")
    (statement,) = trust(located, workflows)["Statement"]
    issuer = "token.actions.githubusercontent.com"
    assert statement["Principal"] == {
        "Federated": f"arn:aws-us-gov:iam::123456789012:oidc-provider/{issuer}"
    }
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subject}
    }
    # parliament knows no providers of OpenID Connect, so moto judges the form.
    IAMTrustPolicyDocumentValidator(json.dumps(trust(located, workflows))).validate()


@pytest.mark.parametrize(
    "text", ["shop", "octo/*", "octo/shop/more", "-octo/shop", "octo /shop", ""]
)
def test_what_names_no_repository_is_refused(text: str) -> None:
    assert not is_repository(text)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("main", True), ("feature/a-b", True), ("two words", True), ("*", False), ("a?", False)]
    + [("", False), (" main", False), ("a\nb", False)],
)
def test_a_branch_or_environment_is_one_name(text: str, is_one: bool) -> None:
    assert is_name(text) is is_one


def test_the_verbs_that_may_write_are_known(settings: Settings) -> None:
    for auth in ("none", "iam"):
        own = replace(settings, auth=auth)
        found = {verb for verb in VERBS if writes(policies(own, verb))}
        assert found == {"up", "keys", "rollback", "promote", "down"}
