"""The REST API under AWS's difficulties, and the change from one kind of API to the other."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from deployer.engine.apply import Run, plan_changes, read_all
from deployer.engine.events import Event
from deployer.engine.plan import Action, Plan
from deployer.errors import DeployerError, ForeignResource, InvocationFailed
from deployer.resources.apigateway.rest_api import UNLOGGED, RestApi
from deployer.service import declare
from deployer.service.invoke import find_url
from deployer.service.serving import settle
from tests.support.deployments import Service
from tests.support.picture import differences, picture
from tests.support.serial import SerialExecutor
from tests.support.stub import Quiet, serve
from tests.support.troubles import Script
from tests.support.wire import Account, Answer, Call, Forward, Killed, broken, refusal


class World:
    """A REST API alone in an account, which is brought to its declaration again and again."""

    def __init__(self, account: Account, service: Service) -> None:
        self.account = account
        self.settings = replace(service.settings, api="rest")
        self.told: list[str] = []

    def kind(self, **settings: Any) -> RestApi:
        kind: Any = declare.rest_api(replace(self.settings, **settings))
        kind.needs = ()  # the roles and the workflow are no part of this
        return kind

    def up(self, kind: RestApi | None = None) -> Plan:
        """Read, plan and apply; raise the error of a step that failed."""
        kind = kind or self.kind()
        aws = self.account.aws()
        actual = read_all(aws, [kind], SerialExecutor())
        plan = plan_changes([kind], actual)

        def emit(event: Event) -> None:
            self.told.append(str(getattr(event, "text", "")))

        result = Run(aws, emit, SerialExecutor()).up(plan, [kind], actual, [])
        for outcome in result.outcomes.values():
            if outcome.error:
                raise outcome.error
        return plan

    @property
    def apis(self) -> Any:
        return picture(self.account.aws())["rest_apis"]


@pytest.fixture
def world(account: Account, service: Service) -> World:
    return World(account, service)


class Nth:
    """Meet the n-th writing call to REST APIs, after it took effect."""

    def __init__(self, number: int, way: str) -> None:
        self.number, self.way, self.written = number, way, 0

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if self.written == self.number and self.way == "killed":
            raise Killed
        if call.service != "apigateway" or not call.writes:
            return None
        self.written += 1
        answer = forward(call)
        if self.written == self.number and self.way == "lost":
            raise broken(call)
        if self.written == self.number and self.way == "failed":
            return refusal(call.service, "InternalFailure", "We failed.", 500)
        return answer


WRITES = ("create_rest_api", "put_rest_api", "create_deployment", "create_stage", "update_stage")


def test_a_new_api_takes_five_writing_calls(world: World) -> None:
    """Rest-1: one PutRestApi, in place of a call for each method, integration and response."""
    world.up()
    made = [call.operation for call in world.account.calls if call.writes]
    assert made == ["CreateRestApi", "PutRestApi", "CreateDeployment", "CreateStage", "UpdateStage"]
    world.account.calls.clear()
    assert world.up().is_empty
    assert not any(call.writes for call in world.account.calls)


@pytest.mark.parametrize("number", range(len(WRITES) + 1))
def test_an_api_whose_creation_was_killed_is_finished_by_the_next_run(
    world: World, number: int
) -> None:
    world.up()
    expected = world.apis
    world.account.reset()
    world.account.troubles = [Nth(number, "killed")]
    with pytest.raises(Killed):
        world.up()
    world.account.troubles = []
    world.up()
    assert differences(world.apis, expected) == []
    assert world.up().is_empty


@pytest.mark.parametrize("way", ["lost", "failed"])
@pytest.mark.parametrize("number", range(1, len(WRITES) + 1))
def test_a_lost_answer_makes_no_second_api_or_deployment(
    world: World, number: int, way: str
) -> None:
    """Rest-2."""
    world.up()
    expected = world.apis
    world.account.reset()
    world.account.troubles = [trouble := Nth(number, way)]
    world.up()
    world.account.troubles = []
    assert trouble.written >= number
    assert differences(world.apis, expected) == []
    assert world.up().is_empty


@pytest.mark.parametrize("number", range(1, 5))
def test_a_killed_change_is_deployed_by_the_next_run(world: World, number: int) -> None:
    """A definition that was put but not deployed is a difference; old deployments go (Rest-3)."""
    changed = world.kind(cors_origins=(), burst_limit=7)
    world.up()
    world.up(changed)
    expected = world.apis
    world.up()
    world.account.troubles = [Nth(number, "killed")]
    with pytest.raises(Killed):
        world.up(changed)
    world.account.troubles = []
    assert not world.up(changed).is_empty
    assert differences(world.apis, expected) == []
    assert len(expected[0]["deployments"]) == 1


@pytest.mark.parametrize("operation", ["PutRestApi", "CreateDeployment", "CreateStage"])
def test_conflicts_and_throttles_below_a_rest_api_are_waited_out(
    world: World, operation: str
) -> None:
    """R-21, R-23, Rest-15."""
    busy = ("ConflictException", "Unable to complete operation. Please try again later.", 409)
    throttled = ("TooManyRequestsException", "Too Many Requests", 429)
    world.account.troubles = [script := Script({operation: [throttled, busy, throttled]})]
    world.up()
    assert script.made[operation] == 4 and world.up().is_empty


def test_two_rest_apis_with_our_tags_are_an_error_that_lists_both(world: World) -> None:
    kind = world.kind()
    ids = [
        world.account.aws().call(
            "apigateway", "create_rest_api", name="other", tags=world.settings.tags
        )["id"]
        for _ in range(2)
    ]
    with pytest.raises(ForeignResource, match="2 REST APIs carry") as caught:
        kind.read(world.account.aws())
    assert all(api_id in caught.value.message for api_id in ids)
    assert "delete-rest-api" in caught.value.advice


def test_a_run_gives_way_to_a_rest_api_that_another_run_created_before(world: World) -> None:
    kind = world.kind()
    aws = world.account.aws()

    def first(call: Call, forward: Forward) -> Answer | None:
        if call.operation == "CreateRestApi":
            world.account.troubles = []
            kind.create(aws, kind.fields)
        return None

    world.account.troubles = [first]
    with pytest.raises(DeployerError, match="another run created the REST API"):
        kind.create(aws, kind.fields)
    assert len(world.apis) == 1 and world.up().is_empty


def test_an_access_log_waits_for_the_accounts_role_and_is_no_difference_without(
    world: World,
) -> None:
    """Rest-13: the role is the whole account's, so it is used if it is there, and never set."""
    world.up()
    assert UNLOGGED in world.told
    assert world.up().is_empty
    role = [{"op": "replace", "path": "/cloudwatchRoleArn", "value": "arn:aws:iam::1:role/logs"}]
    world.account.aws().call("apigateway", "update_account", patchOperations=role)
    world.told.clear()
    plan = world.up()
    assert [field.path for field in plan.changes[0].fields] == ["stage.access_log"]
    assert UNLOGGED not in world.told and world.up().is_empty
    without: Any = copy.copy(world.kind())
    without.fields = {**without.fields, "stage": {**without.fields["stage"], "access_log": None}}
    world.up(without)
    assert world.up(without).is_empty


