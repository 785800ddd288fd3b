"""Who may call, in OpenAPI: the setting `auth` as a security scheme, and how it refuses."""

from __future__ import annotations

from typing import Any

from deployer.project.settings import Settings

Scheme = dict[str, Any]


def schemes(settings: Settings) -> dict[str, Scheme]:
    """Return the security scheme of the setting `auth`, by name; none where anyone may call."""
    return {name: scheme for name, scheme in _schemes(settings).items() if name == settings.auth}


def requirements(settings: Settings) -> list[dict[str, list[str]]]:
    """Return what a call needs; of a token's scopes one is enough."""
    if settings.auth == "none":
        return []
    if settings.auth == "jwt" and settings.jwt_scopes:
        return [{"jwt": [scope]} for scope in settings.jwt_scopes]
    return [{settings.auth: []}]


def refusals(settings: Settings) -> dict[str, str]:
    """Return the statuses with which a caller is refused, each with its reason."""
    return {
        "none": {},
        "iam": {"403": "The signature is missing, wrong or expired, or does not allow the call."},
        "jwt": {
            "401": "The token is missing, wrong or expired.",
            "403": "The token has none of the scopes that are asked for.",
        },
        "key": {"403": "The API key is missing or unknown."},
    }[settings.auth]


def _schemes(settings: Settings) -> dict[str, Scheme]:
    region = settings.region or "the API's region"
    return {
        "iam": {
            "type": "apiKey",
            "name": "Authorization",
            "in": "header",
            "description": "AWS Signature Version 4, for the service execute-api and the region "
            f"{region}.",
            "x-amazon-apigateway-authtype": "awsSigv4",
        },
        "jwt": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": _token(settings),
            **({"x-issuer": settings.jwt_issuer} if settings.jwt_issuer else {}),
        },
        "key": {
            "type": "apiKey",
            "name": "x-api-key",
            "in": "header",
            "description": "An API key. It meters calls; it is no proof of who calls.",
        },
    }


def _token(settings: Settings) -> str:
    audience = " or ".join(settings.jwt_audience)
    scopes = " or ".join(settings.jwt_scopes)
    asked = f", with the scope {scopes}" if scopes else ""
    return f"A token of {settings.jwt_issuer}, for the audience {audience}{asked}."
