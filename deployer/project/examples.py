"""The records that a user gives as an example of a model's input: a CSV or a JSON file."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployer.errors import ConfigError
from deployer.files import Unreadable, read_json, read_text

READ = 10_000  # records of an example, at most
# The cells that pandas.read_csv takes for missing values.
_NULLS = frozenset(
    ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"]
    + ["<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
)
_BOOLEANS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False}
_BOOLEANS |= {"false": False}


@dataclass
class Example:
    """Columns by name; `raw` holds the cells of a CSV file as text."""

    columns: dict[str, list[Any]] = field(default_factory=dict)
    raw: dict[str, list[str | None]] = field(default_factory=dict)


def read_example(path: Path) -> Example:
    """Return the records of a CSV or JSON file.

    Raises:
        ConfigError: it cannot be read, or holds no records.
    """
    try:
        if path.suffix.lower() == ".json":
            return of_records(read_json(path), str(path))
        return _of_csv(read_text(path), str(path))
    except FileNotFoundError:
        raise ConfigError([f"{path} does not exist"]) from None
    except Unreadable as error:
        raise ConfigError([f"{path} {error}"], "--example takes a CSV or a JSON file") from error


def of_records(value: Any, name: str) -> Example:
    """Return the records of a JSON value: one, a list of them, or {"instances": [...]}."""
    if isinstance(value, Mapping) and set(value) == {"instances"}:
        value = value["instances"]
    records = [value] if isinstance(value, Mapping) else value
    if not isinstance(records, list) or not records:
        raise ConfigError(
            [f'{name} holds no record, no list of records, and no {{"instances": []}}']
        )
    names = list(records[0]) if isinstance(records[0], Mapping) else []
    for number, record in enumerate(records[:READ], start=1):
        if not isinstance(record, Mapping):
            raise ConfigError([f"{name} record {number} must be an object of values by feature"])
        if record.keys() != set(names):
            differing = ", ".join(sorted(record.keys() ^ set(names)))
            raise ConfigError(
                [f"{name} record {number} has other members than the first: {differing}"]
            )
        for feature, cell in record.items():
            if isinstance(cell, (list, dict)):
                raise ConfigError(
                    [f"{name} record {number}, {feature}: must be a number, a string or a boolean"]
                )
    if not names:
        raise ConfigError([f"{name} record 1 is empty"])
    return Example({feature: [record[feature] for record in records[:READ]] for feature in names})


def _of_csv(text: str, name: str) -> Example:
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ConfigError([f"{name} is no CSV file: {error}"]) from error
    rows = [row for row in rows if row]
    header = rows[0] if rows else []
    if not header:
        raise ConfigError([f"{name} is empty; its first line must name the columns"])
    if all(map(_is_number, header)):
        raise ConfigError(
            [f"{name} has no header: its first line, {', '.join(header[:5])}, names no columns"]
        )
    for number, column in enumerate(header, start=1):
        if not column:
            raise ConfigError(
                [f"{name} line 1, column {number}: it has no name"],
                "an index that pandas wrote is left out by to_csv(index=False)",
            )
        if header.index(column) != number - 1:
            raise ConfigError([f"{name} line 1, column {number}: {column!r} stands twice"])
    body = rows[1 : READ + 1]
    if not body:
        raise ConfigError([f"{name} has a header, but no records"])
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise ConfigError(
                [f"{name} line {number}: {len(row)} cells, but the header names {len(header)}"]
            )
    raw = {
        column: [None if row[place] in _NULLS else row[place] for row in body]
        for place, column in enumerate(header)
    }
    return Example({column: _typed(cells) for column, cells in raw.items()}, raw)


def _typed(cells: list[str | None]) -> list[Any]:
    """Return a column's cells as numbers or booleans if all of them are, else as text."""
    readers: tuple[Callable[[str], Any], ...] = (_BOOLEANS.__getitem__, _whole, _finite)
    for read in readers:
        try:
            values = [None if cell is None else read(cell) for cell in cells]
        except (KeyError, ValueError):
            continue
        # As pandas reads it: whole numbers with a gap are floats.
        gaps = read is _whole and None in values
        return [None if value is None else float(value) for value in values] if gaps else values
    return list(cells)


def _whole(cell: str) -> int:
    if "_" in cell or not -(2**63) <= int(cell) < 2**63:
        raise ValueError(cell)
    return int(cell)


def _finite(cell: str) -> float:
    value = float(cell if "_" not in cell else "")
    if not math.isfinite(value):
        raise ValueError(cell)
    return value


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def of_rows(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> Example:
    """Return the records of a list of rows."""
    return Example(
        {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    )