def urls(account: Account) -> dict[str, list[str]]:
    aws = account.aws()
    return {
        "http": [api["ApiId"] for api in aws.call("apigatewayv2", "get_apis")["Items"]],
        "rest": [api["id"] for api in aws.call("apigateway", "get_rest_apis")["items"]],
    }


def test_changing_the_kind_makes_the_new_api_first_and_deletes_the_old_one_last(
    service: Service,
) -> None:
    account = service.account
    _, before = service.up()
    http = picture(account.aws())
    service.events.clear()
    plan = service.plan(api="rest")
    shown = [(change.key, change.action) for change in plan.effective]
    assert shown == [("api", Action.CREATE), ("api/http", Action.DELETE)]
    assert "new URL" in plan.effective[0].note
    assert any("3.5 times" in text for text in service.told)
    assert any("the URL changes" in text for text in service.told)
    account.calls.clear()
    _, after = service.up(api="rest")
    made = [call.operation for call in account.calls if call.writes]
    assert made.index("UpdateStage") < made.index("DeleteApi") == len(made) - 1
    assert after["url"] != before["url"] and after["url"].endswith("/live/")
    assert find_url(account.aws(), service.settings) == after["url"]
    assert service.plan(api="rest").is_empty
    service.up()
    assert differences(picture(account.aws()), http) == []
    assert service.plan().is_empty


