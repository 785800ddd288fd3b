"""Who may call, through the life of a service: API keys and their usage plan, and tokens."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.engine.plan import Action
from deployer.errors import AwsError, ConfigError, DeployerError, ForeignResource
from deployer.resources.apigateway.rest_keys import create_key
from deployer.resources.base import Ownership
from deployer.service import callers, keys
from deployer.service.ownership import ownership
from deployer.service.status import read_status
from tests.support.deployments import Service
from tests.support.issuing import issuing
from tests.support.picture import differences, picture
from tests.support.serial import SerialExecutor
from tests.support.wire import Account, Answer, Call, Forward, Killed, broken, refusal

KEYED = {"api": "rest", "auth": "key"}


def plans(account: Account) -> list[Any]:
    return list(account.aws().call("apigateway", "get_usage_plans")["items"])


def names(account: Account) -> list[str]:
    return sorted(key["name"] for key in account.aws().call("apigateway", "get_api_keys")["items"])


def test_keys_live_with_their_usage_plan_and_are_gone_without(service: Service) -> None:
    account, aws = service.account, service.account.aws()
    empty = picture(aws)
    service.overrides = KEYED
    service.up()
    (plan,) = plans(account)
    (api,) = aws.call("apigateway", "get_rest_apis")["items"]
    assert plan["apiStages"] == [{"apiId": api["id"], "stage": "live"}]
    assert plan["throttle"] == {"rateLimit": 50.0, "burstLimit": 100} and "quota" not in plan
    foreign = aws.call("apigateway", "create_api_key", name="mine", enabled=True)["id"]
    made = [keys.create(aws, service.settings, name) for name in ("alice", "bob")]
    assert len({key.value for key in made}) == 2
    assert service.plan().is_empty
    listed = keys.list_keys(aws, service.settings)
    assert [(key.name, key.state) for key in listed] == [("alice", "works"), ("bob", "works")]
    keys.revoke(aws, keys.named(aws, service.settings, "bob"))
    assert names(account) == ["inference-dev-alice", "mine"]

    # Throttles and quota of every key, in one call (Key-5).
    account.calls.clear()
    service.up(key_quota="10 per month", key_rate_limit=7, key_burst_limit=8)
    written = [call.operation for call in account.calls if call.writes]
    assert written == ["UpdateUsagePlan"]
    assert plans(account)[0]["quota"]["limit"] == 10

    # Nobody is asked for a key any more: the plan and our keys go, after the API has changed.
    service.overrides = {"api": "rest"}
    shown = [(change.key, change.action) for change in service.plan().effective]
    assert shown == [("api", Action.UPDATE), ("usage-plan", Action.DELETE)]
    account.calls.clear()
    service.up()
    made_calls = [call.operation for call in account.calls if call.writes]
    assert made_calls.index("UpdateStage") < made_calls.index("DeleteApiKey")
    assert made_calls.index("DeleteApiKey") < made_calls.index("DeleteUsagePlan")
    assert names(account) == ["mine"] and plans(account) == []
    assert service.plan().is_empty
    service.down()
    aws.call("apigateway", "delete_api_key", apiKey=foreign)
    assert differences(picture(aws), empty) == []


@pytest.mark.slow(every=3)
@pytest.mark.parametrize("setting", [KEYED, {"api": "rest"}, {"api": "http"}], ids=str)
def test_down_finds_plan_and_keys_whatever_the_settings(
    service: Service, setting: dict[str, str]
) -> None:
    account, aws = service.account, service.account.aws()
    empty = picture(aws)
    service.overrides = KEYED
    service.up()
    keys.create(aws, service.settings, "alice")
    service.overrides = setting
    service.down()
    assert plans(account) == names(account) == []
    assert differences(picture(aws), empty) == []


def test_another_kind_of_api_takes_plan_and_keys_away_before_the_former_api(
    service: Service,
) -> None:
    service.overrides = KEYED
    service.up()
    keys.create(service.account.aws(), service.settings, "alice")
    service.overrides = {"api": "http"}
    (api, *_) = service.plan().effective
    assert (api.key, api.widens) == ("api", ("anyone who knows the URL may call POST /",))
    service.overrides = {"api": "http", "auth": "iam"}
    service.account.calls.clear()
    service.up()
    written = [call.operation for call in service.account.calls if call.writes]
    assert written.index("CreateApi") < written.index("DeleteApiKey")
    assert written.index("DeleteUsagePlan") < written.index("DeleteRestApi")
    assert names(service.account) == [] and service.plan().is_empty


def foreign_key(account: Account, **parameters: Any) -> str:
    """Add somebody else's key to our usage plan; return its id."""
    aws = account.aws()
    key = aws.call("apigateway", "create_api_key", enabled=True, **parameters)["id"]
    (plan,) = plans(account)
    aws.call(
        "apigateway", "create_usage_plan_key", usagePlanId=plan["id"], keyId=key, keyType="API_KEY"
    )
    return str(key)


