"""A run over resources in a dict: the calls and their order, the events, and failures."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.aws.access import Aws
from deployer.engine.apply import Run, RunResult, plan_changes, plan_teardown, read_all
from deployer.engine.events import StepFailed, StepFinished, StepProgress, StepSkipped, StepStarted
from deployer.engine.graph import Fate, Outcome
from deployer.engine.plan import Action, Ref, State
from deployer.errors import AwsError, BuildError, ForeignResource
from deployer.resources.base import Resource
from tests.support.serial import SerialExecutor

AWS = Aws()  # never called


class World:
    """An account: its resources by key, the writing calls in order, and the errors to raise."""

    def __init__(self):
        self.states = {}
        self.writes = []
        self.errors = {}  # (verb, key) -> error
        self.serial = itertools.count(1)

    def write(self, verb, key):
        self.writes.append(f"{verb} {key}")
        if (verb, key) in self.errors:
            raise self.errors[verb, key]


class Thing(Resource):
    """A resource in a World. A replacement changes its id, a change of `code` its version."""

    replace_on = ("kind",)

    def __init__(self, world, key, fields=None, needs=()):
        super().__init__(key, fields or {}, needs)
        self.world = world

    def moves(self, changed):
        return ["version"] if "code" in changed else []

    def read(self, aws):
        assert isinstance(aws, Aws)
        if ("read", self.key) in self.world.errors:
            raise self.world.errors["read", self.key]
        return self.world.states.get(self.key)

    def create(self, aws, desired):
        self.world.write("create", self.key)
        assert self.world.states.get(self.key) is None
        aws.tell("waiting for it to appear")
        outputs = {"id": f"{self.key}#{next(self.world.serial)}", "version": desired.get("code")}
        self.world.states[self.key] = State(desired, outputs)
        return outputs

    def update(self, aws, desired, actual, change):
        self.world.write(
            "update " + "+".join(sorted(field.path for field in change.fields)) + " of", self.key
        )
        assert actual == self.world.states[self.key]
        moved = {"version": desired.get("code")} if "code" in change.names else {}
        self.world.states[self.key] = State(
            {**actual.fields, **desired}, {**actual.outputs, **moved}
        )
        return moved

    def delete(self, aws):
        self.world.write("delete", self.key)
        self.world.states.pop(self.key, None)


@pytest.fixture
def world():
    return World()


def up(world, resources, undeclared=(), stopped=lambda: False, executor=None):
    """Read, plan and apply; return the result and the events."""
    executor = executor or SerialExecutor()
    actual = read_all(AWS, [*resources, *undeclared], executor)
    plan = plan_changes(resources, actual, undeclared)
    events = []
    ticks = itertools.count(0, 2)
    result = Run(AWS, events.append, executor, stopped, lambda: next(ticks)).up(
        plan, resources, actual, undeclared
    )
    world.plan = plan
    return result, events


def down(resources, stopped=lambda: False):
    actual = read_all(AWS, resources, SerialExecutor())
    events = []
    plan = plan_teardown(resources, actual)
    return Run(AWS, events.append, SerialExecutor(), stopped).down(plan, resources), events


def service(world, code="1", **fields):
    """A role, a function that needs it, a workflow that refers to the function, and logs."""
    return [
        Thing(world, "workflow", {"resource": Ref("function", "version")}),
        Thing(world, "function", {"code": code, **fields}, needs=["role"]),
        Thing(world, "role", {"trust": "lambda"}),
        Thing(world, "logs", {"days": 14}),
    ]


def fates(result):
    return {key: outcome.fate.value for key, outcome in result.outcomes.items()}


def test_the_first_up_creates_everything_after_what_it_needs(world):
    result, _ = up(world, service(world))
    assert result.succeeded
    assert result.counts == {
        "created": 4,
        "updated": 0,
        "replaced": 0,
        "deleted": 0,
        "failed": 0,
        "skipped": 0,
    }
    assert sorted(world.writes) == [
        "create function",
        "create logs",
        "create role",
        "create workflow",
    ]
    order = [write.removeprefix("create ") for write in world.writes]
    assert order.index("role") < order.index("function") < order.index("workflow")
    assert world.states["workflow"].fields == {"resource": "1"}
    assert result.outputs == {key: state.outputs for key, state in world.states.items()}


def test_second_up_changes_nothing(world):
    up(world, service(world))
    world.writes.clear()
    result, events = up(world, service(world))
    assert (world.writes, events) == ([], [])
    assert world.plan.is_empty
    assert result.succeeded
    assert result.outputs == {key: state.outputs for key, state in world.states.items()}


def test_each_step_is_told_when_it_begins_waits_and_ends(world):
    _, events = up(world, [Thing(world, "role", {"trust": "x"})])
    assert events == [
        StepStarted("role", "create"),
        StepProgress("role", "waiting for it to appear"),
        StepFinished("role", "create", 2),
    ]


def test_an_update_sends_what_differs_and_its_users_follow(world):
    up(world, service(world))
    world.writes.clear()
    result, events = up(world, service(world, code="2"))
    assert world.writes == ["update code of function", "update resource of workflow"]
    assert world.states["workflow"].fields == {"resource": "2"}
    assert result.outputs["function"]["version"] == "2"
    assert result.outputs["function"]["id"] == world.states["function"].outputs["id"]
    assert [type(event) for event in events] == [StepStarted, StepFinished] * 2


def test_drift_behind_our_back_is_mended(world):
    up(world, service(world))
    world.states["logs"] = State({"days": 1, "of others": True}, world.states["logs"].outputs)
    world.writes.clear()
    up(world, service(world))
    assert world.writes == ["update days of logs"]
    assert world.states["logs"].fields == {"days": 14, "of others": True}


def test_a_reference_that_turns_out_to_be_what_is_there_writes_nothing(world):
    """The function's version was unknown to the plan, but publishing gave the same one again."""
    up(world, service(world, code="2"))
    world.states["function"] = State({"code": "1"}, world.states["function"].outputs)
    world.writes.clear()
    result, events = up(world, service(world, code="2"))
    assert world.plan.count(Action.UPDATE) == 2
    assert world.writes == ["update code of function"]
    assert {event.key for event in events} == {"function"}
    assert result.succeeded
    assert result.outputs["workflow"] == world.states["workflow"].outputs


