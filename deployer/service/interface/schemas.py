"""JSON schemas of features, records and requests: what the handlers take, no less and no more.

A feature's range and categories are those of the training. Models take other values too, so they
are told in words and as `x-range`, `x-categories`, not as bounds that a client would enforce.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deployer.service.interface.reading import Feature, Interface

Schema = dict[str, Any]
MAXIMUM_INSTANCES = 1000  # as lambda_src/contract.py has it
LARGEST = (2 - 2**-23) * 2**127  # of float32, in which trees compare
SHOWN = 20  # categories that a description lists


def references(*names: str) -> list[Schema]:
    return [{"$ref": f"#/components/schemas/{name}"} for name in names]


def requests(interface: Interface) -> dict[str, Schema]:
    """Return the schemas of a request, by name; `Request` is the whole."""
    if not interface.shipped:
        return {"Request": _own_request(), **_records_by_model(interface)}
    (record,) = references("Record")
    one, batch = references("Record", "Batch")
    return {
        "Request": {"description": "One record, or a batch of them.", "anyOf": [one, batch]},
        "Batch": {
            "type": "object",
            "description": "Several records; all of them name the same features.",
            "properties": {
                "instances": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAXIMUM_INSTANCES,
                    "items": record,
                }
            },
            "required": ["instances"],
            "additionalProperties": False,
        },
        "Record": _record(interface),
    }


def _own_request() -> Schema:
    return {
        "description": "What the workflow takes: any JSON value. The records that its models take "
        "are described beside this schema, each in one of the model's name."
    }


def _records_by_model(interface: Interface) -> dict[str, Schema]:
    """Return the record that each model takes by itself."""
    return {
        f"{model}_record": _object(
            {feature["name"]: feature_schema([feature]) for feature in entry["features"]},
            f"A record of the model {model}.",
            [feature["name"] for feature in entry["features"]],
        )
        for model, entry in interface.models.items()
    }


def _record(interface: Interface) -> Schema:
    properties = {
        name: feature_schema(descriptions, exclusive=interface.alike)
        for name, descriptions in interface.features.items()
    }
    if interface.alike:
        return _object(properties, "The value of every feature.", list(properties))
    complete = [
        {"title": f"complete for {model}", "required": names}
        for model, names in interface.names.items()
    ]
    text = (
        "Values of the features of all models. A model is skipped if some of its features are "
        "missing; the record must be complete for one model at least."
    )
    return {**_object(properties, text), "anyOf": complete}


def _object(properties: Mapping[str, Schema], text: str, required: Sequence[str] = ()) -> Schema:
    return {
        "type": "object",
        "description": text,
        "properties": dict(properties),
        **({"required": list(required)} if required else {}),
        "additionalProperties": False,
    }


def feature_schema(descriptions: Sequence[Feature], *, exclusive: bool = True) -> Schema:
    """Return the schema of a feature's values.

    Args:
        descriptions: of one feature, by several models.
        exclusive: whether a value must suit all of these models; else one is enough.
    """
    kinds: list[Schema] = []
    for feature in descriptions:
        kind = values(feature)
        if kind not in kinds:
            kinds.append(kind)
    told = told_of(descriptions)
    if len(kinds) == 1:
        return {**kinds[0], **told}
    return {"allOf" if exclusive else "anyOf": kinds, **told}


def values(feature: Feature) -> Schema:
    """Return the constraints on a feature's values, as lambda_src/inputs.py checks them."""
    kind = feature.get("type", "number")
    if kind == "string":
        types, bounds = ["string"], {}
    elif kind == "boolean":  # 1 and 0 count as well
        types, bounds = ["boolean", "integer"], {"minimum": 0, "maximum": 1}
    else:
        types, bounds = _number(str(feature.get("dtype", "")))
    if feature.get("nullable"):
        types = [*types, "null"]
    return {"type": types[0] if len(types) == 1 else types, **bounds}


def _number(dtype: str) -> tuple[list[str], Schema]:
    digits = dtype.lstrip("uintI")
    if not digits.isdigit():
        return ["number"], {"minimum": -LARGEST, "maximum": LARGEST}
    signed = dtype[0] != "u"
    half = 2 ** (int(digits) - signed)
    return ["integer"], {"minimum": -half if signed else 0, "maximum": half - 1}


def told_of(descriptions: Sequence[Feature]) -> Schema:
    """Return what is told of a feature: in words, and for programs."""
    told: Schema = {}
    text = _first(descriptions, "description")
    unit = _first(descriptions, "unit")
    span = span_of(descriptions)
    categories = _first(descriptions, "categories")
    sentences = [f"{text.rstrip('.')}." if text else "", f"Unit: {unit}." if unit else ""]
    if span:
        sentences.append(f"In the training from {span[0]:g} to {span[1]:g}.")
    if categories:
        listed = ", ".join(map(str, categories[:SHOWN]))
        more = f" and {len(categories) - SHOWN} more" if len(categories) > SHOWN else ""
        sentences.append(f"In the training one of {listed}{more}.")
    if any(sentences):
        told["description"] = " ".join(filter(None, sentences))
    named = {"x-unit": unit, "x-range": span, "x-categories": categories}
    return {**told, **{name: value for name, value in named.items() if value}}


def span_of(descriptions: Sequence[Feature]) -> list[float] | None:
    """Return [lowest, highest] of all models' trainings; None where none tells it."""
    spans = [feature["range"] for feature in descriptions if feature.get("range")]
    if not spans:
        return None
    return [min(low for low, _ in spans), max(high for _, high in spans)]


def _first(descriptions: Sequence[Feature], name: str) -> Any:
    return next((feature[name] for feature in descriptions if feature.get(name)), None)
