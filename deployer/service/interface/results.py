"""JSON schemas of a result: one entry per model, or whatever a workflow of one's own returns."""

from __future__ import annotations

from typing import Any

from deployer.project.answers import MEMBERS
from deployer.service.interface.reading import Entry, Interface
from deployer.service.interface.schemas import Schema, references

_VERSION = "0123456789ab"
_HALF = 0.5  # stands for any number
# The methods of an estimator, and the members of the answer that they fill (lambda_src/outputs.py).
_MEMBER_OF = {
    "predict": "predictions",
    "predict_proba": "probabilities",
    "decision_function": "decisions",
    "score_samples": "scores",
    "transform": "transformed",
}
_NUMBER: Schema = {"type": "number"}
_LABEL: Schema = {"type": ["string", "number", "boolean"]}
_MEANINGS = {
    "predictions": "One prediction per record.",
    "probabilities": "One list per record: the probability of each class, in the order of classes.",
    "decisions": "The decision function, one value or list per record.",
    "scores": "One score per record; lower is less usual.",
    "transformed": "One list per record.",
}


def results(interface: Interface) -> dict[str, Schema]:
    """Return the schemas of a result, by name; `Results` is the whole."""
    if not interface.shipped:
        return {"Results": {"description": "The workflow's own output: any JSON value."}}
    answers = {f"{name}_answer": _answer(name, entry) for name, entry in interface.models.items()}
    names = list(interface.models)
    outcomes = {"Failed": _failed(names)}
    if not interface.alike:
        outcomes["Skipped"] = _skipped(names)
    return {
        "Results": {
            "type": "array",
            "description": "One entry per model, always in the same order.",
            "minItems": len(names),
            "maxItems": len(names),
            "items": {"anyOf": references(*answers, *outcomes)},
        },
        **answers,
        **outcomes,
    }


def made_results(interface: Interface) -> list[dict[str, Any]]:
    """Return a made-up result for one record."""
    return [
        {
            "model": name,
            "version": _VERSION,
            **{member: [_made(entry, member)] for member in _members(entry) or ["predictions"]},
            **({"classes": entry["classes"]} if entry.get("classes") else {}),
            **({"targets": entry["targets"]} if len(entry.get("targets") or ()) > 1 else {}),
        }
        for name, entry in interface.models.items()
    ]


def _made(entry: Entry, member: str) -> Any:
    """Return a made-up member of an answer, for one record."""
    classes = entry.get("classes")
    recorded = entry.get("example", {}).get("answer", {}).get(member)
    if recorded and not classes:
        return _blank(recorded[0])
    if member == "predictions":
        return _made_prediction(entry)
    if member == "transformed":
        return [_HALF]
    if member == "scores" or not classes:
        return _HALF
    return [_shares(labels) for labels in classes] if _nested(classes) else _shares(classes)


def _made_prediction(entry: Entry) -> Any:
    classes, targets = entry.get("classes"), entry.get("targets") or ()
    if classes:
        return [labels[0] for labels in classes] if _nested(classes) else classes[0]
    return [_HALF] * len(targets) if len(targets) > 1 else _HALF


def _nested(classes: list[Any]) -> bool:
    """Tell whether there is a list of classes for each of several targets."""
    return isinstance(classes[0], list)


def _shares(labels: list[Any]) -> list[float]:
    return [round(1 / len(labels), 3)] * len(labels)


def _blank(value: Any) -> Any:
    """Return a value of the same shape that tells nothing of the training."""
    if isinstance(value, list):
        return [_blank(item) for item in value]
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return "label"
    return _HALF


def _members(entry: Entry) -> list[str]:
    """Return the members that an answer of the model has; none where the manifest tells too little.

    Without `outputs`, the function finds them in the model; its recorded answer shows which.
    """
    if entry.get("outputs"):
        return [_MEMBER_OF[method] for method in entry["outputs"]]
    recorded = entry.get("example", {}).get("answer", {})
    return [member for member in MEMBERS if member in recorded]


