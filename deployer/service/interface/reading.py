"""The interface of a service: what its clients send and get, read from the user's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployer.errors import ConfigError
from deployer.files import read_object
from deployer.project import workflow
from deployer.project.branches import is_shipped
from deployer.project.manifest import MANIFEST, read_manifest
from deployer.project.models import entries
from deployer.project.samples import made_record
from deployer.project.settings import Settings
from deployer.project.training import add_advice
from deployer.project.workflow import WORKFLOW

Entry = Mapping[str, Any]  # of the manifest
Feature = Mapping[str, Any]
_MADE_TEXT = "text"


@dataclass(frozen=True)
class Interface:
    """What clients of a service see.

    Args:
        models: the manifest's entries by name, in the workflow's order.
        shipped: whether the workflow answers as the shipped one, with one entry per model.
    """

    settings: Settings
    models: Mapping[str, Entry]
    shipped: bool

    @property
    def alike(self) -> bool:
        """Whether all models have the same features, so that a record must hold exactly these."""
        return len({frozenset(names) for names in self.names.values()}) == 1

    @property
    def names(self) -> dict[str, list[str]]:
        """The names of the features, by model."""
        return {
            model: [feature["name"] for feature in entry["features"]]
            for model, entry in self.models.items()
        }

    @property
    def features(self) -> dict[str, list[Feature]]:
        """The features of all models by name, each with one description per model that has it."""
        found: dict[str, list[Feature]] = {}
        for entry in self.models.values():
            for feature in entry["features"]:
                found.setdefault(feature["name"], []).append(feature)
        return found

    @property
    def example(self) -> dict[str, Any]:
        """A record with the features of all models.

        It is made up unless `publish_example` is set: a record of the training may be a person's.
        """
        record: dict[str, Any] = {}
        for descriptions in self.features.values():
            feature = next((one for one in descriptions if one.get("categories")), descriptions[0])
            made = made_record([feature])
            is_empty = made[feature["name"]] == "" and not feature.get("categories")
            record |= {feature["name"]: _MADE_TEXT} if is_empty else made
        if self.settings.publish_example:
            for entry in self.models.values():
                record |= entry.get("example", {}).get("instances", [{}])[0]
        return record


def read_interface(settings: Settings) -> Interface:
    """Read the interface; the models' files are not needed, only workflow and manifest.

    Raises:
        ConfigError: with all problems.
    """
    problems: list[str] = []
    absent = [name for name in (WORKFLOW, MANIFEST) if not (settings.project / name).exists()]
    definition = read_object(settings.project, WORKFLOW, problems)
    manifest = read_manifest(settings.project, problems)
    if problems:
        advice = add_advice(settings.project) if WORKFLOW in absent else ""
        if absent == [MANIFEST]:
            advice = f"train the models first: {settings.train}"
        raise ConfigError(problems, advice)
    names = tuple(workflow.functions(definition, problems))
    problems += (f"{WORKFLOW} {problem}" for problem in workflow.problems(definition))
    models = entries(manifest, names, problems)
    if problems:
        raise ConfigError(problems)
    return Interface(settings, models, is_shipped(definition))