@pytest.mark.parametrize("setting", ["http", "rest"])
def test_down_deletes_both_kinds_whatever_the_setting(service: Service, setting: str) -> None:
    """A run was killed between the creation of the new API and the deletion of the old one."""
    account = service.account
    empty = picture(account.aws())
    service.up()

    def dying(call: Call, forward: Forward) -> Answer | None:
        if call.operation == "DeleteApi":
            raise Killed
        return None

    account.troubles = [dying]
    with pytest.raises(Killed):
        service.up(api="rest")
    account.troubles = []
    assert {kind: len(ids) for kind, ids in urls(account).items()} == {"http": 1, "rest": 1}
    service.overrides = {"api": setting}
    assert {change.key for change in service.plan().effective} == {
        {"http": "api/rest", "rest": "api/http"}[setting]
    }
    assert "execute-api" in find_url(account.aws(), replace(service.settings, api="rest"))
    assert "/_apis/" in find_url(account.aws(), service.settings) or setting == "rest"
    service.down()
    assert differences(picture(account.aws()), empty) == []
    with pytest.raises(InvocationFailed, match="no API of service"):
        find_url(account.aws(), service.settings)


def test_an_api_of_the_other_kind_that_is_not_ours_is_left_alone(service: Service) -> None:
    """Names of APIs are not unique, so a foreign one of this name is in nobody's way."""
    aws = service.account.aws()
    aws.call("apigateway", "create_rest_api", name=service.settings.prefix, tags={"a": "b"})
    service.up()
    assert service.plan().is_empty
    service.down()
    assert len(aws.call("apigateway", "get_rest_apis")["items"]) == 1


@pytest.fixture
def stage() -> Iterator[tuple[str, list[int]]]:
    """A stage that answers these statuses in turn, and the last one from then on."""
    statuses: list[int] = []

    class Stage(Quiet):
        def handle_any(self) -> None:
            assert self.path == "/live/health"
            self.answer(statuses.pop(0) if len(statuses) > 1 else statuses[0], b"{}", {})

    with serve(Stage) as url:
        yield f"{url}/live/", statuses


def test_a_new_stage_is_waited_for_until_it_answers_steadily(
    account: Account, stage: tuple[str, list[int]]
) -> None:
    """Rest-4: a new stage answers 403 for some seconds, and not everywhere alike."""
    url, statuses = stage
    told: list[str] = []
    aws = account.aws().telling(lambda text, *, lasting=False: told.append(text))
    statuses[:] = [403, 403, 403, 200, 403, 200, 200]
    assert settle(aws, url) is None
    assert statuses == [200]
    assert told == ["waiting for API Gateway: the new stage is not served yet"] * 2


def test_a_stage_that_stays_forbidden_or_out_of_reach_is_told(
    account: Account, stage: tuple[str, list[int]]
) -> None:
    url, statuses = stage
    statuses[:] = [403]
    assert "answers HTTP 403 still" in str(settle(account.aws(), url))
    assert "cannot be reached" in str(settle(account.aws(), "http://127.0.0.1:9/live/"))
