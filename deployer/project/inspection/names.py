"""The names of a model's features, and whether the example has these columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deployer.project.inspection.refusal import Refused

RESERVED = ("instances", "execution", "input")  # of requests, not for features


@dataclass
class Job:
    """What `add` knows before the model is loaded.

    Args:
        columns: the example's columns; {} without an example.
        raw: the same cells as text, of a CSV file.
        names: the features' names, if the user or the file's metadata say them.
        types: of features by name, likewise: number, boolean or string.
        dtypes: of a table's columns by name, from the file's metadata.
        targets: names of several outputs, if they are known.
    """

    columns: dict[str, list[Any]] = field(default_factory=dict)
    raw: dict[str, list[str | None]] = field(default_factory=dict)
    names: list[str] | None = None
    types: dict[str, str] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    targets: list[str] = field(default_factory=list)


def feature_names(model: Any) -> list[str] | None:
    """Return the names of the columns that a model was fitted on, if it knows them."""
    for attribute in ("feature_names_in_", "feature_names_"):
        try:
            names = getattr(model, attribute, None)
        except Exception:  # a property of somebody else's estimator
            names = None
        if names is not None:
            return [str(name) for name in names]
    return None


def names_of(
    model: Any, job: Job, remarks: list[str], kinds: Sequence[str]
) -> tuple[list[str], dict[str, Any]]:
    """Return the features' names in the order of the training, and what is open about them.

    Raises:
        Refused: the example has other columns.
    """
    names, given = feature_names(model), list(job.columns)
    # CatBoost says 0 once it is loaded.
    width = 1 if kinds[0] == "text" else getattr(model, "n_features_in_", 0) or None
    if names is not None:
        if job.columns:
            _check_columns(names, job, remarks)
        return names, {}
    if given:
        if width is not None and len(given) != width and job.names is None:
            _refuse_width(given, int(width), kinds[0])
        return job.names or given, {}
    if job.names is not None:
        if width is not None and len(job.names) != width:
            raise Refused(f"{len(job.names)} names are given, but the model takes {width} features")
        return job.names, {}
    if width is None:
        raise Refused("the model does not say which features it takes", "add --example FILE")
    default = ["text"] if kinds[0] == "text" else [f"x{number}" for number in range(int(width))]
    return default, {"names": default}


def _check_columns(names: list[str], job: Job, remarks: list[str]) -> None:
    missing = [name for name in names if name not in job.columns]
    if missing:
        raise Refused(
            f"the example has no column {listed(missing)}; the model was trained on "
            f"{listed(names)}, and the example has {listed(list(job.columns))}"
        )
    others = [name for name in job.columns if name not in names]
    if others:
        remarks.append(f"of the example, {listed(others)} are no features of the model: left out")
        if not job.targets and len(others) > 1:
            job.targets = others  # their number decides whether they are


def _refuse_width(given: list[str], width: int, kind: str) -> None:
    count = f"{width} feature" + ("s" if width != 1 else "")
    if len(given) > width:
        raise Refused(
            f"the example has {len(given)} columns ({listed(given)}), but the model takes {count}"
            + (", a text" if kind == "text" else ""),
            f"leave out the {len(given) - width} that it was not trained on, such as the column "
            "it predicts, and keep the others in the order of the training",
        )
    raise Refused(
        f"the example has {len(given)} columns ({listed(given)}), but the model takes {count}"
    )


def check_names(names: Sequence[str]) -> None:
    """Refuse names that a request cannot hold."""
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    reserved = [name for name in names if name in RESERVED]
    if twice:
        raise Refused(
            f"the feature {twice[0]!r} stands twice: a JSON object holds a name once",
            "rename the column, and train again",
        )
    if reserved:
        raise Refused(
            f"a feature is called {reserved[0]!r}, a name that has a meaning in requests",
            "rename the column, and train again",
        )
    if any(not name for name in names):
        raise Refused("a feature has no name", "name the column, and train again")


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
