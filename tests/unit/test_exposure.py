"""New access: what a plan must say aloud, and what it must not cry about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.engine.exposure import policy_widenings
from deployer.engine.plan import Action, State, make_plan
from deployer.project.settings import Settings
from deployer.resources.apigateway.apis import Access
from deployer.resources.iam import Role
from deployer.service import callers
from deployer.service.declare import api, rest_api, roles
from deployer.service.permissions import policy

ACCOUNT = {"AWS": ["123456789012"]}
LAMBDA = {"Service": ["lambda.amazonaws.com"]}
ASSUME = {"Effect": "Allow", "Principal": LAMBDA, "Action": "sts:AssumeRole"}
ONLY_HERE = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
TLS = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def allowing(**members: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", **members}


@pytest.mark.parametrize(
    "before, after, sentences",
    [
        ([], [allowing()], []),
        ([], [allowing(Principal=ACCOUNT)], []),
        ([], [allowing(Principal="*")], ["p allows anyone (*) s3:GetObject"]),
        ([], [allowing(Principal={"AWS": "*"})], ["p allows anyone (*) s3:GetObject"]),
        ([allowing(Principal="*")], [allowing(Principal="*")], []),
        ([allowing(Principal="*")], [allowing(Principal=ACCOUNT)], []),
        (
            [],
            [allowing(Principal="*", Condition=ONLY_HERE)],
            ["p allows anyone (*) s3:GetObject, if the condition on aws:SourceAccount holds"],
        ),
        ([], [allowing(NotPrincipal=ACCOUNT)], ["p allows anyone (*) s3:GetObject"]),
        ([allowing()], [allowing(Action="s3:Get*")], ["p allows actions by a wildcard: s3:Get*"]),
        ([], [allowing(Action="*")], ["p allows actions by a wildcard: *"]),
        (
            [],
            [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "x"}],
            ["p allows actions by a wildcard: everything but iam:*"],
        ),
        (
            [allowing()],
            [allowing(Resource="*")],
            ["p allows on every resource (*): s3:GetObject"],
        ),
        (
            [allowing()],
            [allowing(Resource="arn:aws:s3:::*")],
            ["p allows on every resource (*): s3:GetObject"],
        ),
        (
            [allowing(Resource="*")],
            [allowing(Resource="*", Action=["s3:GetObject", "s3:PutObject"])],
            ["p allows on every resource (*): s3:GetObject, s3:PutObject"],
        ),
        ([], [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}], []),
        ([TLS], [], ["p no longer denies s3:* to anyone"]),
        ([TLS], [{**TLS, "Resource": [*TLS["Resource"], "arn:aws:s3:::c"]}], []),
        (
            [TLS],
            [{**TLS, "Resource": "arn:aws:s3:::b"}],
            ["p no longer denies s3:* to anyone"],
        ),
        (
            [{**ASSUME, "Condition": ONLY_HERE}],
            [ASSUME],
            ["p drops or changes the condition StringEquals aws:SourceAccount to "
             "lambda.amazonaws.com"],
        ),
        ([ASSUME], [{**ASSUME, "Condition": ONLY_HERE}], []),
    ],
)  # fmt: skip
def test_policies(before: list[Any], after: list[Any], sentences: list[str]) -> None:
    old = {"p": policy(*before)} if before else None
    assert list(policy_widenings(old, {"p": policy(*after)})) == sentences


def test_a_policy_may_be_anywhere_and_a_field_may_be_absent() -> None:
    wide = policy(allowing(Resource="*"))
    after = {"policies": {"a": wide, "b": None}, "other": [wide]}
    (sentence,) = policy_widenings({"policies": None}, after)
    assert sentence.startswith("policies.a allows on every resource")
    (gone,) = policy_widenings({"policy": policy(TLS)}, {"policy": None})
    assert gone == "policy no longer denies s3:* to anyone"


SETTINGS = Settings(Path()).located(account="123456789012", partition="aws", region="eu-west-1")


def test_a_public_api_and_open_cors_are_said_once() -> None:
    resource = api(SETTINGS)
    public, cors = resource.widens(None, resource.fields)
    assert public == "anyone who knows the URL may call POST /"
    assert cors == "pages of every origin may call it (CORS *)"
    assert list(resource.widens(resource.fields, resource.fields)) == []
    with_iam = {
        **resource.fields,
        "route": {**resource.fields["route"], "authorization": "AWS_IAM"},
    }
    assert list(resource.widens(with_iam, resource.fields)) == [public]
    assert list(resource.widens(None, {**with_iam, "cors": None})) == []


def test_a_public_rest_api_and_open_cors_are_said_once() -> None:
    resource = rest_api(SETTINGS)
    public, cors = resource.widens(None, resource.fields)
    assert public == "anyone who knows the URL may call POST /"
    assert cors == "pages of every origin may call it (CORS *)"
    assert list(resource.widens(resource.fields, resource.fields)) == []
    methods: dict[str, Any] = dict(resource.fields["methods"])
    methods["POST /"] = {**methods["POST /"], "authorization": "AWS_IAM"}
    with_iam = {**resource.fields, "methods": methods}
    assert list(resource.widens(with_iam, resource.fields)) == [public]
    closed = rest_api(replace(SETTINGS, cors_origins=("https://a.example",)))
    assert list(closed.widens(with_iam, closed.fields)) == [public]
    assert list(resource.widens(closed.fields, resource.fields)) == [cors]


def test_a_permissions_boundary_that_goes_is_said() -> None:
    role = roles(SETTINGS, ["a"])[0]
    assert isinstance(role, Role)
    bounded = {**role.fields, "permissions_boundary": "arn:aws:iam::aws:policy/X"}
    assert list(role.widens(bounded, role.fields)) == ["the permissions boundary is removed"]
    assert list(role.widens(role.fields, bounded)) == list(role.widens(None, role.fields)) == []


def test_leaving_keys_or_signatures_is_new_access_and_a_key_authenticates_nobody() -> None:
    kinds = {
        auth: rest_api(replace(SETTINGS, api="rest", auth=auth)) for auth in ("none", "iam", "key")
    }

    def said(before: str, after: str) -> list[str]:
        return list(kinds[after].widens(kinds[before].fields, kinds[after].fields))

    public = "anyone who knows the URL may call POST /"
    assert said("key", "none") == said("iam", "none") == [public]
    assert said("none", "none") == said("none", "key") == said("key", "key") == []
    (metered,) = said("iam", "key")
    assert metered == "holders of an API key may call POST /; a key does not authenticate"
    assert said("none", "iam") == said("key", "iam") == []


def test_more_tokens_are_new_access() -> None:
    def api_with(issuer: str, audience: tuple[str, ...], scopes: tuple[str, ...]) -> Any:
        return api(
            replace(
                SETTINGS, auth="jwt", jwt_issuer=issuer, jwt_audience=audience, jwt_scopes=scopes
            )
        )

    base = api_with("https://a.example", ("a",), ("read",))

    def said(*values: Any) -> list[str]:
        after = api_with(*values)
        return list(after.widens(base.fields, after.fields))

    assert said("https://a.example", ("a",), ("read",)) == []
    assert said("https://b.example", ("a",), ("read",)) == [
        "tokens of another issuer are taken: https://b.example"
    ]
    assert said("https://a.example", ("a", "b"), ("read",)) == [
        "tokens for another audience are taken: b"
    ]
    assert said("https://a.example", ("a",), ()) == ["tokens without a scope are taken"]
    assert said("https://a.example", ("a",), ("read", "all")) == [
        "tokens with another scope are taken: all"
    ]
    holders = ["holders of tokens of https://a.example for a may call it"]
    signed = api(replace(SETTINGS, auth="iam"))
    assert list(base.widens(signed.fields, base.fields)) == holders
    assert list(base.widens(None, base.fields))[:1] == holders
    assert list(base.widens(api(SETTINGS).fields, base.fields)) == []  # it was public before
    narrow = list(base.widens(api_with("https://a.example", ("a", "b"), ()).fields, base.fields))
    assert narrow == []
    public = "anyone who knows the URL may call POST /"
    assert list(api(SETTINGS).widens(base.fields, api(SETTINGS).fields)) == [public]


def test_another_kind_of_api_in_its_place_is_compared_with_the_former_one() -> None:
    """Neither a public URL nor CORS * is news when only `api` is switched."""
    public = "anyone who knows the URL may call POST /"
    cors = "pages of every origin may call it (CORS *)"

    def said(former: Access, settings: Settings) -> list[str]:
        resource: Any = api(settings)
        state = State({"access": former})
        (change,) = make_plan([resource.desired()], {"api": None, resource.follows: state}).changes
        assert change.action is Action.CREATE and change.before is None
        return list(change.widens)

    wide = Access(open=["POST /"], every_origin=True)
    narrow = Access(open=[], every_origin=False)
    for kind in ("http", "rest"):
        settings = replace(SETTINGS, api=kind)
        assert said(wide, settings) == []
        assert said(narrow, settings) == [public, cors]
        assert said(Access(open=["GET /other"], every_origin=True), settings) == [public]
        assert said(Access(open=["POST /"], every_origin=False), settings) == [cors]
        assert said(wide, replace(settings, auth="iam")) == []
    keyed = replace(SETTINGS, api="rest", auth="key", cors_origins=())
    assert said(wide, keyed) == []
    (holders,) = said(narrow, keyed)
    assert holders.startswith("holders of an API key may call POST /")
    tokens = replace(
        SETTINGS, auth="jwt", jwt_issuer="https://a.example", jwt_audience=("a",), cors_origins=()
    )
    assert said(wide, tokens) == []
    assert said(narrow, tokens) == ["holders of tokens of https://a.example for a may call it"]


def metered(**settings: Any) -> Any:
    return callers.usage_plan(replace(SETTINGS, api="rest", auth="key", **settings))


DAILY = {"key_rate_limit": 10, "key_burst_limit": 20, "key_quota": "1000 per day"}


@pytest.mark.parametrize(
    "changes, sentences",
    [
        ({}, []),
        ({"key_rate_limit": 9, "key_burst_limit": 19, "key_quota": "999 per day"}, []),
        ({"key_rate_limit": 10.5}, ["10.5 requests a second, up from 10"]),
        ({"key_burst_limit": 5000}, ["5,000 requests at once, up from 20"]),
        ({"key_quota": "2000 per day"}, ["2,000 requests per day, up from 1,000 requests per day"]),
        ({"key_quota": None}, ["any number of requests, up from 1,000 requests per day"]),
        # A longer period with the same average lets all of it be used up on one day.
        (
            {"key_quota": "7000 per week"},
            ["7,000 requests per week, up from 1,000 requests per day"],
        ),
        ({"key_quota": "1000 per month"}, []),
    ],
)  # fmt: skip
def test_higher_limits_of_keys_are_more_access(
    changes: dict[str, Any], sentences: list[str]
) -> None:
    before, after = metered(**DAILY), metered(**{**DAILY, **changes})
    said = [f"each API key may make {sentence}" for sentence in sentences]
    assert list(after.widens(before.fields, after.fields)) == said
    assert list(after.widens(None, after.fields)) == []


def test_a_shorter_period_is_more_if_it_allows_more_on_average() -> None:
    weekly = metered(key_quota="7000 per week")
    daily = metered(key_quota="1000 per day")
    assert list(daily.widens(weekly.fields, daily.fields)) == []
    more = metered(key_quota="1001 per day")
    assert list(more.widens(weekly.fields, more.fields)) == [
        "each API key may make 1,001 requests per day, up from 7,000 requests per week"
    ]
    monthly = metered(key_quota="30000 per month")
    assert list(daily.widens(monthly.fields, daily.fields)) != []  # 30.4 days on average


def test_keys_that_work_again_are_more_access_and_foreign_ones_that_go_are_not() -> None:
    plan = metered()
    drifted = {
        **plan.fields,
        "stages": [],
        "loose_keys": ["inference-dev-alice"],
        "foreign_keys": [{"id": "k", "name": "mine"}],
        "throttle": None,
    }
    assert list(plan.widens(drifted, plan.fields)) == [
        "holders of its API keys may call the API again",
        "the API key inference-dev-alice is put back, so that it works again",
    ]
    only_foreign = {**plan.fields, "foreign_keys": [{"id": "k", "name": "mine"}]}
    assert list(plan.widens(only_foreign, plan.fields)) == []
    unlimited = {**plan.fields, "throttle": None}
    assert len(list(plan.widens(plan.fields, unlimited))) == 2
