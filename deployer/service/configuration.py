"""Every setting with its value, and the place that it comes from. Asks no account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.engine.withheld import shown
from deployer.project.declared import value_text
from deployer.project.settings import SETTINGS, SettingsSources

DEFAULT = "default"
_ENVIRONMENT = "environment"


@dataclass(frozen=True)
class ConfiguredSetting:
    """A setting's value and the place that it comes from.

    Args:
        value: as plain JSON; a map holds the values of all places, key by key.
        source: such as "default", "[deployer.prod]", "DEPLOYER_STAGE" or "--stage"; of a map, the
            place of each key.
        function: the function for which the setting differs from that for all others.
    """

    name: str
    value: Any
    source: str | Mapping[str, str]
    function: str = ""

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The value as lines of text, each with its place."""
        if isinstance(self.source, str):
            return [(value_text(_tuple(self.value)), self.source)]
        return [(f"{key}={self.value[key]}", place) for key, place in self.source.items()]


@dataclass(frozen=True)
class Configuration:
    """All settings of a project in one stage.

    Args:
        unused: names of the sections of other stages.
    """

    project: str
    stage: str
    settings: tuple[ConfiguredSetting, ...]
    unused: tuple[str, ...]

    @property
    def document(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        functions: dict[str, dict[str, Any]] = {}
        for one in self.settings:
            if one.function:
                functions.setdefault(one.function, {})[one.name] = _document(one)
        return {
            "project": self.project,
            "stage": self.stage,
            "settings": {one.name: _document(one) for one in self.settings if not one.function},
            "functions": functions,
            "sections_of_other_stages": list(self.unused),
        }


def configuration(sources: SettingsSources) -> Configuration:
    """Return all settings; those of functions follow the one that they differ from."""
    settings, places = sources.settings, sources.places
    return Configuration(
        str(settings.project),
        settings.stage,
        tuple(_all(sources)),
        tuple(section.name for section in places.unused),
    )


def _all(sources: SettingsSources) -> Iterator[ConfiguredSetting]:
    for name, declaration in SETTINGS.items():
        common = _one(sources, name, "")
        yield common
        for function in sources.places.functions if declaration.per_function else ():
            own = _one(sources, name, function)
            if (own.value, own.source) != (common.value, common.source):
                yield own


def _one(sources: SettingsSources, name: str, function: str) -> ConfiguredSetting:
    declaration, settings = SETTINGS[name], sources.settings
    of: Any = settings.function(function) if function else settings.defaults
    value = getattr(of if declaration.per_function else settings, declaration.attribute)
    given = sources.places.of(name, function)
    if not declaration.merged:
        value = list(value) if isinstance(value, tuple) else value
        return ConfiguredSetting(name, value, given[-1].source if given else DEFAULT, function)
    origins = {
        key: one.source for one in given for key in declaration.parse(one.text) if key in value
    }
    if not value:
        return ConfiguredSetting(name, {}, given[-1].source if given else DEFAULT, function)
    if name == _ENVIRONMENT:
        value = {key: shown(key, text) for key, text in value.items()}
    return ConfiguredSetting(name, dict(value), {key: origins[key] for key in value}, function)


def _document(one: ConfiguredSetting) -> dict[str, Any]:
    return {"value": one.value, "from": one.source}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
