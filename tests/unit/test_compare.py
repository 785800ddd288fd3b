"""Canonical forms: equal values compare as equal however AWS writes them, others as different."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.engine.compare import (
    canonical_json,
    canonical_lifecycle,
    canonical_policy,
    parse_document,
    tag_list,
    tags_from,
)

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "keep the last twenty images",
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 20},
            "action": {"type": "expire"},
        }
    ]
}


def one_statement(**fields):
    return canonical_policy({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **fields}]})


@pytest.mark.parametrize(
    "document",
    [
        TRUST,
        json.dumps(TRUST),
        json.dumps(TRUST, indent=4),
        f"\n {json.dumps(TRUST)}",
        quote(json.dumps(TRUST)),
    ],
    ids=["parsed", "text", "indented", "leading white space", "URL-encoded"],
)
def test_a_document_is_the_same_in_each_shape_that_iam_sends_it_in(document):
    """Iam-4: policies travel URL-encoded; boto3 decodes some of them, emulators none or all."""
    assert parse_document(document) == TRUST
    assert canonical_policy(document) == canonical_policy(TRUST)


def test_an_encoded_document_keeps_what_is_encoded_inside_an_unencoded_one():
    """A percent sign in plain JSON is a percent sign (Iam-4)."""
    assert parse_document('{"Sid": "a%20b"}') == {"Sid": "a%20b"}


@pytest.mark.parametrize("canonical", [parse_document, canonical_policy, canonical_lifecycle])
def test_no_document_stays_none(canonical):
    assert canonical(None) is None


def test_equal_values_give_equal_text_whatever_their_order():
    assert canonical_json({"b": [1, "é"], "a": None}) == canonical_json({"a": None, "b": [1, "é"]})
    assert canonical_json({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'


def test_lists_in_values_keep_their_order_in_json_text():
    assert canonical_json([1, 2]) != canonical_json([2, 1])


@pytest.mark.parametrize("field", ["Action", "NotAction", "Resource", "NotResource"])
def test_a_scalar_is_a_list_of_one(field):
    """Iam-5: IAM answers a one-element list as a scalar."""
    assert one_statement(**{field: "x:y"}) == one_statement(**{field: ["x:y"]})


def test_order_and_repetition_of_values_do_not_count():
    """Iam-5."""
    assert one_statement(Action=["s3:Get*", "s3:Put*"]) == one_statement(
        Action=["s3:Put*", "s3:Get*", "s3:Put*"]
    )


def test_one_statement_is_a_list_of_one_statement():
    single = TRUST["Statement"][0]
    assert canonical_policy({"Version": "2012-10-17", "Statement": single}) == canonical_policy(
        TRUST
    )


def test_a_missing_version_is_the_old_one():
    """Iam-5: a missing Version means 2008-10-17, which is not the same as 2012-10-17."""
    without = {"Statement": TRUST["Statement"]}
    assert canonical_policy(without) == canonical_policy({**without, "Version": "2008-10-17"})
    assert canonical_policy(without) != canonical_policy(TRUST)


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_an_account_id_is_its_root_arn(partition):
    """Iam-5."""
    root = f"arn:{partition}:iam::123456789012:root"
    assert one_statement(Principal={"AWS": root}) == one_statement(
        Principal={"AWS": ["123456789012"]}
    )


def test_the_root_arn_of_another_account_is_another_principal():
    root = "arn:aws:iam::210987654321:root"
    assert one_statement(Principal={"AWS": root}) != one_statement(
        Principal={"AWS": "123456789012"}
    )


@pytest.mark.parametrize(
    "principal",
    [
        "arn:aws:iam::123456789012:role/root",
        "arn:aws:iam::123456789012:user/x",
        "AROAEXAMPLE",
        "lambda.amazonaws.com",
    ],
)
def test_other_principals_are_not_taken_for_an_account(principal):
    """Iam-6: a principal rewritten to its unique id must show as drift."""
    assert one_statement(Principal={"AWS": principal})["Statement"][0]["Principal"] == {
        "AWS": [principal]
    }


@pytest.mark.parametrize("field", ["Principal", "NotPrincipal"])
def test_everyone_is_every_aws_principal(field):
    assert one_statement(**{field: "*"}) == one_statement(**{field: {"AWS": "*"}})


@pytest.mark.parametrize(
    "written, answered",
    [(False, "false"), (True, "true"), (3600, "3600"), ([True, 1], ["1", "true"])],
)
def test_booleans_and_numbers_in_conditions_are_text(written, answered):
    """Iam-5: they come back as strings."""
    desired = one_statement(Condition={"Bool": {"aws:SecureTransport": written}})
    assert desired == one_statement(Condition={"Bool": {"aws:SecureTransport": answered}})


def test_a_different_effect_sid_or_condition_operator_is_a_difference():
    like = {"StringLike": {"aws:SourceArn": "x"}}
    equals = {"StringEquals": {"aws:SourceArn": "x"}}
    assert one_statement(Condition=like) != one_statement(Condition=equals)
    assert one_statement(Sid="A") != one_statement(Sid="B")
    assert one_statement() != one_statement(Effect="Deny")


def test_lifecycle_rules_are_in_order_of_priority():
    """ECR-5; priorities are numbers, so 10 comes after 9."""
    rules = [{"rulePriority": number, "action": {"type": "expire"}} for number in (10, 9, 1)]
    assert [rule["rulePriority"] for rule in canonical_lifecycle({"rules": rules})["rules"]] == [
        1,
        9,
        10,
    ]


def test_lifecycle_tag_lists_are_sorted_and_empty_ones_dropped():
    """ECR-5: the service may reorder members and add or drop empty ones."""
    written = {"rulePriority": 1, "selection": {"tagStatus": "tagged", "tagPrefixList": ["b", "a"]}}
    answered = {
        "selection": {"tagPatternList": [], "tagPrefixList": ["a", "b"], "tagStatus": "tagged"},
        "rulePriority": 1,
    }
    assert canonical_lifecycle({"rules": [written]}) == canonical_lifecycle(
        json.dumps({"rules": [answered]}, indent=1)
    )


def test_a_transition_in_a_lifecycle_is_kept_and_a_difference():
    """ECR-13: rules that archive images have members of their own."""
    action = {"type": "transition", "targetStorageClass": "archive"}
    archiving = json.loads(json.dumps(LIFECYCLE))
    archiving["rules"][0]["action"] = action
    assert canonical_lifecycle(archiving)["rules"][0]["action"] == action
    assert canonical_lifecycle(archiving) != canonical_lifecycle(LIFECYCLE)


def test_a_different_count_in_a_lifecycle_is_a_difference():
    other = json.loads(json.dumps(LIFECYCLE).replace("20,", "21,").replace("20}", "21}"))
    assert canonical_lifecycle(LIFECYCLE) == canonical_lifecycle(json.dumps(LIFECYCLE))
    assert canonical_lifecycle(LIFECYCLE) != canonical_lifecycle(other)


@pytest.mark.parametrize(
    "shape",
    [
        [{"Key": "stage", "Value": "dev"}, {"Key": "team", "Value": ""}],
        [{"key": "team", "value": ""}, {"key": "stage", "value": "dev"}],
        {"stage": "dev", "team": ""},
    ],
    ids=["S3, ECR, IAM", "Step Functions", "Logs, Lambda, API Gateway"],
)
def test_tags_of_every_service_become_one_dict(shape):
    """GEN-11."""
    assert tags_from(shape) == {"stage": "dev", "team": ""}


def test_no_tags_are_an_empty_dict():
    assert tags_from(None) == tags_from([]) == tags_from({}) == {}


def test_tags_of_aws_itself_do_not_count():
    """GEN-12: aws: keys are written by AWS and cannot be removed."""
    assert tags_from({"aws:cloudformation:stack-name": "x", "awsome": "y"}) == {"awsome": "y"}
    assert tags_from([{"Key": "aws:x", "Value": "y"}]) == {}


def test_tag_lists_are_sorted_and_of_the_services_own_shape():
    """GEN-11: Step Functions alone writes them in lower case."""
    assert tag_list({"b": "2", "a": "1"}) == [
        {"Key": "a", "Value": "1"},
        {"Key": "b", "Value": "2"},
    ]
    assert tag_list({"b": "2"}, lower=True) == [{"key": "b", "value": "2"}]


words = st.sampled_from(
    ["s3:GetObject", "s3:*", "*", "arn:aws:s3:::x/*", "lambda:InvokeFunction", "é"]
)
principals = st.sampled_from(
    ["*", "123456789012", "arn:aws:iam::123456789012:root", "AROAEXAMPLE", "x.amazonaws.com"]
)
condition_values = st.one_of(st.booleans(), st.integers(), words)


def one_or_many(values):
    return st.one_of(values, st.lists(values, min_size=1, max_size=4))


statements = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Action": one_or_many(words)},
    optional={
        "Sid": st.sampled_from(["A", "B"]),
        "Resource": one_or_many(words),
        "Principal": st.one_of(
            st.just("*"),
            st.dictionaries(
                st.sampled_from(["AWS", "Service"]), one_or_many(principals), min_size=1
            ),
        ),
        "Condition": st.dictionaries(
            st.sampled_from(["Bool", "ArnLike"]),
            st.dictionaries(
                st.sampled_from(["aws:SourceArn", "aws:SecureTransport"]),
                one_or_many(condition_values),
            ),
        ),
    },
)
policies = st.fixed_dictionaries(
    {"Statement": st.one_of(statements, st.lists(statements, max_size=4))},
    optional={"Version": st.sampled_from(["2008-10-17", "2012-10-17"])},
)
rules = st.fixed_dictionaries(
    {"action": st.just({"type": "expire"})},
    optional={
        "selection": st.fixed_dictionaries(
            {"tagStatus": st.sampled_from(["any", "tagged"])},
            optional={
                name: st.lists(words, max_size=3) for name in ("tagPrefixList", "tagPatternList")
            },
        )
    },
)
lifecycles = st.lists(rules, max_size=4).map(
    lambda rules: {
        "rules": [{"rulePriority": number, **rule} for number, rule in enumerate(rules, start=1)]
    }
)


def rewritten(value, random):
    """Write a policy as AWS might: keys and lists in another order, lists of one as scalars,
    scalars as lists.
    """
    if isinstance(value, dict):
        items = [(name, rewritten(member, random)) for name, member in value.items()]
        random.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        items = [rewritten(item, random) for item in value]
        random.shuffle(items)
        return items[0] if len(items) == 1 and random.random() < 0.5 else items
    return value


@given(policies)
def test_a_canonical_policy_is_its_own_canonical_form(policy):
    once = canonical_policy(policy)
    assert canonical_policy(once) == once
    assert canonical_policy(json.dumps(once)) == once


@given(policies, st.randoms(use_true_random=False))
def test_however_a_policy_is_rewritten_its_canonical_form_stays(policy, random):
    assert canonical_policy(rewritten(policy, random)) == canonical_policy(policy)


@given(policies, st.booleans())
def test_a_policy_survives_the_url(policy, encode):
    text = json.dumps(policy)
    assert canonical_policy(quote(text) if encode else text) == canonical_policy(policy)


@given(lifecycles, st.randoms(use_true_random=False))
def test_canonical_lifecycles_are_idempotent_and_free_of_order(lifecycle, random):
    once = canonical_lifecycle(lifecycle)
    assert canonical_lifecycle(once) == once
    shuffled = {"rules": random.sample(lifecycle["rules"], len(lifecycle["rules"]))}
    for rule in shuffled["rules"]:
        for name in ("tagPrefixList", "tagPatternList"):
            random.shuffle(rule.get("selection", {}).get(name, []))
    assert canonical_lifecycle(shuffled) == once


@given(
    st.dictionaries(st.text(min_size=1).filter(lambda key: not key.startswith("aws:")), st.text()),
    st.booleans(),
)
def test_tags_survive_every_shape(tags, lower):
    assert tags_from(tag_list(tags, lower=lower)) == tags == tags_from(tags)
