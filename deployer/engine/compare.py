"""Canonical forms: AWS writes equal values in several ways, which must not show as a difference.

Pure: no AWS, no clock, no I/O.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

Json = Any


def canonical_json(value: Json) -> str:
    """Serialise with sorted keys and fixed separators: equal values give equal text (Sfn-2)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def parse_document(document: str | Mapping[str, Json] | None) -> Json:
    """Parse a JSON document, which may be text, URL-encoded text or already parsed (Iam-4)."""
    if document is None or isinstance(document, Mapping):
        return document
    text = document if document.lstrip().startswith(("{", "[")) else unquote(document)
    return json.loads(text)


def canonical_policy(document: str | Mapping[str, Json] | None) -> Json:
    """Return the canonical form of an IAM-style policy (Iam-5).

    Statements and values are sorted sets; a scalar becomes a list of one; an account's root ARN
    becomes its account id; booleans and numbers in conditions become text; a missing version
    becomes 2008-10-17.
    """
    parsed = parse_document(document)
    if parsed is None:
        return None
    statements = parsed.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    return {
        "Version": parsed.get("Version", "2008-10-17"),
        "Statement": sorted(map(_statement, statements), key=canonical_json),
    }


def _statement(statement: Mapping[str, Json]) -> dict[str, Json]:
    result: dict[str, Json] = {}
    for name, value in statement.items():
        if name in ("Principal", "NotPrincipal"):
            result[name] = _principal(value)
        elif name == "Condition":
            result[name] = {
                operator: {key: _values(values) for key, values in tests.items()}
                for operator, tests in value.items()
            }
        elif name in ("Action", "NotAction", "Resource", "NotResource"):
            result[name] = _values(value)
        else:
            result[name] = value
    return result


def _values(value: Json) -> list[str]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return sorted({item if isinstance(item, str) else json.dumps(item) for item in values})


def _principal(value: Json) -> dict[str, list[str]]:
    if value == "*":
        return {"AWS": ["*"]}
    return {
        kind: sorted({_account(name) for name in _values(names)}) for kind, names in value.items()
    }


def _account(principal: str) -> str:
    parts = principal.split(":")
    is_root = len(parts) == 6 and parts[2] == "iam" and parts[5] == "root"
    return parts[4] if is_root else principal


def canonical_lifecycle(document: str | Mapping[str, Json] | None) -> Json:
    """Return an ECR lifecycle policy with rules sorted by priority and no empty lists (ECR-5)."""
    parsed = parse_document(document)
    if parsed is None:
        return None
    rules = []
    for rule in sorted(parsed.get("rules", []), key=lambda rule: int(rule["rulePriority"])):
        selection = {
            name: sorted(value) if isinstance(value, list) else value
            for name, value in rule.get("selection", {}).items()
            if value != []
        }
        rules.append({**rule, "selection": selection})
    return {**parsed, "rules": rules}


def tags_from(pairs: Iterable[Mapping[str, str]] | Mapping[str, str] | None) -> dict[str, str]:
    """Return the tags of any service (GEN-11) as a dict, without AWS's `aws:` tags (GEN-12)."""
    if pairs is None:
        return {}
    if isinstance(pairs, Mapping):
        tags = dict(pairs)
    else:
        tags = {
            pair.get("Key", pair.get("key", "")): pair.get("Value", pair.get("value", ""))
            for pair in pairs
        }
    return {key: value for key, value in tags.items() if not key.startswith("aws:")}


def tag_list(tags: Mapping[str, str], *, lower: bool = False) -> list[dict[str, str]]:
    """Return tags as a list of {Key, Value}, or of {key, value} for Step Functions."""
    key, value = ("key", "value") if lower else ("Key", "Value")
    return [{key: name, value: tags[name]} for name in sorted(tags)]
