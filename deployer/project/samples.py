"""A request that fits the models: a file of samples/, or a record made of the manifest."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from deployer.errors import ConfigError
from deployer.files import Unreadable, read_json
from deployer.project.manifest import MANIFEST, read_manifest

Features = Mapping[str, Mapping[str, Any]]  # of one or several models, by name


def sample_request(project: Path) -> bytes:
    """Return a request that fits the models: a file of samples/, or a record made of several.

    The first file counts that all models answer. If there is none, as with models of unlike
    features, the files that fit some are put together to one record, and the manifest's examples
    add what these lack.

    Raises:
        ConfigError: there is neither a sample that fits nor a manifest.
    """
    entries = _entries(project)
    models = [features_of(entry["features"]) for entry in entries]
    fitting = []
    for _, sample in _samples(project):
        if _fits_all(sample, models):
            return json.dumps(sample).encode()
        if any(_fits(sample, models, features) for features in models):
            fitting.append(sample)
    if not models:
        raise ConfigError(
            [f"there is no sample: samples/ holds no JSON file, and {MANIFEST} does not exist"]
        )
    examples = {
        name: value
        for entry in entries
        for name, value in entry.get("example", {}).get("instances", [{}])[0].items()
    }
    given = {name: value for sample in reversed(fitting) for name, value in _first(sample).items()}
    known = {name: feature for features in models for name, feature in features.items()}
    return json.dumps({**made_record(known.values()), **examples, **given}).encode()


def sample_file(project: Path) -> Path | None:
    """Return the file that `sample_request` returns; None if it makes a record.

    Raises:
        ConfigError: the manifest or a sample cannot be read.
    """
    models = [features_of(entry["features"]) for entry in _entries(project)]
    return next((path for path, sample in _samples(project) if _fits_all(sample, models)), None)


def _entries(project: Path) -> Collection[Mapping[str, Any]]:
    """Return the models' entries in the manifest; none without one."""
    problems: list[str] = []
    manifest = read_manifest(project, problems) if (project / MANIFEST).is_file() else {}
    if problems:
        raise ConfigError(problems)
    entries: Mapping[str, Mapping[str, Any]] = manifest.get("models", {})
    return entries.values()


def _samples(project: Path) -> Iterator[tuple[Path, Any]]:
    for path in sorted((project / "samples").glob("*.json")):
        try:
            yield path, read_json(path)
        except Unreadable as error:
            raise ConfigError([f"{path.parent.name}/{path.name} {error}"]) from error


def _fits_all(sample: Any, models: list[Features]) -> bool:
    return all(_fits(sample, models, features) for features in models)


def _first(sample: Any) -> Mapping[str, Any]:
    record: Mapping[str, Any] = next(_records(sample))
    return record


def features_of(features: Iterable[Mapping[str, Any]]) -> Features:
    """Return features by name."""
    return {feature["name"]: feature for feature in features}


def _fits(sample: Any, models: list[Features], features: Features) -> bool:
    """Tell whether a request has records, and each one only known features and all of one model."""
    known = set().union(*models)
    return any(True for _ in _records(sample)) and all(
        isinstance(record, Mapping) and record.keys() <= known and record.keys() >= features.keys()
        for record in _records(sample)
    )


def _records(sample: Any) -> Iterator[Any]:
    if isinstance(sample, Mapping):
        records = sample.get("instances", [sample])
        yield from records if isinstance(records, list) else [records]


def made_record(features: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a record of features: from their categories, or the middles of their ranges."""
    return {feature["name"]: _value(feature) for feature in features}


def _value(feature: Mapping[str, Any]) -> Any:
    if feature.get("categories"):
        return feature["categories"][0]
    empty: dict[str, Any] = {"string": "", "boolean": False}
    kind = feature.get("type", "number")
    if kind in empty:
        return empty[kind]
    value = _middle(feature.get("range"))
    integer = str(feature.get("dtype", "")).lower().startswith(("int", "uint"))
    return int(value) if integer else value


def _middle(span: Any) -> float:
    """Return the middle of a feature's range [low, high]; 0 where the manifest gives none."""
    if (
        not isinstance(span, list)
        or len(span) != 2
        or not all(isinstance(bound, (int, float)) for bound in span)
    ):
        return 0.0
    rounded = float(f"{span[0] + (span[1] - span[0]) / 2:.6g}")
    return min(max(rounded, float(span[0])), float(span[1]))
