"""What `add` concluded of a model, and what `remove` takes out, as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_SHOWN = 20  # features, one line each
_SHOWN_VALUES = 6


def print_added(
    console: Console,
    name: str,
    estimator: str,
    entry: Mapping[str, Any],
    files: Sequence[tuple[str, bool]],
) -> None:
    """Print what was concluded of a model, and its files; `files` are (name, changed)."""
    console.print(Text(f"{name}: {estimator}, from {entry['source']['file']}\n"), soft_wrap=True)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in _facts(entry):
        table.add_row(Text(label), Text(value))
    console.print(table)
    console.print(Text(""))
    for file, changed in files:
        console.print(Text(f"{'written' if changed else 'unchanged'}  {file}"), soft_wrap=True)


def _facts(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kinds = {"array": "an array of numbers", "table": "a table", "text": "texts"}
    yield "input", kinds[entry["input"]]
    features = entry["features"]
    for number, feature in enumerate(features[:_SHOWN]):
        yield "features" if number == 0 else "", _feature(feature)
    if len(features) > _SHOWN:
        yield "", f"and {len(features) - _SHOWN} more"
    yield "outputs", ", ".join(entry["outputs"])
    for label in ("classes", "targets"):
        if label in entry:
            yield label, values(entry[label])
    packages = entry.get("packages", {})
    if packages:
        yield "packages", ", ".join(f"{name} {version}" for name, version in packages.items())
    yield "libraries", f"scikit-learn {entry['libraries']['scikit-learn']}"
    example = entry.get("example")
    if example:
        answer = {key: value for key, value in example["answer"].items() if key != "classes"}
        first = {key: value[0] for key, value in answer.items()}
        count = len(example["instances"])
        records = "1 record" if count == 1 else f"{count} records, the first"
        yield "example", f"{records} answered {_json(first)}"


def _feature(feature: Mapping[str, Any]) -> str:
    words = [feature["name"], "-", feature["type"]]
    words += ["or null"] if feature.get("nullable") else []
    text = " ".join(words)
    if "categories" in feature:
        return f"{text}: {values(feature['categories'])}"
    if "range" in feature:
        low, high = feature["range"]
        return f"{text} from {low:.6g} to {high:.6g}"
    return text


def values(items: Sequence[Any]) -> str:
    """List the first values, and count the others."""
    shown = ", ".join(
        item if isinstance(item, str) else _json(item) for item in items[:_SHOWN_VALUES]
    )
    more = len(items) - _SHOWN_VALUES
    return f"{shown} and {more} more" if more > 0 else shown


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:160]}..."