def test_a_replacement_deletes_first_and_its_users_get_the_new_outputs(world):
    up(world, service(world, kind="zip"))
    old = world.states["function"].outputs["id"]
    world.writes.clear()
    users = [*service(world, kind="image"), Thing(world, "alias", {"of": Ref("function", "id")})]
    world.states["alias"] = State({"of": old})
    result, events = up(world, users)
    assert world.writes == ["delete function", "create function", "update of of alias"]
    assert events[:3] == [
        StepStarted("function", "replace"),
        StepProgress("function", "waiting for it to appear"),
        StepFinished("function", "replace", 2),
    ]
    assert world.states["alias"].fields["of"] == result.outputs["function"]["id"] != old


def test_a_failure_skips_what_depends_on_it_and_the_others_go_on(world):
    world.errors["create", "function"] = AwsError("Conflict", "busy", advice="wait")
    result, events = up(world, service(world))
    assert fates(result) == {
        "role": "done",
        "logs": "done",
        "function": "failed",
        "workflow": "skipped",
    }
    assert result.outcomes["workflow"].because == "function"
    assert not result.succeeded
    assert result.counts == {
        "created": 2,
        "updated": 0,
        "replaced": 0,
        "deleted": 0,
        "failed": 1,
        "skipped": 1,
    }
    assert result.outputs.keys() == {"role", "logs"}
    assert (
        StepFailed("function", "create", "failed to create function: Conflict: busy", "wait")
        in events
    )
    assert StepSkipped("workflow", "create", "function failed") in events
    assert "create workflow" not in world.writes
    assert not any(isinstance(event, StepFinished) and event.key == "function" for event in events)


def test_the_next_up_goes_on_where_a_failure_ended_it(world):
    world.errors["create", "function"] = AwsError("Conflict", "busy")
    up(world, service(world))
    world.errors.clear()
    world.writes.clear()
    result, _ = up(world, service(world))
    assert world.writes == ["create function", "create workflow"]
    assert result.succeeded


