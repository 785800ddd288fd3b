"""IAM's rules of evaluation: what policies say of a request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployer.local.evaluation import Request, Verdict, verdict
from deployer.local.signed import Asked, asked, refusal

ARN = "arn:aws:s3:::bucket/models/a"
ALLOWED, DENIED, NEUTRAL = Verdict.ALLOWED, Verdict.DENIED, Verdict.NEUTRAL


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    whole = [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"} | one for one in statements
    ]
    return {"Version": "2012-10-17", "Statement": whole}


def judge(statement: dict[str, Any], **request: Any) -> Verdict:
    values = {"action": "s3:GetObject", "resource": ARN} | request
    return verdict([policy(statement)], Request(**values))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({}, ALLOWED),
        ({"Action": "s3:PutObject"}, NEUTRAL),
        ({"Action": ["s3:PutObject", "s3:Get*"]}, ALLOWED),
        ({"Action": "S3:getobject"}, ALLOWED),
        ({"Action": "s3:GetObjec?"}, ALLOWED),
        ({"Action": "s3:Get"}, NEUTRAL),
        ({"Resource": "arn:aws:s3:::bucket/models/*"}, ALLOWED),
        ({"Resource": "arn:aws:s3:::bucket/Models/*"}, NEUTRAL),
        ({"Resource": "arn:aws:s3:::bucket"}, NEUTRAL),
        ({"Resource": "arn:aws:s3:*"}, NEUTRAL),  # a wildcard stays in its part
        ({"Resource": ["arn:aws:sqs:::bucket/models/a", ARN]}, ALLOWED),
        ({"Effect": "Deny"}, DENIED),
        ({"Effect": "Deny", "Action": "s3:PutObject"}, NEUTRAL),
    ],
)
def test_actions_and_resources(statement: dict[str, Any], expected: Verdict) -> None:
    assert judge(statement) is expected


def test_what_is_named_by_negation() -> None:
    action, resource = {"Effect": "Deny", "Resource": "*"}, {"Effect": "Allow", "Action": "*"}
    not_action = {"Statement": [action | {"NotAction": "s3:GetObject"}]}
    not_resource = {"Statement": resource | {"NotResource": "arn:aws:s3:::bucket/models/*"}}
    assert verdict([not_action], Request("s3:GetObject", ARN)) is NEUTRAL
    assert verdict([not_action], Request("s3:PutObject", ARN)) is DENIED
    assert verdict([not_resource], Request("s3:GetObject", ARN)) is NEUTRAL
    assert verdict([not_resource], Request("s3:GetObject", "arn:aws:s3:::other/a")) is ALLOWED


def test_a_denial_outweighs_every_permission() -> None:
    both = [policy({}), policy({"Effect": "Deny", "Resource": "arn:aws:s3:::bucket/*"})]
    assert verdict(both, Request("s3:GetObject", ARN)) is DENIED
    assert verdict(reversed(both), Request("s3:GetObject", ARN)) is DENIED
    assert verdict([], Request("s3:GetObject", ARN)) is NEUTRAL


def test_of_an_unknown_resource_the_action_alone_counts() -> None:
    assert judge({"Resource": "arn:aws:s3:::other"}, resource=None) is ALLOWED
    assert judge({"Effect": "Deny", "Resource": "arn:aws:s3:::other"}, resource=None) is NEUTRAL
    assert judge({"Effect": "Deny", "Resource": "*"}, resource=None) is DENIED


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"k": "a"}}, {"k": "a"}, True),
        ({"StringEquals": {"K": ["b", "a"]}}, {"k": "a"}, True),  # the key's case does not matter
        ({"StringEquals": {"k": "A"}}, {"k": "a"}, False),
        ({"StringEqualsIgnoreCase": {"k": "A"}}, {"k": "a"}, True),
        ({"StringEquals": {"k": "a"}}, {}, False),
        ({"StringEqualsIfExists": {"k": "a"}}, {}, True),
        ({"StringEqualsIfExists": {"k": "a"}}, {"k": "b"}, False),
        ({"StringNotEquals": {"k": "a"}}, {"k": "b"}, True),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "b"}, False),
        ({"StringNotEquals": {"k": "a"}}, {}, True),
        ({"StringLike": {"k": "a*c"}}, {"k": "abc"}, True),
        (
            {"ArnLike": {"k": "arn:aws:lambda:*:1:function:a-*"}},
            {"k": "arn:aws:lambda:x:1:function:a-b"},
            True,
        ),
        ({"ArnLike": {"k": "arn:aws:lambda:*"}}, {"k": "arn:aws:lambda:x:1:function:a-b"}, False),
        ({"Bool": {"k": "false"}}, {"k": "true"}, False),
        ({"Bool": {"k": "False"}}, {"k": "false"}, True),
        ({"NumericLessThan": {"k": "10"}}, {"k": "9"}, True),
        ({"NumericLessThan": {"k": "10"}}, {"k": "nine"}, False),
        ({"Null": {"k": "true"}}, {}, True),
        ({"Null": {"k": "false"}}, {"k": "a"}, True),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["a", "b"]}, True),
        ({"ForAllValues:StringEquals": {"k": ["a"]}}, {"k": ["a", "b"]}, False),
        ({"ForAllValues:StringEquals": {"k": ["a"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {"k": ["a", "b"]}, True),
        ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {}, False),
        ({"StringEquals": {"k": "a", "other": "b"}}, {"k": "a"}, False),
        ({"StringEquals": {"k": "a"}, "Bool": {"t": "true"}}, {"k": "a", "t": "true"}, True),
    ],
)
def test_conditions(condition: dict[str, Any], context: dict[str, Any], holds: bool) -> None:
    statement = {"Condition": condition}
    assert judge(statement, context=context) is (ALLOWED if holds else NEUTRAL)
    assert judge({"Effect": "Deny", **statement}, context=context) is (DENIED if holds else NEUTRAL)


def test_an_unknown_operator_allows_nothing_and_denies() -> None:
    condition = {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}
    context = {"aws:SourceIp": "10.0.0.1"}
    assert judge(condition, context=context) is NEUTRAL
    assert judge({"Effect": "Deny", **condition}, context=context) is DENIED


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("*", ALLOWED),
        ({"AWS": "*"}, ALLOWED),
        ({"AWS": ["arn:aws:iam::1:role/a"]}, ALLOWED),
        ({"AWS": "arn:aws:iam::1:role/b"}, NEUTRAL),
        ({"Service": "lambda.amazonaws.com"}, NEUTRAL),
    ],
)
def test_principals(principal: Any, expected: Verdict) -> None:
    caller = ("AWS", "arn:aws:iam::1:role/a")
    assert judge({"Principal": principal}, principal=caller) is expected
    other = {ALLOWED: NEUTRAL, NEUTRAL: ALLOWED}[expected]
    statement = policy({"NotPrincipal": principal})
    assert verdict([statement], Request("s3:GetObject", ARN, {}, caller)) is other


# What a request asks for


def environ(method: str, path: str, service: str, query: str = "", **more: Any) -> dict[str, Any]:
    scope = f"AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/{service}/aws4_request"
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_AUTHORIZATION": scope,
        **more,
    }


FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:other"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (
            environ("GET", "/b/models/a", "s3"),
            Asked("s3:GetObject", "arn:aws:s3:::b/models/a", "b"),
        ),
        (environ("HEAD", "/b/a", "s3"), Asked("s3:GetObject", "arn:aws:s3:::b/a", "b")),
        (
            environ("GET", "/b/a", "s3", "versionId=1"),
            Asked("s3:GetObjectVersion", "arn:aws:s3:::b/a", "b"),
        ),
        (environ("PUT", "/b/a", "s3"), Asked("s3:PutObject", "arn:aws:s3:::b/a", "b")),
        (environ("POST", "/b/a", "s3", "uploads"), Asked("s3:PutObject", "arn:aws:s3:::b/a", "b")),
        (environ("DELETE", "/b/a", "s3"), Asked("s3:DeleteObject", "arn:aws:s3:::b/a", "b")),
        (environ("POST", "/b", "s3", "delete"), Asked("s3:DeleteObject", None, "b")),
        (environ("GET", "/b", "s3", "list-type=2"), Asked("s3:ListBucket", "arn:aws:s3:::b", "b")),
        (
            environ("GET", "/b", "s3", "versions"),
            Asked("s3:ListBucketVersions", "arn:aws:s3:::b", "b"),
        ),
        (environ("GET", "/", "s3"), Asked("s3:ListAllMyBuckets", "*")),
        (
            environ("POST", "/2015-03-31/functions/other/invocations", "lambda", "Qualifier=3"),
            Asked("lambda:InvokeFunction", f"{FUNCTION}:3"),
        ),
        (
            environ("POST", "/", "dynamodb", HTTP_X_AMZ_TARGET="DynamoDB_20120810.GetItem"),
            Asked("dynamodb:GetItem", None),
        ),
        (
            environ("POST", "/", "monitoring", HTTP_X_AMZ_TARGET="GraniteService.PutMetricData"),
            Asked("cloudwatch:PutMetricData", None),
        ),
        (environ("GET", "/2015-03-31/functions", "lambda"), Asked("lambda:*", None)),
    ],
)
def test_what_a_signed_request_asks_for(request_: dict[str, Any], expected: Asked) -> None:
    assert asked(request_) == expected


def test_a_refusal_has_the_shape_of_its_service() -> None:
    status, headers, content = refusal(environ("GET", "/b/a", "s3"), "no <a> for you")
    assert (status, headers["Content-Type"]) == (403, "text/xml")
    error = b"<Error><Code>AccessDenied</Code><Message>no &lt;a&gt; for you</Message></Error>"
    assert content == error
    assert refusal(environ("POST", "/", "sts"), "no")[2].startswith(b"<ErrorResponse><Error>")
    status, headers, content = refusal(environ("POST", "/", "dynamodb"), "no")
    assert (status, headers["X-Amzn-ErrorType"]) == (403, "AccessDeniedException")
    assert json.loads(content)["message"] == "no"
