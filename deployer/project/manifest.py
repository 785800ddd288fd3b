"""The manifest, models/manifest.json: reading it, and a line for every violation of its format.

The JSON schema beside this module says what the file must look like; the functions below say what a
schema cannot. docs/models.md describes the format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deployer.files import read_object
from deployer.project.answers import MEMBERS

MANIFEST = "models/manifest.json"  # in the project's folder
SCHEMA = Path(__file__).with_name("manifest.schema.json")
Entry = Mapping[str, Any]
_NUMERIC_DTYPES = ("int", "uint", "float", "Int", "Float")


def read_manifest(project: Path, problems: list[str]) -> dict[str, Any]:
    """Return the manifest; {} where it has faults, which are added to the list.

    A returned manifest is valid.
    """
    manifest = read_object(project, MANIFEST, problems)
    faults = list(violations(manifest))
    problems += (f"{MANIFEST} {fault}" for fault in faults)
    return {} if faults else manifest


def violations(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each violation of the format: its place as a JSON path, then the reason."""
    from jsonschema import Draft202012Validator  # takes a tenth of a second to import

    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    faults = [
        fault
        for error in Draft202012Validator(schema).iter_errors(manifest)
        for fault in _described(error)
    ]
    if faults:
        yield from dict.fromkeys(faults)
        return
    for name, entry in manifest.get("models", {}).items():
        yield from _repeated_names(entry["features"], f"$.models.{name}")
        if manifest.get("format") == 2:
            yield from _model_violations(entry, f"$.models.{name}")


def _described(error: Any) -> Iterator[str]:
    """Describe an error of the validator by the schema's own descriptions."""
    place, schema, value = error.json_path, error.schema, error.instance
    properties = schema.get("properties", {}) if isinstance(schema, Mapping) else {}
    if error.validator == "required":
        for name in error.validator_value:
            if name not in value:
                yield f"{place}.{name}: must be {properties[name]['description']}"
    elif error.validator == "additionalProperties":
        for name in value.keys() - properties.keys():
            yield f"{place}.{name}: is unknown; known are {', '.join(properties)}"
    elif "description" in schema:
        yield f"{place}: must be {schema['description']}"
    else:
        yield f"{place}: {error.message}"


def _repeated_names(features: Sequence[Entry], place: str) -> Iterator[str]:
    names: set[str] = set()
    for number, feature in enumerate(features):
        if feature["name"] in names:
            yield f"{place}.features[{number}].name: {feature['name']!r} stands twice"
        names.add(feature["name"])


def _model_violations(entry: Entry, place: str) -> Iterator[str]:
    """Yield what a schema cannot say of a model's entry."""
    kind, features = entry.get("input", "array"), entry["features"]
    for number, feature in enumerate(features):
        where = f"{place}.features[{number}]"
        yield from (f"{where}{fault}" for fault in _feature_violations(feature, kind))
    if kind == "text" and [feature.get("type") for feature in features] != ["string"]:
        yield f'{place}.features: input: text takes exactly one feature, of "type": "string"'
    example = entry.get("example", {})
    names = {feature["name"] for feature in features}
    records = example.get("instances", ())
    for number, record in enumerate(records):
        if record.keys() != names:
            wrong = ", ".join(sorted(record.keys() ^ names))
            yield (
                f"{place}.example.instances[{number}]: must hold exactly the features; missing or "
                f"unknown: {wrong}"
            )
    answer = example.get("answer", {})
    if answer and not answer.keys() & set(MEMBERS):
        yield f"{place}.example.answer: must hold {', '.join(MEMBERS[:-1])} or {MEMBERS[-1]}"
    for member, values in answer.items():
        if member not in ("classes", "targets") and len(values) != len(records):
            yield (
                f"{place}.example.answer.{member}: holds {len(values)} items, but there are "
                f"{len(records)} instances"
            )


def _feature_violations(feature: Entry, kind: str) -> Iterator[str]:
    type_, span = feature.get("type", "number"), feature.get("range")
    if kind == "array" and type_ == "string":
        yield ".type: an array holds no strings: input must be table, or text"
    if kind == "text" and feature.get("nullable"):
        yield ".nullable: a text cannot be null"
    if span is not None and type_ != "number":
        yield f".range: belongs to numbers, and this is a {type_}"
    elif span is not None and span[0] > span[1]:
        yield ".range: the lowest number comes first"
    for value in feature.get("categories", ()):
        if not fits(value, type_):
            yield f".categories: {value!r} is no {type_}"
    yield from _dtype_violations(feature, kind)


def _dtype_violations(feature: Entry, kind: str) -> Iterator[str]:
    dtype = feature.get("dtype", "")
    numeric = dtype.startswith(_NUMERIC_DTYPES) or dtype in ("bool", "boolean")
    if kind != "table":
        for member in feature.keys() & {"dtype", "null"}:
            yield f".{member}: belongs to input: table alone"
    if feature.get("type") == "string" and numeric:
        yield f".dtype: {dtype} holds no strings"
    if dtype == "category" and "categories" not in feature:
        yield ".categories: must be given for dtype category, in the order of the training"


def fits(value: Any, type_: str) -> bool:
    """Tell whether a value that is not null is of a feature's type, as the handler takes it."""
    if type_ == "string":
        return isinstance(value, str)
    if type_ == "boolean":
        return isinstance(value, bool) or (type(value) in (int, float) and value in (0, 1))
    return isinstance(value, (int, float)) and not isinstance(value, bool)