def test_what_would_not_have_changed_is_skipped_without_a_word(world):
    up(world, service(world))
    world.errors["update trust of", "role"] = AwsError("Conflict", "busy")
    world.states["role"] = State({"trust": "other"}, world.states["role"].outputs)
    result, events = up(world, service(world))
    assert fates(result) == {
        "role": "failed",
        "function": "skipped",
        "workflow": "skipped",
        "logs": "done",
    }
    assert {event.key for event in events} == {"role"}


def test_an_error_that_is_not_of_aws_keeps_its_own_words(world):
    world.errors["create", "logs"] = BuildError("no Dockerfile", "write one")
    _, events = up(world, service(world))
    assert StepFailed("logs", "create", "no Dockerfile", "write one") in events


def test_a_defect_of_the_deployer_fails_its_step_only_and_is_called_one(world):
    world.errors["create", "logs"] = ZeroDivisionError("division by zero")
    result, events = up(world, service(world))
    failed = StepFailed(
        "logs", "create", "ZeroDivisionError: division by zero", "this is a defect of the deployer"
    )
    assert failed in events
    assert fates(result) == {
        "role": "done",
        "logs": "failed",
        "function": "done",
        "workflow": "done",
    }


def test_a_replacement_that_fails_half_way_is_finished_by_the_next_up(world):
    up(world, service(world, kind="zip"))
    world.errors["create", "function"] = AwsError("Conflict", "busy")
    result, events = up(world, service(world, kind="image"))
    assert result.outcomes["function"].fate is Fate.FAILED
    assert any(
        isinstance(event, StepFailed) and event.message.startswith("failed to replace")
        for event in events
    )
    world.errors.clear()
    assert up(world, service(world, kind="image"))[0].succeeded
    assert up(world, service(world, kind="image"))[1] == []


def extra(world, *keys):
    """Resources that exist and are no longer declared."""
    for key in keys:
        world.states[key] = State({})
    return [Thing(world, key) for key in keys]


def test_what_is_no_longer_declared_is_deleted_in_turn_after_everything_else(world):
    undeclared = extra(world, "function/old", "logs/old")
    result, events = up(world, service(world), undeclared)
    assert world.writes[-2:] == ["delete function/old", "delete logs/old"]
    assert len(world.writes) == 6
    assert result.counts == {
        "created": 4,
        "updated": 0,
        "replaced": 0,
        "deleted": 2,
        "failed": 0,
        "skipped": 0,
    }
    assert [event.action for event in events if event.key == "logs/old"] == ["delete", "delete"]


def test_of_what_is_no_longer_declared_only_what_exists_is_deleted(world):
    undeclared = [*extra(world, "function/old"), Thing(world, "logs/old")]
    result, _ = up(world, [], undeclared)
    assert world.writes == ["delete function/old"]
    assert result.outcomes == {"function/old": Outcome(Fate.DONE)}


class Spare(Thing):
    """An undeclared resource that the newest version of a function may want."""

    harmless = True

    def is_wanted(self, outputs):
        return (outputs.get("function") or {}).get("version") == self.key.rpartition("/")[2]


def spares(world, *versions):
    """Spare resources that exist, of these versions of the function."""
    keys = [f"spare/{version}" for version in versions]
    world.states.update(dict.fromkeys(keys, State({})))
    return [Spare(world, key) for key in keys]


def test_what_a_declared_resource_wants_stays_though_it_is_not_declared(world):
    up(world, service(world))
    world.writes.clear()
    up(world, service(world), spares(world, "1", "0"))
    assert world.writes == ["delete spare/0"]
    assert [change.key for change in world.plan.effective] == ["spare/0"]
    assert world.plan.destructive == (), "nothing is lost, so nobody is asked"


def test_what_the_run_turns_out_to_want_stays(world):
    """The plan did not know the version."""
    up(world, service(world))
    world.writes.clear()
    result, events = up(world, service(world, code="2"), spares(world, "2", "1"))
    assert [change.key for change in world.plan.effective][-2:] == ["spare/2", "spare/1"]
    assert world.writes == [
        "update code of function",
        "update resource of workflow",
        "delete spare/1",
    ]
    assert result.outcomes["spare/2"] == Outcome(Fate.DONE)
    assert result.counts["deleted"] == 1
    assert not any(event.key == "spare/2" for event in events)


