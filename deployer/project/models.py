"""The trained models: their manifest, their files, and a request that fits them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.errors import ConfigError
from deployer.files import Unreadable, read_json, read_object
from deployer.project.settings import Settings
from deployer.project.workflow import WORKFLOW

MANIFEST = "models/manifest.json"  # in the project's folder
_ENVIRONMENT_LIMIT = 4096  # bytes of all variables of a function, Lambda-28


@dataclass(frozen=True)
class Model:
    """A trained model.

    Args:
        path: its joblib file.
        sha256: of that file, in hex.
        features: their names, in the order of the training columns.
        trained_with: the version of scikit-learn that trained it.
    """

    name: str
    path: Path
    sha256: str
    features: tuple[str, ...]
    trained_with: str

    @property
    def key(self) -> str:
        """The key of its S3 object: content-addressed, so a new model never replaces an old one."""
        return f"models/{self.name}/{self.sha256}.joblib"

    def environment(self, bucket: str) -> dict[str, str]:
        """Return the variables by which the handler finds and checks the model (lambda_src/)."""
        return {
            "MODEL": self.name,
            "BUCKET": bucket,
            "KEY": self.key,
            "SHA256": self.sha256,
            "FEATURES": json.dumps(list(self.features), separators=(",", ":")),
            "SCIKIT_LEARN_VERSION": self.trained_with,
        }


def read_manifest(project: Path, problems: list[str]) -> dict[str, Any]:
    """Return the manifest; {} where it has faults, which are added to the list.

    The parts of a returned manifest that the deployer reads have the types that it expects.
    """
    manifest = read_object(project, MANIFEST, problems)
    faults = list(_shape_problems(manifest))
    problems += (f"{MANIFEST} {fault}" for fault in faults)
    return {} if faults else manifest


def load_models(
    settings: Settings, manifest: Mapping[str, Any], functions: Iterable[str], problems: list[str]
) -> dict[str, Model]:
    """Return the model of each function, by name; faults are added to the list."""
    models = {}
    for name in functions:
        entry = manifest.get("models", {}).get(name)
        if entry is None:
            known = ", ".join(manifest.get("models", {})) or "no model"
            problems.append(
                f"{WORKFLOW} names ${{{name}}}, but {MANIFEST} has {known}: add it to train.py "
                "and train again"
            )
            continue
        models[name] = Model(
            name,
            settings.project / "models" / f"{name}.joblib",
            str(entry.get("sha256")),
            tuple(feature["name"] for feature in entry.get("features", ())),
            str(manifest.get("libraries", {}).get("scikit-learn", "")),
        )
        problems += _model_problems(settings, models[name], entry)
    return models


def _model_problems(settings: Settings, model: Model, entry: Mapping[str, Any]) -> Iterator[str]:
    file = f"models/{model.name}.joblib"
    if not model.path.is_file():
        yield f"{file} does not exist, but {MANIFEST} names it: train again: {settings.train}"
    elif hashlib.sha256(model.path.read_bytes()).hexdigest() != model.sha256:
        yield (
            f"{file} is not the file that {MANIFEST} describes: it was changed or replaced after "
            f"the training; move it away, then train again: {settings.train}"
        )
    threads = entry.get("n_jobs", 1)
    if threads not in (None, 1):
        yield (
            f"{file} was saved with n_jobs={threads}; on Lambda a second thread only makes a "
            "prediction slower: train.py must save it with n_jobs=1 (set_params after fit)"
        )
    environment = model.environment(settings.bucket)
    size = sum(len(key) + len(value.encode()) for key, value in environment.items())
    if size > _ENVIRONMENT_LIMIT:
        yield (
            f"the {len(model.features)} feature names of {model.name} make an environment of "
            f"{size} bytes; Lambda's limit is {_ENVIRONMENT_LIMIT}: shorten the names"
        )


def _shape_problems(manifest: Mapping[str, Any]) -> Iterator[str]:
    libraries, models = manifest.get("libraries", {}), manifest.get("models", {})
    if not isinstance(libraries, Mapping) or not all(
        isinstance(version, str) for version in libraries.values()
    ):
        yield "$.libraries: must be an object of versions by library, each a string"
    if not isinstance(models, Mapping):
        yield "$.models: must be an object of models by name"
        return
    for name, entry in models.items():
        place = f"$.models.{name}"
        if not isinstance(entry, Mapping):
            yield f"{place}: must be an object"
            continue
        if not isinstance(entry.get("sha256"), str):
            yield f"{place}.sha256: must be the file's sha256 as a string"
        threads = entry.get("n_jobs", 1)
        if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int)):
            yield f"{place}.n_jobs: must be a whole number or null"
        yield from _feature_problems(entry.get("features"), place)


def _feature_problems(features: Any, place: str) -> Iterator[str]:
    if not isinstance(features, list) or not features:
        yield f"{place}.features: must be a list of features, at least one"
        return
    names = set()
    for number, feature in enumerate(features):
        name = feature.get("name") if isinstance(feature, Mapping) else None
        if not isinstance(name, str) or not name:
            yield f'{place}.features[{number}]: must be an object such as {{"name": "age"}}'
        elif name in names:
            yield f"{place}.features[{number}].name: {name!r} stands twice"
        else:
            names.add(name)


def sample_request(project: Path) -> bytes:
    """Return a request that fits the models: a file of samples/, or a record made of the manifest.

    Raises:
        ConfigError: there is neither a sample that fits nor a manifest.
    """
    problems: list[str] = []
    manifest = read_manifest(project, problems) if (project / MANIFEST).is_file() else {}
    if problems:
        raise ConfigError(problems)
    features = {
        feature["name"]: feature
        for entry in manifest.get("models", {}).values()
        for feature in entry["features"]
    }
    for path in sorted((project / "samples").glob("*.json")):
        try:
            sample = read_json(path)
        except Unreadable as error:
            raise ConfigError([f"{path.parent.name}/{path.name} {error}"]) from error
        if not features or _fits(sample, features):
            return json.dumps(sample).encode()
    if not features:
        raise ConfigError(
            [f"there is no sample: samples/ holds no JSON file, and {MANIFEST} does not exist"]
        )
    record = {name: _middle(feature.get("range")) for name, feature in features.items()}
    return json.dumps(record).encode()


def _fits(sample: Any, features: Mapping[str, Any]) -> bool:
    """Tell whether a request has at least one record, and only records of these features."""
    records = sample.get("instances", [sample]) if isinstance(sample, Mapping) else []
    fits = [isinstance(record, Mapping) and record.keys() == features.keys() for record in records]
    return bool(fits) and all(fits)


def _middle(span: Any) -> float:
    """Return the middle of a feature's range [low, high]; 0 where the manifest gives none."""
    if (
        not isinstance(span, list)
        or len(span) != 2
        or not all(isinstance(bound, (int, float)) for bound in span)
    ):
        return 0.0
    return float(f"{span[0] + (span[1] - span[0]) / 2:.6g}")
