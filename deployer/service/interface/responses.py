"""The HTTP answers of both kinds of API, as OpenAPI describes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deployer.service import rest_templates
from deployer.service.interface import security
from deployer.service.interface.reading import Interface
from deployer.service.interface.results import made_results
from deployer.service.interface.schemas import Schema, references
from deployer.service.rest_contract import GATEWAY_RESPONSES, JSON, MODELS_FAILED, REQUEST_ID

Responses = dict[str, dict[str, Any]]
HTTP_REQUEST_ID = "apigw-requestid"
_REASON = "www-authenticate"
# By status of the HTTP API: when it comes, and an example of its body.
_HTTP_ERRORS: dict[str, tuple[str, Any]] = {
    "400": (
        "Step Functions refuses the request: the body is not JSON or larger than 256 KiB, or there "
        "are too many requests.",
        {"__type": "InvalidExecutionInput", "message": "Invalid State Machine Execution Input"},
    ),
    "413": ("The body is larger than 10 MB.", {"message": "Request Entity Too Large"}),
    "429": (
        "More requests than the API accepts (rate_limit, burst_limit).",
        {"message": "Too Many Requests"},
    ),
    "500": ("API Gateway may not start the workflow.", {"message": "Internal Server Error"}),
    "503": (
        "The workflow did not end in time; it goes on.",
        {"message": "Service Unavailable"},
    ),
}
# By status of the REST API: when it comes, and the types of its errors with a message of each.
_REST_ERRORS: dict[str, tuple[str, dict[str, str]]] = {
    "400": (
        "The body is not JSON, or the input breaks the contract: the message names every offending "
        "feature.",
        {"InvalidInput": "age: missing", "BadRequest": GATEWAY_RESPONSES["DEFAULT_4XX"][2]},
    ),
    "413": ("The body is larger than 256 KiB.", {"TooLarge": rest_templates.TOO_LARGE}),
    "415": (
        f"The content type is not {JSON}.",
        {"UnsupportedMediaType": GATEWAY_RESPONSES["UNSUPPORTED_MEDIA_TYPE"][2]},
    ),
    "429": (
        "More requests than the API (rate_limit, burst_limit) or Step Functions accepts, or than "
        "the limits or the quota of the key allow.",
        {"TooManyRequests": rest_templates.BUSY},
    ),
    "500": (
        "The workflow failed in a way of its own, whose name is the type; or the service failed.",
        {
            "InternalError": rest_templates.INTERNAL,
            "WorkflowFailed": "the workflow failed; its log tells the cause under the id in "
            "x-request-id",
        },
    ),
    "502": ("No model answered.", {"NoModelAnswered": "no model could answer; try again later"}),
    "503": (
        "Step Functions is not available.",
        {"ServiceUnavailable": "the service is not available; try again later"},
    ),
    "504": (
        "The workflow did not end in time.",
        {"TimedOut": GATEWAY_RESPONSES["INTEGRATION_TIMEOUT"][2]},
    ),
}
_HEALTH = ("415", "429", "500", "504")  # of these, what an answer without the workflow may be
_SAYS = {"401": "Unauthorized", "403": "Forbidden"}


def schemas(interface: Interface) -> dict[str, Schema]:
    """Return the schemas of the bodies, by name."""
    if interface.settings.api == "rest":
        return {
            **({"Answer": _answer()} if interface.shipped else {}),
            "Error": _object({"error": _object({"type": _text(), "message": _text()})}),
            "Health": _object({"status": {"type": "string", "const": "ok"}}),
        }
    return {"Execution": _execution(), "Refusal": _refusal()}


def predict(interface: Interface) -> Responses:
    """Return the answers to POST /, by status."""
    return _rest(interface) if interface.settings.api == "rest" else _http(interface)


def health(interface: Interface) -> Responses:
    """Return the answers to GET /health of a REST API, by status."""
    answers = {"200": _response("The API is there.", "Health", [REQUEST_ID], {"status": "ok"})}
    return {**answers, **{status: _rest_error(status) for status in _HEALTH}}


def _rest(interface: Interface) -> Responses:
    refused = security.refusals(interface.settings)
    answers = {
        "200": _response(
            _REST_OK if interface.shipped else _OWN_OK,
            "Answer" if interface.shipped else "Results",
            [REQUEST_ID, MODELS_FAILED],
            {"results": made_results(interface)} if interface.shipped else None,
        ),
        **{status: _rest_error(status) for status in _REST_ERRORS},
        **{
            status: _response(text, "Error", [REQUEST_ID], _error(_SAYS[status], "access denied"))
            for status, text in refused.items()
        },
    }
    return dict(sorted(answers.items()))


_REST_OK = "The answer of each model; of those that failed, an error."
_OWN_OK = (
    "The workflow's own output, any JSON value; a list of one entry per model comes as "
    '{"results": [...]}.'
)


def _rest_error(status: str) -> dict[str, Any]:
    text, errors = _REST_ERRORS[status]
    response = _response(text, "Error", [REQUEST_ID])
    response["content"][JSON]["examples"] = {
        kind: {"value": _error(kind, message)} for kind, message in errors.items()
    }
    return response


def _http(interface: Interface) -> Responses:
    text = (
        "The record of the execution. It succeeded only if `status` says so: an input that breaks "
        "the contract is FAILED with the error InvalidInput, whose cause names every offending "
        "feature; NoModelAnswered if no model did."
    )
    ok = _response(text, "Execution", [HTTP_REQUEST_ID])
    output = (
        json.dumps(made_results(interface), separators=(",", ":")) if interface.shipped else "{}"
    )
    ok["content"][JSON]["examples"] = {
        "succeeded": {"value": _record("SUCCEEDED", output=output)},
        "refused": {"value": _record("FAILED", error="InvalidInput", cause="age: missing")},
    }
    answers = {
        "200": ok,
        **{
            status: _response(text, "Refusal", [HTTP_REQUEST_ID], body)
            for status, (text, body) in _HTTP_ERRORS.items()
        },
        **{
            status: _response(
                text,
                "Refusal",
                [HTTP_REQUEST_ID, *([_REASON] if status == "401" else [])],
                {"message": _SAYS[status]},
            )
            for status, text in security.refusals(interface.settings).items()
        },
    }
    return dict(sorted(answers.items()))


def _record(status: str, **members: str) -> dict[str, Any]:
    times = {"startDate": 1735689600.0, "stopDate": 1735689600.3}
    return {"name": "Zk3sTgNSIAMEJ2w=", "status": status, **times, **members}


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message}}


def _response(text: str, schema: str, headers: list[str], example: Any = None) -> dict[str, Any]:
    (reference,) = references(schema)
    media = {"schema": reference, **({} if example is None else {"example": example})}
    return {
        "description": text,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {JSON: media},
    }


def headers(interface: Interface) -> dict[str, Any]:
    """Return the headers of answers, by name."""
    identity = {"schema": {"type": "string"}, "description": "The id of the request in the logs."}
    if interface.settings.api == "http":
        reason = {"description": "What is wrong with the token.", "schema": {"type": "string"}}
        is_jwt = interface.settings.auth == "jwt"
        return {HTTP_REQUEST_ID: identity, **({_REASON: reason} if is_jwt else {})}
    failed = {
        "description": "How many models failed; missing if none did.",
        "schema": {"type": "integer", "minimum": 1},
    }
    return {REQUEST_ID: identity, MODELS_FAILED: failed}


def _answer() -> Schema:
    (results,) = references("Results")
    return _object({"results": results})


def _execution() -> Schema:
    (results,) = references("Results")
    included = _object({"included": {"type": "boolean"}}, closed=False)
    return {
        "type": "object",
        "description": "The execution record of Step Functions.",
        "properties": {
            "status": {"type": "string", "enum": ["SUCCEEDED", "FAILED", "TIMED_OUT"]},
            "output": {
                "type": "string",
                "description": "The result as JSON, if the execution succeeded.",
                "contentMediaType": JSON,
                "contentSchema": results,
            },
            "error": {"type": "string", "description": "The name of the error, if it failed."},
            "cause": {"type": "string", "description": "The reason, if it failed."},
            "executionArn": _text(),
            "stateMachineArn": _text(),
            "name": {"type": "string", "description": "The id of the request."},
            "startDate": {"type": "number", "description": "Seconds since 1970."},
            "stopDate": {"type": "number", "description": "Seconds since 1970."},
            "input": {"type": "string", "description": "The request as it came."},
            "inputDetails": included,
            "outputDetails": included,
            "billingDetails": {"type": "object"},
            "traceHeader": _text(),
        },
        "required": ["status"],
    }


def _refusal() -> Schema:
    return {
        "type": "object",
        "properties": {
            "__type": {"type": "string", "description": "The name of Step Functions' error."},
            "message": _text(),
        },
    }


def _text() -> Schema:
    return {"type": "string"}


def _object(properties: Mapping[str, Schema], *, closed: bool = True) -> Schema:
    schema: Schema = {"type": "object", "properties": dict(properties), "required": [*properties]}
    return {**schema, "additionalProperties": False} if closed else schema