def keys_in(account: Account) -> list[str]:
    """Return the names of the keys in the one usage plan."""
    (plan,) = plans(account)
    answer = account.aws().call("apigateway", "get_usage_plan_keys", usagePlanId=plan["id"])
    return sorted(key["name"] for key in answer["items"])


def test_a_foreign_key_in_the_usage_plan_is_drift_and_loses_it_but_stays(service: Service) -> None:
    """Key-8: a key that somebody added by hand works as ours do."""
    account, aws = service.account, service.account.aws()
    service.overrides = KEYED
    service.up()
    keys.create(aws, service.settings, "alice")
    other = {**service.settings.tags, "deployer:stage": "prod"}
    foreign = {
        "mine": foreign_key(account, name="mine", value="a-secret-of-somebody-else"),
        "inference-prod-bob": foreign_key(account, name="inference-prod-bob", tags=other),
    }
    listed = {key.name: key for key in keys.list_keys(aws, service.settings)}
    assert {name: (key.state, key.ours) for name, key in listed.items()} == {
        "alice": ("works", True),
        "mine": ("works", False),
        "inference-prod-bob": ("works", False),
    }
    with pytest.raises(ConfigError, match="key mine is not this service's: .* usage plan"):
        keys.named(aws, service.settings, "mine")

    (change,) = service.plan().effective
    assert (change.key, change.action, change.widens) == ("usage-plan", Action.UPDATE, ())
    assert {field.path: (field.before, field.after) for field in change.fields} == {
        f"foreign_keys[{name}]": ({"id": key_id, "name": name}, None)
        for name, key_id in foreign.items()
    }
    assert {field.origin for field in change.fields} == {"changed outside"}
    assert "a-secret-of-somebody-else" not in repr(service.events) + repr(change)
    status = read_status(aws, service.settings, SerialExecutor())
    # In the order of their age, which AWS gives in seconds.
    assert set(status.comparison.outside) == {
        f"usage-plan (foreign_keys[{name}])" for name in foreign
    }

    account.calls.clear()
    service.up()
    written = [call.operation for call in account.calls if call.writes]
    assert written == ["DeleteUsagePlanKey", "DeleteUsagePlanKey"]
    assert keys_in(account) == ["inference-dev-alice"]
    assert names(account) == ["inference-dev-alice", "inference-prod-bob", "mine"]
    assert [key.name for key in keys.list_keys(aws, service.settings)] == ["alice"]
    assert service.plan().is_empty

    # `down` deletes the plan with what is in it; the foreign keys stay.
    foreign_key(account, name="late")
    service.down()
    assert names(account) == ["inference-prod-bob", "late", "mine"]


def test_every_page_of_a_plans_keys_is_read(alone: Plan) -> None:
    """Key-8: the second page has a foreign key."""
    alone.up()
    foreign = foreign_key(alone.account, name="mine")

    def paged(call: Call, forward: Forward) -> Answer | None:
        if call.operation != "GetUsagePlanKeys" or "position=" in call.url:
            return None
        assert "limit=500" in call.url
        return forward(call).with_json({"item": [], "position": "2"})

    alone.account.troubles = [paged]
    state = alone.kind.read(alone.aws)
    assert state.fields["foreign_keys"] == [{"id": foreign, "name": "mine"}]


def test_a_key_that_is_made_during_a_reading_is_not_taken_for_a_foreign_one(alone: Plan) -> None:
    """The listing of keys may be older than that of the plan's: each key is asked by itself."""
    alone.up()
    keys.create(alone.aws, alone.settings, "alice")

    def older(call: Call, forward: Forward) -> Answer | None:
        return forward(call).with_json({"item": []}) if call.operation == "GetApiKeys" else None

    alone.account.troubles = [older]
    assert alone.kind.read(alone.aws).fields["foreign_keys"] == []


