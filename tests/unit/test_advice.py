"""`invoke`: the next step after an answer that holds no predictions fits the service's settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.errors import AwsError, Refusal
from deployer.project.settings import Settings
from deployer.service.advice import advice

SETTINGS = Settings(Path()).located(account="123456789012", partition="aws", region="eu-west-1")
JWT: dict[str, Any] = {
    "jwt_issuer": "https://a.example",
    "jwt_audience": ("prices",),
    "jwt_scopes": ("predict",),
}
ROLE = "inference-dev-eu-west-1-workflow"
DENIAL = (
    f"User: arn:aws:sts::123456789012:assumed-role/{ROLE}/x is not authorized to perform: "
    "lambda:InvokeFunction on resource: arn:aws:lambda:eu-west-1:123456789012:function:f because "
    "no identity-based policy allows the lambda:InvokeFunction action"
)


class Logs:
    """The log groups of API and workflow; None may not be read.

    Args:
        code: of the error then.
    """

    def __init__(self, code: str = "AccessDeniedException", **lines: str | None) -> None:
        self.lines = lines
        self.code = code
        self.asked: list[Any] = []

    def call(self, service: str, operation: str, **parameters: Any) -> Any:
        assert operation == "filter_log_events"
        self.asked.append(parameters["filterPattern"])
        group = parameters["logGroupName"]
        line = next((text for name, text in self.lines.items() if f"/{name}/" in group), "")
        if line is None:
            raise AwsError(self.code, "no", operation=operation)
        return {"events": [{"timestamp": 0, "message": line}] if line else []}


def said(refusal: Refusal, logs: Logs | None = None, **settings: Any) -> str:
    aws = Aws(region="eu-west-1", credentials=("AKID", "secret"))
    logs = logs or Logs()
    return advice(aws.calling(logs.call), replace(SETTINGS, **settings), refusal)


def refused(status: int, text: str = "no", error: str = "", request: str | None = None) -> Refusal:
    return Refusal(status, error, text, request, started=bool(error))


@pytest.mark.parametrize(
    ("auth", "status", "told"),
    [
        ("none", 403, "the API asks for credentials; auth = none"),
        ("iam", 403, "execute-api:Invoke"),
        ("jwt", 401, "must be of https://a.example, for prices, and not have expired; auth = jwt"),
        ("jwt", 403, "one of the scopes: predict; auth = jwt"),
        ("key", 403, "python -m deployer keys list"),
    ],
)
def test_refused_credentials_are_told_by_the_services_own_auth(
    auth: str, status: int, told: str
) -> None:
    text = said(refused(status), auth=auth, **JWT)
    assert told in text and text.endswith(
        "python -m deployer plan shows whether this is what is deployed"
    )
    foreign = {"iam": "execute-api", "key": "keys list", "jwt": "token"}
    assert not [word for name, word in foreign.items() if name != auth and word in text]


def test_a_reached_limit_is_named_with_its_value_and_the_way_to_raise_it() -> None:
    quota = refused(429, "the quota is used up", "TooManyRequests")
    text = said(quota, api="rest", auth="key", key_quota="10 per month")
    assert "key_quota = 10 per month; AWS counts anew with the next month; to raise it" in text
    assert text.endswith("python -m deployer up") and "rate_limit" not in text
    assert "key_quota is not set" in said(quota, api="rest", auth="key")
    busy = refused(429, "too many requests; try again later", "TooManyRequests")
    text = said(busy, api="rest", auth="key", key_rate_limit=7, rate_limit=70)
    assert "key_rate_limit = 7 or key_burst_limit = 100 of this key, or rate_limit = 70 or" in text
    text = said(refused(429, "Too Many Requests"), rate_limit=70)
    assert text.startswith("rate_limit = 70 or burst_limit = ") and "key" not in text


@pytest.mark.parametrize(
    "refusal",
    [
        refused(502, "no model could answer", "NoModelAnswered", "r1"),
        refused(500, "the workflow failed", "Lambda.AWSLambdaException", "r1"),
        refused(200, "No model could answer", "NoModelAnswered", "r1"),
        refused(500, "Internal Server Error", request="r1"),
    ],
    ids=str,
)
@pytest.mark.parametrize("group", ["states", "apigateway"])
def test_a_denied_role_is_named_if_the_logs_of_the_request_do(refusal: Refusal, group: str) -> None:
    logs = Logs(**{group: f'{{"cause": "{DENIAL}"}}'})
    text = said(refusal, logs)
    assert text.startswith(f"the role {ROLE} may not lambda:InvokeFunction: ")
    assert "python -m deployer up" in text and set(logs.asked) == {'"r1"'}


def test_a_denial_in_the_answer_itself_needs_no_logs() -> None:
    logs = Logs()
    refusal = refused(200, DENIAL, "Lambda.AWSLambdaException", "r1")
    assert said(refusal, logs).startswith(f"the role {ROLE} may not lambda:InvokeFunction")
    assert logs.asked == []


def test_without_a_denial_the_logs_are_named_and_the_apis_role_only_if_it_may_be_it() -> None:
    where = "what was logged of it: python -m deployer logs --request=r1"
    for logs in (Logs(), Logs(states=None, apigateway=None), Logs("Other", states=None)):
        failed = refused(502, "no model could answer", "NoModelAnswered", "r1")
        assert said(failed, logs) == where
    own = [
        refused(500, "Internal Server Error", request="r1"),
        refused(500, "the service failed", "InternalError", "r1"),
    ]
    for refusal in own:
        assert said(refusal) == (
            f"right after a deploy the API's role may take a minute to work; {where}"
        )
    assert said(refused(504, "not in time", "TimedOut", "r1")) == where
    assert said(refused(400, "RM: missing", "InvalidInput", "r1")) == where
    assert said(refused(404, "Not Found")) == ""
