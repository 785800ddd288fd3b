"""API Gateway's mapping templates: the Velocity Template Language, as `airspeed-ext` evaluates it.

It is not AWS's own engine. Where the two differ, the templates of the deployer keep to what both
do alike (`service/rest_templates.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any


class Input:
    """The variable `$input`: a body, and the parameters of the request."""

    def __init__(self, body: str, headers: Mapping[str, str], query: Mapping[str, str]) -> None:
        self.body = body
        self._parameters = {"path": {}, "querystring": dict(query), "header": dict(headers)}

    def json(self, path: str) -> str:
        """Return the value at a JSONPath, as JSON."""
        return json.dumps(self.path(path), ensure_ascii=False, separators=(",", ":"))

    def path(self, path: str) -> Any:
        """Return the value at a JSONPath, None if there is none."""
        return value_at(json.loads(self.body or "{}"), path)

    def params(self, name: str | None = None) -> Any:
        """Return a parameter of the request, "" if there is none; or all of them, by place."""
        if name is None:
            return self._parameters
        places = self._parameters.values()
        return next((place[name] for place in places if name in place), "")


class _Escapes(dict[int, str]):
    """What Apache Commons' escapeJavaScript makes of a character, by its number."""

    def __missing__(self, number: int) -> str:
        if 32 <= number < 127:
            self[number] = chr(number)
        else:
            units = chr(number).encode("utf-16-be", "surrogatepass")
            pairs = (units[start : start + 2].hex().upper() for start in range(0, len(units), 2))
            self[number] = "".join(f"\\u{pair}" for pair in pairs)
        return self[number]


_ESCAPES = _Escapes(
    {
        **{ord(character): f"\\{character}" for character in "\\\"'/"},
        **{
            ord(character): f"\\{letter}"
            for character, letter in zip("\b\n\t\f\r", "bntfr", strict=True)
        },
    }
)


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


_UTIL = {"escapeJavaScript": _escaped, "parseJson": json.loads}  # the variable `$util`


def value_at(value: Any, path: str) -> Any:
    """Return the value at a JSONPath of names and indexes, None if there is none."""
    for name, index in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", path):
        if isinstance(value, dict) and name:
            value = value.get(name)
        elif isinstance(value, list) and index and int(index) < len(value):
            value = value[int(index)]
        else:
            return None
    return value


@lru_cache(maxsize=256)
def _compiled(template: str) -> Any:
    from airspeed import Template  # a tenth of a second, which a service without templates saves

    compiled = Template(template)
    compiled.ensure_compiled()
    return compiled


def render(template: str, source: Input, context: dict[str, Any]) -> str:
    """Evaluate a template; it may write overrides into the context."""
    names = {"input": source, "util": _UTIL, "context": context, "stageVariables": {}}
    rendered: str = _compiled(template).merge(names)
    return rendered
