"""The usage plan of a REST API: it limits the requests of each API key.

It is found by its tags: names are not unique, and AWS chooses its id (Key-1). Its API keys are
made by `python -m deployer keys`, not declared; they are deleted with it. A key that somebody else
put into it is taken out again, and stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Annotated, Any, TypedDict

from deployer.aws.access import Aws
from deployer.engine.compare import tags_from
from deployer.engine.plan import Change, Fields, Ref, State
from deployer.errors import DeployerError, ForeignResource
from deployer.resources.apigateway.calls import gateway_arn
from deployer.resources.apigateway.rest_calls import create, remove, retag_part, write
from deployer.resources.apigateway.rest_keys import (
    add_to_plan,
    our_keys,
    read_keys,
    remove_from_plan,
    remove_key,
)
from deployer.resources.apigateway.rest_limits import (
    QUOTA,
    THROTTLE,
    QuotaFields,
    ThrottleFields,
    raised,
)
from deployer.resources.base import Owned, Ownership, Resource, Tags, changed
from deployer.resources.fields import Member, given, members, read_members, write_members

_DELETES = ("apigateway:DELETE", "apigateway:PATCH")


class MeteredStageFields(TypedDict):
    """A stage whose requests are limited."""

    api_id: Annotated[str | Ref, Member("apiId")]
    stage: Annotated[str, Member("stage")]


class KeyFields(TypedDict):
    """An API key, never with its value."""

    id: str
    name: str


_STAGE = members(MeteredStageFields)


def _read_stages(stages: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return sorted((read_members(_STAGE, stage) for stage in stages), key=_place)


def _write_stages(stages: list[MeteredStageFields]) -> list[dict[str, Any]]:
    return [write_members(_STAGE, stage) for stage in stages]


class UsagePlanFields(TypedDict):
    """The fields of a usage plan.

    Args:
        loose_keys: names of our keys that it lacks; declared as none.
        foreign_keys: keys of others that it has; declared as none.
        key_tags: by name, the tags of our keys that lack the declared ones; declared as none.
    """

    tags: Tags
    description: Annotated[str, Member("description", default="")]
    stages: Annotated[
        list[MeteredStageFields],
        Member("apiStages", default=[], parse=_read_stages, write_as=_write_stages),
    ]
    throttle: Annotated[
        ThrottleFields | None,
        Member(
            "throttle",
            parse=partial(read_members, THROTTLE),
            write_as=partial(write_members, THROTTLE),
        ),
    ]
    quota: Annotated[
        QuotaFields | None,
        Member("quota", parse=partial(read_members, QUOTA), write_as=partial(write_members, QUOTA)),
    ]
    loose_keys: list[str]
    foreign_keys: list[KeyFields]
    key_tags: Mapping[str, Tags]


_MEMBERS = members(UsagePlanFields)


def our_plans(aws: Aws, ours: Ownership) -> list[dict[str, Any]]:
    """Return the usage plans that carry our tags, in the order of their ids."""
    plans = aws.pages("apigateway", "get_usage_plans", "items")
    marked = [plan for plan in plans if ours.marks(tags_from(plan.get("tags")))]
    return sorted(marked, key=lambda plan: str(plan["id"]))


def _delete(aws: Aws, ours: Ownership) -> None:
    """Delete our API keys and usage plans; a plan gives up its stages first (Key-4)."""
    for key in our_keys(aws, ours):
        remove_key(aws, key.key_id)
    for plan in our_plans(aws, ours):
        _remove_plan(aws, plan)


def _remove_plan(aws: Aws, plan: Mapping[str, Any]) -> None:
    stages = _read_stages(plan.get("apiStages") or [])
    below = {"usagePlanId": plan["id"]}
    if stages:
        operations = [_stage("remove", stage) for stage in stages]
        write(aws, "update_usage_plan", {**below, "patchOperations": operations})
    remove(aws, "delete_usage_plan", below)


class OwnedUsagePlan(Owned):
    """Our usage plan and API keys, of a service that asks for no keys any more."""

    reads = ("apigateway:GET",)
    deletes = _DELETES

    def __init__(self, key: str, *, ours: Ownership, needs: Collection[str] = ()) -> None:
        super().__init__(key, needs)
        self.ours = ours

    def find(self, aws: Aws) -> State | None:
        # The keys go before the plan. A key without a plan opens nothing, and to look for keys is
        # to be allowed to read their values.
        return State({}) if our_plans(aws, self.ours) else None

    def delete(self, aws: Aws) -> None:
        _delete(aws, self.ours)


class UsagePlan(Resource):
    """A usage plan. Its output is `usage_plan_id`."""

    reads = ("apigateway:GET",)
    writes = ("apigateway:POST", "apigateway:PATCH", "apigateway:PUT", "apigateway:DELETE")
    deletes = _DELETES

    def __init__(
        self,
        key: str,
        *,
        name: str,
        ours: Ownership,
        fields: Fields,
        needs: Collection[str] = (),
    ) -> None:
        super().__init__(key, fields, needs)
        self.name = name
        self.ours = ours

    def _one(self, aws: Aws) -> dict[str, Any] | None:
        """Return our plan; raise ForeignResource if there are several, or one not ours."""
        plans = our_plans(aws, self.ours)
        if len(plans) > 1:
            ids = ", ".join(str(plan["id"]) for plan in plans)
            raise ForeignResource(
                f"{len(plans)} usage plans carry this service's tags: {ids}",
                "delete all but the one that has your clients' keys "
                "(aws apigateway delete-usage-plan --usage-plan-id ID)",
            )
        if plans:
            return plans[0]
        named: list[dict[str, Any]] = [
            plan
            for plan in aws.pages("apigateway", "get_usage_plans", "items")
            if plan.get("name") == self.name
        ]
        for plan in named:
            self.ours.check(f"usage plan {self.name} ({plan['id']})", tags_from(plan.get("tags")))
        return named[0] if named else None

    def read(self, aws: Aws) -> State | None:
        plan = self._one(aws)
        if plan is None:
            return None
        plan_id = str(plan["id"])
        keys = read_keys(aws, self.ours, plan_id)
        declared = self.fields["tags"]
        mistagged = [key for key in keys.ours if self.ours.among(key.tags) != declared]
        return State(
            {
                "tags": self.ours.among(tags_from(plan.get("tags"))),
                **read_members(_MEMBERS, plan),
                "loose_keys": sorted(key.name for key in keys.loose),
                "foreign_keys": [KeyFields(id=key.key_id, name=key.name) for key in keys.foreign],
                "key_tags": {key.name: self.ours.among(key.tags) for key in mistagged},
            },
            {
                "usage_plan_id": plan_id,
                "loose_key_ids": [key.key_id for key in keys.loose],
                "mistagged_keys": [(key.key_id, self.ours.among(key.tags)) for key in mistagged],
            },
            {"foreign_keys": []},  # no run of this tool puts one in
        )

    def find(self, aws: Aws) -> State | None:
        exists = self._one(aws) or any(True for _ in our_keys(aws, self.ours))
        return State({}) if exists else None

    def widens(self, before: Fields | None, after: Fields) -> Iterator[str]:
        yield from super().widens(before, after)
        if before is None:
            return
        yield from raised(before, after)
        if after["stages"] and not before["stages"]:
            yield "holders of its API keys may call the API again"
        for name in before["loose_keys"]:
            yield f"the API key {name} is put back, so that it works again"

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters = {
            "name": self.name,
            "tags": desired["tags"],
            **write_members(_MEMBERS, given(desired)),
        }
        find = partial(self._newest, aws)
        plan_id = str(create(aws, "create_usage_plan", parameters, find)["id"])
        self._yield_to_other(aws, plan_id)
        for key in our_keys(aws, self.ours):  # of a plan that was deleted by hand
            add_to_plan(aws, plan_id, key.key_id)
        return {"usage_plan_id": plan_id}

    def _newest(self, aws: Aws) -> dict[str, Any] | None:
        return next(iter(our_plans(aws, self.ours)), None)

    def _yield_to_other(self, aws: Aws, plan_id: str) -> None:
        """Give way to a plan that another run created at the same time: the smaller id stays."""
        plans = our_plans(aws, self.ours)
        if plans and str(plans[0]["id"]) < plan_id:
            for plan in plans:
                if str(plan["id"]) == plan_id:
                    _remove_plan(aws, plan)
            raise DeployerError(
                f"another run created the usage plan {plans[0]['id']} at the same time",
                "run the command again: it goes on with that one",
            )

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        plan_id = actual.outputs["usage_plan_id"]
        plan = gateway_arn(aws, f"/usageplans/{plan_id}")
        retag_part(aws, plan, desired["tags"], actual.fields["tags"])
        for key_id, tags in actual.outputs["mistagged_keys"]:
            retag_part(aws, gateway_arn(aws, f"/apikeys/{key_id}"), desired["tags"], tags)
        operations = [
            operation
            for name in ("description", "stages", "throttle", "quota")
            if changed(change, name)
            for operation in _operations(name, actual.fields[name], desired[name])
        ]
        if operations:  # all at once: one call in 20 s (Key-5)
            parameters = {"usagePlanId": plan_id, "patchOperations": operations}
            write(aws, "update_usage_plan", parameters)
        for key_id in actual.outputs["loose_key_ids"]:
            add_to_plan(aws, plan_id, key_id)
        for key in actual.fields["foreign_keys"]:
            remove_from_plan(aws, plan_id, key["id"])
        return {}

    def delete(self, aws: Aws) -> None:
        _delete(aws, self.ours)


def find_plan(aws: Aws, ours: Ownership) -> str | None:
    """Return the id of our usage plan."""
    plans = our_plans(aws, ours)
    return str(plans[0]["id"]) if plans else None


def _operations(name: str, before: Any, after: Any) -> Iterator[dict[str, str]]:
    """Yield the operations that change a field of a plan."""
    if name == "description":
        yield {"op": "replace", "path": "/description", "value": after}
    elif name == "stages":
        yield from (_stage("remove", stage) for stage in before if stage not in after)
        yield from (_stage("add", stage) for stage in after if stage not in before)
    elif after is None:
        yield {"op": "remove", "path": f"/{name}"}
    else:
        written = write_members(THROTTLE if name == "throttle" else QUOTA, after)
        for member, value in written.items():
            path = f"/{name}/{member}"
            yield {"op": "replace" if before else "add", "path": path, "value": str(value)}


def _place(stage: Mapping[str, Any]) -> str:
    return f"{stage['api_id']}:{stage['stage']}"


def _stage(operation: str, stage: Mapping[str, Any]) -> dict[str, str]:
    return {"op": operation, "path": "/apiStages", "value": _place(stage)}