def test_a_remark_stands_beside_each_change_and_what_is_anew_only_in_a_service_in_use(world):
    class Api(Thing):
        remark, anew = "costs much", "has a new address"

    thing = Api(world, "api", {"a": 1})
    assert plan_changes([thing], {"api": None}).changes[0].note == "costs much"
    actual = {"api": None, "logs": State({})}
    planned = plan_changes([thing], actual, [Thing(world, "logs")])
    assert [change.note for change in planned.changes] == ["has a new address", ""]
    assert plan_changes([thing], {"api": State({"a": 2})}).changes[0].note == "costs much"
    assert plan_changes([thing], {"api": State({"a": 1})}).changes[0].note == ""


def test_after_a_failure_nothing_is_deleted(world):
    undeclared = extra(world, "function/old", "logs/old")
    world.errors["create", "logs"] = AwsError("Conflict", "busy")
    result, events = up(world, service(world), undeclared)
    assert not any(write.startswith("delete") for write in world.writes)
    assert (
        result.outcomes["function/old"]
        == result.outcomes["logs/old"]
        == Outcome(Fate.SKIPPED, because="logs")
    )
    assert events[-2:] == [
        StepSkipped("function/old", "delete", "logs failed"),
        StepSkipped("logs/old", "delete", "logs failed"),
    ]


def test_a_deletion_that_fails_skips_the_ones_behind_it(world):
    undeclared = extra(world, "function/old", "logs/old", "model/old")
    world.errors["delete", "logs/old"] = AwsError("Conflict", "busy")
    result, events = up(world, [], undeclared)
    assert fates(result) == {"function/old": "done", "logs/old": "failed", "model/old": "skipped"}
    assert events[-1] == StepSkipped("model/old", "delete", "logs/old failed")
    assert world.states.keys() == {"logs/old", "model/old"}


def test_once_stopped_nothing_new_begins_and_what_was_meant_is_told(world):
    result, events = up(world, service(world), stopped=lambda: len(world.writes) >= 2)
    assert len(world.writes) == 2
    assert fates(result) == {
        "role": "done",
        "logs": "done",
        "function": "skipped",
        "workflow": "skipped",
    }
    skipped = [event for event in events if isinstance(event, StepSkipped)]
    assert skipped == [
        StepSkipped(key, "create", "interrupted") for key in ("function", "workflow")
    ]


def test_once_stopped_nothing_undeclared_is_deleted(world):
    undeclared = extra(world, "function/old")
    result, _ = up(world, service(world), undeclared, stopped=lambda: len(world.writes) >= 2)
    assert result.outcomes["function/old"].fate is Fate.SKIPPED
    assert "function/old" in world.states


def test_threads_come_to_the_same_end(world):
    with ThreadPoolExecutor(8) as pool:
        result, _ = up(world, service(world), extra(world, "logs/old"), executor=pool)
        assert result.succeeded
        assert up(world, service(world), executor=pool)[1] == []


def test_down_deletes_users_before_what_they_use(world):
    up(world, service(world))
    world.writes.clear()
    result, events = down(service(world))
    assert world.states == {}
    assert result.succeeded
    order = [write.removeprefix("delete ") for write in world.writes]
    assert sorted(order) == ["function", "logs", "role", "workflow"]
    assert order.index("workflow") < order.index("function") < order.index("role")
    assert {event.action for event in events} == {"delete"}


def test_second_down_deletes_nothing(world):
    result, events = down(service(world))
    assert (world.writes, events) == ([], [])
    assert result.succeeded


def test_down_deletes_what_is_left_of_an_interrupted_up(world):
    up(world, service(world), stopped=lambda: len(world.writes) >= 2)
    world.writes.clear()
    down(service(world))
    assert sorted(world.writes) == ["delete logs", "delete role"]
    assert world.states == {}