def test_a_key_that_is_gone_meanwhile_is_no_foreign_one(alone: Plan) -> None:
    alone.up()
    foreign_key(alone.account, name="mine")

    def gone(call: Call, forward: Forward) -> Answer | None:
        if call.operation == "GetApiKey":
            return refusal(call.service, "NotFoundException", "Invalid API Key identifier", 404)
        return None

    alone.account.troubles = [gone]
    assert alone.kind.read(alone.aws).fields["foreign_keys"] == []


class Plan:
    """A usage plan alone in an account."""

    def __init__(self, service: Service) -> None:
        self.account = service.account
        self.aws = service.account.aws()
        service.overrides = KEYED
        self.settings = service.settings
        kind: Any = callers.usage_plan(self.settings)
        kind.fields = {**kind.fields, "stages": []}
        self.kind = kind

    def up(self) -> None:
        state = self.kind.read(self.aws)
        assert state is None
        self.kind.create(self.aws, self.kind.fields)


@pytest.fixture
def alone(service: Service) -> Plan:
    return Plan(service)


class Lost:
    """Lose the first answer of an operation, after it took effect."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.made = 0

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if call.operation != self.operation:
            return None
        self.made += 1
        answer = forward(call)
        if self.made == 1:
            raise broken(call)
        return answer


def test_a_lost_answer_makes_no_second_plan_and_no_second_key(alone: Plan) -> None:
    """Key-1."""
    alone.account.troubles = [Lost("CreateUsagePlan"), trouble := Lost("CreateApiKey")]
    alone.up()
    key = keys.create(alone.aws, alone.settings, "alice")
    assert trouble.made == 1 and len(plans(alone.account)) == 1
    stored = alone.aws.call("apigateway", "get_api_key", apiKey=key.key_id, includeValue=True)
    assert stored["value"] == key.value and len(key.value) >= 20


def test_a_key_that_no_plan_takes_is_not_left_behind(alone: Plan) -> None:
    alone.up()

    def full(call: Call, forward: Forward) -> Answer | None:
        if call.operation == "CreateUsagePlanKey":
            return refusal(call.service, "LimitExceededException", "Too many keys", 400)
        return None

    alone.account.troubles = [full]
    with pytest.raises(AwsError, match="Too many keys"):
        keys.create(alone.aws, alone.settings, "alice")
    assert names(alone.account) == []


def test_keys_need_a_plan_a_name_and_one_that_is_free(alone: Plan) -> None:
    with pytest.raises(ConfigError, match="no usage plan"):
        keys.create(alone.aws, alone.settings, "alice")
    alone.up()
    for name in ("", "a b", "-x", "x" * 65, "ü"):
        with pytest.raises(ConfigError, match="must be 1 to 64"):
            keys.create(alone.aws, alone.settings, name)
    keys.create(alone.aws, alone.settings, "alice")
    with pytest.raises(ConfigError, match="there is a key alice already"):
        keys.create(alone.aws, alone.settings, "alice")
    with pytest.raises(ConfigError, match="there is no key bob; the keys are: alice"):
        keys.named(alone.aws, alone.settings, "bob")


def test_keys_of_a_plan_that_was_deleted_by_hand_are_put_into_the_new_one(alone: Plan) -> None:
    alone.up()
    keys.create(alone.aws, alone.settings, "alice")
    (plan,) = plans(alone.account)
    alone.aws.call("apigateway", "delete_usage_plan", usagePlanId=plan["id"])
    (key,) = keys.list_keys(alone.aws, alone.settings)
    assert key.state == "not in the usage plan"
    alone.up()
    (key,) = keys.list_keys(alone.aws, alone.settings)
    assert key.state == "works"


def test_two_plans_with_our_tags_are_an_error_that_lists_both(alone: Plan) -> None:
    tags = alone.settings.tags
    ids = [
        alone.aws.call("apigateway", "create_usage_plan", name="other", tags=tags)["id"]
        for _ in range(2)
    ]
    with pytest.raises(ForeignResource, match="2 usage plans carry") as caught:
        alone.kind.read(alone.aws)
    assert all(name in caught.value.message for name in ids)


def test_of_two_runs_that_make_a_plan_at_once_one_gives_way(alone: Plan) -> None:
    """The smaller id stays."""

    def another(call: Call, forward: Forward) -> Answer | None:
        if call.operation != "GetUsagePlans":
            return None
        answer = forward(call)
        other = {"id": "0", "name": "other", "tags": dict(alone.settings.tags)}
        return answer.with_json({"item": [*answer.json["item"], other]})

    alone.account.troubles = [another]
    with pytest.raises(DeployerError, match="another run created the usage plan 0"):
        alone.kind.create(alone.aws, alone.kind.fields)
    alone.account.troubles = []
    assert plans(alone.account) == []


def test_a_foreign_plan_of_our_name_is_refused(alone: Plan) -> None:
    alone.aws.call("apigateway", "create_usage_plan", name=alone.settings.prefix, tags={"a": "b"})
    with pytest.raises(ForeignResource, match="usage plan inference-dev .* already exists"):
        alone.kind.read(alone.aws)


def test_a_run_that_dies_while_a_plan_is_deleted_is_finished_by_the_next(service: Service) -> None:
    """Key-4: a plan gives up its stages before it is deleted."""
    service.overrides = KEYED
    service.up()
    create_key(service.account.aws(), ownership(service.settings), "a", service.settings.tags)
    for dying in ("DeleteApiKey", "UpdateUsagePlan", "DeleteUsagePlan"):

        def trouble(call: Call, forward: Forward, operation: str = dying) -> Answer | None:
            if call.operation == operation:
                raise Killed
            return None

        service.account.troubles = [trouble]
        with pytest.raises(Killed):
            service.down()
    service.account.troubles = []
    service.down()
    assert plans(service.account) == names(service.account) == []


def test_a_plan_says_that_the_url_is_public_until_it_is_not(service: Service) -> None:
    service.up()
    service.events.clear()
    assert service.plan().is_empty
    assert service.told.count(callers.PUBLIC) == 1
    service.events.clear()
    service.plan(auth="iam", cors_origins=("*",))
    assert callers.PUBLIC not in service.told
    assert any(text.startswith("warning: with auth = iam") for text in service.told)

    # Another kind of API is as public as the former one, and pages may call it as before.
    service.events.clear()
    changes = service.plan(api="rest").effective
    assert [change.widens for change in changes if change.key == "api"] == [()]
    assert service.told.count(callers.PUBLIC) == 1


def test_our_tags_alone_mark_a_key_as_ours(alone: Plan) -> None:
    alone.up()
    other = {**alone.settings.tags, "deployer:stage": "prod"}
    create_key(alone.aws, Ownership(other), "inference-dev-alice", other)
    assert keys.list_keys(alone.aws, alone.settings) == []


def test_an_issuer_is_asked_before_anything_is_written(service: Service) -> None:
    """PRE-13."""
    with issuing() as issuer:
        tokens: dict[str, Any] = {"auth": "jwt", "jwt_issuer": issuer.url, "jwt_audience": ("a",)}
        issuer.documents["/keys"] = {"keys": []}
        with pytest.raises(ConfigError, match="no RSA key"):
            service.up(**tokens)
        assert not any(call.writes for call in service.account.calls)
        issuer.restore()
        service.up(**tokens)
        issuer.asked.clear()
        service.up(**tokens, tracing=True)
        assert issuer.asked == []  # it is not new any more


def test_an_authorizer_of_tokens_is_sent_its_own_fields_alone(service: Service) -> None:
    """Api-23, Api-22: and all of it goes when nobody needs a token any more."""
    tokens: dict[str, Any] = {
        "auth": "jwt",
        "jwt_issuer": "http://127.0.0.1:9",
        "jwt_audience": ("b", "a"),
    }
    service.up(**tokens, jwt_scopes=("read",))
    assert any(
        "the issuer was not asked" in text and "127.0.0.1:9" in text for text in service.told
    )
    (made,) = [call for call in service.account.calls if call.operation == "CreateAuthorizer"]
    assert made.json == {
        "name": "jwt",
        "authorizerType": "JWT",
        "identitySource": ["$request.header.Authorization"],
        "jwtConfiguration": {"issuer": "http://127.0.0.1:9", "audience": ["a", "b"]},
    }
    assert service.plan(**tokens, jwt_scopes=("read",)).is_empty
    (api,) = picture(service.account.aws())["apis"]
    assert api["routes"][0]["AuthorizationType"] == "JWT"
    assert api["routes"][0]["AuthorizationScopes"] == ["read"]
    service.up(auth="iam")
    (api,) = picture(service.account.aws())["apis"]
    assert api["routes"][0]["AuthorizationType"] == "AWS_IAM" and api["authorizers"] == []
    assert not api["routes"][0].get("AuthorizationScopes")
