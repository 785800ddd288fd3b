"""The page to try a service: one HTML file that loads nothing but what it calls, the service."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deployer.project.settings import Settings
from deployer.service.interface.files import mark
from deployer.service.interface.reading import Feature, Interface
from deployer.service.interface.schemas import span_of, values

_TEMPLATE = Path(__file__).with_name("template")
_CONTENT_TYPE = "content-type"
_SCRIPTS = ("form.js", "call.js", "answer.js", "main.js")
# What a page may call beside the URL that it is made for: whatever may be typed.
_TARGETS = ("https:", "http://127.0.0.1:*", "http://localhost:*")


def page(interface: Interface, url: str | None = None) -> str:
    """Return the page.

    Args:
        url: of the deployed API; without one, the user types it.
    """
    script = "".join(_read(name) for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}}})();\n'
    style = _read("page.css")
    settings = interface.settings
    values_by_name = {
        "title": html.escape(settings.prefix),
        "about": html.escape(_about(interface)),
        "script": script,
        "script_hash": _source(script),
        "style": style,
        "style_hash": _source(style),
        "targets": html.escape(" ".join(_targets(url))),
        # No markup, so that nothing in it ends the element.
        "service": json.dumps(_service(interface, url)).replace("<", "\\u003c"),
        "mark": mark("page"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values_by_name[match[1]], _read("page.html"))


def obstacle(settings: Settings) -> str | None:
    """Return why browsers keep the page from asking the service, if the settings make them."""
    if not settings.cors_origins:
        return "browsers keep pages from reading the answers, because cors_origins is empty"
    if _CONTENT_TYPE not in settings.cors_headers:
        headers = " ".join([*settings.cors_headers, _CONTENT_TYPE])
        return (
            f"browsers keep pages from sending {_CONTENT_TYPE}; allow it in setup.cfg: "
            f"cors_headers = {headers}"
        )
    return None


def _read(name: str) -> str:
    return (_TEMPLATE / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """Return a text as a source of a content security policy."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _targets(url: str | None) -> list[str]:
    parts = urlsplit(url or "")
    own = f"{parts.scheme}://{parts.netloc}"
    return [*_TARGETS, *([own] if parts.scheme == "http" else [])]


def _about(interface: Interface) -> str:
    *others, last = interface.models
    models = f"the models {', '.join(others)} and {last}" if others else f"the model {last}"
    examples = (
        "" if interface.settings.publish_example else " The values to begin with are made up."
    )
    return f"This page asks {models}. It sends what you type to the service alone.{examples}"


def _service(interface: Interface, url: str | None) -> dict[str, Any]:
    """Return what the page's program reads."""
    settings = interface.settings
    return {
        "api": settings.api,
        "auth": settings.auth,
        "region": settings.region,
        "url": url or "",
        "shipped": interface.shipped,
        "alike": interface.alike,
        "models": [{"name": name, "features": names} for name, names in interface.names.items()],
        "features": [
            _feature(name, descriptions, name in _texts(interface))
            for name, descriptions in interface.features.items()
        ],
        "example": interface.example,
    }


def _texts(interface: Interface) -> set[str]:
    """Return the features that are whole texts."""
    return {
        feature["name"]
        for entry in interface.models.values()
        if entry.get("input") == "text"
        for feature in entry["features"]
    }


def _feature(name: str, descriptions: Sequence[Feature], long: bool) -> dict[str, Any]:
    first = descriptions[0]
    told = {
        member: next((one[member] for one in descriptions if one.get(member)), None)
        for member in ("unit", "description", "categories")
    }
    return {
        "name": name,
        "type": first.get("type", "number"),
        "whole": first.get("type", "number") == "number" and "integer" in values(first)["type"],
        "nullable": all(one.get("nullable") for one in descriptions),
        "range": span_of(descriptions),
        "long": long,
        **told,
    }
