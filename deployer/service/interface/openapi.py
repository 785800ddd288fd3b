"""The OpenAPI 3.1 document of a service."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from deployer.service.interface import responses, security
from deployer.service.interface.reading import Interface
from deployer.service.interface.results import results
from deployer.service.interface.schemas import references, requests
from deployer.service.rest_contract import JSON

VERSION = "3.1.0"
_DIGITS = 12  # of the document's own version


def document(interface: Interface, url: str | None = None) -> dict[str, Any]:
    """Return the document.

    Args:
        url: of the deployed API; without one, the servers are a pattern to fill in.
    """
    settings = interface.settings
    needed = security.requirements(settings)
    schemes = security.schemes(settings)
    content = {
        "servers": [_pattern(interface) if url is None else {"url": url.rstrip("/")}],
        **({"security": needed} if needed else {}),
        "paths": _paths(interface),
        "components": {
            "schemas": {
                **requests(interface),
                **results(interface),
                **responses.schemas(interface),
            },
            "headers": responses.headers(interface),
            **({"securitySchemes": schemes} if schemes else {}),
        },
    }
    return {
        "openapi": VERSION,
        "info": {
            "title": settings.prefix,
            "description": _description(interface),
            "version": _version(content),
        },
        **content,
    }


def _version(content: Any) -> str:
    """Return the version of the description: another one whenever it says something else."""
    text = json.dumps(content, sort_keys=True)
    return f"1.0.0+{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"


def _description(interface: Interface) -> str:
    names = ", ".join(interface.models)
    several = "several models" if len(interface.models) > 1 else "a model"
    text = f"Predictions of {several}: {names}."
    if interface.settings.api == "http":
        return (
            f"{text} Every execution is answered with HTTP 200, and `status` tells how it ended. "
            "Another path or method is answered with 404."
        )
    return f"{text} Another path or method is answered with 404, in the shape of Error."


def _pattern(interface: Interface) -> dict[str, Any]:
    settings = interface.settings
    path = "/live" if settings.api == "rest" else ""
    return {
        "url": f"https://{{api}}.execute-api.{{region}}.{settings.dns_suffix}{path}",
        "variables": {
            "api": {"default": "api-id", "description": "The API's id; `up` prints the whole URL."},
            "region": {"default": settings.region or "us-east-1"},
        },
    }


def _paths(interface: Interface) -> dict[str, Any]:
    (schema,) = references("Request")
    paths: dict[str, Any] = {
        "/": {
            "post": {
                "operationId": "predict",
                "summary": "Ask the models for predictions",
                "requestBody": {
                    "required": True,
                    "content": {JSON: {"schema": schema, "examples": _examples(interface)}},
                },
                "responses": responses.predict(interface),
            }
        }
    }
    if interface.settings.api == "rest":
        paths["/health"] = {
            "get": {
                "operationId": "health",
                "summary": "Ask whether the API is there; it says nothing of the models",
                **({"security": []} if security.requirements(interface.settings) else {}),
                "responses": responses.health(interface),
            }
        }
    return paths


def _examples(interface: Interface) -> dict[str, Any]:
    record = interface.example
    source = "from the training" if interface.settings.publish_example else "made up"
    one = {"record": {"summary": f"one record, {source}", "value": record}}
    if not interface.shipped:
        return one
    return {**one, "batch": {"summary": "two records", "value": {"instances": [record, record]}}}
