"""`policy`: one JSON document on stdout, without account and server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deployer.service.verb_policies import VERBS
from tests.support.command_line import deployer

ACCOUNT = ("--account", "123456789012")
REGION = ("--region", "eu-central-1")


@pytest.mark.parametrize("verb", [None, *VERBS])
def test_the_document_is_iams_own(project: Path, verb: str | None) -> None:
    ran = deployer(project, "policy", *([verb] if verb else []), *REGION)
    document = json.loads(ran.out)
    is_one = "Version" in document
    for part in [document] if is_one else document.values():
        assert list(part) == ["Version", "Statement"] and part["Statement"]
    assert (ran.err == "") is is_one


def test_stage_account_region_and_partition_are_in_the_arns(project: Path) -> None:
    place = ("--stage", "prod", "--region", "us-gov-west-1")
    named = deployer(project, "policy", "plan", *place, *ACCOUNT).out
    assert "arn:aws-us-gov:s3:::inference-prod-123456789012-us-gov-west-1" in named
    assert "arn:aws-us-gov:lambda:us-gov-west-1:*:function:inference-prod-*" in (
        deployer(project, "policy", "plan", *place).out
    )
    local = deployer(project, "policy", "plan", "--local").out
    assert "arn:aws:lambda:us-east-1:123456789012:function:inference-dev-*" in local


def test_the_account_of_the_settings_counts_and_no_other(project: Path) -> None:
    own = {"DEPLOYER_ACCOUNT": "111111111111"}
    ran = deployer(project, "policy", "plan", *REGION, environment=own)
    assert "inference-dev-111111111111-eu-central-1" in ran.out
    ran = deployer(project, "policy", "plan", *REGION, *ACCOUNT, environment=own, code=1)
    assert "the settings name account 111111111111" in ran.err and ran.out == ""


def test_a_long_policy_comes_in_parts_and_says_so(project: Path) -> None:
    long = ("--service", "a" * 24, "--stage", "b" * 12, *REGION, *ACCOUNT)
    ran = deployer(project, "policy", *long)
    parts = json.loads(ran.out)
    assert list(parts) == ["policy", "policy-2"]
    assert "at most 6,144 characters" in ran.err and "policy, policy-2" in ran.err
    second = deployer(project, "policy", *long, "--part", "policy-2")
    assert json.loads(second.out) == parts["policy-2"]
    assert json.loads(deployer(project, "policy", *long, "--json").out) == {"parts": parts}
    missing = deployer(project, "policy", *long, "--part", "trust", code=2)
    assert "none of policy, policy-2" in missing.err


def test_both_documents_of_a_role_for_github(project: Path) -> None:
    place = ("plan", *REGION, *ACCOUNT, "--github", "octo/shop")
    reading = deployer(project, "policy", *place, "--pull-requests")
    assert reading.err == ""
    parts = json.loads(reading.out)
    assert list(parts) == ["trust", "policy"]
    assert "repo:octo/shop:pull_request" in json.dumps(parts["trust"])
    assert parts["policy"] == json.loads(deployer(project, "policy", "plan", *REGION, *ACCOUNT).out)
    production = deployer(project, "policy", *place, "--environment", "prod", "--part", "trust")
    assert "repo:octo/shop:environment:prod" in production.out


def test_a_role_of_pull_requests_that_may_write_is_a_warning(project: Path) -> None:
    """For one verb that writes, and for all of them."""
    github = ("--github", "octo/shop")
    for verbs in (("up",), ()):
        asked = ("policy", *verbs, *REGION, *ACCOUNT, *github)
        (line,) = [
            line
            for line in deployer(project, *asked, "--pull-requests").err.splitlines()
            if line.startswith("warning: ")
        ]
        assert "a pull request, whoever opens it, may change the service" in line
        assert line.endswith(f"plan {' '.join(ACCOUNT)} --github octo/shop --pull-requests")
        assert "warning" not in deployer(project, *asked, "--branch", "main").err


@pytest.mark.parametrize("verb", ["plan", "check", "status"])
def test_a_role_of_pull_requests_that_reads_api_keys_is_a_warning(project: Path, verb: str) -> None:
    asked = ("policy", verb, *REGION, *ACCOUNT, "--github", "octo/shop", "--pull-requests")
    keyed = {"DEPLOYER_API": "rest", "DEPLOYER_AUTH": "key"}
    assert "can read the values of API keys" in deployer(project, *asked, environment=keyed).err
    assert "warning" not in deployer(project, *asked).err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("init",), 2, "no command that calls AWS; these do: up, plan"),
        (("up", "--account", "12"), 2, "12 digits"),
        (("up", "--branch", "main"), 2, "--branch needs --github OWNER/REPO"),
        (("up", "--github", "shop", *ACCOUNT), 2, "must be OWNER/REPO"),
        (("up", "--github", "o/r", "--branch", "*", *ACCOUNT), 2, "no pattern is taken"),
        (
            ("up", "--github", "o/r", "--branch", "a", "--environment", "b", *ACCOUNT),
            2,
            "exclude each other",
        ),
        (("up", "--github", "o/r"), 1, "a trust policy names the account"),
    ],
)
def test_what_makes_no_policy_is_refused(
    project: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ran = deployer(project, "policy", *arguments, *REGION, code=code)
    assert said in ran.err and ran.out == ""


def test_without_a_region_it_says_where_to_name_one(project: Path) -> None:
    ran = deployer(project, "policy", "up", code=1)
    assert "no region" in ran.err and "--region" in ran.err
