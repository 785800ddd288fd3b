"""The trained models: their files, and the signatures by which the handlers serve them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from deployer.project.manifest import MANIFEST
from deployer.project.samples import made_record
from deployer.project.settings import Settings
from deployer.project.workflow import WORKFLOW

# The members of an entry, and of a feature in it, that the handler reads.
_SERVED = ("input", "outputs", "classes", "targets")
VERSION_DIGITS = 12  # of a model's sha256, in answers and reports
_METRIC_NAME_LIMIT = 64  # characters; a function's description has at most 256
_DESCRIPTION = re.compile(r"model [0-9a-f]+, (.+) (-?[0-9.]+(?:e[+-]?[0-9]+)?|-?inf|nan)")
_SERVED_OF_FEATURE = ("name", "type", "nullable", "dtype", "null", "categories")


@dataclass(frozen=True)
class Model:
    """A trained model.

    Args:
        path: its joblib file.
        sha256: of that file, in hex.
        entry: its entry of the manifest.
        libraries: the versions that trained it, with "python" among them.
        others: the names of the other models' features, by model, if the models of the release
            have unlike features; else empty.
    """

    name: str
    path: Path
    sha256: str
    entry: Mapping[str, Any]
    libraries: Mapping[str, str]
    others: Mapping[str, tuple[str, ...]]

    @property
    def features(self) -> tuple[str, ...]:
        """The features' names, in the order of the training columns."""
        return tuple(feature["name"] for feature in self.entry["features"])

    @property
    def packages(self) -> Mapping[str, str]:
        """The versions of the packages that it needs beside its libraries, by distribution."""
        packages: Mapping[str, str] = self.entry.get("packages", {})
        return packages

    @property
    def example(self) -> dict[str, Any]:
        """A request to ask the model, as {"instances": [...]}: the manifest's, or a made one."""
        example = self.entry.get("example")
        if example:
            return {"instances": example["instances"]}
        return {"instances": [made_record(self.entry["features"])]}

    @property
    def expected(self) -> Mapping[str, Any] | None:
        """The members of the answer that the manifest's example must get; None if it has none."""
        answer: Mapping[str, Any] | None = self.entry.get("example", {}).get("answer")
        return answer

    @property
    def version(self) -> str:
        """The model's version, as its answers name it."""
        return self.sha256[:VERSION_DIGITS]

    @property
    def description(self) -> str:
        """The description of its function: the model's version and main metric."""
        metric = main_metric(self.entry.get("metrics"))
        shown = f", {metric[0]} {metric[1]:.6g}" if metric else ""
        return f"model {self.version}{shown}"

    @cached_property
    def signature(self) -> bytes:
        """What the handler reads of the entry, as canonical JSON."""
        features = [
            {name: feature[name] for name in _SERVED_OF_FEATURE if name in feature}
            for feature in self.entry["features"]
        ]
        served = {name: self.entry[name] for name in _SERVED if name in self.entry}
        served |= {"features": features, "scikit-learn": self.libraries.get("scikit-learn", "")}
        if self.others:
            served["others"] = self.others
        return json.dumps(served, sort_keys=True, separators=(",", ":")).encode()

    @cached_property
    def signature_sha256(self) -> str:
        return hashlib.sha256(self.signature).hexdigest()

    @property
    def key(self) -> str:
        """The key of its S3 object: content-addressed, so a new model never replaces an old one."""
        return f"models/{self.name}/{self.sha256}.joblib"

    @property
    def signature_key(self) -> str:
        """The key of its signature's S3 object, content-addressed as well."""
        return f"models/{self.name}/{self.signature_sha256}.json"

    def environment(
        self,
        bucket: str,
        *,
        log_inputs: bool = False,
        log_level: str = "info",
        own: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """Return the variables by which the handler finds and checks the model (lambda_src/).

        Args:
            log_inputs: whether it logs its requests.
            own: further variables, of the user's own.
        """
        return {
            **(own or {}),
            "MODEL": self.name,
            "BUCKET": bucket,
            "KEY": self.key,
            "SHA256": self.sha256,
            "SIGNATURE_KEY": self.signature_key,
            "SIGNATURE_SHA256": self.signature_sha256,
            **({"LOG_INPUTS": "yes"} if log_inputs else {}),
            **({"LOG_LEVEL": log_level} if log_level != "info" else {}),
        }


def main_metric(metrics: Any) -> tuple[str, float] | None:
    """Return name and value of the first metric that is a number; None without one."""
    for name, value in metrics.items() if isinstance(metrics, Mapping) else ():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return " ".join(str(name).split())[:_METRIC_NAME_LIMIT], float(value)
    return None


def described_metric(description: str) -> tuple[str, float] | None:
    """Read the main metric from the description of a function."""
    match = _DESCRIPTION.fullmatch(description)
    return (match[1], float(match[2])) if match else None


def entries(
    manifest: Mapping[str, Any], functions: Iterable[str], problems: list[str]
) -> dict[str, Mapping[str, Any]]:
    """Return the manifest's entry of each function's model, by name; missing ones are problems."""
    known_entries = {}
    for name in functions:
        entry = manifest.get("models", {}).get(name)
        if entry is None:
            known = ", ".join(manifest.get("models", {})) or "no model"
            problems.append(
                f"{WORKFLOW} names ${{{name}}}, but {MANIFEST} has {known}: add it to train.py "
                f"and train again, add its file: python -m deployer add FILE --name {name}, or "
                f"take it out: python -m deployer remove {name}"
            )
            continue
        known_entries[name] = entry if manifest.get("format") == 2 else _of_format_1(entry)
    return known_entries


def load_models(
    settings: Settings, manifest: Mapping[str, Any], functions: Iterable[str], problems: list[str]
) -> dict[str, Model]:
    """Return the model of each function, by name; faults are added to the list."""
    models = {}
    for name, entry in entries(manifest, functions, problems).items():
        path = settings.project / "models" / f"{name}.joblib"
        libraries = {**manifest.get("libraries", {}), **entry.get("libraries", {})}
        models[name] = Model(name, path, entry["sha256"], entry, libraries, {})
        problems += _model_problems(settings, models[name])
    return knowing_others(models)


def knowing_others(models: Mapping[str, Model]) -> dict[str, Model]:
    """Return the models, each with the features of the others if not all have the same."""
    features = {name: model.features for name, model in models.items()}
    if len({frozenset(names) for names in features.values()}) <= 1:
        return dict(models)
    return {
        name: replace(
            model,
            others={other: names for other, names in features.items() if other != name},
        )
        for name, model in models.items()
    }


def _of_format_1(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that format 1 has; others could mean something else in format 2."""
    features = [
        {name: feature[name] for name in ("name", "range") if name in feature}
        for feature in entry["features"]
    ]
    own = {name: entry[name] for name in ("sha256", "n_jobs") if name in entry}
    return {**own, "features": features}


def _model_problems(settings: Settings, model: Model) -> Iterator[str]:
    file = f"models/{model.name}.joblib"
    source = model.entry.get("source") or {}
    again = (
        f"add it again: python -m deployer add {source.get('file', 'FILE')} --name {model.name}"
        if source.get("added")
        else f"train again: {settings.train}"
    )
    if not model.path.is_file():
        yield f"{file} does not exist, but {MANIFEST} names it: {again}"
    elif hashlib.sha256(model.path.read_bytes()).hexdigest() != model.sha256:
        yield (
            f"{file} is not the file that {MANIFEST} describes: it was changed or replaced after "
            f"the training; move it away, then {again}"
        )
    threads = model.entry.get("n_jobs", 1)
    if threads not in (None, 1):
        yield (
            f"{file} was saved with n_jobs={threads}; on Lambda a second thread only makes a "
            "prediction slower: train.py must save it with n_jobs=1 (set_params after fit)"
        )