def _answer(name: str, entry: Entry) -> Schema:
    members = _members(entry)
    properties: dict[str, Schema] = {
        "model": {"type": "string", "const": name},
        "version": {
            "type": "string",
            "description": "The first 12 digits of the model file's sha256.",
            "pattern": "^[0-9a-f]{12}$",
        },
    }
    for member in members or MEMBERS:
        properties[member] = {
            "type": "array",
            "description": _MEANINGS[member],
            "minItems": 1,
            "items": _item(entry, member),
        }
    if entry.get("classes") or not members or {"probabilities", "decisions"} & {*members}:
        properties["classes"] = _classes(entry.get("classes"))
    if entry.get("targets"):
        properties["targets"] = {
            "type": "array",
            "description": "The names of the predicted values.",
            "items": {"type": "string", "enum": entry["targets"]},
        }
    return {
        "type": "object",
        "description": f"What the model {name} answers.",
        "properties": properties,
        "required": ["model", "version", *members],
    }


def _item(entry: Entry, member: str) -> Schema:
    """Return the schema of a member's value for one record."""
    if member == "predictions":
        return _prediction(entry)
    if member in ("probabilities", "transformed"):
        return {"type": "array", "items": {} if member == "transformed" else _part(entry)}
    if member == "scores":
        return _NUMBER
    return {"anyOf": [_NUMBER, {"type": "array", "items": {}}]}


def _part(entry: Entry) -> Schema:
    """Return the schema of a part of `probabilities`: of several targets, a list for each."""
    share = _NUMBER  # rounding may leave it a hair above 1
    classes = entry.get("classes")
    if classes is None:
        return {"anyOf": [share, {"type": "array", "items": share}]}
    return {"type": "array", "items": share} if _nested(classes) else share


def _prediction(entry: Entry) -> Schema:
    classes, targets = entry.get("classes"), entry.get("targets") or ()
    if classes:
        if _nested(classes):
            return {"type": "array", "items": _LABEL}
        return _label(classes)
    recorded = entry.get("example", {}).get("answer", {}).get("predictions")
    if len(targets) > 1 or (recorded and isinstance(recorded[0], list)):
        return {"type": "array", "items": _LABEL}
    if recorded and type(recorded[0]) in (int, float):
        return _NUMBER
    return {"anyOf": [_LABEL, {"type": "array", "items": _LABEL}]}


def _classes(classes: list[Any] | None) -> Schema:
    told: Schema = {"description": "The labels, in the order of probabilities and decisions."}
    if not classes:
        return {"type": "array", **told, "items": {}}
    item: Schema = {"type": "array", "items": _LABEL} if _nested(classes) else _label(classes)
    return {"type": "array", **told, "items": item, "examples": [classes]}


def _label(classes: list[Any]) -> Schema:
    """Return the schema of a label among the classes; of strings, as a list of them."""
    if all(isinstance(label, str) for label in classes):
        return {"type": "string", "enum": classes}
    if all(isinstance(label, bool) for label in classes):
        return {"type": "boolean"}
    if all(type(label) in (int, float) for label in classes):
        return {"type": "number", "description": f"One of {', '.join(map(str, classes))}."}
    return _LABEL


def _failed(names: list[str]) -> Schema:
    return {
        "type": "object",
        "description": "A model that failed; the others answered all the same.",
        "properties": {
            "model": {"type": "string", "enum": names},
            "error": {"type": "string", "description": "The name of the error."},
        },
        "required": ["model", "error"],
        "additionalProperties": False,
    }


def _skipped(names: list[str]) -> Schema:
    return {
        "type": "object",
        "description": "A model that was not asked, because the record lacks some of its features.",
        "properties": {
            "model": {"type": "string", "enum": names},
            "skipped": {"type": "string", "description": "The features that are missing."},
        },
        "required": ["model", "skipped"],
        "additionalProperties": False,
    }
