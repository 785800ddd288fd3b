"""How the results of `invoke`, `image` and `check` are written."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_SHOWN_PREDICTIONS = 5


def print_results(
    console: Console, results: Sequence[Mapping[str, Any]], latencies_s: Sequence[float]
) -> None:
    """Print one row per model, and how long the request took."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("model")
    table.add_column("version")
    table.add_column("prediction", overflow="fold")
    for entry in results:
        if "error" in entry:
            table.add_row(
                Text(str(entry.get("model"))),
                Text(""),
                Text(f"failed: {entry['error']}", style="red"),
            )
        else:
            table.add_row(
                Text(str(entry.get("model"))),
                Text(str(entry.get("version"))),
                Text(_predictions(entry["predictions"])),
            )
    console.print(table)
    console.print(Text(f"\n{latency_line(latencies_s)}"))


def print_output(console: Console, output: Any, latencies_s: Sequence[float]) -> None:
    """Print what a workflow of another shape than the shipped one put out, and how long the request
    took.
    """
    console.print(Text(json.dumps(output, indent=2, ensure_ascii=False)), soft_wrap=True)
    console.print(Text(f"\n{latency_line(latencies_s)}"))


def _predictions(values: Sequence[Any]) -> str:
    shown = ", ".join(_prediction(value) for value in values[:_SHOWN_PREDICTIONS])
    more = len(values) - _SHOWN_PREDICTIONS
    return f"{shown}, ... ({len(values)} in all)" if more > 0 else shown


def _prediction(value: Any) -> str:
    """Write a number with six digits, and anything else as JSON: what a workflow makes of a
    prediction is its own matter.
    """
    return (
        f"{value:.6g}"
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        else json.dumps(value)
    )


def latency_line(latencies_s: Sequence[float]) -> str:
    """Say how long one request took, or how the times of several spread."""
    milliseconds = sorted(1000 * each for each in latencies_s)
    if len(milliseconds) == 1:
        return f"answered in {milliseconds[0]:.0f} ms"
    p95 = milliseconds[min(len(milliseconds) - 1, round(0.95 * (len(milliseconds) - 1)))]
    return (
        f"{len(milliseconds)} requests: first {1000 * latencies_s[0]:.0f} ms, "
        f"median {statistics.median(milliseconds):.0f} ms, 95 % {p95:.0f} ms, slowest "
        f"{milliseconds[-1]:.0f} ms"
    )


def image_line(document: Mapping[str, Any]) -> str:
    """Say what was built, layer by layer."""
    from deployer.images.layers import sizes_by_kind

    sizes = sizes_by_kind((layer["what"], layer["bytes"]) for layer in document["layers"])
    parts = [f"{document['output']}: {document['image']}", document["digest"] or "", sizes]
    return "\n".join(part for part in parts if part)


def findings_text(findings: Sequence[str]) -> str:
    """Say what was found, a line for each."""
    if not findings:
        return "check: nothing found"
    number = "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
    return "\n".join([*findings, f"check: {number}"])