def test_a_failed_deletion_spares_what_it_still_uses(world):
    up(world, service(world))
    world.errors["delete", "function"] = AwsError("Conflict", "busy")
    result, events = down(service(world))
    assert fates(result) == {
        "workflow": "done",
        "logs": "done",
        "function": "failed",
        "role": "skipped",
    }
    assert world.states.keys() == {"function", "role"}
    assert (
        StepFailed("function", "delete", "failed to delete function: Conflict: busy", "") in events
    )
    assert StepSkipped("role", "delete", "function failed") in events


def test_down_can_be_stopped(world):
    up(world, service(world))
    world.writes.clear()
    result, events = down(service(world), stopped=lambda: len(world.writes) >= 1)
    assert len(world.writes) == 1
    assert result.counts == {
        "created": 0,
        "updated": 0,
        "replaced": 0,
        "deleted": 1,
        "failed": 0,
        "skipped": 3,
    }
    assert [event.because for event in events if isinstance(event, StepSkipped)] == [
        "interrupted"
    ] * 3


def test_the_plan_of_a_teardown_is_in_reverse_order_of_need(world):
    resources = service(world)
    world.states = {"function": State({}), "role": State({})}
    plan = plan_teardown(resources, read_all(AWS, resources, SerialExecutor()))
    assert [change.key for change in plan.effective] == ["function", "role"]
    assert len(plan.changes) == 4


def test_reading_returns_the_state_of_each_resource(world):
    world.states["role"] = State({"trust": "x"})
    actual = read_all(AWS, service(world), SerialExecutor())
    assert actual == {
        "workflow": None,
        "function": None,
        "role": State({"trust": "x"}),
        "logs": None,
    }


def test_every_resource_that_is_not_ours_is_told_at_once(world):
    world.errors["read", "role"] = ForeignResource("role x exists", "choose another name")
    world.errors["read", "logs"] = ForeignResource("log group y exists", "other advice")
    with pytest.raises(ForeignResource) as caught:
        read_all(AWS, service(world), SerialExecutor())
    assert caught.value.message == "role x exists\nlog group y exists"
    assert caught.value.advice == "choose another name"


def test_a_read_that_fails_names_its_resource(world):
    world.errors["read", "function"] = AwsError("AccessDenied", "no", operation="GetFunction")
    with pytest.raises(AwsError, match="^failed to read function: GetFunction: AccessDenied: no"):
        read_all(AWS, service(world), SerialExecutor())


def test_an_error_that_several_steps_share_is_told_with_the_name_of_each(world):
    """Threads get one and the same error when a listing that they share fails."""
    shared = AwsError("AccessDenied", "no", operation="DescribeLogGroups", status=400)
    world.errors = {("create", key): shared for key in ("logs/a", "logs/b")}
    result, events = up(world, [Thing(world, "logs/a"), Thing(world, "logs/b")])
    assert [event.message for event in events if isinstance(event, StepFailed)] == [
        f"failed to create {key}: DescribeLogGroups: AccessDenied: no"
        for key in ("logs/a", "logs/b")
    ]
    assert shared.message == "DescribeLogGroups: AccessDenied: no"
    error = result.outcomes["logs/b"].error
    assert type(error) is AwsError and error.__cause__ is shared
    assert (error.code, error.status, error.operation) == ("AccessDenied", 400, "DescribeLogGroups")


def test_what_is_foreign_comes_before_the_failures_that_may_follow_from_it(world):
    world.errors["read", "workflow"] = ForeignResource("workflow x exists")
    world.errors["read", "function"] = AwsError("AccessDenied", "no", operation="GetFunction")
    with pytest.raises(ForeignResource, match="workflow x exists"):
        read_all(AWS, service(world), SerialExecutor())


def test_what_is_foreign_can_be_collected_while_the_rest_is_read(world):
    foreign = world.errors["read", "role"] = ForeignResource("role x exists")
    world.states["logs"] = State({"days": 14})
    refused = {}
    actual = read_all(AWS, service(world), SerialExecutor(), refused)
    assert refused == {"role": foreign}
    assert actual == {"workflow": None, "function": None, "role": None, "logs": State({"days": 14})}


