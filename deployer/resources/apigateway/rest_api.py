"""The REST API: its definition, its deployment and its stage, as one kind of resource.

They are one resource, because what is defined is served only once it is deployed, and because AWS
chooses all ids. An API is found by its tags (Rest-2), its definition is one document (Rest-1).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, TypedDict

from deployer.aws.access import Aws
from deployer.engine.compare import tags_from
from deployer.engine.plan import Change, Fields, State
from deployer.resources.apigateway.apis import Access, Api, ApiMetrics, Catalogue, Listed
from deployer.resources.apigateway.calls import ABSENT, gateway_arn
from deployer.resources.apigateway.rest_calls import create, remove, retag_part, write
from deployer.resources.apigateway.rest_definition import (
    GatewayResponseFields,
    MethodFields,
    document,
    read_gateway_responses,
    read_methods,
    version,
)
from deployer.resources.apigateway.rest_stage import (
    STAGE,
    RestStageFields,
    account_may_log,
    deploy,
    find_stage,
    put_stage,
    read_stage,
    remove_deployments,
    set_stage,
)
from deployer.resources.base import Tags, changed
from deployer.resources.fields import Member, given, members, read_members, write_members


class RestApiFields(TypedDict):
    """The fields of a REST API and its parts."""

    tags: Tags
    description: Annotated[str, Member("description", default="")]
    endpoint_type: Annotated[str, Member("endpointConfiguration.types[]", default="EDGE")]
    methods: Mapping[str, MethodFields]  # by method and path, such as "POST /"
    gateway_responses: Mapping[str, GatewayResponseFields]  # by type, such as THROTTLED
    stage: RestStageFields
    stage_tags: Tags  # costs are counted by the stage's own tags (Api-35)
    deployed: bool  # whether the stage serves this definition; declared as true
    stale_deployments: list[str]  # ids of deployments that no stage serves; declared as none


_MEMBERS = members(RestApiFields)
UNLOGGED = (
    "requests are not logged: this account has no role with which API Gateway may write the logs "
    "of REST APIs (aws apigateway update-account; it is for the whole account and region, so this "
    "tool does not set it)"
)
_DEFINITION = ("description", "methods", "gateway_responses")


def _every(aws: Aws) -> Iterator[Listed]:
    for api in aws.pages("apigateway", "get_rest_apis", "items"):
        yield Listed(
            api["id"],
            api["name"],
            tags_from(api.get("tags")),
            api["createdDate"],
            _endpoint(aws, api["id"]),
            api,
        )


def _endpoint(aws: Aws, api_id: str) -> str:
    """Return the URL of the stage.

    Emulators answer it below their own endpoint, on the path that LocalStack has chosen.
    """
    if aws.endpoint:
        return f"{aws.endpoint.rstrip('/')}/_aws/execute-api/{api_id}/{STAGE}"
    suffix = aws.partitions.dns_suffix(aws.identity.partition)
    return f"https://{api_id}.execute-api.{aws.region}.{suffix}/{STAGE}"


def _exists(aws: Aws, api_id: str) -> bool:
    return aws.find(ABSENT, "apigateway", "get_rest_api", restApiId=api_id) is not None


def _is_served(aws: Aws, api_id: str) -> bool:
    return find_stage(aws, api_id) is not None


def _remove(aws: Aws, api_id: str) -> None:
    remove(aws, "delete_rest_api", {"restApiId": api_id})


def _metrics(api: Listed) -> ApiMetrics:
    return ApiMetrics({"ApiName": api.name, "Stage": STAGE}, "4XXError", "5XXError")


def _list_resources(aws: Aws, api_id: str) -> list[dict[str, Any]]:
    parameters = {"restApiId": api_id, "embed": ["methods"]}
    return list(aws.pages("apigateway", "get_resources", "items", **parameters))


def _read_access(aws: Aws, api: Listed) -> Access:
    return _access(read_methods(_list_resources(aws, api.api_id)))


def _access(methods: Mapping[str, Any]) -> Access:
    return Access(
        open=[
            name
            for name, method in methods.items()
            if _is_unauthorized(method) and not method["api_key_required"]
        ],
        every_origin="*" in _origins(methods),
    )


REST_APIS = Catalogue(
    "REST API",
    "aws apigateway delete-rest-api --rest-api-id",
    _every,
    _exists,
    _is_served,
    _remove,
    _metrics,
    _read_access,
)


class RestApi(Api):
    """A REST API that starts a state machine and maps its execution record to an honest answer.

    Outputs besides those of every API: `may_log`, whether the account lets its stage write an
    access log.
    """

    catalogue = REST_APIS

    def read_parts(self, aws: Aws, api: Listed) -> State:
        below: dict[str, Any] = {"restApiId": api.api_id}
        resources, responses, stages, deployments, may_log = aws.together(
            lambda: _list_resources(aws, api.api_id),
            lambda: list(aws.pages("apigateway", "get_gateway_responses", "items", **below)),
            lambda: aws.call("apigateway", "get_stages", **below).get("item", []),
            lambda: list(aws.pages("apigateway", "get_deployments", "items", **below)),
            lambda: account_may_log(aws),
        )
        descriptions = {one["id"]: one.get("description") for one in deployments}
        stage = next((one for one in stages if one["stageName"] == STAGE), None)
        live = stage.get("deploymentId") if stage else None
        stale = sorted(descriptions.keys() - {one.get("deploymentId") for one in stages})
        return State(
            {
                "tags": self.ours.among(api.tags),
                **read_members(_MEMBERS, api.answer),
                "methods": read_methods(resources),
                "gateway_responses": read_gateway_responses(responses),
                "stage": read_stage(stage, self.fields["stage"], may_log),
                # A stage is created with its tags.
                "stage_tags": self.ours.among(tags_from(stage.get("tags")))
                if stage
                else self.fields["stage_tags"],
                "deployed": descriptions.get(live) == _version(self.fields),
                "stale_deployments": stale,
            },
            {
                "api_id": api.api_id,
                "endpoint": api.endpoint,
                "may_log": may_log,
                "live_deployment": live,
                "deployments": sorted(descriptions),
                "served_deployments": sorted(
                    str(one.get("deploymentId")) for one in stages if one is not stage
                ),
            },
        )

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters = {
            "name": self.name,
            "tags": desired["tags"],
            **write_members(_MEMBERS, given(desired)),
        }
        api = create(aws, "create_rest_api", parameters, lambda: self.newest(aws))
        api_id = api["id"]
        self.yield_to_other(aws, api_id, complete=False)
        self._put_definition(aws, api_id, desired)
        deployment = deploy(aws, api_id, _version(desired), known=())
        put_stage(aws, api_id, None, deployment, desired["stage_tags"])
        may_log = self._may_log(aws)
        set_stage(aws, api_id, None, desired["stage"], may_log)
        self.yield_to_other(aws, api_id, complete=True)
        return {"api_id": api_id, "endpoint": _endpoint(aws, api_id), "may_log": may_log}

    def _put_definition(self, aws: Aws, api_id: str, desired: Fields) -> None:
        body = document(
            self.name, desired["description"], desired["methods"], desired["gateway_responses"]
        )
        parameters = {"restApiId": api_id, "mode": "overwrite", "body": json.dumps(body).encode()}
        answer = write(aws, "put_rest_api", parameters)
        for warning in answer.get("warnings") or ():
            aws.tell(f"API Gateway warns: {warning}", lasting=True)

    def _may_log(self, aws: Aws) -> bool:
        may_log = account_may_log(aws)
        if not may_log and self.fields["stage"]["access_log"]:
            aws.tell(UNLOGGED, lasting=True)
        return may_log

    @staticmethod
    def access(fields: Fields) -> Access:
        return _access(fields.get("methods") or {})

    def admits(self, before: Fields, after: Fields, open: Collection[str]) -> Iterator[str]:
        former, wanted = (_metered(fields.get("methods") or {}) for fields in (before, after))
        for name in wanted:
            if name not in former and name not in open:
                yield f"holders of an API key may call {name}; a key does not authenticate"

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        outputs = actual.outputs
        api_id, live = outputs["api_id"], outputs["live_deployment"]
        self._retag(aws, desired, actual)
        if changed(change, "endpoint_type"):
            _move_endpoint(aws, api_id, actual.fields["endpoint_type"], desired["endpoint_type"])
        if changed(change, *_DEFINITION):
            self._put_definition(aws, api_id, desired)
        if changed(change, "deployed"):
            deployment = deploy(aws, api_id, _version(desired), known=outputs["deployments"])
            stage = {"deploymentId": live} if live else None
            put_stage(aws, api_id, stage, deployment, desired["stage_tags"])
            live = deployment
        if changed(change, "stage"):
            set_stage(aws, api_id, actual.fields["stage"], desired["stage"], self._may_log(aws))
        served = {live, *outputs["served_deployments"]}
        remove_deployments(aws, api_id, sorted({*outputs["deployments"]} - served))
        return {}

    @staticmethod
    def _retag(aws: Aws, desired: Fields, actual: State) -> None:
        """Tag the API and its stage."""
        api = gateway_arn(aws, f"/restapis/{actual.outputs['api_id']}")
        parts = {"tags": api, "stage_tags": f"{api}/stages/{STAGE}"}
        for name, arn in parts.items():
            retag_part(aws, arn, desired[name], actual.fields[name])


def _is_unauthorized(method: Mapping[str, Any]) -> bool:
    """Tell whether a method asks for no authorization; a mock gives nothing away."""
    is_mock = (method["integration"] or {}).get("type") == "MOCK"
    return not is_mock and method["authorization"] == "NONE"


def _metered(methods: Mapping[str, Any]) -> list[str]:
    """Return the methods that ask for an API key alone."""
    return [
        name
        for name, method in methods.items()
        if _is_unauthorized(method) and method["api_key_required"]
    ]


def _origins(methods: Mapping[str, Any]) -> set[str]:
    """Return the origins that answers name as allowed, whatever the request's."""
    integrations = (method.get("integration") or {} for method in methods.values())
    return {
        response["headers"].get("Access-Control-Allow-Origin", "").strip("'")
        for integration in integrations
        for response in integration.get("responses", {}).values()
    }


def _version(fields: Fields) -> str:
    return version(fields["methods"], fields["gateway_responses"])


def _move_endpoint(aws: Aws, api_id: str, before: str, after: str) -> None:
    path = f"/endpointConfiguration/types/{before}"
    operations = [{"op": "replace", "path": path, "value": after}]
    write(aws, "update_rest_api", {"restApiId": api_id, "patchOperations": operations})
