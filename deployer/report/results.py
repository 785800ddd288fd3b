"""The results of `invoke`, `image` and `check` as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deployer.project.answers import MEMBERS
from deployer.report.folding import folded

_SHOWN_PREDICTIONS = 5
_GAP = 3  # columns between those of the table
_LEAST = 20  # columns for an answer; with fewer, it stands below its model


def print_results(console: Console, results: Sequence[Mapping[str, Any]], seconds: float) -> None:
    """Print a table with one row per model, then the latency.

    Where a row has no room, each model's answer stands below its name.
    """
    rows = [_row(result) for result in results]
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for name in ("model", "version"):
        table.add_column(name, no_wrap=True)
    table.add_column("prediction", overflow="fold")
    for row in rows:
        table.add_row(*row)
    names = [max(text.cell_len for text in column) for column in list(zip(*rows, strict=True))[:2]]
    if sum(names) + 2 * _GAP + _LEAST <= console.width:
        console.print(table)
    else:
        for model, version, answer in rows:
            beside = f"  {version}" if version else ""
            for line in folded(f"{model}{beside}", 2, console.width, "bold"):
                console.print(line, soft_wrap=True)
            for line in folded(f"  {answer}", 2, console.width, str(answer.style)):
                console.print(line, soft_wrap=True)
    console.print(Text(f"\nanswered in {1000 * seconds:.0f} ms"))


def _row(result: Mapping[str, Any]) -> tuple[Text, Text, Text]:
    """Return model, version and answer."""
    model = Text(str(result.get("model")))
    if "error" in result:
        return model, Text(""), Text(f"failed: {result['error']}", style="red")
    if "skipped" in result:
        return model, Text(""), Text(f"skipped: {result['skipped']}", style="dim")
    return model, Text(str(result.get("version"))), Text(_list(_values(result)))


def print_output(console: Console, output: Any, seconds: float) -> None:
    """Print the output of a workflow that returns no list of models as JSON, then the latency."""
    console.print(Text(json.dumps(output, indent=2, ensure_ascii=False)), soft_wrap=True)
    console.print(Text(f"\nanswered in {1000 * seconds:.0f} ms"))


def _values(result: Mapping[str, Any]) -> list[str]:
    """Format the answer for each record, with the probability of its label or its score."""
    predictions: Sequence[Any] = next((result[name] for name in MEMBERS if name in result), ())
    values = [_named(prediction, result.get("targets")) for prediction in predictions]
    further = result.get("scores") or _probabilities(result)
    if "predictions" not in result:
        return values
    if len(further) != len(values):
        return values
    return [f"{value} ({_value(number)})" for value, number in zip(values, further, strict=True)]


def _named(prediction: Any, targets: Any) -> str:
    """Format a prediction; one of several targets with their names."""
    if not isinstance(prediction, list) or not isinstance(targets, list):
        return _value(prediction)
    if len(targets) != len(prediction):
        return _value(prediction)
    pairs = zip(targets, prediction, strict=True)
    return ", ".join(f"{target} {_value(value)}" for target, value in pairs)


def _probabilities(result: Mapping[str, Any]) -> list[Any]:
    """Return the probability of each predicted label; [] for several targets or without any."""
    classes, probabilities = result.get("classes"), result.get("probabilities")
    if not isinstance(classes, list) or not isinstance(probabilities, list):
        return []
    try:
        positions = [classes.index(label) for label in result["predictions"]]
        return [row[position] for row, position in zip(probabilities, positions, strict=True)]
    except (ValueError, TypeError, IndexError, KeyError):  # several targets, or another's workflow
        return []


def _list(values: Sequence[str]) -> str:
    """Join the first values and count them all."""
    several = any(", " in value for value in values)
    shown = ("; " if several else ", ").join(values[:_SHOWN_PREDICTIONS])
    more = len(values) - _SHOWN_PREDICTIONS
    return f"{shown}, ... ({len(values)} in all)" if more > 0 else shown


def _value(value: Any) -> str:
    """Format a number with six digits, a label as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"{value:.6g}" if number else json.dumps(value)


def image_line(document: Mapping[str, Any]) -> str:
    """Describe a built image: file, name, digest if known, and sizes by kind of layer."""
    from deployer.images.layers import sizes_by_kind

    sizes = sizes_by_kind((layer["what"], layer["bytes"]) for layer in document["layers"])
    parts = [f"{document['output']}: {document['image']}", document["digest"] or "", sizes]
    return "\n".join(part for part in parts if part)


def findings_text(findings: Sequence[str]) -> str:
    """List the findings of `check`, one per line, and count them."""
    if not findings:
        return "check: nothing found"
    number = "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
    return "\n".join([*findings, f"check: {number}"])