def test_what_turns_out_to_exist_is_read_and_finished(world):
    """GEN-10: the answer to an earlier attempt was lost, or another run was faster."""
    resources = service(world)
    taken = AwsError("EntityAlreadyExists", "Role exists", operation="CreateRole")
    role = resources[2]
    role.exists = ("EntityAlreadyExists",)

    def create(aws, desired):
        world.writes.append("create role")
        world.states["role"] = State({"trust": "nobody"}, {"id": "role#other"})
        raise taken

    role.create = create
    result, events = up(world, resources)
    assert result.succeeded and result.outputs["role"]["id"] == "role#other"
    assert world.states["role"].fields == {"trust": "lambda"}
    assert [
        event.text for event in events if isinstance(event, StepProgress) and event.key == "role"
    ] == ["it exists already: another run made it, or the answer to an attempt was lost; going on"]


def test_what_turns_out_to_exist_and_cannot_become_what_is_desired_is_the_error(world):
    taken = AwsError("Exists", "exists", operation="CreateThing")

    class Taken(Thing):
        exists = ("Exists",)

        def create(self, aws, desired):
            world.states["thing"] = State({"kind": "old"}, {})
            raise taken

    result, _ = up(world, [Taken(world, "thing", {"kind": "new"})])
    error = result.outcomes["thing"].error
    assert error.__cause__ is taken and error.code == "Exists"
    assert world.states["thing"].fields == {"kind": "old"}


def test_an_error_of_another_call_than_the_creating_one_does_not_mean_that_it_exists(world):
    class Conflicting(Thing):
        exists = ("Conflict",)

    world.errors["create", "thing"] = AwsError("Conflict", "busy", operation="PublishThing")
    result, _ = up(world, [Conflicting(world, "thing", {"kind": "new"})])
    assert result.outcomes["thing"].error.code == "Conflict" and "thing" not in world.states


def test_a_result_with_anything_skipped_has_not_succeeded():
    assert RunResult({}).succeeded
    assert not RunResult({"a": Outcome(Fate.DONE), "b": Outcome(Fate.SKIPPED)}).succeeded


@st.composite
def services(draw):
    """Recipes of up to six things: their fields, and the earlier things that they need."""
    recipes = []
    for number in range(draw(st.integers(1, 6))):
        fields = draw(
            st.dictionaries(st.sampled_from(["code", "kind", "size"]), st.sampled_from("abc"))
        )
        earlier = (
            st.lists(st.sampled_from(range(number)), max_size=2, unique=True)
            if number
            else st.just([])
        )
        refs = {
            f"to{other}": Ref(f"t{other}", draw(st.sampled_from(["id", "version"])))
            for other in draw(earlier)
        }
        recipes.append(({**fields, **refs}, [f"t{other}" for other in draw(earlier)]))
    return recipes


def things(world, recipes):
    return [
        Thing(world, f"t{number}", fields, needs) for number, (fields, needs) in enumerate(recipes)
    ]


@given(
    services(),
    services(),
    st.sets(st.tuples(st.sampled_from(["create", "delete"]), st.integers(0, 5))),
)
def test_however_a_service_changes_and_whatever_fails_two_more_ups_settle_it(
    first, second, failures
):
    world = World()
    up(world, things(world, first))
    world.errors = {(verb, f"t{number}"): AwsError("Conflict", "busy") for verb, number in failures}
    gone = [Thing(world, f"t{number}") for number in range(len(second), len(first))]
    up(world, things(world, second), gone)
    world.errors = {}
    assert up(world, things(world, second), gone)[0].succeeded
    world.writes.clear()
    assert up(world, things(world, second), gone)[0].succeeded
    assert world.writes == []
    assert world.states.keys() == {f"t{number}" for number in range(len(second))}


@given(services(), st.integers(0, 6))
def test_an_interrupted_up_leaves_nothing_that_down_cannot_delete(recipes, limit):
    world = World()
    up(world, things(world, recipes), stopped=lambda: len(world.writes) >= limit)
    assert len(world.states) == min(limit, len(recipes))
    assert down(things(world, recipes))[0].succeeded
    assert world.states == {}
