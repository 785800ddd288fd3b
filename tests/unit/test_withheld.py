"""Variables of functions that look like secrets are shown nowhere."""

from __future__ import annotations

import io
import json

import pytest

from deployer.engine.plan import Desired, Plan, State, make_plan
from deployer.engine.saved import change_document, without_secrets
from deployer.engine.withheld import WITHHELD, looks_secret
from deployer.report.console import make_console
from deployer.report.markdown import markdown
from deployer.report.plan import print_plan

PLACE = {"service": "s", "stage": "dev", "account": "1", "region": "r", "endpoint": None}


@pytest.mark.parametrize(
    "name, value",
    [
        ("DB_PASSWORD", "x"),
        ("password", "x"),
        ("API_KEY", "x"),
        ("STRIPE_APIKEY", "x"),
        ("SECRET", "x"),
        ("GITHUB_TOKEN", "x"),
        ("DbSecretName", "x"),
        ("MY_PRIVATE_KEY", "x"),
        ("SENTRY_DSN", "x"),
        ("URL", "postgres://me:hunter2@db.example.com/x"),
        ("URL", "redis://:hunter2@db.example.com"),
        ("A1", "AKIAIOSFODNN7EXAMPLE"),
        ("A1", "ghp_0123456789abcdefghij0123456789"),
        ("A1", "sk-0123456789abcdefghij"),
        ("A1", "-----BEGIN PRIVATE KEY-----"),
    ],
)
def test_what_looks_like_a_secret(name: str, value: str) -> None:
    assert looks_secret(name, value)


@pytest.mark.parametrize(
    "name, value",
    [
        ("KEY_COUNT", "5"),
        ("MODE", "fast"),
        ("TOKENIZER", "wordpiece"),
        ("PASSES", "3"),
        ("AUTHOR", "anna"),
        ("URL", "https://example.com:8443/a@b"),
        ("OMP_NUM_THREADS", "1"),
        ("SORT_KEY", "town"),
    ],
)
def test_what_does_not(name: str, value: str) -> None:
    assert not looks_secret(name, value)


def plans() -> list[Plan]:
    """Plans in which a secret is created, set, changed, removed, and set by somebody else."""
    both = {"environment": {"MODE": "a", "DB_PASSWORD": "horse1"}}
    other = {"environment": {"MODE": "b", "DB_PASSWORD": "horse2"}}
    none = {"environment": {"MODE": "a"}}
    pairs = [(both, None), (both, none), (other, both), (none, both)]
    return [
        make_plan(
            [Desired("function/f", after)],
            {"function/f": State(before) if before is not None else None},
        )
        for after, before in pairs
    ]


@pytest.mark.parametrize("plan", plans())
def test_no_form_of_a_plan_shows_one(plan: Plan) -> None:
    stream = io.StringIO()
    print_plan(make_console(stream), plan, full=True)
    published = without_secrets(plan)
    forms = [
        stream.getvalue(),
        json.dumps([change_document(change) for change in plan.effective]),
        markdown(published, PLACE, "sha256:0"),
        repr(published),
    ]
    for form in forms:
        assert "horse" not in form
    assert all(WITHHELD[:-1] in forms[number] for number in (0, 1, 3))


def test_one_that_changes_is_shown_as_changing() -> None:
    (change,) = plans()[2].effective
    fields = {
        one["path"]: (one["before"], one["after"]) for one in change_document(change)["fields"]
    }
    assert fields == {
        "environment.DB_PASSWORD": ("(withheld)", "(withheld, another one)"),
        "environment.MODE": ("a", "b"),
    }
